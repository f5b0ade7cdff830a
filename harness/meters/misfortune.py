"""Faults of a simulated meter by name, in its address: ``sim:idle-10mW?fault=…``.

``fault=unplug:5s`` pulls the cable five seconds after opening; several are separated
by commas. They happen on the wire, at the load, or to the instrument's clock, never in
the driver, which cannot tell:

=====================  ==========================================================
``unplug:T``           from T on the other end is gone
``stall:T``            from T on nothing comes any more, though the cable is in
``drop:P``             each byte is lost with the probability P, once it is open
``garble:P``           each byte is changed with the probability P, once it is open
``stuck:T``            from T on the load stays what it was at T
``unit:T``             from T on the readings are a thousand times as large
``skew:PPM``           the instrument's clock is fast by so many millionths
=====================  ==========================================================
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.clock import Clock, Deadline
from harness.errors import LinkClosed, SchemaError, UnknownName
from harness.links.bytelink import ByteLink
from harness.links.faulty import Faults, FaultyLink
from harness.links.loop import Instrument
from harness.meters.loads import Drawn
from harness.units import NS_PER_S, parse_quantity

_IN_SECONDS = ("unplug", "stall", "stuck", "unit")
_AS_NUMBERS = ("drop", "garble", "skew")
_UNIT_FACTOR = 1000.0
_OPENING_S = 0.5
"""Bytes of the first dialogue are left alone: a meter that cannot be opened tells
nothing of what a run does with one that goes wrong."""

Misfortunes = Mapping[str, float]
"""Name of a fault → its argument, in s, as a probability, or in millionths."""


def misfortunes(text: str, where: str) -> Misfortunes:
    """Read the value of ``fault=``; an empty one is no fault.

    Raises UnknownName for another fault, SchemaError for an argument that is none.
    """
    found: dict[str, float] = {}
    for one in filter(None, text.split(",")):
        name, _, argument = one.partition(":")
        if name in _IN_SECONDS:
            found[name] = _seconds(name, argument, where)
        elif name in _AS_NUMBERS:
            found[name] = _number(argument, f"{where}: {name}")
        else:
            raise UnknownName("fault", name, (*_IN_SECONDS, *_AS_NUMBERS), where=where)
    return found


def _seconds(name: str, text: str, where: str) -> float:
    if not text:
        raise SchemaError(
            f"The fault '{name}' does not say when",
            where=where,
            remedy=f"Write for example fault={name}:5s",
        )
    return parse_quantity(text, "s")


def _number(text: str, where: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise SchemaError(
            f"'{text}' is no number", where=where, remedy="Write for example drop:1e-4"
        ) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class SpoiltLoad:
    """A load that stays what it was, or is told in another unit, from a time on."""

    inner: Drawn
    stuck_at_s: float = np.inf
    unit_at_s: float = np.inf

    def watts(self, seconds: NDArray[np.float64]) -> NDArray[np.float64]:
        """Give the power at each time, float64 of the same shape."""
        times = np.asarray(seconds, float)
        power = self.inner.watts(np.minimum(times, self.stuck_at_s))
        return np.where(times >= self.unit_at_s, power * _UNIT_FACTOR, power)

    @property
    def seed(self) -> int:
        """Give the seed of the load itself."""
        return self.inner.seed


def spoilt_load(load: Drawn, faults: Misfortunes) -> Drawn:
    """Give the load with the faults that happen to loads."""
    if not {"stuck", "unit"} & set(faults):
        return load
    return SpoiltLoad(
        inner=load,
        stuck_at_s=faults.get("stuck", np.inf),
        unit_at_s=faults.get("unit", np.inf),
    )


class _Skewed:
    """An instrument whose clock does not go as the host's does."""

    def __init__(self, inner: Instrument, ppm: float) -> None:
        self._inner = inner
        self._rate = 1.0 + ppm * 1e-6
        self._begun_ns: int | None = None

    def receive(self, data: bytes, now_ns: int) -> None:
        """Take bytes at the instrument's time."""
        self._inner.receive(data, self._own_ns(now_ns))

    def transmit(self, now_ns: int) -> bytes:
        """Give what has left by the instrument's time."""
        return self._inner.transmit(self._own_ns(now_ns))

    def next_ns(self, now_ns: int) -> int | None:
        """Say when the next byte leaves, by the host's time."""
        due = self._inner.next_ns(self._own_ns(now_ns))
        if due is None:
            return None
        begun = self._begun_ns or 0
        # one nanosecond more, so that rounding never asks again for the same instant
        return max(now_ns, begun + int((due - begun) / self._rate) + 1)

    def _own_ns(self, now_ns: int) -> int:
        if self._begun_ns is None:
            self._begun_ns = now_ns
        return self._begun_ns + round((now_ns - self._begun_ns) * self._rate)


def skewed(instrument: Instrument, faults: Misfortunes) -> Instrument:
    """Give the instrument with its clock as the faults say."""
    return _Skewed(instrument, faults["skew"]) if "skew" in faults else instrument


class _BreakingLink:
    """A link that breaks, or falls silent, at a time after it was opened."""

    def __init__(self, inner: ByteLink, clock: Clock, faults: Misfortunes) -> None:
        self.where = inner.where
        self._inner = inner
        self._clock = clock
        self._gone_ns = _after(clock, faults.get("unplug"))
        self._mute_ns = _after(clock, faults.get("stall"))

    def read(self, most: int, until: Deadline) -> bytes:
        """Give what comes, as long as anything does."""
        end = until
        for at_ns in (self._gone_ns, self._mute_ns):
            if at_ns is not None and at_ns < end.at_ns:
                end = Deadline(clock=self._clock, at_ns=at_ns)
        self._require_plugged()
        if self._mute_ns is None or self._clock.now_ns() < self._mute_ns:
            data = self._inner.read(most, end)
            if data:
                return data
        elif self._gone_ns is None:
            self._clock.wait_until(until.at_ns)
        self._require_plugged()
        if not until.is_over():
            return self.read(most, until)
        return b""

    def write(self, data: bytes) -> None:
        """Pass the bytes on."""
        self._require_plugged()
        self._inner.write(data)

    def _require_plugged(self) -> None:
        if self._gone_ns is not None and self._clock.now_ns() >= self._gone_ns:
            raise LinkClosed(
                "The device went away",
                where=self.where,
                remedy="Look at cable and hub.",
            )


class _LaterLink:
    """A link that is read through another one from some time on."""

    def __init__(self, first: ByteLink, later: ByteLink, clock: Clock) -> None:
        self.where = first.where
        self._first = first
        self._later = later
        self._clock = clock
        self._from_ns = clock.now_ns() + round(_OPENING_S * NS_PER_S)

    def read(self, most: int, until: Deadline) -> bytes:
        """Give what comes, through the link whose time it is."""
        is_early = self._clock.now_ns() < self._from_ns
        return (self._first if is_early else self._later).read(most, until)

    def write(self, data: bytes) -> None:
        """Pass the bytes on."""
        self._first.write(data)


def _after(clock: Clock, seconds: float | None) -> int | None:
    return None if seconds is None else clock.now_ns() + round(seconds * NS_PER_S)


def spoilt_link(link: ByteLink, clock: Clock, faults: Misfortunes) -> ByteLink:
    """Give the link with the faults that happen on wires."""
    if {"drop", "garble"} & set(faults):
        spoil = Faults(drop=faults.get("drop", 0.0), garble=faults.get("garble", 0.0))
        link = _LaterLink(link, FaultyLink(link, spoil), clock)
    if {"unplug", "stall"} & set(faults):
        return _BreakingLink(link, clock, faults)
    return link
