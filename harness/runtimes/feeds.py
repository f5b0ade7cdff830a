"""Inputs for a model: samples drawn from a seed, or read from a user's file.

Sample k is the same for a given seed whatever the scenario, the run and the machine,
so that outputs can be compared between them.
"""

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor
from pathlib import Path
from typing import assert_never

import numpy as np

from harness.domain.workload import Fill, InputSpec
from harness.errors import SchemaError
from harness.runtimes.base import Feeds, Tensor

_SETS_AT_MOST = 16
"""Distinct inputs that queries go round; more would only add memory."""
_SETS_AT_LEAST = 2
"""With one, a device that remembers its last answer would look fast."""
_BUDGET_BYTES = 16 * 1024**2
"""Memory for inputs, where the least number of sets allows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleLibrary:
    """Samples by number, each a tensor for every input."""

    inputs: tuple[InputSpec, ...]
    seed: int
    arrays: dict[str, Tensor]
    """What the user's file holds, by input name; empty without a file."""

    @property
    def is_batched(self) -> bool:
        """Say whether a query can hold several samples in one call."""
        return any(spec.has_batch_axis for spec in self.inputs)

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
        affordable = _BUDGET_BYTES // max(1, size)
        return min(_SETS_AT_MOST, max(_SETS_AT_LEAST, affordable))

    def _tensor(
        self, spec: InputSpec, number: int, generator: np.random.Generator
    ) -> Tensor:
        if spec.fill is Fill.FILE:
            return _from_file(self.arrays[spec.name], spec, number)
        # asarray, since ascontiguousarray would give a single number an axis
        return np.asarray(fill(spec, _sample_shape(spec), generator), order="C")


def open_library(
    inputs: Sequence[InputSpec], seed: int, samples: Path | None
) -> SampleLibrary:
    """Make the library; reads the user's file where an input is filled from it.

    Raises SchemaError where that file is missing, broken, or lacks an input.
    """
    wanted = [spec.name for spec in inputs if spec.fill is Fill.FILE]
    arrays = _read(samples, wanted) if wanted else {}
    return SampleLibrary(inputs=tuple(inputs), seed=seed, arrays=arrays)


def fill(
    spec: InputSpec, shape: tuple[int, ...], generator: np.random.Generator
) -> Tensor:
    """Draw one tensor of the input's type and fill.

    Whole numbers lie in [low, high], both ends included; a bool is a fair coin.
    Normal values are cut to [low, high]. Raises SchemaError for a range that the
    type cannot hold, and for Fill.FILE, which is not drawn.
    """
    dtype = np.dtype(spec.dtype)
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


def _read(samples: Path | None, wanted: Sequence[str]) -> dict[str, Tensor]:
    if samples is None:
        raise SchemaError(
            f"Input '{wanted[0]}' is to be filled from a file, and none was given",
            remedy="Give one with --input file.npz.",
        )
    try:
        with np.load(samples, allow_pickle=False) as archive:
            return {name: archive[name] for name in wanted}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise SchemaError(
            f"The input samples cannot be read: {error}",
            where=str(samples),
            remedy="Save plain arrays with numpy.savez(file, **{input: array}).",
        ) from error


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
    if taken.shape != shape or taken.dtype != np.dtype(spec.dtype):
        raise SchemaError(
            f"A sample of {taken.dtype} {list(taken.shape)} is not what the input "
            f"takes: {spec.dtype} {list(shape)}",
            where=f"input '{spec.name}'",
            remedy="Axis 0 of the array counts samples; the rest is the input's shape.",
        )
    return np.asarray(taken, order="C")
