"""A simulated meter beside an emulated device: the whole line, in virtual time.

The device model knows its power; a meter never does. So where a simulated meter is
asked for, the model's power is what the simulated instrument measures, the driver
decodes its bytes, and the record holds the driver's readings in the model's place:
rounded, ranged, noisy, and by a clock that runs slow or fast. Nothing of it is
evidence, and every figure says so.
"""

from collections.abc import Iterable, Iterator

import numpy as np

from harness.bench.inprocess import InProcess
from harness.bench.metering import Metering
from harness.clock import VirtualClock
from harness.domain.origin import Origin
from harness.domain.plan import Trial
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
from harness.units import NS_PER_S

_LEAST_SKEW, _MOST_SKEW = 50e-6, 150e-6
"""Crystals of real meters were this far off a PC's (MLPerf Tiny v1.2 power logs)."""


def require_readable(address: str) -> None:
    """Open a simulated meter on nothing, at no cost: a wrong address fails at once.

    Raises UnknownName, SchemaError and Unsupported as `open_on` does.
    """
    nothing = Waveform(ends_s=np.array([1.0]), powers_w=np.array([0.0]))
    with open_on(Address.parse(address), VirtualClock("device"), nothing):
        pass


def metered_virtually(
    trial: Trial, address: str, events: Iterable[TrialEvent]
) -> Iterator[TrialEvent]:
    """Give the events of an emulated trial as its meter would have let them be seen.

    The model's power is taken out and the meter's readings of it put in, before the
    trial's end.
    """
    power: ReadingBlock | None = None
    marks: list[tuple[int, int]] = []
    for event in events:
        if isinstance(event, PulsesMade):
            marks.extend(zip(event.rises_ns, event.falls_ns, strict=True))
        match event:
            case ReadingsTaken(block=block) if _is_model_power(block):
                power = block
            case TrialEnded() if power is not None:
                yield from _read(trial, address, power, marks)
                yield event
            case _:
                yield event


def _is_model_power(block: ReadingBlock) -> bool:
    return block.channel.name == "power" and block.origin is Origin.EMULATED


def _read(
    trial: Trial, address: str, power: ReadingBlock, marks: list[tuple[int, int]]
) -> Iterator[TrialEvent]:
    has_pin = trial.pulses is not None and bool(trial.pulses.pin)
    clock = VirtualClock(power.clock)
    skew = _skew(trial)
    drawn = Waveform(
        ends_s=np.asarray(power.times_ns, dtype=np.float64) / NS_PER_S,
        powers_w=np.asarray(power.values, dtype=np.float64),
        skew=skew,
        seed=trial.seeds.order,
        pin_s=tuple((a / NS_PER_S, b / NS_PER_S) for a, b in marks if has_pin),
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
    if trial.pulses is None:
        return 0.0
    generator = np.random.default_rng((trial.seeds.order, trial.pulses.seed))
    size = generator.uniform(_LEAST_SKEW, _MOST_SKEW)
    return float(size * generator.choice([-1, 1]))
