"""A simulated meter beside an emulated device: what the model drew is what it reads."""

from array import array
from dataclasses import replace

import numpy as np
import pytest

from harness.bench.virtualmeter import metered_virtually
from harness.domain.origin import Origin
from harness.domain.plan import Pulses, Trial
from harness.domain.query import (
    Noted,
    Outcome,
    Phase,
    PulsesMade,
    ReadingsTaken,
    TrialEnded,
    TrialEvent,
    TrialStarted,
)
from harness.domain.reading import Channel, ReadingBlock
from harness.errors import Unsupported
from harness.testing.builders import a_trial
from harness.units import NS_PER_S

MARKS = Pulses(chips=31, chip_ns=20_000_000, seed=1)


def model_power(levels_w: list[float], each_s: float = 2.0) -> ReadingBlock:
    times = (np.arange(1, len(levels_w) + 1) * each_s * NS_PER_S).astype(np.int64)
    return ReadingBlock(
        channel=Channel(name="power", unit="W", source="emulated"),
        clock="virtual",
        origin=Origin.EMULATED,
        times_ns=array("q", times.tobytes()),
        values=array("d", levels_w),
    )


def metered(
    address: str, levels_w: list[float], trial: Trial | None = None
) -> list[TrialEvent]:
    trial = trial or a_trial()
    events = [
        TrialStarted(trial=trial.id, clock="virtual"),
        ReadingsTaken(trial=trial.id, block=model_power(levels_w)),
        TrialEnded(trial=trial.id, outcome=Outcome.DONE, queries=1),
    ]
    return list(metered_virtually(trial, address, events))


def power_in(events: list[TrialEvent]) -> tuple[np.ndarray, np.ndarray]:
    blocks = [e.block for e in events if isinstance(e, ReadingsTaken)]
    times = np.concatenate([np.asarray(b.times_ns) for b in blocks]) / NS_PER_S
    return times, np.concatenate([np.asarray(b.values) for b in blocks])


@pytest.mark.parametrize(
    ("address", "levels_w", "tolerance"),
    [
        ("ppk2@sim:", [0.005, 0.030, 0.005], 0.02),
        ("lpm01a@sim:", [0.005, 0.030, 0.005], 0.02),
        ("ina@sim:", [0.5, 2.0, 0.5], 0.02),
        ("scpi@sim:", [5.0, 20.0, 5.0], 0.02),
        ("um25c@sim:", [5.0, 20.0, 5.0], 0.02),
        ("pzem@sim:", [50.0, 200.0, 50.0], 0.02),
    ],
)
def test_a_meter_reads_what_the_model_drew(
    address: str, levels_w: list[float], tolerance: float
) -> None:
    events = metered(address, [level for level in levels_w for _ in range(5)])

    times, watts = power_in(events)
    # levels of ten seconds; set-up and a slow meter's averaging take up to three
    for place, level in enumerate(levels_w):
        inside = (times > 10 * place + 4) & (times < 10 * place + 9.5)
        assert watts[inside].mean() == pytest.approx(level, rel=tolerance)


def test_the_models_own_power_is_gone_and_the_end_comes_last() -> None:
    events = metered("ppk2@sim:", [0.01, 0.02])

    origins = {e.block.origin for e in events if isinstance(e, ReadingsTaken)}
    assert origins == {Origin.SIMULATED}
    assert isinstance(events[0], TrialStarted)
    assert isinstance(events[-1], TrialEnded)


def test_the_crystal_of_a_meter_with_marks_is_off_and_it_is_noted() -> None:
    marked = replace(a_trial(), pulses=MARKS)

    notes = {
        e.key: e.value
        for e in metered("ppk2@sim:", [0.01, 0.02], marked)
        if isinstance(e, Noted)
    }
    plain = {e.key for e in metered("ppk2@sim:", [0.01, 0.02]) if isinstance(e, Noted)}

    assert 50e-6 <= abs(float(notes["meter.simulated_skew"])) <= 150e-6
    assert notes["meter.origin"] == "simulated"
    assert "meter.simulated_skew" not in plain


def test_a_meter_with_a_load_of_its_own_cannot_read_the_model() -> None:
    with pytest.raises(Unsupported, match="Only a simulated meter without a load"):
        metered("ppk2@sim:idle-10mW", [0.01, 0.02])


@pytest.mark.parametrize(
    ("driver", "channel"), [("ppk2", "logic"), ("lpm01a", "event")]
)
def test_a_pin_of_the_model_is_seen_by_the_meters_inputs(
    driver: str, channel: str
) -> None:
    trial = replace(a_trial(), pulses=replace(MARKS, pin="/pin"))
    made = PulsesMade(
        trial=trial.id,
        phase=Phase.PREAMBLE,
        rises_ns=(NS_PER_S, 2 * NS_PER_S),
        falls_ns=(NS_PER_S + NS_PER_S // 2, 2 * NS_PER_S + NS_PER_S // 2),
    )
    power = ReadingsTaken(trial=trial.id, block=model_power([0.01, 0.02]))
    end = TrialEnded(trial=trial.id, outcome=Outcome.DONE, queries=1)

    events = list(metered_virtually(trial, f"{driver}@sim:", [made, power, end]))

    (seen,) = [
        e.block
        for e in events
        if isinstance(e, ReadingsTaken) and e.block.channel.name == channel
    ]
    falls = [
        at
        for at, level in zip(seen.times_ns, seen.values, strict=True)
        if channel == "event" or (level == 0 and at > seen.times_ns[0])
    ]
    assert np.diff(falls) == pytest.approx([NS_PER_S], rel=1e-2)
