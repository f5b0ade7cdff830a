import json
import os
import subprocess
import sys
from array import array
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from harness.domain.plan import Trial
from harness.domain.query import Noted, Outcome, QueryBlock, TrialEnded
from harness.domain.record import LabInfo, RunRecord, TrialRecord
from harness.domain.sut import ConditionsReached
from harness.errors import (
    DigestMismatch,
    RecordTruncated,
    StorageError,
    UsageError,
)
from harness.record.bundle import RecordWriter
from harness.record.layout import plan_id
from harness.record.reader import read_record
from harness.record.verify import require_sound, verify
from harness.testing.bundles import (
    StepClock,
    events_of,
    new_writer,
    write_bundle,
    write_trial,
)


def resumed(bundle: Path) -> RecordWriter:
    return RecordWriter.resume(bundle, utc=StepClock(), harness_version="0.2.0")


def cut_short(parent: Path, record: RunRecord, *, events: int = 7) -> Path:
    """Write one whole trial and the beginning of the next, and never finish."""
    first, second, *_ = record.trials
    with new_writer(parent, record.plan) as writer:
        write_trial(writer, first)
        writer.begin(second.trial, ConditionsReached())
        for event in list(events_of(second))[:events]:
            writer.add(event)
    return writer.bundle


def without_times(trials: tuple[TrialRecord, ...]) -> list[TrialRecord]:
    return [replace(t, started_at="", ended_at="") for t in trials]


def line_types(bundle: Path) -> list[str]:
    text = (bundle / "evidence" / "journal.jsonl").read_text()
    return [json.loads(line)["type"] for line in text.splitlines()]


def test_a_record_comes_back_as_it_was(bundle: Path, small_record: RunRecord) -> None:
    record = read_record(bundle)

    assert without_times(record.trials) == without_times(small_record.trials)
    assert record.plan == small_record.plan
    assert record.suts == small_record.suts
    assert record.findings == small_record.findings
    assert record.lab == small_record.lab
    assert record.is_complete
    assert record.harness_version == "0.1.0"
    assert record.name == bundle.name


def test_the_folder_is_named_after_time_profile_and_plan(
    bundle: Path, small_record: RunRecord
) -> None:
    assert bundle.name == f"20260102T030405Z_wearable_{plan_id(small_record.plan)[:8]}"


def test_every_file_of_the_evidence_names_its_format(bundle: Path) -> None:
    evidence = bundle / "evidence"

    kinds = {
        path.name: json.loads(path.read_bytes())["format"]
        for path in evidence.glob("*.json")
    }

    assert kinds == {
        "plan.json": "duanping/plan/1",
        "sut.json": "duanping/sut/1",
        "conditions.json": "duanping/conditions/1",
        "meters.json": "duanping/meters/1",
        "lab.json": "duanping/lab/1",
        "manifest.json": "duanping/manifest/1",
    }


def test_the_meters_file_lists_each_channel_with_its_origin(bundle: Path) -> None:
    meters = json.loads((bundle / "evidence" / "meters.json").read_bytes())

    found = [(use["channel"]["name"], use["origin"]) for use in meters["channels"]]

    assert sorted(found) == [("power", "emulated"), ("rss", "host")]


def test_the_same_run_gives_the_same_bytes(
    tmp_path: Path, small_record: RunRecord
) -> None:
    first = write_bundle(tmp_path / "a", small_record)
    second = write_bundle(tmp_path / "b", small_record)

    manifests = [
        (b / "evidence" / "manifest.json").read_bytes() for b in (first, second)
    ]

    assert manifests[0] == manifests[1]


def test_two_runs_in_one_second_get_a_folder_each(
    tmp_path: Path, small_record: RunRecord
) -> None:
    first = write_bundle(tmp_path, small_record)
    second = write_bundle(tmp_path, small_record)

    assert second.name == f"{first.name}-2"
    require_sound(second)


def test_a_copy_under_another_name_keeps_the_name_of_the_run(bundle: Path) -> None:
    name = bundle.name

    copy = bundle.rename(bundle.parent / "sample")

    assert read_record(copy).name == name
    require_sound(copy)


def test_nothing_of_a_spool_stays_once_a_trial_has_ended(bundle: Path) -> None:
    left = {path.suffix for path in (bundle / "evidence" / "traces").iterdir()}

    assert left == {".parquet"}


def test_no_trial_is_begun_twice_or_inside_another(
    tmp_path: Path, small_record: RunRecord
) -> None:
    first, second, _ = small_record.trials

    with new_writer(tmp_path, small_record.plan) as writer:
        write_trial(writer, first)
        with pytest.raises(ValueError, match="not left to execute"):
            writer.begin(first.trial, ConditionsReached())
        writer.begin(second.trial, ConditionsReached())
        with pytest.raises(ValueError, match="has not ended"):
            writer.begin(second.trial, ConditionsReached())


def test_an_event_of_a_trial_that_is_not_open_is_refused(
    tmp_path: Path, small_record: RunRecord
) -> None:
    first, second, _ = small_record.trials

    with new_writer(tmp_path, small_record.plan) as writer:
        writer.begin(first.trial, ConditionsReached())

        with pytest.raises(ValueError, match="not open"):
            writer.add(Noted(trial=second.trial.id, key="a", value="b"))


def test_a_run_with_trials_left_is_not_finished(
    tmp_path: Path, small_record: RunRecord
) -> None:
    with new_writer(tmp_path, small_record.plan) as writer:
        write_trial(writer, small_record.trials[0])

        with pytest.raises(ValueError, match="has not ended"):
            writer.finish()


def test_a_trial_that_crashed_is_recorded_and_not_executed_again(
    tmp_path: Path, small_record: RunRecord
) -> None:
    first = replace(small_record.trials[0], outcome=Outcome.CRASHED, reason="signal 11")
    with new_writer(tmp_path, small_record.plan) as writer:
        write_trial(writer, first)

    with resumed(writer.bundle) as writer:
        finished = writer.finished_trials

    assert finished == {first.trial.id}
    record = read_record(writer.bundle)
    assert record.trials[0].outcome is Outcome.CRASHED
    assert record.trials[0].queries == first.queries


def test_a_trial_that_was_interrupted_is_executed_again(
    tmp_path: Path, small_record: RunRecord
) -> None:
    first = replace(small_record.trials[0], outcome=Outcome.INTERRUPTED)
    with new_writer(tmp_path, small_record.plan) as writer:
        write_trial(writer, first)

    with resumed(writer.bundle) as writer:
        for trial in small_record.trials:
            write_trial(writer, trial)
        writer.finish()

    require_sound(writer.bundle)
    assert len(list(writer.bundle.glob("evidence/traces/abandoned/*.parquet"))) == 2


def test_leaving_by_an_error_notes_the_interruption_and_makes_no_manifest(
    tmp_path: Path, small_record: RunRecord
) -> None:
    with pytest.raises(KeyboardInterrupt):
        stopped_by_ctrl_c(new_writer(tmp_path, small_record.plan), small_record)

    bundle = next(tmp_path.iterdir())
    lines = (bundle / "evidence/journal.jsonl").read_text().splitlines()
    assert json.loads(lines[-1])["type"] == "interrupted"
    assert json.loads(lines[-1])["data"] == {
        "why": "KeyboardInterrupt",
        "trial": small_record.trials[0].trial.id,
    }
    assert not (bundle / "evidence/manifest.json").exists()


def stopped_by_ctrl_c(writer: RecordWriter, record: RunRecord) -> None:
    with writer:
        writer.begin(record.trials[0].trial, ConditionsReached())
        raise KeyboardInterrupt


def test_a_killed_run_keeps_what_its_last_trial_measured(
    tmp_path: Path, small_record: RunRecord
) -> None:
    bundle = cut_short(tmp_path, small_record)

    record = read_record(bundle)

    assert not record.is_complete
    assert [t.outcome for t in record.trials] == [Outcome.DONE, None]
    broken_off = record.trials[1].queries
    assert broken_off is not None
    assert len(broken_off) == 8
    assert list(broken_off.is_measured) == [0] * 8


def test_a_run_is_gone_on_with_and_the_record_verifies(
    tmp_path: Path, small_record: RunRecord
) -> None:
    bundle = cut_short(tmp_path, small_record)

    with resumed(bundle) as writer:
        finished = writer.finished_trials
        for sut in small_record.suts.values():
            writer.describe(sut)
        for trial in small_record.trials[1:]:
            write_trial(writer, trial)
        writer.finish()

    assert finished == {small_record.trials[0].trial.id}
    require_sound(bundle)
    assert without_times(read_record(bundle).trials) == without_times(
        small_record.trials
    )


def test_what_a_killed_trial_left_is_kept_and_named_in_the_journal(
    tmp_path: Path, small_record: RunRecord
) -> None:
    bundle = cut_short(tmp_path, small_record)
    spool = next((bundle / "evidence/traces").glob("*.part"))
    measured = spool.read_bytes()

    with resumed(bundle):
        pass

    lines = (bundle / "evidence/journal.jsonl").read_text().splitlines()
    told = next(d for d in map(json.loads, lines) if d["type"] == "resumed")["data"]
    kept = bundle / "evidence" / told["abandoned"][0]["file"]
    assert told["abandoned"][0]["trial"] == small_record.trials[1].trial.id
    assert kept.read_bytes() == measured


def test_the_torn_end_of_the_journal_is_kept_in_the_resumed_line(
    tmp_path: Path, small_record: RunRecord
) -> None:
    bundle = cut_short(tmp_path, small_record)
    with (bundle / "evidence/journal.jsonl").open("ab") as journal:
        journal.write(b'{"data":{"tr')

    with resumed(bundle):
        pass

    lines = (bundle / "evidence/journal.jsonl").read_text().splitlines()
    told = next(d for d in map(json.loads, lines) if d["type"] == "resumed")["data"]
    assert told["torn"] == "eyJkYXRhIjp7InRy"
    assert told["harness_version"] == "0.2.0"


@pytest.mark.parametrize("events", range(10))
def test_a_run_cut_twice_after_any_event_still_verifies_in_the_end(
    tmp_path: Path, small_record: RunRecord, events: int
) -> None:
    bundle = cut_short(tmp_path, small_record, events=events)
    second = small_record.trials[1]

    with resumed(bundle) as writer:
        writer.begin(second.trial, ConditionsReached())
        for event in list(events_of(second))[:events]:
            writer.add(event)
    with resumed(bundle) as writer:
        for trial in small_record.trials:
            if trial.trial.id not in writer.finished_trials:
                write_trial(writer, trial)
        writer.finish()

    require_sound(bundle)


def test_a_spool_that_outlived_its_trial_is_not_taken_for_another_attempt(
    tmp_path: Path, small_record: RunRecord
) -> None:
    with new_writer(tmp_path, small_record.plan) as writer:
        write_trial(writer, small_record.trials[0])
    spool = f"evidence/traces/{small_record.trials[0].trial.id}.part"
    (writer.bundle / spool).write_bytes(b"duanping/spool/1\n")

    with resumed(writer.bundle) as writer:
        finished = writer.finished_trials

    assert finished == {small_record.trials[0].trial.id}
    assert not (writer.bundle / spool).exists()


def test_half_written_files_of_a_killed_run_do_not_enter_the_record(
    tmp_path: Path, small_record: RunRecord
) -> None:
    bundle = cut_short(tmp_path, small_record)
    for name in ("manifest.json.tmp", "traces/x.parquet.tmp"):
        (bundle / "evidence" / name).write_bytes(b"half")

    with resumed(bundle):
        pass

    assert list(bundle.rglob("*.tmp")) == []


def test_a_run_killed_just_before_its_manifest_is_closed_by_going_on(
    bundle: Path,
) -> None:
    (bundle / "evidence/manifest.json").unlink()

    with resumed(bundle) as writer:
        writer.finish()

    require_sound(bundle)
    assert line_types(bundle)[-3:] == ["run-ended", "resumed", "run-ended"]


def test_a_whole_record_is_not_gone_on_with(bundle: Path) -> None:
    with pytest.raises(UsageError, match="nothing left to execute"):
        resumed(bundle)


def test_a_damaged_record_is_not_gone_on_with(
    tmp_path: Path, small_record: RunRecord
) -> None:
    bundle = cut_short(tmp_path, small_record)
    trace = next((bundle / "evidence/traces").glob("*.queries.parquet"))
    trace.write_bytes(trace.read_bytes()[:-1])

    with pytest.raises(DigestMismatch, match=trace.name):
        resumed(bundle)


def test_a_folder_that_is_no_bundle_is_not_gone_on_with(tmp_path: Path) -> None:
    with pytest.raises(RecordTruncated, match="no journal"):
        resumed(tmp_path)


def test_a_place_where_nothing_can_be_written_is_told_before_measuring(
    tmp_path: Path, small_record: RunRecord
) -> None:
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(StorageError) as refused:
        new_writer(tmp_path / "file", small_record.plan)

    assert refused.value.sentence() == (
        "The record cannot be written: File exists; nothing was measured yet "
        f"({tmp_path / 'file'}). "
        "Make room or gain the right to write there, or use --out."
    )


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 96 kB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=96k", "tmpfs", str(disk)],
        check=False,
        capture_output=True,
    )
    if mounted.returncode:
        pytest.skip("a small disk can be mounted by root only")
    try:
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_ends_the_run_and_costs_nothing_that_was_written(
    small_disk: Path, small_record: RunRecord
) -> None:
    first, second, _ = small_record.trials
    assert second.queries is not None
    times = array("q", range(1000))
    block = QueryBlock(
        trial=second.trial.id,
        phase=second.phases[1][0],
        samples_per_query=1,
        scheduled_ns=times,
        issued_ns=times,
        completed_ns=times,
    )

    writer = new_writer(small_disk, small_record.plan)
    with pytest.raises(StorageError) as full:
        fill(writer, first, block)

    assert "No space left on device; 1 of 3 trials are safe" in full.value.what
    assert full.value.remedy.endswith(f"duanping run --resume {writer.bundle}")
    record = read_record(writer.bundle)
    assert record.trials[0].queries == first.queries
    kept = record.trials[1].queries
    assert kept is not None
    assert len(kept) > 0
    assert len(kept) % 1000 == 0


def fill(writer: RecordWriter, first: TrialRecord, block: QueryBlock) -> None:
    """Write a whole trial, then the same block again and again."""
    with writer:
        write_trial(writer, first)
        second = writer.plan.trials[1]
        writer.begin(second, ConditionsReached())
        for _ in range(100):
            writer.add(block)


SIZE_LIMITED = """
import resource, sys
from pathlib import Path
from harness.errors import StorageError
from harness.testing.builders import a_plan, a_trial, a_trial_record
from harness.testing.bundles import new_writer, write_trial

first, second = a_trial(run=1), a_trial(run=2)
try:
    with new_writer(Path(sys.argv[1]), a_plan([first, second])) as writer:
        write_trial(writer, a_trial_record(first))
        size = (writer.bundle / "evidence/journal.jsonl").stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + 300, size + 300))
        write_trial(writer, a_trial_record(second))
except StorageError as error:
    print(error.what)
"""


def test_a_line_that_finds_no_room_leaves_no_half_of_itself(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SIZE_LIMITED, str(tmp_path)],
        check=True,
        capture_output=True,
        text=True,
    )

    bundle = next(tmp_path.iterdir())
    assert "File too large; 1 of 2 trials are safe" in done.stdout
    assert (bundle / "evidence/journal.jsonl").read_bytes().endswith(b"}\n")
    assert read_record(bundle).trials[0].outcome is Outcome.DONE


ENDLESS = """
import sys
from pathlib import Path
from harness.domain.query import QueryBlock
from harness.domain.sut import ConditionsReached
from harness.testing.builders import a_plan, a_trial, a_trial_record
from harness.testing.bundles import events_of, new_writer, write_trial

first, second = a_trial(run=1), a_trial(run=2)
with new_writer(Path(sys.argv[1]), a_plan([first, second])) as writer:
    write_trial(writer, a_trial_record(first))
    writer.begin(second, ConditionsReached())
    for event in events_of(a_trial_record(second)):
        writer.add(event)
        if isinstance(event, QueryBlock):
            break
    print("measuring", flush=True)
    sys.stdin.read()
"""


def test_a_run_ended_by_sigkill_is_read_verified_and_gone_on_with(
    tmp_path: Path,
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", ENDLESS, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == b"measuring\n"
        run.kill()
    bundle = next(tmp_path.iterdir())

    record = read_record(bundle)
    report = verify(bundle)

    assert [t.outcome for t in record.trials] == [Outcome.DONE, None]
    assert record.trials[1].queries is not None
    assert len(record.trials[1].queries) == 8
    assert (report.trials_done, report.is_complete) == (1, False)
    assert [p.code for p in report.problems] == ["record-truncated"]
    with resumed(bundle) as writer:
        write_rest(writer, record.plan.trials)
    require_sound(bundle)


def write_rest(writer: RecordWriter, trials: tuple[Trial, ...]) -> None:
    for trial in trials:
        if trial.id not in writer.finished_trials:
            writer.begin(trial, ConditionsReached())
            ended = TrialEnded(trial=trial.id, outcome=Outcome.DONE, queries=0)
            writer.add(ended)
    writer.finish()


def test_a_run_is_not_gone_on_with_while_it_is_still_written(
    tmp_path: Path, small_record: RunRecord
) -> None:
    with (
        new_writer(tmp_path, small_record.plan, lab=LabInfo()) as writer,
        pytest.raises(StorageError, match="Another process is writing"),
    ):
        resumed(writer.bundle)


def test_the_record_cannot_be_written_where_there_is_no_right_to(
    tmp_path: Path, small_record: RunRecord
) -> None:
    bundle = cut_short(tmp_path, small_record)
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    (bundle / "evidence/journal.jsonl").chmod(0o444)

    with pytest.raises(StorageError, match="Permission denied"):
        resumed(bundle)
