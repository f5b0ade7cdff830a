"""Inputs: seeded, of the right type and shape, or taken from a file."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.domain.workload import Fill, InputSpec
from harness.errors import SchemaError
from harness.runtimes.feeds import fill, open_library

DTYPES = (
    "float16",
    "float32",
    "float64",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "bool",
)


@given(
    st.sampled_from(DTYPES), st.sampled_from([f for f in Fill if f is not Fill.FILE])
)
def test_every_fill_gives_the_type_and_stays_within_its_range(
    dtype: str, kind: Fill
) -> None:
    spec = InputSpec(name="x", dtype=dtype, shape=(3, 5), fill=kind, low=0.0, high=1.0)

    tensor = fill(spec, spec.shape, np.random.default_rng(0))

    assert tensor.dtype == np.dtype(dtype)
    assert tensor.shape == (3, 5)
    assert tensor.min() >= 0
    assert tensor.max() <= 1


def test_whole_numbers_reach_both_ends_of_their_range() -> None:
    spec = InputSpec(name="x", dtype="int8", shape=(5000,), low=-128, high=127)

    tensor = fill(spec, spec.shape, np.random.default_rng(0))

    assert (tensor.min(), tensor.max()) == (-128, 127)


@pytest.mark.parametrize(("low", "high"), [(0, 300), (0.2, 0.8), (-1, 3)])
def test_a_range_that_the_type_cannot_hold_is_refused(low: float, high: float) -> None:
    spec = InputSpec(name="x", dtype="uint8", shape=(1,), low=low, high=high)

    with pytest.raises(SchemaError, match="No uint8 lies between") as caught:
        fill(spec, spec.shape, np.random.default_rng(0))

    assert caught.value.where == "input 'x'"


def test_a_sample_is_the_same_whatever_it_is_batched_with() -> None:
    spec = InputSpec(name="x", dtype="float32", shape=(1, 4), has_batch_axis=True)
    library = open_library([spec], 7, None)

    batch = library.batch(4, 3)["x"]

    assert batch.shape == (3, 4)
    for row in range(3):
        assert np.array_equal(batch[row : row + 1], library.sample(4 + row)["x"])


def test_an_input_without_a_batch_axis_is_not_stacked() -> None:
    specs = [
        InputSpec(name="x", dtype="float32", shape=(1, 4), has_batch_axis=True),
        InputSpec(name="k", dtype="int64", shape=()),
    ]
    library = open_library(specs, 7, None)

    batch = library.batch(0, 3)

    assert batch["k"].shape == ()
    assert library.is_batched


def test_another_seed_gives_other_samples() -> None:
    spec = InputSpec(name="x", dtype="float32", shape=(4,))

    first = open_library([spec], 1, None).sample(0)["x"]
    other = open_library([spec], 2, None).sample(0)["x"]

    assert not np.array_equal(first, other)


@pytest.mark.parametrize(
    ("shape", "samples_per_query", "sets"),
    [((10,), 1, 16), ((3, 224, 224), 1, 16), ((3, 640, 640), 1, 3), ((10**8,), 8, 2)],
)
def test_large_inputs_are_prepared_in_fewer_sets_but_never_in_one(
    shape: tuple[int, ...], samples_per_query: int, sets: int
) -> None:
    spec = InputSpec(name="x", dtype="float32", shape=shape)
    library = open_library([spec], 1, None)

    assert library.sets_for(samples_per_query) == sets


@pytest.mark.parametrize("array_shape", [(5, 1, 3), (5, 3)])
def test_samples_of_a_file_are_taken_one_after_the_other(
    tmp_path: Path, array_shape: tuple[int, ...]
) -> None:
    values = np.arange(15, dtype=np.float32).reshape(array_shape)
    np.savez(tmp_path / "x.npz", x=values)
    spec = InputSpec(name="x", dtype="float32", shape=(1, 3), fill=Fill.FILE)

    library = open_library([spec], 1, tmp_path / "x.npz")

    assert np.array_equal(library.sample(6)["x"], [[3, 4, 5]])


def test_an_array_that_is_exactly_one_sample_is_every_sample(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x=np.ones((2, 3), np.int8))
    spec = InputSpec(name="x", dtype="int8", shape=(2, 3), fill=Fill.FILE)

    library = open_library([spec], 1, tmp_path / "x.npz")

    assert np.array_equal(library.sample(9)["x"], np.ones((2, 3)))


def test_a_sample_of_another_shape_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x=np.ones((4, 7), np.float32))
    spec = InputSpec(name="x", dtype="float32", shape=(1, 3), fill=Fill.FILE)
    library = open_library([spec], 1, tmp_path / "x.npz")

    with pytest.raises(SchemaError, match=r"float32 \[1, 7\].*float32 \[1, 3\]"):
        library.sample(0)


@pytest.mark.parametrize("content", [None, b"", b"not a zip"])
def test_a_file_of_samples_that_cannot_be_read_is_named(
    tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "x.npz"
    if content is not None:
        path.write_bytes(content)
    spec = InputSpec(name="x", dtype="float32", shape=(1,), fill=Fill.FILE)

    with pytest.raises(SchemaError, match="cannot be read") as caught:
        open_library([spec], 1, path)

    assert caught.value.where == str(path)


def test_a_fill_from_a_file_without_a_file_says_how_to_give_one() -> None:
    spec = InputSpec(name="x", dtype="float32", shape=(1,), fill=Fill.FILE)

    with pytest.raises(SchemaError, match="none was given") as caught:
        open_library([spec], 1, None)

    assert "--input" in caught.value.remedy
