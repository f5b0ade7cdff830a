"""Lists of operators, and what a model's share of them is."""

import re

import pytest
from onnx import defs

from harness.catalogue.providers import ProviderList, coverage, provider_lists

STANDARD = {s.name for s in defs.get_all_schemas_with_history() if not s.domain}
RUNTIMES_OWN = {
    "Affine",
    "Crop",
    "DynamicSlice",
    "ImageScaler",
    "Inverse",
    "ParametricSoftplus",
    "ScaledTanh",
    "SimplifiedLayerNormalization",
}
"""Listed under ai.onnx by the providers' pages, and known to the runtime only."""
ALIKE = ProviderList(
    name="SomeProvider",
    title="some",
    source="a page @0123456",
    read="2026-11-26",
    operators=frozenset({"Conv", "Relu", "com.microsoft:FastGelu"}),
    conditions={"Conv": "2-D only", "Relu": "never"},
)


def test_the_seven_providers_that_devices_have_are_listed_once() -> None:
    assert [one.name for one in provider_lists()] == [
        "XNNPACKExecutionProvider",
        "QNNExecutionProvider",
        "NnapiExecutionProvider",
        "OpenVINOExecutionProvider",
        "DmlExecutionProvider",
        "CUDAExecutionProvider",
        "CoreMLExecutionProvider",
    ]


@pytest.mark.parametrize("one", provider_lists(), ids=lambda one: one.name)
def test_a_list_names_operators_that_exist_and_where_it_is_from(
    one: ProviderList,
) -> None:
    plain = {name for name in one.operators if ":" not in name}
    assert plain - STANDARD <= RUNTIMES_OWN
    assert {"Conv", "MatMul", "Softmax"} <= plain
    assert set(one.conditions) <= one.operators
    assert re.search(r"\S+/\S+ \S+\.md @[0-9a-f]{7}$", one.source)


def test_nodes_and_products_are_shared_out_by_the_list() -> None:
    found = coverage(
        ALIKE,
        {"Conv": 2, "QuantizeLinear": 9, "Relu": 1, "LSTM": 1, "Constant": 4},
        [("Conv", 600), ("LSTM", 300), ("Relu", 0), ("Conv", 100)],
    )

    assert (found.nodes, found.nodes_taken) == (4, 3)
    assert found.macs_ratio == 0.7
    assert found.changes == 1
    assert found.left == {"LSTM": 1}
    assert found.conditions == {"Conv": "2-D only", "Relu": "never"}


def test_operators_of_another_domain_are_listed_with_it() -> None:
    found = coverage(ALIKE, {"com.microsoft:FastGelu": 1, "FastGelu": 1})

    assert found.left == {"FastGelu": 1}
    assert found.macs_ratio is None
    assert found.changes is None


def test_neighbours_that_are_left_out_are_one_change() -> None:
    kernels = [("LSTM", 1), ("GRU", 1), ("Conv", 1), ("GRU", 1)]

    assert coverage(ALIKE, {}, kernels).changes == 2
