"""onnxruntime behind the protocol: bound outputs, refusals, and what it optimised."""

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from harness.domain.plan import RuntimeSettings
from harness.errors import ModelRejected, TargetError, Unsupported
from harness.runtimes.base import ModelFile
from harness.runtimes.onnxbytes import ELEMENT_TYPES, identity_model
from harness.runtimes.onnxrt import OnnxRuntime, open_runtime, require_version

SETTINGS = RuntimeSettings()


@pytest.fixture(name="runtime")
def _runtime() -> Iterator[OnnxRuntime]:
    with open_runtime() as runtime:
        yield runtime


def a_file(model: onnx.ModelProto | bytes, folder: Path = Path()) -> ModelFile:
    data = model if isinstance(model, bytes) else model.SerializeToString()
    return ModelFile(data=data, folder=folder)


def one_node(
    operator: str,
    inputs: dict[str, tuple[int, list[int | str]]],
    output: tuple[int, list[int | str]],
) -> onnx.ModelProto:
    graph = helper.make_graph(
        [helper.make_node(operator, list(inputs), ["out"])],
        "one",
        [helper.make_tensor_value_info(n, t, s) for n, (t, s) in inputs.items()],
        [helper.make_tensor_value_info("out", *output)],
    )
    opset = helper.make_opsetid("", 13)
    return helper.make_model(graph, opset_imports=[opset], ir_version=8)


def quantised_convolution() -> onnx.ModelProto:
    """Make one U8S8 convolution between pairs of Q and DQ, and one in reals."""

    def const(name: str, value: object, dtype: str) -> onnx.TensorProto:
        return numpy_helper.from_array(np.array(value, dtype), name)

    weights = np.ones((2, 2, 1, 1))
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["xq"]),
        helper.make_node("DequantizeLinear", ["xq", "s", "z"], ["xd"]),
        helper.make_node("DequantizeLinear", ["wq", "s", "zw"], ["wd"]),
        helper.make_node("Conv", ["xd", "wd"], ["c"]),
        helper.make_node("QuantizeLinear", ["c", "s", "z"], ["cq"]),
        helper.make_node("DequantizeLinear", ["cq", "s", "z"], ["cd"]),
        helper.make_node("Conv", ["cd", "wf"], ["y"]),
    ]
    shape = [1, 2, 4, 4]
    graph = helper.make_graph(
        nodes,
        "qdq",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        [
            const("s", 0.1, "float32"),
            const("z", 128, "uint8"),
            const("zw", 0, "int8"),
            const("wq", weights, "int8"),
            const("wf", weights, "float32"),
        ],
    )
    opset = helper.make_opsetid("", 13)
    return helper.make_model(graph, opset_imports=[opset], ir_version=8)


@pytest.mark.parametrize("dtype", sorted(set(ELEMENT_TYPES) - {"str"}))
def test_the_identity_model_gives_back_what_it_got_in_every_type(
    runtime: OnnxRuntime, dtype: str
) -> None:
    model = a_file(identity_model([("x", dtype, (2, 3))]))
    tensor = np.array([[0, 1, 1], [1, 0, 0]], dtype)

    with runtime.load(model, SETTINGS) as session:
        query = session.bind({"x": tensor})
        query.call()
        (output,) = query.outputs()

    assert output.dtype == tensor.dtype
    assert np.array_equal(output, tensor)


def test_text_is_taken_and_its_shape_comes_out(runtime: OnnxRuntime) -> None:
    model = a_file(identity_model([("x", "str", (2, 1))]))

    with runtime.load(model, SETTINGS) as session:
        query = session.bind({"x": np.array([["one"], ["three"]])})
        query.call()

    assert [output.tolist() for output in query.outputs()] == [[2, 1]]


def test_outputs_that_are_no_tensors_of_numbers_are_left_out(
    runtime: OnnxRuntime,
) -> None:
    words = helper.make_node("Cast", ["x"], ["words"], to=TensorProto.STRING)
    model = one_node("Neg", {"x": (TensorProto.FLOAT, [2])}, (TensorProto.FLOAT, [2]))
    model.graph.node.insert(0, words)
    model.graph.output.insert(
        0, helper.make_tensor_value_info("words", TensorProto.STRING, [2])
    )

    with runtime.load(a_file(model), SETTINGS) as session:
        query = session.bind({"x": np.ones(2, np.float32)})
        query.call()
        plain = session.compute({"x": np.ones(2, np.float32)})

    for outputs in (query.outputs(), plain):
        assert [output.tolist() for output in outputs] == [[-1.0, -1.0]]


def test_bound_outputs_stay_in_place_and_agree_with_the_plain_call(
    runtime: OnnxRuntime,
) -> None:
    flt = TensorProto.FLOAT
    model = one_node("Neg", {"x": (flt, ["N", 3])}, (flt, ["N", 3]))
    feeds = {"x": np.arange(6, dtype=np.float32).reshape(2, 3)}

    with runtime.load(a_file(model), SETTINGS) as session:
        query = session.bind(feeds)
        query.call()
        first = query.outputs()[0]
        query.call()
        again = query.outputs()[0]
        (plain,) = session.compute(feeds)

    assert first is again
    assert np.array_equal(plain, again)


def test_outputs_whose_shape_only_the_call_tells_are_read_as_well(
    runtime: OnnxRuntime,
) -> None:
    model = one_node(
        "NonZero", {"x": (TensorProto.FLOAT, [5])}, (TensorProto.INT64, [1, "found"])
    )
    feeds = {"x": np.array([0, 1, 0, 1, 1], np.float32)}

    with runtime.load(a_file(model), SETTINGS) as session:
        query = session.bind(feeds)
        query.call()
        query.call()
        (output,) = query.outputs()

    assert output.tolist() == [[1, 3, 4]]


def test_the_share_of_integer_kernels_is_read_back(runtime: OnnxRuntime) -> None:
    inspection = runtime.inspect(a_file(quantised_convolution()), SETTINGS)

    assert inspection.quantised_nodes == 1
    assert inspection.quantisable_nodes == 2
    assert set(inspection.placement) == {"CPUExecutionProvider"}


def test_without_optimisation_nothing_is_fused(runtime: OnnxRuntime) -> None:
    settings = RuntimeSettings(optimisation="off")

    inspection = runtime.inspect(a_file(quantised_convolution()), settings)

    assert inspection.quantised_nodes == 0
    assert inspection.quantisable_nodes == 2


def test_a_provider_that_is_not_there_is_never_replaced_by_the_cpu(
    runtime: OnnxRuntime,
) -> None:
    model = a_file(identity_model([("x", "float32", (1,))]))
    settings = RuntimeSettings(provider="QNNExecutionProvider")

    with (
        pytest.raises(Unsupported, match="no QNNExecutionProvider") as caught,
        runtime.load(model, settings),
    ):
        pass

    assert "CPUExecutionProvider" in caught.value.remedy


def test_what_a_provider_compiles_is_counted_though_its_kernels_are_hidden(
    runtime: OnnxRuntime,
) -> None:
    """OpenVINO runs on processors: pip install onnxruntime-openvino, elsewhere."""
    if "OpenVINOExecutionProvider" not in runtime.identify()["providers"]:
        pytest.skip("this onnxruntime has no provider that compiles graphs")
    settings = RuntimeSettings(provider="OpenVINOExecutionProvider")

    found = runtime.inspect(a_file(quantised_convolution()), settings)

    assert set(found.placement) == {"OpenVINOExecutionProvider"}
    assert found.quantised_nodes is None


def test_an_unknown_optimisation_level_names_those_that_exist(
    runtime: OnnxRuntime,
) -> None:
    model = a_file(identity_model([("x", "float32", (1,))]))

    with (
        pytest.raises(Unsupported, match="level 'max'") as caught,
        runtime.load(model, RuntimeSettings(optimisation="max")),
    ):
        pass

    assert "extended" in caught.value.remedy


@pytest.mark.parametrize("version", ["1.17.3", "1.23.2", "1.24.0", "0.5"])
def test_an_onnxruntime_that_reads_any_file_is_refused(version: str) -> None:
    with pytest.raises(Unsupported, match=f"onnxruntime {version} reads any file"):
        require_version(version)


@pytest.mark.parametrize("version", ["1.24.1", "1.32.0", "1.30.0+cu12", "2.0"])
def test_a_newer_onnxruntime_is_taken(version: str) -> None:
    require_version(version)


BAD_MODELS = {
    "empty": b"",
    "garbage": b"this is not a model",
    "cut": quantised_convolution().SerializeToString()[:-9],
    "operator": one_node(
        "Nonesuch", {"x": (TensorProto.FLOAT, [1])}, (TensorProto.FLOAT, [1])
    ).SerializeToString(),
}


@pytest.mark.parametrize("data", BAD_MODELS.values(), ids=BAD_MODELS)
def test_a_model_that_the_library_refuses_is_a_refusal_with_its_reason(
    runtime: OnnxRuntime, data: bytes
) -> None:
    with (
        pytest.raises(ModelRejected, match="refuses the model"),
        runtime.load(a_file(data), SETTINGS),
    ):
        pass


def test_external_data_outside_the_models_folder_is_not_read(
    runtime: OnnxRuntime, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_bytes(bytes(400))
    (tmp_path / "in").mkdir()
    model = _with_external_weights("../secret")

    with (
        pytest.raises(ModelRejected),
        runtime.load(a_file(model, tmp_path / "in"), SETTINGS),
    ):
        pass


def test_external_data_in_the_models_folder_is_read(
    runtime: OnnxRuntime, tmp_path: Path
) -> None:
    weights = np.arange(100, dtype=np.float32)
    (tmp_path / "weights").write_bytes(weights.tobytes())
    model = a_file(_with_external_weights("weights"), tmp_path)

    with runtime.load(model, SETTINGS) as session:
        (output,) = session.compute({"x": np.zeros(100, np.float32)})

    assert np.array_equal(output, weights)


def test_too_little_memory_is_told_apart_from_other_failures(
    runtime: OnnxRuntime,
) -> None:
    model = one_node(
        "ConstantOfShape", {"s": (TensorProto.INT64, [1])}, (TensorProto.FLOAT, ["n"])
    )

    with (
        runtime.load(a_file(model), SETTINGS) as session,
        pytest.raises(MemoryError, match="allocate memory"),
        runtime.explained("m"),
    ):
        session.compute({"s": np.array([2**45])})


def test_a_failure_in_a_call_names_the_model(runtime: OnnxRuntime) -> None:
    flt = TensorProto.FLOAT
    model = one_node("Add", {"x": (flt, ["a"]), "y": (flt, ["b"])}, (flt, ["c"]))
    feeds = {"x": np.zeros(2, np.float32), "y": np.zeros(3, np.float32)}

    with (
        runtime.load(a_file(model), SETTINGS) as session,
        pytest.raises(TargetError, match="onnxruntime failed") as caught,
        runtime.explained("m.onnx"),
    ):
        session.compute(feeds)

    assert caught.value.where == "m.onnx"


def test_an_output_that_is_no_tensor_of_numbers_is_unsupported(
    runtime: OnnxRuntime,
) -> None:
    text = TensorProto.STRING
    model = one_node("Identity", {"x": (text, [1])}, (text, [1]))

    with (
        pytest.raises(Unsupported, match=r"tensor\(string\)"),
        runtime.load(a_file(model), SETTINGS),
    ):
        pass


def test_every_error_class_of_the_library_is_translated(runtime: OnnxRuntime) -> None:
    state = import_module("onnxruntime.capi.onnxruntime_pybind11_state")
    names = {"Fail", "InvalidArgument", "NoSuchFile", "RuntimeException", "EPFail"}

    for name in sorted(names):
        with pytest.raises(TargetError), runtime.explained("m"):
            raise getattr(state, name)("wrong")


def _with_external_weights(location: str) -> onnx.ModelProto:
    weights = TensorProto(
        name="w",
        data_type=TensorProto.FLOAT,
        dims=[100],
        data_location=TensorProto.EXTERNAL,
    )
    weights.external_data.add(key="location", value=location)
    shape = [100]
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "w"], ["y"])],
        "external",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
        [weights],
    )
    opset = helper.make_opsetid("", 13)
    return helper.make_model(graph, opset_imports=[opset], ir_version=8)
