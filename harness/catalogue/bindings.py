"""What a user says about a model's inputs: shapes, value ranges, samples.

Reads the command's options into values. Whether they fit a model is not known here:
`harness.catalogue.describe` holds them against the graph.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import TypeVar

from harness.errors import UsageError

V = TypeVar("V")

_SHAPE_REMEDY = "Write --shape input=1,3,224,224 or --shape symbol=224."
_RANGE_REMEDY = "Write --range input=low:high, such as --range pixels=0:255."


@dataclass(frozen=True, slots=True, kw_only=True)
class InputBindings:
    """Shapes and ranges by name, and a file of samples.

    A shape of one size may stand for a symbolic dimension of that name as well as
    for an input of one axis. `samples` is an .npz with one array an input.
    """

    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    ranges: dict[str, tuple[float, float]] = field(default_factory=dict)
    samples: Path | None = None


def parse_bindings(
    shapes: Sequence[str], ranges: Sequence[str], samples: Path | None
) -> InputBindings:
    """Read the options ``--shape``, ``--range`` and ``--input``.

    A name may hold any character, so it ends at the last ``=``. Raises UsageError
    for what is no shape or range, and for a name that is given twice.
    """
    return InputBindings(
        shapes=_by_name((_shape(text) for text in shapes), "--shape"),
        ranges=_by_name((_range(text) for text in ranges), "--range"),
        samples=samples,
    )


def _by_name(pairs: Iterable[tuple[str, V]], option: str) -> dict[str, V]:
    values: dict[str, V] = {}
    for name, value in pairs:
        if values.setdefault(name, value) != value:
            raise UsageError(
                f"'{name}' is given twice, with different values",
                where=option,
                remedy="Give it once.",
            )
    return values


def _shape(text: str) -> tuple[str, tuple[int, ...]]:
    name, sizes = _split(text, "--shape", _SHAPE_REMEDY)
    parts = [part.strip() for part in sizes.split(",")]
    if not all(part.isascii() and part.isdigit() for part in parts):
        raise UsageError(
            f"'{sizes}' is not a shape: whole numbers with commas between are",
            where=f"--shape {text}",
            remedy=_SHAPE_REMEDY,
        )
    return name, tuple(int(part) for part in parts)


def _range(text: str) -> tuple[str, tuple[float, float]]:
    name, limits = _split(text, "--range", _RANGE_REMEDY)
    low, _, high = limits.partition(":")
    try:
        pair = (float(low), float(high))
    except ValueError:
        pair = (float("nan"), float("nan"))
    if not all(isfinite(limit) for limit in pair) or pair[0] > pair[1]:
        raise UsageError(
            f"'{limits}' is not a range: two numbers, the lower first, are",
            where=f"--range {text}",
            remedy=_RANGE_REMEDY,
        )
    return name, pair


def _split(text: str, option: str, remedy: str) -> tuple[str, str]:
    name, equals, value = text.rpartition("=")
    if not equals or not name.strip():
        raise UsageError(
            f"'{text}' does not say which input", where=option, remedy=remedy
        )
    return name.strip(), value.strip()
