"""A recording beside a run: found, cut, added, related by its marks, integrated."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.bench.powertrace import lay
from harness.cli.power import add_recording, placed
from harness.domain.origin import Origin
from harness.domain.query import Phase, PulsesMade
from harness.domain.record import RunRecord, TrialRecord
from harness.domain.sut import SutDescription
from harness.errors import MeterError, NotCalibrated, UsageError
from harness.loadgen.pulses import plan_pulses
from harness.meters.exports.reading import TraceFile, decode
from harness.meters.exports.trace import ImportedTrace
from harness.record.reader import read_record
from harness.record.verify import require_sound
from harness.stats.energy import run_energy
from harness.stats.laying import MEANS, laid_over
from harness.testing.builders import (
    a_plan,
    a_record,
    a_trial,
    a_trial_record,
    some_queries,
)
from harness.testing.bundles import write_bundle
from harness.units import NS_PER_S

Reals = NDArray[np.float64]
IDLE_W, BUSY_W, VOLTS = 0.010, 0.040, 3.0
ZERO_NS = 4_000 * NS_PER_S
"""Where the host's clock stands when the run begins."""
SKEW = 130e-6
RATE_HZ = 1000.0
QUERIES, LATENCY_NS = 400, 15_000_000


def a_local_trial(run: int, begin_ns: int) -> TrialRecord:
    """Make a trial on a real device, with marks before and after its queries."""
    trial = replace(a_trial(run=run), target="local@")
    plan = plan_pulses(round(NS_PER_S / RATE_HZ), seed=run)
    mark = begin_ns + 2 * NS_PER_S
    before = plan.preamble(mark)
    load = mark + plan.duration_ns
    queries = some_queries(np.full(QUERIES + 20 * run, LATENCY_NS, dtype=np.int64))
    moved = {
        name: type(column)("q", (np.asarray(column) + load).tobytes())
        for name in ("scheduled_ns", "issued_ns", "completed_ns")
        for column in [getattr(queries, name)]
    }
    queries = replace(queries, **moved)
    end = int(queries.completed_ns[-1])
    after = plan.postamble(end)
    return replace(
        a_trial_record(trial),
        clock="monotonic",
        phases=(
            (Phase.BASELINE_BEFORE, begin_ns),
            (Phase.PREAMBLE, mark),
            (Phase.LOAD, load),
            (Phase.WARM_UP, load),
            (Phase.MEASURED, int(queries.issued_ns[8])),
            (Phase.POSTAMBLE, end),
            (Phase.BASELINE_AFTER, end + plan.duration_ns),
        ),
        queries=queries,
        pulses=tuple(
            PulsesMade(
                trial=trial.id,
                phase=phase,
                rises_ns=burst.rises_ns,
                falls_ns=burst.falls_ns,
            )
            for phase, burst in ((Phase.PREAMBLE, before), (Phase.POSTAMBLE, after))
        ),
        readings=(),
        notes={},
    )


def a_run(count: int = 2) -> RunRecord:
    trials, begin = [], ZERO_NS
    for run in range(1, count + 1):
        trials.append(a_local_trial(run, begin))
        begin = trials[-1].phases[-1][1] + 3 * NS_PER_S
    base = a_record(["kws"])
    return replace(
        base,
        plan=a_plan([trial.trial for trial in trials]),
        suts={"local@": replace(base.suts["local@"], origin=Origin.MEASURED)},
        trials=tuple(trials),
    )


def busy_of(trials: Sequence[TrialRecord]) -> list[tuple[int, int]]:
    spans = []
    for trial in trials:
        assert trial.queries is not None
        begin = next(at for phase, at in trial.phases if phase is Phase.WARM_UP)
        spans.append((begin, int(trial.queries.completed_ns[-1])))
        for made in trial.pulses:
            spans += list(zip(made.rises_ns, made.falls_ns, strict=True))
    return sorted(spans)


def an_export(record: RunRecord, *, lead_s: float = 8.0, tail_s: float = 8.0) -> str:
    """Write what nRF Connect would have recorded beside a run, by its own crystal."""
    begin = ZERO_NS / NS_PER_S - lead_s
    last = record.trials[-1].phases[-1][1] / NS_PER_S + tail_s
    count = int((last - begin) / (1 + SKEW) * RATE_HZ)
    ticks = np.arange(count + 1) / RATE_HZ
    energy = _energy(begin + ticks * (1 + SKEW), busy_of(record.trials))
    power = np.diff(energy) * RATE_HZ / (1 + SKEW)
    power += np.random.default_rng(3).normal(0, 0.001, count)
    rows = (
        f"{at * 1e3:.2f},{watts / VOLTS * 1e6:.3f},00000000\n"
        for at, watts in zip(ticks[:-1], power, strict=True)
    )
    return "Timestamp(ms),Current(uA),D0-D7\n" + "".join(rows)


def _energy(at_s: Reals, busy: Sequence[tuple[int, int]]) -> Reals:
    edges, sums = [float(at_s[0])], [0.0]
    for begin, end in busy:
        for at, watts in ((begin, IDLE_W), (end, BUSY_W)):
            sums.append(sums[-1] + watts * (at / NS_PER_S - edges[-1]))
            edges.append(at / NS_PER_S)
    sums.append(sums[-1] + IDLE_W * (float(at_s[-1]) - edges[-1]))
    edges.append(float(at_s[-1]))
    energy: Reals = np.interp(at_s, edges, sums)
    return energy


@pytest.fixture(scope="module")
def record() -> RunRecord:
    return a_run()


@pytest.fixture(scope="module")
def export(record: RunRecord) -> str:
    return an_export(record)


def read(text: str, query: str = "voltage=3V&within=30mV") -> ImportedTrace:
    options = TraceFile.parse(f"x.csv?{query}").options
    return decode(text.encode(), options, "x.csv")


def test_a_recording_ends_as_energy_by_the_marks_in_it(
    tmp_path: Path, record: RunRecord, export: str
) -> None:
    bundle = write_bundle(tmp_path, record)
    file = tmp_path / "rec.csv"
    file.write_text(export)

    laid = add_recording(bundle, TraceFile.parse(f"{file}?voltage=3V&within=30mV"))

    require_sound(bundle)
    assert "2 trials found in it" in placed(laid)
    for trial in read_record(bundle).trials:
        known = laid_over(trial)
        assert known.notes[MEANS] == "pulses"
        assert float(known.notes["alignment.skew"]) == pytest.approx(SKEW, abs=2e-5)
        found = run_energy(known)
        assert found is not None
        net = (BUSY_W - IDLE_W) * LATENCY_NS / NS_PER_S
        assert found.net_j is not None
        assert found.net_j.value == pytest.approx(net, rel=0.01)


def test_each_trial_gets_its_own_stretch_and_what_is_known_of_the_recorder(
    record: RunRecord, export: str
) -> None:
    laid = lay(record, read(export), name="x.csv", original=b"")

    clocks = {block.clock for one in laid.addition.trials for block in one.blocks}
    assert len(clocks) == 1  # the recorder's own, not the host's
    assert not clocks & {"monotonic"}
    spans = [one.blocks[0].times_ns for one in laid.addition.trials]
    assert spans[0][-1] <= spans[1][0] + 6 * NS_PER_S
    for one, trial in zip(laid.addition.trials, record.trials, strict=True):
        assert one.trial == trial.trial.id
        assert one.blocks[0].times_ns[0] < trial.phases[0][1]
        assert one.notes["meter.gain_ratio"] == "0.1"
        assert float(one.notes["meter.voltage_ratio"]) == pytest.approx(
            0.01 / np.sqrt(3), rel=1e-4
        )
        assert one.notes["meter.recorded_by"] == "nRF Connect Power Profiler"


def test_readings_that_are_missing_in_a_trial_are_told_with_it(
    record: RunRecord, export: str
) -> None:
    lines = export.splitlines(keepends=True)
    holed = "".join([*lines[:12_000], *lines[12_050:]])

    laid = lay(record, read(holed), name="x.csv", original=b"")

    assert laid.addition.trials[0].notes["meter.readings_lost"] == "50"
    assert "50 of" in laid.addition.trials[0].notes["meter.failure"]
    assert "meter.failure" not in laid.addition.trials[1].notes


def test_power_beyond_the_data_sheet_supports_no_figure(
    record: RunRecord, export: str
) -> None:
    laid = lay(
        record,
        read(export, "voltage=3V&within=30mV&meter=pzem"),
        name="x.csv",
        original=b"",
    )

    assert "data sheet says nothing" in laid.addition.trials[0].notes["meter.failure"]


def test_another_recording_and_a_part_of_it_are_refused(
    record: RunRecord, export: str
) -> None:
    lines = export.splitlines(keepends=True)
    part = "".join(lines[:9000])
    noise = np.random.default_rng(0).normal(3000, 300, 60_000)
    other = lines[0] + "".join(f"{n},{value:.1f},\n" for n, value in enumerate(noise))

    with pytest.raises(MeterError, match="does not hold the run"):
        lay(record, read(part), name="x.csv", original=b"")
    with pytest.raises(MeterError, match="looks like this run"):
        lay(record, read(other), name="x.csv", original=b"")


def test_an_emulated_device_has_no_power_to_record(export: str) -> None:
    with pytest.raises(UsageError, match="emulated"):
        lay(a_record(["kws"]), read(export), name="x.csv", original=b"")


def test_an_emulated_processor_has_no_power_to_record(export: str) -> None:
    address = "mcu@qemu:firmware.elf"
    record = a_record(["kws"])
    trials = tuple(replace(t, target=address) for t in record.plan.trials)
    sut = SutDescription(
        address=address, name="a board", origin=Origin.EMULATED, clock="mcu"
    )
    on_qemu = replace(
        record, plan=replace(record.plan, trials=trials), suts={address: sut}
    )

    with pytest.raises(UsageError, match="emulated"):
        lay(on_qemu, read(export), name="x.csv", original=b"")


def test_power_without_a_voltage_cannot_be_judged_by_a_sheet_of_currents(
    record: RunRecord,
) -> None:
    text = "Time (s),Main Avg Power (mW)\n" + "".join(f"{n},1\n" for n in range(9))

    with pytest.raises(NotCalibrated, match="rates current"):
        lay(record, read(text, ""), name="x.csv", original=b"")
