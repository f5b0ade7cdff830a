"""Windows that a board marked by falls of a pin, found in a meter's trace."""

from array import array
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from harness.domain.origin import EvidenceClass, Origin
from harness.domain.query import Outcome, Phase, WindowsMarked
from harness.domain.reading import Channel, ReadingBlock
from harness.domain.record import RunRecord, TrialRecord
from harness.domain.sut import SutDescription
from harness.stats.estimating import estimate
from harness.stats.findings import find
from harness.stats.laying import lay_over
from harness.stats.marked import MEDIAN_VARIANCE
from harness.testing.builders import a_plan, a_trial, a_trial_record
from harness.units import NS_PER_S

LPM = "lpm01a@serial:/dev/ttyACM1?voltage=3V"
PPK2 = "ppk2@serial:/dev/ttyACM1?voltage=3V"
WINDOW_S, REST_S, COUNT = 12.0, 1.0, 4000
HEARD_LATE_S = 0.03
IDLE_W, BUSY_W = 0.002, 0.020
PER_INFERENCE_J = BUSY_W * WINDOW_S / COUNT


def begins_s() -> list[float]:
    return [5.0 + place * (WINDOW_S + REST_S) for place in range(5)]


def all_falls_s() -> list[float]:
    return [at for begin in begins_s() for at in (begin, begin + WINDOW_S)]


def a_metered_trial(
    falls_s: Sequence[float],
    *,
    meter: str = LPM,
    run: int = 1,
    scales: Sequence[float] = (1.0,) * 5,
    origin: Origin = Origin.MEASURED,
) -> TrialRecord:
    """Make a trial in energy mode; the host heard of each end late."""
    begins = begins_s()
    last_s = begins[-1] + WINDOW_S
    times = np.arange(1, round((last_s + 5) * 1000) + 1) * 1_000_000
    noise = 1 + 0.01 * np.random.default_rng(run).standard_normal(len(times))
    watts = np.full(len(times), IDLE_W)
    for begin, scale in zip(begins, scales, strict=True):
        busy = (times > begin * NS_PER_S) & (times <= (begin + WINDOW_S) * NS_PER_S)
        watts[busy] = BUSY_W * scale
    trial = replace(a_trial(run=run), target="mcu@serial:/dev/ttyACM0", edges="D7")
    return TrialRecord(
        trial=trial,
        outcome=Outcome.DONE,
        clock="monotonic",
        phases=(
            (Phase.BASELINE_BEFORE, NS_PER_S),
            (Phase.LOAD, 3 * NS_PER_S),
            (Phase.MEASURED, 4 * NS_PER_S),
            (Phase.BASELINE_AFTER, round((last_s + 1) * NS_PER_S)),
        ),
        marked=WindowsMarked(
            trial=trial.id,
            input="D7",
            inferences=(COUNT,) * 5,
            begun_ns=tuple(round(begin * NS_PER_S) for begin in begins),
            ended_ns=tuple(
                round((begin + WINDOW_S + HEARD_LATE_S) * NS_PER_S) for begin in begins
            ),
        ),
        readings=(
            _block(
                Channel(name="power", unit="W", source=meter, rate_hz=1e3),
                origin,
                times,
                watts * noise,
            ),
            _edges(meter, origin, falls_s),
        ),
        notes={
            "meter.address": meter,
            "meter.gain_ratio": "0.02",
            "meter.latency_s": "0",
        },
    )


def _block(
    channel: Channel, origin: Origin, times: np.ndarray, values: np.ndarray
) -> ReadingBlock:
    return ReadingBlock(
        channel=channel,
        clock="monotonic",
        origin=origin,
        times_ns=array("q", np.asarray(times, dtype=np.int64).tobytes()),
        values=array("d", np.asarray(values, dtype=np.float64).tobytes()),
    )


def _edges(meter: str, origin: Origin, falls_s: Sequence[float]) -> ReadingBlock:
    if meter == LPM:
        # an edge is given the time of the reading before it
        before = np.floor(np.array(falls_s) * 1000) * 1_000_000
        channel = Channel(name="event", unit="1", source=meter)
        return _block(channel, origin, before, np.ones(len(before)))
    times, levels = [0.0], [0x80]
    for fall in falls_s:
        times += [fall, fall + 20e-6]
        levels += [0x00, 0x80]
    stamps = np.round(np.array(times) * NS_PER_S)
    channel = Channel(name="logic", unit="1", source=meter, rate_hz=1e5)
    return _block(channel, origin, stamps, np.array(levels))


def a_record(*trials: TrialRecord) -> RunRecord:
    sut = SutDescription(
        address="mcu@serial:/dev/ttyACM0",
        name="a board",
        origin=Origin.MEASURED,
        clock="monotonic",
    )
    return lay_over(
        RunRecord(
            name="run",
            plan=a_plan([trial.trial for trial in trials]),
            plan_id="0" * 64,
            suts={sut.address: sut},
            trials=trials,
        )
    )


@pytest.mark.parametrize("meter", [LPM, PPK2])
def test_energy_lies_between_the_falls_and_is_evidence_of_class_a(meter: str) -> None:
    record = a_record(a_metered_trial(all_falls_s(), meter=meter))

    estimates, withheld = estimate(record)

    found = {one.measurand.name: one for one in estimates}
    gross = found["energy_per_inference_gross"]
    assert gross.value == pytest.approx(PER_INFERENCE_J, rel=2e-4)
    assert gross.evidence_class is EvidenceClass.A
    assert gross.origin is Origin.MEASURED
    assert gross.queries == 5 * COUNT
    assert "median of windows between falls of a pin" in gross.method
    net = found["energy_per_inference_net"]
    idle_j = IDLE_W * WINDOW_S / COUNT
    assert net.value == pytest.approx(PER_INFERENCE_J - idle_j, rel=1e-3)
    # the host heard of each end 30 ms late: nothing of that is in the figure
    assert abs(gross.value / PER_INFERENCE_J - 1) < 0.03 / WINDOW_S
    assert "latency_p90" not in found
    reasons = {one.measurand.name: one.reason for one in withheld}
    assert reasons["latency_p90"] == "no-time-stamps"


def test_of_five_windows_the_median_counts_with_the_spread_of_its_own() -> None:
    scales = (1.00, 1.02, 1.01, 1.30, 0.99)
    record = a_record(a_metered_trial(all_falls_s(), scales=scales))

    estimates, _ = estimate(record)

    gross = next(
        e for e in estimates if e.measurand.name == "energy_per_inference_gross"
    )
    assert gross.value == pytest.approx(1.01 * PER_INFERENCE_J, rel=2e-4)
    spread = next(row for row in gross.budget if row.source == "repeatability")
    wanted = np.std(np.array(scales) * PER_INFERENCE_J, ddof=1) * 0.2868**0.5
    assert spread.u == pytest.approx(wanted, rel=1e-2)
    assert spread.freedom == 4


@pytest.mark.parametrize("count", [3, 4, 5])
def test_the_variance_of_a_median_is_that_of_normal_values(count: int) -> None:
    drawn = np.random.default_rng(1).standard_normal((400_000, count))

    assert np.median(drawn, axis=1).var() == pytest.approx(
        MEDIAN_VARIANCE[count], rel=0.01
    )


def test_falls_before_the_last_two_are_noise() -> None:
    begins = begins_s()
    noise = [begin - 0.4 for begin in begins] + [begin + 3.0 for begin in begins]
    record = a_record(a_metered_trial(sorted([*noise, *all_falls_s()])))

    estimates, _ = estimate(record)
    # the third fall is the begin of no window: what lies after it is too short
    codes = [one.code for one in find(record, estimates)]

    assert "edges-not-seen" in codes
    only_early = [begin - 0.4 for begin in begins]
    record = a_record(a_metered_trial(sorted([*only_early, *all_falls_s()])))
    estimates, _ = estimate(record)
    gross = next(
        e for e in estimates if e.measurand.name == "energy_per_inference_gross"
    )
    assert gross.value == pytest.approx(PER_INFERENCE_J, rel=2e-4)
    assert "edges-not-seen" not in {one.code for one in find(record, estimates)}


def test_windows_that_the_meter_did_not_see_are_left_out_and_told() -> None:
    record = a_record(a_metered_trial(all_falls_s()[2:-2]))

    estimates, _ = estimate(record)
    told = next(f for f in find(record, estimates) if f.code == "edges-not-seen")

    assert told.values == {"input": "D7", "windows": 5, "seen": 3}
    assert any(e.measurand.name == "energy_per_inference_gross" for e in estimates)


def test_without_falls_there_is_no_energy_and_the_reason_is_told() -> None:
    record = a_record(a_metered_trial([]))

    estimates, withheld = estimate(record)

    assert not any(e.measurand.unit == "J" for e in estimates)
    reasons = {one.measurand.name: one.reason for one in withheld}
    assert reasons["energy_per_inference_gross"] == "edges-not-seen"


def test_windows_shorter_than_ten_seconds_make_the_run_invalid() -> None:
    trial = a_metered_trial(all_falls_s())
    assert trial.marked is not None
    short = [at for begin in begins_s() for at in (begin, begin + 6.0)]
    marked = replace(
        trial.marked,
        ended_ns=tuple(round((begin + 6.0) * NS_PER_S) for begin in begins_s()),
    )
    record = a_record(replace(a_metered_trial(short), marked=marked))

    estimates, _ = estimate(record)
    told = next(f for f in find(record, estimates) if f.code == "window-too-short")

    assert told.values == {"seconds": 6.0, "minimum": 10.0}


def test_a_simulated_meter_s_edges_are_no_evidence() -> None:
    record = a_record(a_metered_trial(all_falls_s(), origin=Origin.SIMULATED))

    estimates, _ = estimate(record)

    gross = next(
        e for e in estimates if e.measurand.name == "energy_per_inference_gross"
    )
    assert gross.origin is Origin.SIMULATED
    assert gross.evidence_class is EvidenceClass.D


def test_runs_are_put_together_by_their_medians() -> None:
    trials = [
        a_metered_trial(all_falls_s(), run=run, scales=(scale,) * 5)
        for run, scale in ((1, 1.0), (2, 1.01), (3, 0.99))
    ]

    estimates, _ = estimate(a_record(*trials))

    gross = next(
        e for e in estimates if e.measurand.name == "energy_per_inference_gross"
    )
    assert gross.runs == 3
    assert gross.value == pytest.approx(PER_INFERENCE_J, rel=1e-3)
    assert "mean of 3 runs, Student t; of each the median" in gross.method


def test_a_meter_beside_a_board_that_tells_its_own_time_is_not_no_meter() -> None:
    metered = a_metered_trial(all_falls_s())
    told = replace(
        a_trial_record(metered.trial), clock="mcu", readings=metered.readings
    )

    _, withheld = estimate(a_record(told))

    reasons = {one.measurand.name: one.reason for one in withheld}
    assert reasons["energy_per_inference_gross"] == "clocks-not-related"
