"""Every fault of a meter: its finding, its sentence in both languages, its status.

Each row goes the way of a run: a simulated instrument with its fault, the very driver,
the capture, its decoding, the notes of a record, and the checks of that record.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from harness.bench.metering import Recording
from harness.bench.taking import Taken
from harness.clock import Deadline, VirtualClock
from harness.domain.finding import Finding
from harness.domain.origin import Origin
from harness.domain.query import Noted, Phase, ReadingsTaken
from harness.domain.reading import ReadingBlock
from harness.domain.record import TrialRecord
from harness.errors import EquipmentError
from harness.links.replay import BEGUN, ENDED, load_capture, recording
from harness.meters.accuracy import Accuracy
from harness.meters.base import Meter
from harness.meters.decoding import POWER, decode, tally_of
from harness.meters.onhost.gauge import open_gauge
from harness.meters.onhost.rapl import open_rapl
from harness.meters.onhost.sim import (
    Gauge,
    LivingClock,
    RaplZone,
    grow_battery,
    grow_rapl,
    write,
)
from harness.meters.opening import capture_facts, open_taped
from harness.plugins import Address
from harness.report.words import catalogue
from harness.stats.energy import RunEnergy, run_energy
from harness.stats.meterchecks import WindowStatus, check_meter, window_status
from harness.testing.builders import a_trial, a_trial_record

IDLE_S, BUSY_S = 6.0, 9.0
END_S = 2 * IDLE_S + BUSY_S
"""A trial: idle, a measured window, idle; its clock begins with it."""


def wired(link: str, path: Path) -> Taken:
    """Read a simulated meter for a trial, in virtual time, as the reader does."""
    address, clock = Address.parse(link), VirtualClock("monotonic")
    fault: EquipmentError | None = None
    after_s = 0.0
    with (
        recording(path, capture_facts(address, clock)) as recorder,
        open_taped(address, clock, recorder) as meter,
    ):
        begun_ns = clock.now_ns()
        recorder.mark(BEGUN, begun_ns)
        try:
            with meter.acquire([POWER]) as acquisition:
                try:
                    for _ in acquisition.blocks(Deadline.after(END_S + 1.0, clock)):
                        continue
                finally:
                    recorder.mark(ENDED, clock.now_ns())
        except EquipmentError as error:
            fault, after_s = error, (clock.now_ns() - begun_ns) / 1e9
    decoded = decode(load_capture(path), "capture")
    return Taken(
        blocks=tuple(shifted(block, begun_ns) for block in decoded.blocks),
        loss=decoded.loss,
        tally=decoded.tally,
        fault=fault or decoded.fault,
        fault_after_s=after_s,
    )


def shifted(block: ReadingBlock, by_ns: int) -> ReadingBlock:
    times = type(block.times_ns)("q", [at - by_ns for at in block.times_ns])
    return replace(block, times_ns=times)


def on_host(meter: Meter, clock: LivingClock) -> Taken:
    """Read a counter of this machine for a trial, in virtual time."""
    begun_ns, blocks = clock.now_ns(), list[ReadingBlock]()
    fault: EquipmentError | None = None
    with meter.acquire([POWER]) as acquisition:
        try:
            blocks.extend(acquisition.blocks(Deadline.after(END_S + 1.0, clock)))
        except EquipmentError as error:
            fault = error
        loss, tally = acquisition.loss(), tally_of(acquisition)
    named = [replace(b, clock="monotonic") for b in blocks]
    return Taken(
        blocks=tuple(shifted(block, begun_ns) for block in named),
        loss=loss,
        tally=tally,
        fault=fault,
    )


def charging_battery(folder: Path) -> Taken:
    clock = LivingClock()
    battery = grow_battery(folder, clock, Gauge(load=lambda _: 0.4))
    clock.follow(lambda at_s: write(battery, status="Charging") if at_s > 8.0 else None)
    meter = open_gauge(clock, address="battery@", origin=Origin.SIMULATED, root=folder)
    return on_host(meter, clock)


def rolling_counter(folder: Path) -> Taken:
    clock = LivingClock()
    # 20 W reach the end of the register after ten seconds
    zone = RaplZone(
        folder="intel-rapl:0",
        name="package-0",
        load=lambda at_s: 20.0 + np.sin(at_s),
        range_uj=2_000_000_000,
        first_uj=1_800_000_000,
    )
    grow_rapl(folder, clock, zone)
    meter = open_rapl(clock, address="rapl@", origin=Origin.SIMULATED, root=folder)
    return on_host(meter, clock)


def as_record(taken: Taken) -> TrialRecord:
    """Put what was taken into the record of a trial that went well otherwise."""
    trial = a_trial()

    def limits(least_w: float, most_w: float) -> Accuracy:
        del least_w, most_w
        return Accuracy(
            gain_ratio=0.01,
            offset_w=0.0,
            timebase_ratio=1e-4,
            resolution_w=0.0,
            latency_s=0.0,
            source="for the test",
        )

    recorded = Recording(trial.id, limits)
    recorded.taken = taken
    events = list(recorded.events())
    notes = {e.key: e.value for e in events if isinstance(e, Noted)}
    base = a_trial_record(trial)
    queries = base.queries
    assert queries is not None
    count = len(queries)
    step = int(BUSY_S * 1e9) // count
    first = int(IDLE_S * 1e9)
    issued = type(queries.issued_ns)("q", [first + step * n for n in range(count)])
    ended = type(queries.issued_ns)("q", [at + step for at in issued])
    return replace(
        base,
        clock="monotonic",
        phases=(
            (Phase.BASELINE_BEFORE, 0),
            (Phase.MEASURED, first),
            (Phase.BASELINE_AFTER, first + step * count),
        ),
        queries=replace(
            queries,
            scheduled_ns=issued,
            issued_ns=issued,
            completed_ns=ended,
            is_measured=type(queries.is_measured)("b", [1] * count),
        ),
        readings=tuple(e.block for e in events if isinstance(e, ReadingsTaken)),
        notes={"meter.address": "under test", **notes},
    )


@dataclass(frozen=True)
class Row:
    """A fault, and what the user is told."""

    name: str
    take: Callable[[Path], Taken] | str
    code: str | None
    status: WindowStatus
    reason: str = ""
    english: str = ""
    chinese: str = ""


OK, LOWER = WindowStatus.OK, WindowStatus.LOWER_BOUND
INCOMPLETE, REFUSED = WindowStatus.INCOMPLETE, WindowStatus.REFUSED
ROWS = (
    Row("nothing wrong", "um25c@sim:bursts-1W-6W", None, OK),
    Row(
        "unplugged in the middle", "um25c@sim:bursts-1W-6W?fault=unplug:9s",
        "meter-lost", INCOMPLETE, "The device went away",
        "The meter went away while measuring", "仪表在测量中途断开",
    ),
    Row(
        "unplugged after the window", "um25c@sim:bursts-1W-6W?fault=unplug:19s",
        "meter-lost", OK, "The device went away",
        "The meter went away while measuring", "仪表在测量中途断开",
    ),
    Row(
        "a stall", "um25c@sim:bursts-1W-6W?fault=stall:9s",
        "meter-silent", INCOMPLETE, "silent for",
        "The meter is still there and sends nothing", "仪表仍连着，但不再送数",
    ),
    Row(
        "a few damaged replies", "pzem@sim:bursts-20W-90W?fault=garble:8e-4&seed=2",
        "readings-repaired", OK, "",
        "failed their check", "校验不符",
    ),
    Row(
        "many damaged replies", "um25c@sim:bursts-1W-6W?fault=garble:2e-2",
        "meter-failed", INCOMPLETE, "replies were damaged",
        "The meter reported a fault", "仪表报错",
    ),
    Row(
        "lost bytes of a stream", "ina@sim:bursts-100mW-600mW?fault=drop:2e-4",
        "readings-lost", REFUSED, r"lost \(limit 0.1%\)",
        "Readings of the meter are missing", "仪表读数有缺失",
    ),
    Row(
        "beyond the range", "lpm01a@sim:bursts-5mW-400mW",
        "meter-saturated", LOWER, "",
        "the readings are lower bounds", "读数只是下限",
    ),
    Row(
        "a stuck value", "um25c@sim:bursts-1W-6W?fault=stuck:0s",
        "readings-stuck", REFUSED, "",
        "the readings did not by anything", "读数分毫不变",
    ),
    Row(
        "a changed unit", "scpi@sim:idle-200mW?fault=unit:11s",
        "power-unit-changed", REFUSED, "",
        "the meter changed its unit", "仪表换了单位",
    ),
    Row(
        "a slow clock", "ppk2@sim:idle-10mW?fault=skew:-140",
        "meter-clock-off", OK, "",
        "clock does not go as this machine's does", "快慢不同",
    ),
    Row(
        "range after range", "ppk2@sim:flicker-100uW-60mW",
        "range-changes", OK, "",
        "changes its range often", "频繁更换量程",
    ),
    Row(
        "below the threshold", "pzem@sim:idle-200mW",
        "below-threshold", INCOMPLETE, "",
        "below the power from which this meter measures", "低于仪表的起测功率",
    ),
    Row("a counter that rolls over", rolling_counter, None, OK),
    Row(
        "a battery that charges", charging_battery,
        "power-state-changed", REFUSED, "A charger is plugged in",
        "The supply or charger changed state", "供电或充电状态发生改变",
    ),
)  # fmt: skip


def taken_of(row: Row, folder: Path) -> Taken:
    if callable(row.take):
        return row.take(folder)
    return wired(row.take, folder / "raw.capture")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_fault_is_told_by_finding_sentence_and_status(
    row: Row, tmp_path: Path
) -> None:
    trial = as_record(taken_of(row, tmp_path))

    found = {one.code: one for one in check_meter(trial)}

    assert window_status(trial) is row.status
    if row.code is None:
        assert found == {}
        return
    assert row.code in found, found
    _require_words(row, found[row.code])
    # a window without a firm answer has no number either
    has_energy = isinstance(run_energy(trial), RunEnergy)
    assert has_energy == (row.status in {OK, LOWER})


def _require_words(row: Row, found: Finding) -> None:
    key = f"finding.{found.code}.what"
    assert row.english in catalogue("en")[key]
    assert row.chinese in catalogue("zh")[key]
    if row.reason:
        assert re.search(row.reason, str(found.values["reason"]))
        assert found.values["window"] == row.status.value


def test_what_was_read_before_a_fault_is_kept(tmp_path: Path) -> None:
    taken = wired("um25c@sim:bursts-1W-6W?fault=unplug:9s", tmp_path / "raw.capture")

    trial = as_record(taken)

    last_s = max(at for block in trial.readings for at in block.times_ns) / 1e9
    assert 8.0 < last_s <= 9.0
    assert taken.fault_after_s == pytest.approx(9.0, abs=0.5)
