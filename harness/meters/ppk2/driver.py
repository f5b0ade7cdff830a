"""The PPK2 as a meter: power from current and voltage, losses counted, time kept.

The instrument gives no time of its own. Its readings are evenly spaced, so reading k
of an acquisition is at k / 100 kHz after the first one's arrival; readings known to
be lost keep their place on that axis as gaps. Arrival is stamped by the host's clock,
so the axis is right up to the latency of the first bytes.

Closing the port cuts the supply of the device under test, so one meter stays open
for a whole run.
"""

from array import array
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.clock import Clock, Deadline
from harness.domain.origin import Origin
from harness.domain.reading import Channel, Loss, ReadingBlock
from harness.errors import LinkTimeout, MeterError, Unsupported
from harness.links.bytelink import ByteLink
from harness.meters.base import InstrumentDescription
from harness.meters.ppk2 import wire
from harness.units import NS_PER_S

_ANSWER_S = 1.0
_SILENCE_S = 2.0
_READ_BYTES = 65_536
_BATCH_WORDS = 10_000
"""Decoding in batches of a tenth of a second keeps the cost per reading low."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Supply:
    """How the device under test is fed: by the meter, or from elsewhere.

    In ampere mode the voltage is what the user states; it is not measured.
    """

    voltage_v: float
    is_source: bool


class Ppk2:
    """A PPK2 behind a byte link."""

    def __init__(
        self,
        link: ByteLink,
        clock: Clock,
        *,
        address: str,
        origin: Origin,
        supply: Supply,
    ) -> None:
        self._link = link
        self._clock = clock
        self._address = address
        self._origin = origin
        self._supply = supply
        self._metadata = self._ask()
        self._table = wire.ampere_table(self._metadata, supply.voltage_v)

    def identify(self) -> InstrumentDescription:
        """Say what the metadata said."""
        usable = self._metadata.usable_ranges()
        return InstrumentDescription(
            driver="ppk2",
            address=self._address,
            origin=self._origin,
            maker="Nordic Semiconductor",
            model="PPK2",
            calibration="user" if self._metadata.is_calibrated else "factory",
            facts={
                "hardware": self._metadata.hardware,
                "mode": "source" if self._supply.is_source else "ampere",
                "voltage_v": f"{self._supply.voltage_v:g}",
                "unusable_ranges": ",".join(
                    str(r) for r in range(wire.RANGES) if not usable[r]
                ),
            },
        )

    def channels(self) -> tuple[Channel, ...]:
        """Power and current at 100 kS/s, and the logic inputs."""
        return tuple(
            Channel(
                name=name, unit=unit, source=self._address, rate_hz=float(wire.RATE_HZ)
            )
            for name, unit in (("power", "W"), ("current", "A"), ("logic", "1"))
        )

    @contextmanager
    def acquire(
        self, channels: Collection[str], *, rate_hz: float | None = None
    ) -> Iterator["Ppk2Acquisition"]:
        """Measure the named channels; the rate is the instrument's own.

        Raises Unsupported for another rate or an unknown channel.
        """
        known = {channel.name: channel for channel in self.channels()}
        unknown = set(channels) - set(known)
        if unknown or rate_hz not in {None, float(wire.RATE_HZ)}:
            raise Unsupported(
                f"A PPK2 gives {', '.join(known)} at {wire.RATE_HZ} readings a second",
                where=self._address,
                remedy="Ask for these, and thin the trace out afterwards.",
            )
        self._link.write(wire.START)
        try:
            yield Ppk2Acquisition(
                self._link,
                self._clock,
                Reading(
                    table=self._table,
                    channels=tuple(known[name] for name in channels),
                    voltage_v=self._supply.voltage_v,
                    origin=self._origin,
                ),
            )
        finally:
            self._link.write(wire.STOP)
            self._drain()

    def _ask(self) -> wire.Metadata:
        """Stop, ask who it is, and set up the supply."""
        self._link.write(wire.STOP)
        self._drain()
        self._link.write(wire.METADATA)
        metadata = self._answer()
        if self._supply.is_source:
            self._link.write(wire.SOURCE_MODE)
            self._link.write(wire.set_voltage(round(self._supply.voltage_v * 1000)))
        else:
            self._link.write(wire.AMPERE_MODE)
        self._link.write(wire.DUT_ON)
        return metadata

    def _answer(self) -> wire.Metadata:
        until = Deadline.after(_ANSWER_S, self._clock)
        buffer = b""
        while piece := self._link.read(_READ_BYTES, until):
            buffer += piece
            try:
                metadata = wire.parse_metadata(buffer)
            except ValueError as error:
                raise self._stranger(str(error)) from error
            if metadata is not None:
                return metadata
        raise self._stranger(f"{len(buffer)} bytes came, and no END")

    def _stranger(self, why: str) -> MeterError:
        return MeterError(
            f"This does not answer as a PPK2: {why}",
            where=self._address,
            remedy="Ask what it is: duanping meters --probe PORT",
        )

    def _drain(self) -> None:
        """Read away what is still under way, for at most a tenth of a second."""
        until = Deadline.after(0.1, self._clock)
        while self._link.read(_READ_BYTES, until):
            continue


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reading:
    """How words become readings: the table of amperes, the voltage, what is wanted."""

    table: NDArray[np.float64]
    channels: tuple[Channel, ...]
    voltage_v: float
    origin: Origin


class Ppk2Acquisition:
    """A PPK2 while it is measuring."""

    def __init__(self, link: ByteLink, clock: Clock, reading: Reading) -> None:
        self._link = link
        self._clock = clock
        self._reading = reading
        self._rest = b""
        self._counter: int | None = None
        self._settling = wire.Settling()
        self._first_ns: int | None = None
        self._place = 0
        self._missing = 0
        self._received = 0

    def blocks(self, until: Deadline) -> Iterator[ReadingBlock]:
        """Yield readings, a tenth of a second or more at a time.

        Raises LinkTimeout where the meter falls silent for two seconds.
        """
        while not until.is_over():
            yield from self._decode(self._collect(until))

    def loss(self) -> Loss:
        """Readings missing by the counter; multiples of 64 are seen by the clock."""
        return Loss(missing=self._missing, expected=self._received + self._missing)

    def _collect(self, until: Deadline) -> bytes:
        pieces = [self._rest]
        wanted = _BATCH_WORDS * wire.WORD_BYTES
        have = 0
        while have < wanted and not until.is_over():
            silence = Deadline.after(min(_SILENCE_S, until.remaining_s()), self._clock)
            piece = self._link.read(_READ_BYTES, silence)
            if not piece and not until.is_over():
                raise LinkTimeout(
                    f"The meter has been silent for {_SILENCE_S:g} s",
                    where=self._link.where,
                    remedy="What came before is kept. Look at the meter and its cable.",
                )
            if self._first_ns is None and piece:
                self._first_ns = self._clock.now_ns()
            pieces.append(piece)
            have += len(piece)
        return b"".join(pieces)

    def _decode(self, data: bytes) -> Iterator[ReadingBlock]:
        frames = wire.frame(data, self._counter)
        self._rest, self._counter = frames.rest, frames.last_counter
        if len(frames.words) == 0 or self._first_ns is None:
            return
        places = self._place + np.cumsum(frames.missing_before + 1) - 1
        self._place = int(places[-1]) + 1
        self._missing += int(frames.missing_before.sum())
        self._received += len(frames.words)
        times_ns = self._first_ns + places * (NS_PER_S // wire.RATE_HZ)
        amperes, _, self._settling = wire.settle(
            self._reading.table[frames.words & 0x1FFFF],
            wire.ranges_of(frames.words),
            self._settling,
        )
        for channel in self._reading.channels:
            yield ReadingBlock(
                channel=channel,
                clock=self._clock.name,
                origin=self._reading.origin,
                times_ns=array("q", times_ns.astype(np.int64).tobytes()),
                values=array("d", self._values(channel, amperes, frames.words)),
            )

    def _values(
        self,
        channel: Channel,
        amperes: NDArray[np.float64],
        words: NDArray[np.uint32],
    ) -> bytes:
        match channel.name:
            case "power":
                return (amperes * self._reading.voltage_v).tobytes()
            case "current":
                return amperes.tobytes()
            case _:
                return wire.logic_of(words).astype(np.float64).tobytes()
