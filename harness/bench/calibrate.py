"""Compare a meter with another one, or with a known resistor, at the same time.

Both meters see the same current (or power) while the load does whatever it does, so
nothing has to be held still. Readings are averaged over the same intervals of this
machine's clock; intervals that lie in one range of the meter's data sheet are the
pairs of that range.
"""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from math import hypot

import numpy as np
from numpy.typing import NDArray

from harness.clock import Clock, Deadline
from harness.domain.calibration import CalibratedRange, Calibration
from harness.domain.origin import Origin
from harness.domain.reading import ReadingBlock
from harness.errors import EquipmentError, MeterError, Unsupported
from harness.meters.base import InstrumentDescription, Meter
from harness.meters.calibrated import specimen
from harness.meters.datasheet import Datasheet, RangeSpec, datasheet_of
from harness.stats.calibration import LEAST_PAIRS, Limits, Line, fit_line
from harness.units import NS_PER_S

Reals = NDArray[np.float64]

_FINEST_S = 0.1
_READINGS_A_CELL = 2
_SETTLING_S = 0.5
"""Left out at the beginning: meters start one after the other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resistor:
    """A known resistor on a known voltage. Limits are ±, relative."""

    ohm: float
    ohm_within_ratio: float
    volts: float
    volts_within_ratio: float

    def value(self, channel: str) -> float:
        """Give the current in A, or the power in W."""
        amperes = self.volts / self.ohm
        return amperes if channel == "current" else amperes * self.volts

    def limit_ratio(self, channel: str) -> float:
        """Give the limits of that; power has the square of the voltage."""
        volts = self.volts_within_ratio * (1 if channel == "current" else 2)
        return hypot(self.ohm_within_ratio, volts)

    @property
    def title(self) -> str:
        """Say what it is."""
        return (
            f"{self.ohm:g} Ohm ±{self.ohm_within_ratio:.2%} at {self.volts:g} V "
            f"±{self.volts_within_ratio:.2%}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """When and where it was done, and how long it may be relied on."""

    today: date
    valid_days: int
    ambient_degc: float | None
    remarks: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Cells:
    """Means over the same intervals: of the meter, and of the reference."""

    indications: Reals
    references: Reals


def against_meter(
    meter: Meter,
    reference: Meter,
    clock: Clock,
    seconds: float,
    around: Circumstances,
) -> Calibration:
    """Calibrate a meter against another.

    Raises NotCalibrated where either has no data sheet, Unsupported where they have
    no quantity in common, MeterError where too little was read, and what they raise.
    """
    who, against = meter.identify(), reference.identify()
    sheet, other = datasheet_of(who.driver), datasheet_of(against.driver)
    channel = _channel(sheet, meter, reference)
    traces = _together((meter, reference), channel, clock, seconds)
    cells = _cells(traces[0], traces[1])
    lines = []
    for spec in _specs(sheet, channel):
        chosen = _in_range(cells, spec)
        if len(chosen.indications) >= LEAST_PAIRS:
            limits = _limits(other, channel, chosen.references, against)
            lines.append((spec, _fitted(chosen, limits, spec)))
    return _calibration(who, lines, around, _Reference.of_meter(against))


def against_resistor(
    meter: Meter,
    resistor: Resistor,
    clock: Clock,
    seconds: float,
    around: Circumstances,
) -> Calibration:
    """Calibrate the range of a meter that holds a resistor's current.

    Raises as `against_meter` does.
    """
    who = meter.identify()
    sheet = datasheet_of(who.driver)
    channel = _channel(sheet, meter)
    (trace,) = _together((meter,), channel, clock, seconds)
    own = _cells(trace, trace)
    known = np.full(len(own.indications), resistor.value(channel))
    cells = _Cells(indications=own.indications, references=known)
    limits = Limits(gain_ratio=resistor.limit_ratio(channel), offset=0.0)
    lines = []
    for spec in _specs(sheet, channel):
        chosen = _in_range(cells, spec)
        if len(chosen.indications) >= LEAST_PAIRS:
            lines.append((spec, _fitted(chosen, limits, spec)))
    return _calibration(who, lines, around, _Reference(title=resistor.title))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reference:
    title: str
    serial_number: str = ""
    origin: Origin = Origin.MEASURED

    @classmethod
    def of_meter(cls, who: InstrumentDescription) -> "_Reference":
        serial = specimen(who)
        number = f" no. {serial}" if serial else ""
        return cls(
            title=f"{who.maker} {who.model}{number}".strip() or who.driver,
            serial_number=serial,
            origin=who.origin,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tap:
    """How a quantity is read from a meter: as a channel of it, times a factor."""

    channel: str
    factor: float = 1.0


def _tap(meter: Meter, channel: str) -> _Tap | None:
    """Find a channel; current also as power over the voltage that the meter sets."""
    given = {one.name for one in meter.channels()}
    volts = meter.identify().facts.get("voltage_v")
    if channel in given:
        return _Tap(channel=channel)
    if channel == "current" and "power" in given and volts:
        return _Tap(channel="power", factor=1 / float(volts))
    return None


def _channel(sheet: Datasheet, *meters: Meter) -> str:
    """Choose what the data sheet rates and every meter gives."""
    rated = dict.fromkeys(one.channel for one in sheet.ranges)
    for name in rated:
        if all(_tap(meter, name) is not None for meter in meters):
            return name
    given = ["/".join(channel.name for channel in meter.channels()) for meter in meters]
    raise Unsupported(
        f"The data sheet rates {' and '.join(rated)}, and the meters give "
        f"{' and '.join(given)}",
        where=meters[0].identify().address,
        remedy="Take a reference that measures the same quantity.",
    )


def _together(
    meters: Sequence[Meter], channel: str, clock: Clock, seconds: float
) -> list["_Trace"]:
    """Read meters at the same time, each in a thread of its own."""
    until = Deadline.after(seconds, clock)
    readers = [_Reader(meter, channel, until) for meter in meters]
    threads = [threading.Thread(target=one.read, daemon=True) for one in readers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for one in readers:
        if one.fault is not None:
            raise one.fault
    return [_Trace(blocks=tuple(one.blocks), factor=one.factor) for one in readers]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trace:
    """What one meter read, and what makes the quantity wanted of it."""

    blocks: tuple[ReadingBlock, ...]
    factor: float


class _Reader:
    def __init__(self, meter: Meter, channel: str, until: Deadline) -> None:
        self._meter = meter
        self._tap = _tap(meter, channel) or _Tap(channel=channel)
        self._until = until
        self.blocks: list[ReadingBlock] = []
        self.factor = self._tap.factor
        self.fault: EquipmentError | None = None

    def read(self) -> None:
        try:
            with self._meter.acquire([self._tap.channel]) as acquisition:
                self.blocks.extend(acquisition.blocks(self._until))
        except EquipmentError as error:
            self.fault = error


def _cells(own: _Trace, other: _Trace) -> _Cells:
    """Average both over the same intervals, each long enough for the slower meter."""
    mine, theirs = _integral(own), _integral(other)
    begin = max(mine.ends_s[0], theirs.ends_s[0]) + _SETTLING_S
    end = min(mine.ends_s[-1], theirs.ends_s[-1])
    width = max(_FINEST_S, _READINGS_A_CELL * max(mine.step_s, theirs.step_s))
    count = int((end - begin) / width)
    if count < LEAST_PAIRS:
        raise MeterError(
            f"Only {max(count, 0)} intervals were read by both, and "
            f"{LEAST_PAIRS} are the least",
            remedy="Calibrate for longer: --seconds "
            f"{int(np.ceil(LEAST_PAIRS * width * 2 + 2 * _SETTLING_S))}",
        )
    edges = begin + width * np.arange(count + 1)
    return _Cells(indications=mine.means(edges), references=theirs.means(edges))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Integral:
    """Readings as their running integral: each stands for the time up to its end."""

    ends_s: Reals
    sums: Reals
    step_s: float

    def means(self, edges: Reals) -> Reals:
        """Give means between edges in s."""
        means: Reals = np.diff(np.interp(edges, self.ends_s, self.sums))
        return means / np.diff(edges)


def _integral(trace: _Trace) -> _Integral:
    times = [np.asarray(block.times_ns, dtype=np.int64) for block in trace.blocks]
    values = [np.asarray(block.values, dtype=np.float64) for block in trace.blocks]
    ends = np.concatenate(times) / NS_PER_S if times else np.zeros(0)
    if len(ends) < LEAST_PAIRS:
        raise MeterError(
            f"A meter gave {len(ends)} readings, which are too few",
            remedy="Calibrate for longer with --seconds, and look at the meter.",
        )
    steps = np.diff(ends)
    wanted = np.concatenate(values)[1:] * trace.factor
    sums = np.concatenate([[0.0], np.cumsum(wanted * steps)])
    return _Integral(ends_s=ends, sums=sums, step_s=float(np.median(steps)))


def _specs(sheet: Datasheet, channel: str) -> Iterator[RangeSpec]:
    yield from (one for one in sheet.ranges if one.channel == channel)


def _in_range(cells: _Cells, spec: RangeSpec) -> _Cells:
    size = np.abs(cells.indications)
    chosen = (size >= spec.least) & (size < spec.most)
    return _Cells(
        indications=cells.indications[chosen], references=cells.references[chosen]
    )


def _limits(
    sheet: Datasheet, channel: str, values: Reals, who: InstrumentDescription
) -> Limits:
    """Take the reference's limits at its least and its most, the wider of each."""
    ends = (float(np.abs(values).min()), float(np.abs(values).max()))
    specs = [sheet.spec_at(channel, value, model=who.model) for value in ends]
    return Limits(
        gain_ratio=max(one.gain for one in specs),
        offset=max(one.offset for one in specs),
    )


def _fitted(cells: _Cells, limits: Limits, spec: RangeSpec) -> Line:
    try:
        return fit_line(cells.indications, cells.references, limits, spec.offset)
    except ValueError as error:
        raise MeterError(
            f"No line can be laid through these readings: {error}",
            remedy="Connect a load that both meters see.",
        ) from error


def _calibration(
    who: InstrumentDescription,
    lines: Sequence[tuple[RangeSpec, Line]],
    around: Circumstances,
    reference: _Reference,
) -> Calibration:
    if not lines:
        raise MeterError(
            f"In no range of the meter there are {LEAST_PAIRS} pairs",
            where=who.address,
            remedy="Connect a load within its ranges, and calibrate for longer.",
        )
    is_evidence = who.origin.is_evidence and reference.origin.is_evidence
    return Calibration(
        driver=who.driver,
        model=who.model,
        serial_number=specimen(who),
        origin=Origin.MEASURED if is_evidence else Origin.SIMULATED,
        taken_on=around.today.isoformat(),
        valid_until=(around.today + timedelta(days=around.valid_days)).isoformat(),
        reference=reference.title,
        reference_serial_number=reference.serial_number,
        ambient_degc=around.ambient_degc,
        conditions=around.remarks,
        ranges=tuple(_range(spec, line) for spec, line in lines),
    )


def _range(spec: RangeSpec, line: Line) -> CalibratedRange:
    return CalibratedRange(
        channel=spec.channel,
        unit=spec.unit,
        least=spec.least,
        most=spec.most,
        gain=line.gain,
        offset=line.offset,
        u_gain_ratio=line.u_gain_ratio,
        u_offset=line.u_offset,
        freedom=line.freedom,
        pairs=line.pairs,
    )
