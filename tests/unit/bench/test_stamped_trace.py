"""A capture of this machine beside a board that was left: placed by both clocks."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.bench.powertrace import lay
from harness.cli.power import add_recording, placed
from harness.domain.origin import Origin
from harness.domain.query import CLOCK_PAIRS, HOST_BOOT, Phase
from harness.domain.record import RunRecord, TrialRecord
from harness.errors import MeterError, UnknownName, Unsupported, UsageError
from harness.meters.exports.reading import TraceFile, decode
from harness.meters.exports.trace import ImportedTrace
from harness.record.reader import read_record
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

IDLE_W, BUSY_W = 0.010, 0.040
BOOT = "3f0c6b1e-this-start"
BOARD_AHEAD_NS = 5_000 * NS_PER_S
SKEW = 30e-6
LATENCY_NS, QUERIES = 15_000_000, 400
BEGIN_NS = 9_000 * NS_PER_S
"""Where the board's clock stands when the trial begins."""
RATE_HZ = 1000.0
U_PAIR_NS = 100_000


def host_ns(board_ns: float) -> float:
    return (board_ns - BOARD_AHEAD_NS) / (1 + SKEW)


def pairs(*board_ns: int, skew_error: float = 0.0) -> str:
    first = board_ns[0]
    return ";".join(
        f"{host_ns(at):.0f} {at + skew_error * (at - first):.0f} {U_PAIR_NS}"
        for at in board_ns
    )


def a_left_trial(clock_pairs: str) -> TrialRecord:
    """Make a trial on a board's clock, with no marks of load in it."""
    trial = replace(a_trial(), target="linux@ssh:board")
    load = BEGIN_NS + 2 * NS_PER_S
    queries = some_queries(np.full(QUERIES, LATENCY_NS, dtype=np.int64))
    moved = {
        name: type(column)("q", (np.asarray(column) + load).tobytes())
        for name in ("scheduled_ns", "issued_ns", "completed_ns")
        for column in [getattr(queries, name)]
    }
    queries = replace(queries, **moved)
    end = int(queries.completed_ns[-1])
    return replace(
        a_trial_record(trial),
        clock="board",
        phases=(
            (Phase.BASELINE_BEFORE, BEGIN_NS),
            (Phase.LOAD, load),
            (Phase.WARM_UP, load),
            (Phase.MEASURED, int(queries.issued_ns[8])),
            (Phase.BASELINE_AFTER, end),
            (Phase.AFTERWARDS, end + 2 * NS_PER_S),
        ),
        queries=queries,
        readings=(),
        notes={CLOCK_PAIRS: clock_pairs, HOST_BOOT: BOOT},
        pulses=(),
    )


def a_left_run(clock_pairs: str) -> RunRecord:
    trial = a_left_trial(clock_pairs)
    base = a_record(["kws"])
    sut = replace(base.suts["local@"], origin=Origin.MEASURED)
    return replace(
        base,
        plan=a_plan([trial.trial]),
        suts={"linux@ssh:board": replace(sut, address="linux@ssh:board")},
        trials=(trial,),
    )


def a_capture(record: RunRecord, *, boot: str = BOOT, clock: str = "monotonic") -> str:
    """Write what a meter showed to this machine meanwhile, stamped as it came."""
    queries = record.trials[0].queries
    assert queries is not None
    begin = host_ns(BEGIN_NS - 3 * NS_PER_S)
    count = int(14 * RATE_HZ)
    at = begin + np.arange(count) * NS_PER_S / RATE_HZ
    busy = (at > host_ns(int(queries.scheduled_ns[0]))) & (
        at <= host_ns(int(queries.completed_ns[-1]))
    )
    watts = np.where(busy, BUSY_W, IDLE_W)
    head = (
        f"# origin: measured\n# driver: ina\n# clock: {clock}\n# host_boot: {boot}\n"
        f"# begin_ns: {at[0]:.0f}\ntime_s,power_W\n"
    )
    rows = (f"{n / RATE_HZ:.9f},{w:.9g}\n" for n, w in enumerate(watts))
    return head + "".join(rows)


def read(text: str, query: str = "by=host-stamps&meter=ina") -> ImportedTrace:
    options = TraceFile.parse(f"x.csv?{query}").options
    return decode(text.encode(), options, "x.csv")


BOTH = pairs(BEGIN_NS - 60 * NS_PER_S, BEGIN_NS + 60 * NS_PER_S)


def test_a_capture_without_any_marks_is_laid_by_both_clocks(tmp_path: Path) -> None:
    record = a_left_run(BOTH)
    bundle = write_bundle(tmp_path, record)
    file = tmp_path / "rec.csv"
    file.write_text(a_capture(record))

    laid = add_recording(bundle, TraceFile.parse(f"{file}?by=host-stamps&meter=ina"))

    assert "1 trials found in it (by this machine's stamps)" in placed(laid)
    (trial,) = read_record(bundle).trials
    known = laid_over(trial)
    assert known.notes[MEANS] == "clock-pairs"
    assert float(known.notes["alignment.u_s"]) < 0.1
    found = run_energy(known)
    assert found is not None
    assert found.net_j is not None
    net = (BUSY_W - IDLE_W) * LATENCY_NS / NS_PER_S
    assert found.net_j.value == pytest.approx(net, rel=0.03)


@pytest.mark.parametrize("clock_pairs", ["", BOTH])
def test_a_capture_of_another_start_or_of_no_pairs_is_refused(clock_pairs: str) -> None:
    record = a_left_run(clock_pairs or BOTH)
    if not clock_pairs:
        (trial,) = record.trials
        record = replace(record, trials=(replace(trial, notes={}),))
    boot = "another-start" if clock_pairs else BOOT

    with pytest.raises(UsageError, match="Nothing relates"):
        lay(record, read(a_capture(record, boot=boot)), name="x.csv", original=b"")


def test_a_clock_that_stood_still_or_was_set_lays_nothing() -> None:
    jumped = pairs(BEGIN_NS - 60 * NS_PER_S, BEGIN_NS + 60 * NS_PER_S, skew_error=0.01)
    record = a_left_run(jumped)

    with pytest.raises(MeterError, match="stood still or was set"):
        lay(record, read(a_capture(record)), name="x.csv", original=b"")


def test_a_capture_of_another_time_holds_no_trial() -> None:
    record = a_left_run(BOTH)
    text = a_capture(record).replace("# begin_ns: ", "# begin_ns: 9")

    with pytest.raises(MeterError, match="holds no trial of this run"):
        lay(record, read(text), name="x.csv", original=b"")


def test_a_meter_s_own_clock_is_no_stamp_of_this_machine() -> None:
    text = a_capture(a_left_run(BOTH), clock="ppk2")

    with pytest.raises(Unsupported, match="times of 'ppk2'"):
        read(text)


def test_another_program_s_export_bears_no_stamps() -> None:
    with pytest.raises(Unsupported, match="Only files of duanping meters capture"):
        read("Time (s),Main Avg Power (mW)\n0,1\n1,1\n")


def test_another_means_of_placing_is_not_known() -> None:
    with pytest.raises(UnknownName, match="by-eye"):
        TraceFile.parse("x.csv?by=by-eye")
