import os
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from harness.catalogue.describe import describe
from harness.catalogue.vet import vet
from harness.errors import ModelRejected

Make = Callable[..., onnx.ModelProto]
Save = Callable[..., Path]


def outside(name: str, **entries: str) -> TensorProto:
    """Give a float32 [1, 4] tensor that lies in another file."""
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=[1, 4])
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in entries.items():
        tensor.external_data.add(key=key, value=value)
    return tensor


@pytest.fixture
def with_external(make_model: Make, save_model: Save) -> Callable[..., Path]:
    """Give a function that writes a model whose one weight lies in another file."""

    def written(**entries: str) -> Path:
        node = helper.make_node("Add", ["x", "w"], ["y"])
        return save_model(make_model([node], weights=[outside("w", **entries)]))

    return written


def refused(path: Path) -> str:
    with pytest.raises(ModelRejected) as refusal:
        vet(path)
    assert str(path) in refusal.value.where
    assert refusal.value.remedy
    return refusal.value.what


def test_data_beside_the_model_pass(with_external: Callable[..., Path]) -> None:
    path = with_external(location="w.bin")
    (path.parent / "w.bin").write_bytes(bytes(16))

    vet(path)


def test_data_in_a_folder_beside_the_model_pass(
    with_external: Callable[..., Path],
) -> None:
    path = with_external(location="data/w.bin", offset="4", length="16")
    (path.parent / "data").mkdir()
    (path.parent / "data" / "w.bin").write_bytes(bytes(20))

    vet(path)


def test_size_and_digest_are_of_the_model_and_its_data_in_the_order_of_names(
    make_model: Make, save_model: Save
) -> None:
    nodes = [
        helper.make_node("Add", ["x", "w"], ["h"]),
        helper.make_node("Add", ["h", "v"], ["y"]),
    ]
    weights = [outside("w", location="b.bin"), outside("v", location="a.bin")]
    path = save_model(make_model(nodes, weights=weights))
    (path.parent / "a.bin").write_bytes(b"a" * 16)
    (path.parent / "b.bin").write_bytes(b"b" * 16)

    artifact = describe(path)

    whole = path.read_bytes() + b"a" * 16 + b"b" * 16
    assert artifact.sha256 == sha256(whole).hexdigest()
    assert artifact.size_bytes == len(whole)
    assert artifact.parameters == 8


@pytest.mark.parametrize(
    "location",
    [
        "../secret.bin",
        "../../etc/passwd",
        "data/../../secret.bin",
        "/etc/passwd",
        "C:\\Windows\\win.ini",
        "..\\secret.bin",
        "\\\\host\\share\\secret.bin",
        "w.bin\0.txt",
    ],
)
def test_data_outside_the_folder_are_refused(
    with_external: Callable[..., Path], location: str
) -> None:
    path = with_external(location=location)
    (path.parent.parent / "secret.bin").write_bytes(bytes(16))

    assert "outside the folder" in refused(path)


def test_a_symbolic_link_is_refused(with_external: Callable[..., Path]) -> None:
    path = with_external(location="w.bin")
    secret = path.parent.parent / "secret.bin"
    secret.write_bytes(bytes(16))
    (path.parent / "w.bin").symlink_to(secret)

    assert "symbolic link" in refused(path)


def test_a_folder_that_is_a_symbolic_link_is_refused(
    with_external: Callable[..., Path],
) -> None:
    path = with_external(location="data/w.bin")
    elsewhere = path.parent.parent / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "w.bin").write_bytes(bytes(16))
    (path.parent / "data").symlink_to(elsewhere)

    assert "symbolic link" in refused(path)


def test_a_hard_link_is_refused(with_external: Callable[..., Path]) -> None:
    path = with_external(location="w.bin")
    secret = path.parent.parent / "secret.bin"
    secret.write_bytes(bytes(16))
    os.link(secret, path.parent / "w.bin")

    assert "hard link" in refused(path)


def test_a_pipe_or_a_folder_is_refused(with_external: Callable[..., Path]) -> None:
    path = with_external(location="w.bin")
    os.mkfifo(path.parent / "w.bin")

    assert "not an ordinary file" in refused(path)
    assert "not an ordinary file" in refused(with_external(location="."))


def test_missing_data_are_named(with_external: Callable[..., Path]) -> None:
    what = refused(with_external(location="w.bin"))

    assert "'w.bin'" in what
    assert "missing" in what


@pytest.mark.parametrize(
    "entries", [{}, {"length": "16"}, {"offset": "1"}, {"offset": "99999999999999"}]
)
def test_data_that_end_too_early_are_refused(
    with_external: Callable[..., Path], entries: dict[str, str]
) -> None:
    path = with_external(location="w.bin", **entries)
    (path.parent / "w.bin").write_bytes(bytes(15))

    assert "too short" in refused(path)


def test_a_length_that_is_not_that_of_the_shape_is_refused(
    with_external: Callable[..., Path],
) -> None:
    path = with_external(location="w.bin", length="15")
    (path.parent / "w.bin").write_bytes(bytes(16))

    assert "16 bytes, but 15" in refused(path)


@pytest.mark.parametrize(
    "entries",
    [
        {"location": "w.bin", "offset": "-1"},
        {"location": "w.bin", "length": "1e3"},
        {"location": "w.bin", "offset": "٣"},
        {"offset": "0"},
        {"location": ""},
        {"location": "w.bin", "Location": "/etc/passwd"},
    ],
)
def test_entries_that_cannot_be_understood_are_refused(
    with_external: Callable[..., Path], entries: dict[str, str]
) -> None:
    path = with_external(**entries)
    (path.parent / "w.bin").write_bytes(bytes(16))

    assert "'w'" in refused(path)


def test_a_location_given_twice_is_refused(make_model: Make, save_model: Save) -> None:
    weight = outside("w", location="w.bin")
    weight.external_data.add(key="location", value="/etc/passwd")
    node = helper.make_node("Add", ["x", "w"], ["y"])
    path = save_model(make_model([node], weights=[weight]))
    (path.parent / "w.bin").write_bytes(bytes(16))

    assert "two ways" in refused(path)


def test_data_of_a_constant_inside_a_branch_are_looked_at(
    make_model: Make, save_model: Save
) -> None:
    weight = outside("deep", location="/etc/passwd")
    inner = helper.make_node("Constant", [], ["inner"], value=weight)
    output = helper.make_tensor_value_info("inner", TensorProto.FLOAT, None)
    graph = helper.make_graph([inner], "branch", [], [output])
    node = helper.make_node("If", ["c"], ["y"], then_branch=graph, else_branch=graph)
    inputs: dict[str, tuple[int, list[int]]] = {"c": (TensorProto.BOOL, [])}

    assert "'deep'" in refused(save_model(make_model([node], inputs)))


def test_data_of_a_training_graph_are_looked_at(
    make_model: Make, save_model: Save
) -> None:
    model = make_model()
    training = model.training_info.add()
    training.algorithm.initializer.append(outside("t", location="/etc/passwd"))

    assert "'t'" in refused(save_model(model))


def test_entries_on_a_tensor_that_says_it_is_inside_are_looked_at(
    make_model: Make, save_model: Save
) -> None:
    weight = outside("w", location="../secret.bin")
    weight.data_location = TensorProto.DEFAULT
    weight.raw_data = bytes(16)
    node = helper.make_node("Add", ["x", "w"], ["y"])

    what = refused(save_model(make_model([node], weights=[weight])))

    assert "outside the folder" in what
