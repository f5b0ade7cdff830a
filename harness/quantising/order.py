"""What is asked of the quantiser, as JSON both ways."""

from dataclasses import dataclass
from enum import StrEnum

from harness.domain.profile import Scheme
from harness.domain.workload import InputSpec


class Mode(StrEnum):
    """When the ranges of activations are found."""

    STATIC = "static"
    """Before, on calibration samples; QDQ form."""
    DYNAMIC = "dynamic"
    """In every inference; needs no samples, and no convolution gains by it."""


class Ranges(StrEnum):
    """How calibration reads the range of an activation off its values."""

    MINMAX = "minmax"
    ENTROPY = "entropy"
    PERCENTILE = "percentile"


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantised:
    """What came of it. `error` is empty where there is a file."""

    error: str = ""
    calibrated_on: int = 0
    opset: int = 0
    versions: tuple[str, ...] = ()
