"""The three answers of a codec: a frame, need more bytes, or garbage. Pure.

The third is told apart by what was wrong, since a failed checksum speaks of wiring
and a refusal speaks of the instrument.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar

T_co = TypeVar("T_co", covariant=True)


class Fault(Enum):
    """What was wrong with bytes that are no frame."""

    CHECKSUM = "checksum"
    """A whole reply whose check value does not belong to it."""
    SHAPE = "shape"
    """Bytes that this instrument does not send in answer to this request."""
    REFUSED = "refused"
    """A whole, undamaged reply that says no."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame(Generic[T_co]):
    """A whole reply, decoded."""

    value: T_co


@dataclass(frozen=True, slots=True)
class NeedMore:
    """What came so far may become a reply."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Garbage:
    """What came is no reply to be used, whatever comes after it."""

    fault: Fault
    detail: str
    """What was seen, for an error message: half a sentence."""


Decoded = Frame[T_co] | NeedMore | Garbage

U = TypeVar("U")
V = TypeVar("V")


def translated(decoded: Decoded[U], meaning: Callable[[U], V]) -> Decoded[V]:
    """Give a frame's value its meaning; the other two answers stay as they are."""
    if isinstance(decoded, Frame):
        return Frame(value=meaning(decoded.value))
    return decoded
