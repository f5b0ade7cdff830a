from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from harness.catalogue.bindings import InputBindings, parse_bindings
from harness.catalogue.describe import describe, model_name
from harness.catalogue.shapes import GraphInput, bind_shapes
from harness.domain.workload import Fill, InputSpec
from harness.errors import HarnessError, ModelRejected, UnknownName, Unsupported

Make = Callable[..., onnx.ModelProto]
Save = Callable[..., Path]
Dims = list[int | str | None]


def shaped(*options: str) -> InputBindings:
    return parse_bindings(options, [], None)


def bound(dims: dict[str, Dims], *options: str) -> dict[str, tuple[int, ...]]:
    inputs = [
        GraphInput(name=name, dtype="float32", dims=tuple(d))
        for name, d in dims.items()
    ]
    shapes = bind_shapes(inputs, shaped(*options).shapes, "model.onnx")
    return {name: shape.sizes for name, shape in shapes.items()}


@pytest.fixture
def describe_inputs(
    make_model: Make, save_model: Save
) -> Callable[..., tuple[InputSpec, ...]]:
    """Give a function that describes a model with the inputs given and no work."""

    def described(
        inputs: dict[str, tuple[int, Dims]], bindings: InputBindings | None = None
    ) -> tuple[InputSpec, ...]:
        nodes = [helper.make_node("Identity", [next(iter(inputs))], ["y"])]
        return describe(save_model(make_model(nodes, inputs)), bindings).inputs

    return described


def test_a_model_is_described_by_what_its_file_says(
    make_model: Make, save_model: Save
) -> None:
    weight = numpy_helper.from_array(np.ones((4, 3), np.float32), "w")
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    path = save_model(make_model([node], weights=[weight]), "My Model (v2).onnx")

    artifact = describe(path)

    assert artifact.name == "my-model-v2"
    assert artifact.sha256 == sha256(path.read_bytes()).hexdigest()
    assert artifact.size_bytes == path.stat().st_size
    assert (artifact.opset, artifact.parameters, artifact.macs) == (13, 12, None)
    assert artifact.quantisation == "none"
    assert artifact.inputs == (InputSpec(name="x", dtype="float32", shape=(1, 4)),)


def test_a_name_that_is_given_is_taken(make_model: Make, save_model: Save) -> None:
    assert describe(save_model(make_model()), name="mine").name == "mine"


@pytest.mark.parametrize(
    ("stem", "name"), [("KWS_v1.0", "kws_v1.0"), ("模型", "model"), ("-x-", "x")]
)
def test_a_file_name_becomes_a_name_that_is_safe_everywhere(
    stem: str, name: str
) -> None:
    assert model_name(Path(f"{stem}.onnx")) == name


def test_weights_that_are_listed_as_inputs_are_not_inputs(
    make_model: Make, save_model: Save
) -> None:
    weight = numpy_helper.from_array(np.ones(4, np.float32), "w")
    inputs = {"x": (TensorProto.FLOAT, [1, 4]), "w": (TensorProto.FLOAT, [4])}
    node = helper.make_node("Add", ["x", "w"], ["y"])

    artifact = describe(save_model(make_model([node], inputs, weights=[weight])))

    assert [one.name for one in artifact.inputs] == ["x"]


# shapes


@pytest.mark.parametrize("batch", ["batch", "N", "unk__63", None, -1])
def test_a_free_first_axis_is_one_sample(
    describe_inputs: Callable[..., tuple[InputSpec, ...]], batch: int | str | None
) -> None:
    (spec,) = describe_inputs({"x": (TensorProto.FLOAT, [batch, 49, 10])})

    assert spec.shape == (1, 49, 10)
    assert spec.has_batch_axis


def test_a_fixed_first_axis_is_no_batch_axis(
    describe_inputs: Callable[..., tuple[InputSpec, ...]],
) -> None:
    (spec,) = describe_inputs({"x": (TensorProto.FLOAT, [1, 49])})

    assert not spec.has_batch_axis


def test_a_free_axis_that_nobody_gave_is_named_with_the_words_to_give_it() -> None:
    with pytest.raises(ModelRejected) as refusal:
        bound({"input": ["batch", 3, "height", "width"]}, "width=224")

    sentence = refusal.value.sentence()
    assert "Axis 2 ('height') of input 'input'" in sentence
    assert "--shape 'height=SIZE'" in sentence
    assert "--shape 'input=1,3,SIZE,224'" in sentence


@pytest.mark.parametrize("free", [None, -1])
def test_an_axis_without_a_name_is_given_by_the_whole_shape(
    describe_inputs: Callable[..., tuple[InputSpec, ...]], free: int | None
) -> None:
    inputs = {"x": (TensorProto.FLOAT, [1, 3, free])}

    with pytest.raises(ModelRejected, match="--shape 'x=1,3,SIZE'"):
        describe_inputs(inputs)
    (spec,) = describe_inputs(inputs, shaped("x=1,3,8"))

    assert spec.shape == (1, 3, 8)


def test_a_symbol_is_the_same_everywhere() -> None:
    dims: dict[str, Dims] = {"a": ["n", "len"], "b": [2, "n", "len"]}

    assert bound(dims, "len=7") == {"a": (1, 7), "b": (2, 1, 7)}
    assert bound(dims, "b=2,4,7") == {"a": (4, 7), "b": (2, 4, 7)}


@pytest.mark.parametrize(
    "options",
    [("a=1,5", "b=2,1,6"), ("len=5", "a=1,6"), ("len=5", "b=3,1,5")],
)
def test_sizes_that_disagree_are_refused(options: tuple[str, ...]) -> None:
    dims: dict[str, Dims] = {"a": ["n", "len"], "b": [2, "n", "len"]}

    with pytest.raises(ModelRejected, match="cannot be"):
        bound(dims, *options)


def test_a_shape_of_another_rank_is_refused() -> None:
    with pytest.raises(ModelRejected, match="has 2 axes"):
        bound({"a": ["n", 4]}, "a=4")


def test_a_misspelt_name_is_met_with_the_near_one() -> None:
    with pytest.raises(UnknownName, match="Did you mean 'height'"):
        bound({"a": ["n", "height"]}, "heigh_t=4")


@pytest.mark.parametrize("symbol", ["seq_len", "time", "T", "num_frames"])
def test_a_first_axis_of_time_or_space_has_to_be_given(symbol: str) -> None:
    with pytest.raises(ModelRejected, match=symbol):
        bound({"a": [symbol, 40]})


def test_a_lone_free_axis_has_to_be_given_unless_it_is_called_batch() -> None:
    with pytest.raises(ModelRejected):
        bound({"wave": [None]})

    assert bound({"wave": ["batch"]}) == {"wave": (1,)}


def test_the_total_length_of_a_decoder_is_past_plus_new() -> None:
    dims: dict[str, Dims] = {
        "ids": ["batch", "seq_len"],
        "mask": ["batch", "total_seq_len"],
        "past": [2, "batch", 4, "past_seq_len", 8],
    }

    shapes = bound(dims, "seq_len=3", "past_seq_len=5")

    assert shapes["mask"] == (1, 8)
    assert shapes["past"] == (2, 1, 4, 5, 8)


def test_lengths_of_a_decoder_that_do_not_add_up_are_refused() -> None:
    dims: dict[str, Dims] = {"a": ["seq_len", "past_seq_len", "total_seq_len"]}

    with pytest.raises(ModelRejected, match="total_seq_len"):
        bound(dims, "a=64,64,64")


def test_a_mask_spans_past_and_new_whatever_its_axis_is_called() -> None:
    dims: dict[str, Dims] = {
        "input_ids": ["batch", "n"],
        "attention_mask": ["batch", "span"],
        "past_0": [2, "batch", 4, "kept", 8],
    }

    sizes = bound(dims, "n=3", "kept=5")

    assert sizes["attention_mask"] == (1, 8)
    with pytest.raises(ModelRejected, match="attention_mask' is 64, so it cannot be 8"):
        bound(dims, "n=3", "kept=5", "span=64")


def test_a_mask_without_names_is_bound_by_its_role_too() -> None:
    dims: dict[str, Dims] = {
        "input_ids": [1, 3],
        "attention_mask": [1, None],
        "past_key_values.0.key": [1, 4, 5, 8],
    }

    assert bound(dims)["attention_mask"] == (1, 8)
    with pytest.raises(ModelRejected, match="attention_mask'"):
        bound(dims, "attention_mask=1,64")


def test_a_symbol_that_is_a_sum_is_computed() -> None:
    dims: dict[str, Dims] = {"a": [1, "past", "new"], "b": ["n", "past + new + 1"]}

    assert bound(dims, "past=0", "new=4")["b"] == (1, 5)


@given(st.integers(1, 64), st.integers(1, 64))
def test_a_symbol_and_the_whole_shape_say_the_same(height: int, width: int) -> None:
    dims: dict[str, Dims] = {"x": ["N", 3, "h", "w"]}

    by_symbol = bound(dims, f"h={height}", f"w={width}")
    by_shape = bound(dims, f"x=1,3,{height},{width}")

    assert by_symbol == by_shape == {"x": (1, 3, height, width)}


def test_samples_cannot_be_stacked_where_another_axis_holds_the_batch(
    describe_inputs: Callable[..., tuple[InputSpec, ...]],
) -> None:
    specs = describe_inputs(
        {
            "ids": (TensorProto.FLOAT, ["batch", 4]),
            "past": (TensorProto.FLOAT, [2, "batch", 4]),
        }
    )

    assert not any(spec.has_batch_axis for spec in specs)


def test_a_batch_of_several_is_one_sample_and_cannot_be_stacked(
    describe_inputs: Callable[..., tuple[InputSpec, ...]],
) -> None:
    (spec,) = describe_inputs({"x": (TensorProto.FLOAT, ["N", 4])}, shaped("N=8"))

    assert spec.shape == (8, 4)
    assert not spec.has_batch_axis


def test_a_sample_of_nothing_is_refused(
    describe_inputs: Callable[..., tuple[InputSpec, ...]],
) -> None:
    with pytest.raises(ModelRejected, match="nothing would be computed"):
        describe_inputs({"x": (TensorProto.FLOAT, [1, 3, "h"])}, shaped("h=0"))


def test_a_sample_beyond_all_memory_is_refused(
    describe_inputs: Callable[..., tuple[InputSpec, ...]],
) -> None:
    with pytest.raises(ModelRejected, match="40000000000 bytes"):
        describe_inputs({"x": (TensorProto.FLOAT, [1, "h"])}, shaped("h=10000000000"))


# fills


@pytest.mark.parametrize(
    ("kind", "fill", "low", "high"),
    [
        (TensorProto.FLOAT, Fill.UNIFORM, 0, 1),
        (TensorProto.FLOAT16, Fill.UNIFORM, 0, 1),
        (TensorProto.DOUBLE, Fill.UNIFORM, 0, 1),
        (TensorProto.UINT8, Fill.UNIFORM, 0, 255),
        (TensorProto.INT8, Fill.UNIFORM, -128, 127),
        (TensorProto.UINT16, Fill.UNIFORM, 0, 65535),
        (TensorProto.BOOL, Fill.ONES, 0, 1),
    ],
)
def test_a_fill_is_guessed_by_type(
    describe_inputs: Callable[..., tuple[InputSpec, ...]],
    kind: int,
    fill: Fill,
    low: float,
    high: float,
) -> None:
    (spec,) = describe_inputs({"x": (kind, [1, 4])})

    assert (spec.fill, spec.low, spec.high) == (fill, low, high)


@pytest.mark.parametrize(
    ("name", "fill"), [("mask", Fill.ONES), ("h0", Fill.ZEROS), ("past_3", Fill.ZEROS)]
)
def test_a_real_input_is_filled_by_its_role(
    describe_inputs: Callable[..., tuple[InputSpec, ...]], name: str, fill: Fill
) -> None:
    (spec,) = describe_inputs({name: (TensorProto.FLOAT, [1, 16])})

    assert spec.fill is fill


@pytest.mark.parametrize(
    ("name", "fill", "high"),
    [
        ("attention_mask", Fill.ONES, 1),
        ("token_type_ids", Fill.ZEROS, 1),
        ("position_ids", Fill.UNIFORM, 15),
    ],
)
def test_a_whole_number_is_filled_by_its_role(
    describe_inputs: Callable[..., tuple[InputSpec, ...]],
    name: str,
    fill: Fill,
    high: float,
) -> None:
    (spec,) = describe_inputs({name: (TensorProto.INT64, [1, 16])})

    assert (spec.fill, spec.low, spec.high) == (fill, 0, high)


def test_whole_numbers_of_no_known_role_have_to_be_given(
    describe_inputs: Callable[..., tuple[InputSpec, ...]],
) -> None:
    inputs: dict[str, tuple[int, Dims]] = {"level": (TensorProto.INT64, [1])}

    with pytest.raises(ModelRejected) as refusal:
        describe_inputs(inputs)
    (spec,) = describe_inputs(inputs, parse_bindings([], ["level=2:5"], None))

    assert "--range 'level=LOW:HIGH'" in refusal.value.remedy
    assert (spec.fill, spec.low, spec.high) == (Fill.UNIFORM, 2, 5)


def test_token_ids_stay_below_the_vocabulary(
    make_model: Make, save_model: Save
) -> None:
    table = numpy_helper.from_array(np.zeros((500, 8), np.float32), "table")
    nodes = [
        helper.make_node("Cast", ["ids"], ["copy"], to=TensorProto.INT64),
        helper.make_node("Gather", ["table", "copy"], ["y"], axis=0),
    ]
    inputs = {"ids": (TensorProto.INT32, [1, 16])}

    (spec,) = describe(save_model(make_model(nodes, inputs, weights=[table]))).inputs

    assert (spec.fill, spec.low, spec.high) == (Fill.UNIFORM, 0, 499)


def test_a_vocabulary_of_a_quantised_table_is_found(
    make_model: Make, save_model: Save
) -> None:
    weights = [
        numpy_helper.from_array(np.zeros((500, 8), np.int8), "table"),
        numpy_helper.from_array(np.array(0.1, np.float32), "scale"),
    ]
    nodes = [
        helper.make_node("DequantizeLinear", ["table", "scale"], ["real"]),
        helper.make_node("Gather", ["real", "ids"], ["y"]),
    ]
    inputs = {"ids": (TensorProto.INT64, [1, 16])}

    (spec,) = describe(save_model(make_model(nodes, inputs, weights=weights))).inputs

    assert spec.high == 499


def test_a_number_that_the_graph_compares_is_filled_with_what_it_expects(
    make_model: Make, save_model: Save
) -> None:
    rate = numpy_helper.from_array(np.array(16000, np.int64), "rate")
    nodes = [helper.make_node("Equal", ["sr", "rate"], ["y"])]
    inputs: dict[str, tuple[int, Dims]] = {"sr": (TensorProto.INT64, [])}
    outputs: dict[str, tuple[int, Dims]] = {"y": (TensorProto.BOOL, [])}

    model = make_model(nodes, inputs, outputs, weights=[rate])
    (spec,) = describe(save_model(model)).inputs

    assert (spec.shape, spec.low, spec.high) == ((), 16000, 16000)


def test_states_begin_at_zero_and_the_first_input_does_not(
    make_model: Make, save_model: Save
) -> None:
    nodes = [
        helper.make_node("Relu", ["spectrum"], ["mask"]),
        helper.make_node("Relu", ["h"], ["hn"]),
    ]
    kinds: tuple[int, Dims] = (TensorProto.FLOAT, [1, 8])
    inputs = {"spectrum": kinds, "h": (TensorProto.FLOAT, [2, 4])}
    outputs = {"mask": kinds, "hn": (TensorProto.FLOAT, [2, 4])}

    first, second = describe(save_model(make_model(nodes, inputs, outputs))).inputs

    assert first.fill is Fill.UNIFORM
    assert second.fill is Fill.ZEROS


@pytest.mark.parametrize(
    ("kind", "limits"),
    [
        (TensorProto.INT8, "0:255"),
        (TensorProto.UINT8, "-1:1"),
        (TensorProto.INT32, "0:0.5"),
        (TensorProto.BOOL, "0:2"),
        (TensorProto.FLOAT16, "0:1e6"),
    ],
)
def test_a_range_that_its_type_cannot_hold_is_refused(
    describe_inputs: Callable[..., tuple[InputSpec, ...]], kind: int, limits: str
) -> None:
    with pytest.raises(ModelRejected, match="its range cannot be"):
        describe_inputs({"x": (kind, [1])}, parse_bindings([], [f"x={limits}"], None))


def test_a_range_of_no_input_is_met_with_the_near_name(
    describe_inputs: Callable[..., tuple[InputSpec, ...]],
) -> None:
    with pytest.raises(UnknownName, match="Did you mean 'pixels'"):
        describe_inputs(
            {"pixels": (TensorProto.FLOAT, [1])},
            parse_bindings([], ["pixel=0:255"], None),
        )


@pytest.mark.parametrize(
    "kind", [TensorProto.FLOAT8E4M3FN, TensorProto.BFLOAT16, TensorProto.COMPLEX64]
)
def test_inputs_that_cannot_be_fed_are_named(
    describe_inputs: Callable[..., tuple[InputSpec, ...]], kind: int
) -> None:
    with pytest.raises(Unsupported) as refusal:
        describe_inputs({"text": (kind, [1])})

    assert "'text'" in refusal.value.what
    assert refusal.value.remedy


def test_an_input_that_is_no_tensor_is_named(
    make_model: Make, save_model: Save
) -> None:
    model = make_model()
    model.graph.input[0].type.sequence_type.elem_type.tensor_type.elem_type = 1

    with pytest.raises(Unsupported, match="'x' is not a tensor"):
        describe(save_model(model))


def test_an_input_of_unknown_rank_is_refused(
    make_model: Make, save_model: Save
) -> None:
    model = make_model()
    model.graph.input[0].type.tensor_type.ClearField("shape")

    with pytest.raises(ModelRejected, match="no number of axes"):
        describe(save_model(model))


def test_a_model_is_vetted_before_it_is_described(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"not a model")

    with pytest.raises(HarnessError):
        describe(path)
