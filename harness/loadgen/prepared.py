"""What the host draws from the seeds for an agent that has no numpy to draw it with.

The same samples in the same order and at the same instants as an agent with numpy
takes: drawn by the same code, and written down.
"""

from array import array
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedInput:
    """One input, as a call of a query takes it and as a single sample."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    sample_shape: tuple[int, ...]
    follows: int | None = None
    """Number of the output that is its next value; None: it is no state."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """Pulses of one mark in ns, counted from the instant at which it begins."""

    rises_ns: "array[int]"
    falls_ns: "array[int]"
    until_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrivals:
    """What a server's schedules are drawn with (`harness.loadgen.ziggurat`)."""

    generators: tuple[tuple[str, ...], ...]
    """State and increment of numpy's generator of each probe, 32 hex digits each."""
    needed_queries: int
    """The least number of queries of which one may be late."""
    bounds: "array[int]"
    widths: "array[float]"
    heights: "array[float]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """Inputs as a file of raw tensors, and everything else that numpy draws.

    In the file lie, one after the other and each as all its inputs in order: every
    call of every query, the first sample, the samples that no query has, and those
    that are answered after the window.
    """

    tensors_path: str
    inputs: tuple[PreparedInput, ...]
    samples_per_query: int
    queries: int
    """How many distinct ones there are."""
    calls: int
    """Of each query: samples that the model takes one by one are a call each."""
    samples: tuple[tuple[int, ...], ...]
    """Numbers of the samples in the last call of each query."""
    order: "array[int]"
    """Queries in the order in which they are gone round."""
    looks: str
    """``1`` for each query whose outputs are looked at, to be gone round."""
    fresh: int
    """How many samples there are that no query has."""
    answers: "array[int]"
    """Numbers of the samples that are answered after the window."""
    identity: str
    """A model that copies its inputs, as base64."""
    preamble: Marks | None = None
    postamble: Marks | None = None
    arrivals: Arrivals | None = None
