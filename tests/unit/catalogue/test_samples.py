import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from harness.catalogue.bindings import InputBindings, parse_bindings
from harness.catalogue.describe import describe
from harness.domain.workload import Fill, InputSpec
from harness.errors import ModelRejected

Make = Callable[..., onnx.ModelProto]
Save = Callable[..., Path]
Described = Callable[..., tuple[InputSpec, ...]]
Dims = list[int | str | None]
IMAGE: dict[str, tuple[int, Dims]] = {"x": (TensorProto.FLOAT, ["N", 3, "h", "w"])}


@pytest.fixture
def samples(tmp_path: Path) -> Callable[..., Path]:
    """Give a function that writes arrays by name and gives the path."""

    def written(**arrays: Any) -> Path:  # noqa: ANN401 - arrays of any kind
        path = tmp_path / "samples.npz"
        np.savez(path, **arrays)
        return path

    return written


@pytest.fixture
def described(make_model: Make, save_model: Save) -> Described:
    """Give a function that describes a model of those inputs with those samples."""

    def inputs_of(
        inputs: dict[str, tuple[int, Dims]],
        samples: Path,
        shapes: tuple[str, ...] = (),
        ranges: tuple[str, ...] = (),
    ) -> tuple[InputSpec, ...]:
        nodes = [helper.make_node("Identity", [next(iter(inputs))], ["y"])]
        path = save_model(make_model(nodes, inputs))
        return describe(path, parse_bindings(shapes, ranges, samples)).inputs

    return inputs_of


def floats(*shape: int) -> "np.ndarray[Any, np.dtype[np.float32]]":
    return np.zeros(shape, np.float32)


def test_samples_give_the_free_sizes_and_the_fill(
    described: Described, samples: Callable[..., Path]
) -> None:
    (spec,) = described(IMAGE, samples(x=floats(10, 3, 32, 48), y=np.arange(10)))

    assert spec.shape == (1, 3, 32, 48)
    assert spec.fill is Fill.FILE
    assert spec.has_batch_axis


@pytest.mark.parametrize(
    ("dims", "shape", "expected"),
    [
        ([1, 4], (10, 4), (1, 4)),
        ([1, 4], (10, 1, 4), (1, 4)),
        ([2, 4], (10, 2, 4), (2, 4)),
        ([2, 4], (2, 4), (2, 4)),
        (["N", 4], (10, 4), (1, 4)),
        ([], (), ()),
        ([], (10,), ()),
        ([2, "past"], (10, 2, 0), (2, 0)),
    ],
)
def test_axis_zero_of_an_array_counts_samples(
    described: Described,
    samples: Callable[..., Path],
    dims: Dims,
    shape: tuple[int, ...],
    expected: tuple[int, ...],
) -> None:
    inputs = {"x": (TensorProto.FLOAT, dims), "b": (TensorProto.FLOAT, [1])}

    first, _ = described(inputs, samples(x=floats(*shape)), ranges=("b=0:1",))

    assert first.shape == expected


def test_an_input_whose_range_is_given_may_be_missing(
    described: Described, samples: Callable[..., Path]
) -> None:
    inputs = {"x": (TensorProto.FLOAT, [1, 4]), "sr": (TensorProto.INT64, [])}

    first, second = described(inputs, samples(x=floats(5, 4)), ranges=("sr=8000:8000",))

    assert (first.fill, second.fill) == (Fill.FILE, Fill.UNIFORM)


def test_an_input_that_is_missing_is_named_with_what_is_there(
    described: Described, samples: Callable[..., Path]
) -> None:
    with pytest.raises(ModelRejected) as refusal:
        described(IMAGE, samples(pixels=floats(1, 3, 4, 4)))

    assert "'x'" in refusal.value.what
    assert "pixels" in refusal.value.what


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.zeros((5, 3, 4, 4)), r"\.astype\('float32'\)"),
        (np.zeros((5, 3, 4, 4), np.uint8), r"\.astype\('float32'\)"),
        (floats(5, 1, 4, 4), "does not fit"),
        (floats(5, 3, 4), "does not fit"),
        (floats(0, 3, 4, 4), "empty"),
        (np.full((1, 3, 2, 2), np.nan, np.float32), "not finite"),
        (np.full((1, 3, 2, 2), np.inf, np.float32), "not finite"),
        (np.array([{}], dtype=object), "cannot be read"),
    ],
)
def test_an_array_that_does_not_fit_is_refused(
    described: Described,
    samples: Callable[..., Path],
    array: "np.ndarray[Any, np.dtype[Any]]",
    said: str,
) -> None:
    with pytest.raises(ModelRejected, match=said):
        described(IMAGE, samples(x=array))


def test_different_numbers_of_samples_are_refused(
    described: Described, samples: Callable[..., Path]
) -> None:
    inputs: dict[str, tuple[int, Dims]] = {
        "a": (TensorProto.FLOAT, ["N", 4]),
        "b": (TensorProto.FLOAT, ["N", 4]),
    }

    with pytest.raises(ModelRejected, match="'a' 5, 'b' 6"):
        described(inputs, samples(a=floats(5, 4), b=floats(6, 4)))


def test_a_shape_that_contradicts_the_samples_is_refused(
    described: Described, samples: Callable[..., Path]
) -> None:
    path = samples(x=floats(5, 3, 32, 32))

    with pytest.raises(ModelRejected, match="Leave --shape away"):
        described(IMAGE, path, shapes=("x=1,3,64,64",))
    with pytest.raises(ModelRejected, match="cannot be"):
        described(IMAGE, path, shapes=("h=64",))


def test_a_missing_file_is_named(described: Described, tmp_path: Path) -> None:
    with pytest.raises(ModelRejected) as refusal:
        described(IMAGE, tmp_path / "none.npz")

    assert "none.npz" in refusal.value.where


def test_broken_files_are_refused(
    described: Described, samples: Callable[..., Path]
) -> None:
    whole = samples(x=floats(5, 3, 4, 4)).read_bytes()
    path = samples(x=floats(1))
    for content in (
        b"",
        b"text",
        whole[:-30],
        whole[:100] + b"\xff" * 60 + whole[160:],
    ):
        path.write_bytes(content)

        with pytest.raises(ModelRejected, match="cannot be read"):
            described(IMAGE, path)


def test_an_archive_that_unpacks_to_more_than_memory_is_refused_unread(
    described: Described, tmp_path: Path
) -> None:
    path = tmp_path / "bomb.npz"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("x.npy", b"\x93NUMPY")
    content = bytearray(buffer.getvalue())
    # the size that the central directory claims: 24 bytes into its header
    header = content.rindex(b"PK\x01\x02")
    content[header + 24 : header + 28] = b"\xf0\xff\xff\xff"
    more = content[header:-22]
    end = content[-22:]
    end[8:12] = (2).to_bytes(2, "little") * 2
    end[12:16] = (2 * len(more)).to_bytes(4, "little")
    path.write_bytes(bytes(content[:-22] + more + end))

    with pytest.raises(ModelRejected, match="unpack to"):
        described(IMAGE, path)


def test_a_plain_npy_is_not_an_npz(described: Described, tmp_path: Path) -> None:
    path = tmp_path / "samples.npz"
    with path.open("wb") as file:
        np.save(file, floats(1, 3, 4, 4))

    with pytest.raises(ModelRejected, match=r"numpy\.savez"):
        described(IMAGE, path)


def test_no_samples_are_no_bindings() -> None:
    assert InputBindings().samples is None
