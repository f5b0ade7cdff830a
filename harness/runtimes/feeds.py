"""Inputs for a model: samples drawn from a seed, or read from a user's file.

Sample k is the same for a given seed whatever the scenario, the run and the machine,
so that outputs can be compared between them.
"""

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import ceil, floor
from pathlib import Path
from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from harness.domain.workload import Fill, InputSpec
from harness.errors import SchemaError
from harness.runtimes.base import Feeds, Tensor

LABELS, TOKENS = "labels", "tokens"
"""Names of the arrays of labels, and of what tokens are in words, in such a file."""
SCALE, ZERO_POINT = ".scale", ".zero_point"
"""Endings of the arrays that say what an input's whole numbers stand for."""
_SETS_AT_MOST = 16
"""Distinct inputs that queries go round; more would only add memory."""
_LABELLED_SETS_AT_MOST = 128
"""Of labelled items a window should touch many: each that it touches is compared."""
_SETS_AT_LEAST = 2
"""With one, a device that remembers its last answer would look fast."""
_BUDGET_BYTES = 16 * 1024**2
"""Memory for inputs, where the least number of sets allows."""


@dataclass(frozen=True, kw_only=True)
class SampleLibrary:
    """Samples by number, each a tensor for every input."""

    inputs: tuple[InputSpec, ...]
    seed: int
    arrays: dict[str, Tensor]
    """What the user's file holds, by input name; empty without a file."""
    labels: Tensor | None = None
    """A label an item, along axis 0; None: the file's samples have none."""
    tokens: tuple[str, ...] = ()
    """The text of each token, where the labels are texts."""

    @property
    def is_batched(self) -> bool:
        """Say whether a query can hold several samples in one call."""
        return any(spec.has_batch_axis for spec in self.inputs)

    def item(self, number: int) -> int:
        """Say which item of the file a sample is: labelled ones are shuffled."""
        return number if self._order is None else int(self._order[number % self.items])

    @property
    def items(self) -> int:
        """Count the labelled items; 0 where there are none."""
        return 0 if self.labels is None else len(self.labels)

    @property
    def distinct(self) -> int | None:
        """Count the samples in the file; None where each number is drawn anew."""
        return min(map(len, self.arrays.values())) if self.arrays else None

    @cached_property
    def _order(self) -> NDArray[np.int64] | None:
        if self.labels is None:
            return None
        return np.random.default_rng(self.seed).permutation(self.items)

    def sample(self, number: int) -> Feeds:
        """Give one sample; inputs with a batch axis have 1 there."""
        generator = np.random.default_rng((self.seed, number))
        return {
            spec.name: self._tensor(spec, number, generator) for spec in self.inputs
        }

    def batch(self, first: int, count: int) -> Feeds:
        """Give samples `first` … as one batch of `count`.

        Inputs without a batch axis hold what the first sample has.
        """
        samples = [self.sample(first + i) for i in range(count)]
        return {
            spec.name: np.concatenate([sample[spec.name] for sample in samples])
            if spec.has_batch_axis
            else samples[0][spec.name]
            for spec in self.inputs
        }

    def sets_for(self, samples_per_query: int) -> int:
        """Say how many distinct queries are prepared, for the memory they take."""
        size = samples_per_query * sum(
            int(np.prod(_sample_shape(spec))) * np.dtype(spec.dtype).itemsize
            for spec in self.inputs
        )
        affordable = max(_SETS_AT_LEAST, _BUDGET_BYTES // max(1, size))
        if self.labels is None:
            return min(_SETS_AT_MOST, affordable)
        whole = max(1, self.items // samples_per_query)
        return min(_LABELLED_SETS_AT_MOST, affordable, whole)

    def _tensor(
        self, spec: InputSpec, number: int, generator: np.random.Generator
    ) -> Tensor:
        if spec.fill is Fill.FILE:
            return _from_file(self.arrays[spec.name], spec, self.item(number))
        # asarray, since ascontiguousarray would give a single number an axis
        return np.asarray(fill(spec, _sample_shape(spec), generator), order="C")


def open_library(
    inputs: Sequence[InputSpec],
    seed: int,
    samples: Path | None,
    *,
    is_labelled: bool = False,
) -> SampleLibrary:
    """Make the library; reads the user's file where an input is filled from it.

    Raises SchemaError where that file is missing, broken, or lacks an input, or its
    labels where it `is_labelled`.
    """
    wanted = [spec for spec in inputs if spec.fill is Fill.FILE]
    names = [spec.name for spec in wanted]
    found = _read(samples, [*names, LABELS] if is_labelled else names, names)
    arrays = {spec.name: real_values(found, spec.name, spec.dtype) for spec in wanted}
    return SampleLibrary(
        inputs=tuple(inputs),
        seed=seed,
        arrays=arrays,
        labels=found.get(LABELS),
        tokens=tuple(map(str, found.get(TOKENS, ()))),
    )


def real_values(arrays: Mapping[str, Tensor], name: str, dtype: str) -> Tensor:
    """Give an array in the type of the input that it is for.

    Beside an array of whole numbers ``<name>.scale`` and ``<name>.zero_point`` may
    say what they stand for: real = (q - zero point)·scale, as in ONNX's
    DequantizeLinear. Reals are quantised the same way for an input of whole numbers.
    """
    array, wanted = arrays[name], np.dtype(dtype)
    scale = arrays.get(f"{name}{SCALE}")
    if array.dtype == wanted or scale is None:
        return array
    zero_point = np.asarray(arrays.get(f"{name}{ZERO_POINT}", 0), np.float64)
    if wanted.kind == "f":
        return ((array - zero_point) * scale).astype(wanted)
    if array.dtype.kind != "f":
        return array
    limits = np.iinfo(wanted)
    steps = np.rint(array / scale) + zero_point
    return np.clip(steps, limits.min, limits.max).astype(wanted)


def fill(
    spec: InputSpec, shape: tuple[int, ...], generator: np.random.Generator
) -> Tensor:
    """Draw one tensor of the input's type and fill.

    Whole numbers lie in [low, high], both ends included; a bool is a fair coin.
    Normal values are cut to [low, high]; texts are ``word`` and a number. Raises
    SchemaError for a range that the type cannot hold, and for Fill.FILE, which is not
    drawn.
    """
    dtype = np.dtype(spec.dtype)
    if dtype.kind == "U":
        numbers = generator.integers(int(spec.low), int(spec.high) + 1, shape)
        return np.char.add("word", numbers.astype(str))
    match spec.fill:
        case Fill.ZEROS:
            return np.zeros(shape, dtype)
        case Fill.ONES:
            return np.ones(shape, dtype)
        case Fill.NORMAL:
            values = np.clip(generator.standard_normal(shape), spec.low, spec.high)
            return values.astype(dtype)
        case Fill.UNIFORM:
            return _uniform(spec, shape, generator)
        case Fill.FILE:
            raise SchemaError("A sample from a file is not drawn", where=spec.name)
        case _:
            assert_never(spec.fill)


def _uniform(
    spec: InputSpec, shape: tuple[int, ...], generator: np.random.Generator
) -> Tensor:
    dtype = np.dtype(spec.dtype)
    if dtype.kind == "f":
        return generator.uniform(spec.low, spec.high, shape).astype(dtype)
    if dtype.kind == "b":
        return generator.integers(0, 2, shape).astype(dtype)
    low, high = ceil(spec.low), floor(spec.high)
    limits = np.iinfo(dtype)
    if not limits.min <= low <= high <= limits.max:
        raise SchemaError(
            f"No {dtype} lies between {spec.low:g} and {spec.high:g}",
            where=f"input '{spec.name}'",
            remedy=f"Give a range within {limits.min} … {limits.max}.",
        )
    return generator.integers(low, high, shape, dtype=dtype, endpoint=True)


def _sample_shape(spec: InputSpec) -> tuple[int, ...]:
    return (1, *spec.shape[1:]) if spec.has_batch_axis else spec.shape


def _read(
    samples: Path | None, wanted: Sequence[str], inputs: Sequence[str]
) -> dict[str, Tensor]:
    """Read arrays by name, and what says of those of `inputs` what they stand for."""
    if not wanted:
        return {}
    if samples is None:
        raise SchemaError(
            f"Input '{wanted[0]}' is to be filled from a file, and none was given",
            remedy="Give one with --input file.npz.",
        )
    meanings = [f"{name}{part}" for name in inputs for part in (SCALE, ZERO_POINT)]
    meanings += [TOKENS] if LABELS in wanted else []
    try:
        with np.load(samples, allow_pickle=False) as archive:
            there = [name for name in meanings if name in archive.files]
            return {name: archive[name] for name in (*wanted, *there)}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise SchemaError(
            f"The input samples cannot be read: {error}",
            where=str(samples),
            remedy="Save plain arrays with numpy.savez(file, **{input: array}).",
        ) from error


def is_of_type(array: Tensor, dtype: str) -> bool:
    """Say whether an array has that type; text has it in any length."""
    wanted = np.dtype(dtype)
    return array.dtype == wanted or array.dtype.kind == wanted.kind == "U"


def _from_file(array: Tensor, spec: InputSpec, number: int) -> Tensor:
    """Take one sample: axis 0 counts samples, unless the array is exactly one."""
    shape = _sample_shape(spec)
    if array.ndim == len(shape) + 1:
        taken = array[number % len(array)]
    elif shape and shape[0] == 1 and array.ndim == len(shape):
        at = number % len(array)
        taken = array[at : at + 1]
    else:
        taken = array
    if taken.shape != shape or not is_of_type(taken, spec.dtype):
        raise SchemaError(
            f"A sample of {taken.dtype} {list(taken.shape)} is not what the input "
            f"takes: {spec.dtype} {list(shape)}",
            where=f"input '{spec.name}'",
            remedy="Axis 0 of the array counts samples; the rest is the input's shape.",
        )
    return np.asarray(taken, order="C")
