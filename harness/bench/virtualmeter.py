"""A simulated meter beside an emulated device: the whole line, in virtual time.

The device model knows its power, and so does a simulated board; a meter never does. So
where a simulated meter is asked for, that power, and the falls of the board's pin, are
what the simulated instrument measures, the driver
decodes its bytes, and the record holds the driver's readings in the model's place:
rounded, ranged, noisy, and by a clock that runs slow or fast. Nothing of it is
evidence, and every figure says so.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from harness.bench.inprocess import InProcess
from harness.bench.metering import Metering
from harness.clock import VirtualClock
from harness.domain.origin import Origin
from harness.domain.plan import INPUTS, Trial
from harness.domain.query import (
    Noted,
    PulsesMade,
    ReadingsTaken,
    TrialEnded,
    TrialEvent,
)
from harness.domain.reading import ReadingBlock
from harness.meters.loads import Waveform
from harness.meters.opening import open_on
from harness.plugins import Address
from harness.targets.mcu.sim import SOURCE as BOARD
from harness.units import NS_PER_S

_LEAST_SKEW, _MOST_SKEW = 50e-6, 150e-6
"""Crystals of real meters were this far off a PC's (MLPerf Tiny v1.2 power logs)."""

_LOW_NS = 20_000
"""How long a time stamp holds the pin low: two readings of a PPK2's inputs. The rules
ask for 1 µs, which only an interrupt sees."""


def require_readable(address: str) -> None:
    """Open a simulated meter on nothing, at no cost: a wrong address fails at once.

    Raises UnknownName, SchemaError and Unsupported as `open_on` does.
    """
    _opening_ns(address)


def _opening_ns(address: str) -> int:
    """Say how long a simulated meter takes until it is open."""
    nothing = Waveform(ends_s=np.array([1.0]), powers_w=np.array([0.0]))
    clock = VirtualClock("device")
    with open_on(Address.parse(address), clock, nothing):
        return clock.now_ns()


def metered_virtually(
    trial: Trial, address: str, events: Iterable[TrialEvent]
) -> Iterator[TrialEvent]:
    """Give the events of an emulated trial as its meter would have let them be seen.

    The model's power is taken out and the meter's readings of it put in, before the
    trial's end.
    """
    power: ReadingBlock | None = None
    marks: list[tuple[int, int]] = []
    falls: list[int] = []
    for event in events:
        if isinstance(event, PulsesMade):
            marks.extend(zip(event.rises_ns, event.falls_ns, strict=True))
        match event:
            case ReadingsTaken(block=block) if _is_model(block, "power"):
                power = block
            case ReadingsTaken(block=block) if _is_model(block, "event"):
                falls.extend(block.times_ns)
            case TrialEnded() if power is not None:
                pin = _Pin(highs_ns=marks) if marks else _Pin.falling(falls)
                yield from _read(trial, address, power, pin)
                yield event
            case _:
                yield event


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pin:
    """When a pin of the device was high, on its clock."""

    highs_ns: Sequence[tuple[int, float]]

    @classmethod
    def falling(cls, falls_ns: list[int]) -> "_Pin":
        """Make a pin that is high but for a moment after each fall."""
        highs: list[tuple[int, float]] = []
        since = 0
        for fall in falls_ns:
            highs.append((since, fall))
            since = fall + _LOW_NS
        return cls(highs_ns=[*highs, (since, np.inf)] if falls_ns else [])

    def seconds(self, since_ns: int) -> tuple[tuple[float, float], ...]:
        """Give them in s since a time of the clock."""
        return tuple(
            (max(begin - since_ns, 0) / NS_PER_S, (end - since_ns) / NS_PER_S)
            for begin, end in self.highs_ns
        )


def _is_model(block: ReadingBlock, name: str) -> bool:
    """Say whether readings are what a device is made to draw, and not a meter's."""
    return block.channel.name == name and (
        block.origin is Origin.EMULATED or block.channel.source == BOARD
    )


def _read(
    trial: Trial, address: str, power: ReadingBlock, pin: _Pin
) -> Iterator[TrialEvent]:
    has_pin = bool(trial.edges) or (trial.pulses is not None and bool(trial.pulses.pin))
    # a device model's clock begins with the trial; a board goes on from one to the
    # next, and its meter is open before it begins
    is_board = power.origin is Origin.SIMULATED
    since_ns = power.times_ns[0] if is_board else 0
    early_ns = _opening_ns(address) if is_board else 0
    clock = VirtualClock(power.clock, since_ns - early_ns)
    skew = _skew(trial)
    times_ns = np.asarray(power.times_ns, dtype=np.int64) - since_ns
    drawn = Waveform(
        ends_s=times_ns / NS_PER_S,
        powers_w=np.asarray(power.values, dtype=np.float64),
        skew=skew,
        seed=trial.seeds.order,
        pin_s=pin.seconds(since_ns) if has_pin else (),
        pin_bit=INPUTS.index(trial.edges) if trial.edges else 0,
    )
    with open_on(Address.parse(address), clock, drawn) as meter:
        metering = Metering(InProcess(meter, clock, edges=has_pin), clock)
        recording = metering.read_until(trial.id, power.times_ns[-1])
        yield from recording.events()
        yield from metering.notes(trial.id)
    if skew:
        yield Noted(trial=trial.id, key="meter.simulated_skew", value=f"{skew:.6g}")


def _skew(trial: Trial) -> float:
    """Draw how far the meter's crystal is off; one that is polled has no say in time.

    Without marks nothing could tell, and a real one would be stamped by the host.
    """
    if trial.pulses is None and not trial.edges:
        return 0.0
    seed = trial.pulses.seed if trial.pulses else 0
    generator = np.random.default_rng((trial.seeds.order, seed))
    size = generator.uniform(_LEAST_SKEW, _MOST_SKEW)
    return float(size * generator.choice([-1, 1]))
