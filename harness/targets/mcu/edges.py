"""What an interface board saw at pins of a listening device; no link, no clock.

Detections are told in milliseconds, begins and ends of processing in steps of 10 us,
both since ``record_detections``. Lines hold numbers with commas, and nothing else; one
that does not is damage, and then nothing of the answer is believed.
Grammar: mlcommons/tiny, benchmark/interface (InterfaceMenu), as of v1.4.
"""

from collections.abc import Sequence
from dataclasses import dataclass

_NS_PER_MS = 1_000_000
_TICK_NS = 10_000
_DETECTIONS = "Detection Timestamps"
_BEGINS, _ENDS = "Duty cycle start times", "Duty cycle stop times"


@dataclass(frozen=True, slots=True, kw_only=True)
class Processing:
    """When a device began and ceased to process each frame, in ns."""

    begun_ns: tuple[int, ...]
    ended_ns: tuple[int, ...]


def detections_ns(lines: Sequence[str]) -> tuple[int, ...] | None:
    """Read the answer to ``print_detections``; None where it is none."""
    if not lines or not lines[0].startswith(_DETECTIONS):
        return None
    return _numbers(lines[1:], _NS_PER_MS)


def processing_of(lines: Sequence[str]) -> Processing | None:
    """Read the answer to ``print_dutycycle``; None where it is none.

    An end before the first begin belongs to a frame that was not seen whole, and so
    does a begin after the last end; both are left out.
    """
    heads = [n for n, line in enumerate(lines) if line.startswith((_BEGINS, _ENDS))]
    if len(heads) != 2:  # noqa: PLR2004 - begins and ends
        return None
    begins = _numbers(lines[heads[0] + 1 : heads[1]], _TICK_NS)
    ends = _numbers(lines[heads[1] + 1 :], _TICK_NS)
    if begins is None or ends is None or not begins:
        return None
    ends = tuple(end for end in ends if end > begins[0])
    begins = begins[: len(ends)]
    ends = ends[: len(begins)]
    is_paired = all(
        begin < end <= after
        for begin, end, after in zip(
            begins, ends, [*begins[1:], ends[-1] if ends else 0], strict=True
        )
    )
    return Processing(begun_ns=begins, ended_ns=ends) if is_paired else None


def _numbers(lines: Sequence[str], unit_ns: int) -> tuple[int, ...] | None:
    words = [word.strip() for line in lines for word in line.split(",")]
    words = [word for word in words if word]
    if not all(word.isascii() and word.isdigit() for word in words):
        return None
    return tuple(int(word) * unit_ns for word in words)
