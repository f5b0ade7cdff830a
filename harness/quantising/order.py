"""What is asked of the quantiser, as JSON both ways."""

from dataclasses import dataclass, field
from enum import StrEnum

from harness.domain.profile import Scheme
from harness.domain.workload import InputSpec


class Mode(StrEnum):
    """When the ranges of activations are found."""

    STATIC = "static"
    """Before, on calibration samples; QDQ form."""
    DYNAMIC = "dynamic"
    """In every inference; needs no samples, and no convolution gains by it."""
    WEIGHTS = "weights"
    """Never: weights alone are kept in few bits, and products are in reals."""


class Ranges(StrEnum):
    """How calibration reads the range of an activation off its values."""

    MINMAX = "minmax"
    ENTROPY = "entropy"
    PERCENTILE = "percentile"


LEAST_BLOCK = 16
"""onnxruntime, "ContribOperators.md", MatMulNBits: a power of two from here on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocks:
    """How weights alone are quantised: so many of a column share one scale."""

    bits: int = 4
    size: int = 32
    is_symmetric: bool = True
    """Whether 0 stands in the middle; else every block has a zero point too."""
    lookups: bool = True
    """Whether tables that are looked up (embeddings) are quantised as well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuantiseOrder:
    """One model to be quantised. Paths are absolute."""

    model: str
    out: str
    inputs: tuple[InputSpec, ...]
    samples: str = ""
    samples_at_most: int = 200
    mode: Mode = Mode.STATIC
    scheme: Scheme = Scheme.U8S8
    per_channel: bool = True
    reduce_range: bool = False
    ranges: Ranges = Ranges.MINMAX
    blocks: Blocks = field(default_factory=Blocks)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantised:
    """What came of it. `error` is empty where there is a file."""

    error: str = ""
    missing: str = ""
    """The library that is not installed, where that is why there is no file."""
    calibrated_on: int = 0
    weights: int = 0
    """Operators whose weights are kept in blocks of few bits."""
    opset: int = 0
    versions: tuple[str, ...] = ()
