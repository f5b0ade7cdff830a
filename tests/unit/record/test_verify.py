import json
import os
from array import array
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from harness.domain.query import Outcome
from harness.domain.record import Queries, RunRecord
from harness.domain.sut import ConditionsReached
from harness.errors import (
    DigestMismatch,
    EvidenceError,
    RecordTruncated,
    Unverifiable,
)
from harness.record.bundle import RecordWriter
from harness.record.digest import entry_of
from harness.record.layout import form_bytes
from harness.record.verify import Verification, require_intact, require_sound, verify
from harness.testing.bundles import StepClock, new_writer, write_bundle, write_trial

Retell = Callable[[Path, Callable[[list[Any]], None]], None]


def manifest_again(bundle: Path) -> None:
    """Write the manifest anew, as one would who changes files and hides it."""
    evidence = bundle / "evidence"
    files = {}
    for path in evidence.rglob("*"):
        if path.is_file() and path.name != "manifest.json":
            entry = entry_of(path.read_bytes())
            files[path.relative_to(evidence).as_posix()] = {
                "sha256": entry.sha256,
                "size_bytes": entry.size_bytes,
            }
    written = form_bytes("duanping/manifest/1", {"files": files})
    (evidence / "manifest.json").write_bytes(written)


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 0x01
    path.write_bytes(data)


def test_a_bundle_that_was_left_alone_is_sound(bundle: Path) -> None:
    require_sound(bundle)

    assert verify(bundle) == Verification(
        problems=(),
        is_complete=True,
        trials_done=3,
        trials_planned=3,
        last_trial="kws.singlestream.host.r1",
    )


def test_derived_files_are_no_business_of_the_evidence(bundle: Path) -> None:
    (bundle / "derived").mkdir()
    (bundle / "derived" / "report.html").write_text("<p>")

    require_sound(bundle)


def test_a_flipped_byte_in_a_trace_names_file_and_both_digests(bundle: Path) -> None:
    trace = next(bundle.glob("evidence/traces/*.queries.parquet"))
    before = entry_of(trace.read_bytes())

    flip(trace, 100)

    after = entry_of(trace.read_bytes())
    with pytest.raises(DigestMismatch) as found:
        require_sound(bundle)
    assert found.value.what == (
        f"traces/{trace.name} was changed: sha256 {before.sha256} and "
        f"{before.size_bytes} bytes were written, {after.sha256} and "
        f"{after.size_bytes} bytes are there"
    )
    assert found.value.where == str(trace)


def test_a_changed_journal_line_is_named_by_its_number(bundle: Path) -> None:
    journal = bundle / "evidence/journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    lines[4] = lines[4].replace(b"virtual", b"virtuel")
    journal.write_bytes(b"".join(lines))

    with pytest.raises(DigestMismatch, match="line 6 follows a line") as found:
        require_sound(bundle)

    assert found.value.where == f"{journal}, line 5"


def test_a_changed_last_line_is_found_by_the_manifest(bundle: Path) -> None:
    journal = bundle / "evidence/journal.jsonl"
    data = journal.read_bytes()
    at = data.rindex(b"2026-01-02T03:04:05")
    flip(journal, at)

    with pytest.raises(DigestMismatch, match=r"journal\.jsonl was changed"):
        require_sound(bundle)


@pytest.mark.parametrize(
    "name", ["plan.json", "journal.jsonl", "lab.json", "sut.json", "meters.json"]
)
def test_a_missing_file_is_named(bundle: Path, name: str) -> None:
    (bundle / "evidence" / name).unlink()

    with pytest.raises(RecordTruncated, match=f"{name} is missing"):
        require_sound(bundle)


def test_an_extra_file_is_named(bundle: Path) -> None:
    (bundle / "evidence/traces/extra.parquet").write_bytes(b"")

    with pytest.raises(DigestMismatch, match=r"traces/extra\.parquet is not in the"):
        require_sound(bundle)


def test_a_link_in_the_evidence_is_not_followed(bundle: Path) -> None:
    (bundle / "evidence/link").symlink_to("/etc/hostname")

    with pytest.raises(Unverifiable, match="link is no plain file"):
        require_sound(bundle)


def test_a_pipe_in_the_evidence_is_not_waited_for(bundle: Path) -> None:
    journal = bundle / "evidence/journal.jsonl"
    journal.unlink()
    os.mkfifo(journal)

    with pytest.raises(Unverifiable, match=r"journal\.jsonl is no plain file"):
        require_sound(bundle)


def test_a_manifest_of_a_newer_format_is_not_guessed_at(bundle: Path) -> None:
    manifest = bundle / "evidence/manifest.json"
    data = manifest.read_bytes()
    manifest.write_bytes(data.replace(b"manifest/1", b"manifest/2"))

    with pytest.raises(Unverifiable, match="written by a newer version of duanping"):
        require_sound(bundle)


def test_white_space_in_the_manifest_is_a_change(bundle: Path) -> None:
    manifest = bundle / "evidence/manifest.json"
    manifest.write_bytes(manifest.read_bytes() + b" ")

    with pytest.raises(DigestMismatch, match="The manifest was changed"):
        require_sound(bundle)


def test_a_record_that_was_cut_short_says_where_it_ends_and_how_to_go_on(
    tmp_path: Path, small_record: RunRecord
) -> None:
    with new_writer(tmp_path, small_record.plan) as writer:
        write_trial(writer, small_record.trials[0])
    ended = small_record.trials[0].trial

    found = verify(writer.bundle)

    assert [(p.code, p.what, p.remedy) for p in found.problems] == [
        (
            "record-truncated",
            f"The record ends after trial {ended.id}; 1 of 3 trials are whole",
            f"What was measured is kept. Go on: duanping run --resume {writer.bundle}",
        )
    ]
    assert (found.is_complete, found.trials_done) == (False, 1)
    require_intact(writer.bundle)


def test_a_record_that_ends_inside_a_trial_names_it(
    tmp_path: Path, small_record: RunRecord
) -> None:
    with new_writer(tmp_path, small_record.plan) as writer:
        writer.begin(small_record.trials[0].trial, ConditionsReached())

    with pytest.raises(
        RecordTruncated,
        match=r"ends inside trial kws\.singlestream\.device\.r1; 0 of 3",
    ):
        require_sound(writer.bundle)


def test_a_record_without_a_trial_says_so(
    tmp_path: Path, small_record: RunRecord
) -> None:
    with new_writer(tmp_path, small_record.plan) as writer:
        pass

    with pytest.raises(RecordTruncated, match="ends before its first trial; 0 of 3"):
        require_sound(writer.bundle)


def test_a_record_whose_manifest_was_lost_was_not_closed(bundle: Path) -> None:
    (bundle / "evidence/manifest.json").unlink()

    with pytest.raises(RecordTruncated, match="was not closed; 3 of 3"):
        require_sound(bundle)


def test_a_folder_that_is_no_bundle_is_a_problem_not_a_crash(tmp_path: Path) -> None:
    found = verify(tmp_path)

    assert [p.what for p in found.problems] == [
        "This is no bundle: there is no folder evidence/ in it"
    ]
    assert (found.trials_done, found.trials_planned) == (0, 0)


def test_another_plan_under_a_new_manifest_is_found_by_the_journal(
    bundle: Path,
) -> None:
    plan = bundle / "evidence/plan.json"
    plan.write_bytes(
        plan.read_bytes().replace(b'"guard_ratio": 1', b'"guard_ratio": 0')
    )
    manifest_again(bundle)

    with pytest.raises(DigestMismatch, match=r"plan\.json is not the one that the run"):
        require_sound(bundle)


def test_another_lab_under_a_new_manifest_is_found_by_the_journal(
    bundle: Path,
) -> None:
    lab = bundle / "evidence/lab.json"
    lab.write_bytes(lab.read_bytes().replace("某".encode(), "甲".encode()))
    manifest_again(bundle)

    with pytest.raises(DigestMismatch, match=r"lab\.json is not the one that the run"):
        require_sound(bundle)


def test_another_summary_under_a_new_manifest_is_found_by_the_journal(
    bundle: Path,
) -> None:
    sut = bundle / "evidence/sut.json"
    sut.write_bytes(sut.read_bytes().replace(b"wearable", b"phonable"))
    manifest_again(bundle)

    with pytest.raises(DigestMismatch, match=r"sut\.json is not the one that the run"):
        require_sound(bundle)


def test_another_trace_under_a_new_manifest_is_found_by_the_journal(
    bundle: Path,
) -> None:
    flip(next(bundle.glob("evidence/traces/*.queries.parquet")), 100)
    manifest_again(bundle)

    with pytest.raises(DigestMismatch, match=r"queries\.parquet was changed"):
        require_sound(bundle)


def test_a_folder_named_after_another_plan_is_found(bundle: Path) -> None:
    other = bundle.rename(bundle.parent / "20260102T030405Z_wearable_01234567")

    with pytest.raises(DigestMismatch, match="named after plan 01234567"):
        require_sound(other)


def test_another_model_than_planned_is_found(
    tmp_path: Path, small_record: RunRecord
) -> None:
    first = small_record.trials[0]
    assert first.loaded is not None
    swapped = replace(first, loaded=replace(first.loaded, sha256="f" * 64))
    record = replace(small_record, trials=(swapped, *small_record.trials[1:]))

    bundle = write_bundle(tmp_path, record)

    with pytest.raises(DigestMismatch, match="loaded another model than planned"):
        require_sound(bundle)


def test_trials_out_of_the_order_of_the_plan_are_found(
    tmp_path: Path, small_record: RunRecord
) -> None:
    record = replace(small_record, trials=tuple(reversed(small_record.trials)))

    bundle = write_bundle(tmp_path, record)

    with pytest.raises(EvidenceError, match="against the plan's order"):
        require_sound(bundle)


def completed_early(queries: Queries) -> Queries:
    return replace(queries, completed_ns=array("q", [-1, *queries.completed_ns[1:]]))


def issued_early(queries: Queries) -> Queries:
    scheduled = array("q", [t + 1 for t in queries.scheduled_ns])
    return replace(queries, scheduled_ns=scheduled)


def issued_out_of_order(queries: Queries) -> Queries:
    return replace(
        queries,
        scheduled_ns=array("q", reversed(queries.scheduled_ns)),
        issued_ns=array("q", reversed(queries.issued_ns)),
        completed_ns=array("q", reversed(queries.completed_ns)),
    )


@pytest.mark.parametrize(
    ("spoil", "what"),
    [
        (completed_early, "query 0 was completed before it was issued"),
        (issued_early, "query 0 was issued before it was scheduled"),
        (issued_out_of_order, "not in order of issue"),
    ],
)
def test_queries_that_cannot_be_are_found(
    tmp_path: Path,
    small_record: RunRecord,
    spoil: Callable[[Queries], Queries],
    what: str,
) -> None:
    first = small_record.trials[0]
    assert first.queries is not None
    spoilt = replace(first, queries=spoil(first.queries))
    record = replace(small_record, trials=(spoilt, *small_record.trials[1:]))

    bundle = write_bundle(tmp_path, record)

    with pytest.raises(EvidenceError, match=what):
        require_sound(bundle)


def test_readings_whose_time_goes_back_are_found(
    tmp_path: Path, small_record: RunRecord
) -> None:
    first = small_record.trials[0]
    block = first.readings[0]
    backwards = replace(block, times_ns=array("q", reversed(block.times_ns)))
    spoilt = replace(first, readings=(backwards,))
    record = replace(small_record, trials=(spoilt, *small_record.trials[1:]))

    bundle = write_bundle(tmp_path, record)

    with pytest.raises(EvidenceError, match="times of power from emulated go back"):
        require_sound(bundle)


def test_what_verify_finds_can_be_written_as_json(bundle: Path) -> None:
    flip(next(bundle.glob("evidence/traces/*.parquet")), 9)

    written = json.loads(json.dumps(asdict(verify(bundle))))

    assert written["problems"][0]["code"] == "digest-mismatch"


def of_type(lines: list[Any], kind: str) -> Any:  # noqa: ANN401 - a JSON line
    return next(line for line in lines if line["type"] == kind)


def an_unknown_trial(lines: list[Any]) -> None:
    for line in lines[3:]:
        if "trial" in line["data"] and line["data"]["trial"].endswith("host.r1"):
            line["data"]["trial"] = "kws.other.r1"


def an_event_after_the_end(lines: list[Any]) -> None:
    lines.append(of_type(lines, "event"))


def a_trial_inside_another(lines: list[Any]) -> None:
    del lines[lines.index(of_type(lines, "trial-ended"))]


def a_trial_twice(lines: list[Any]) -> None:
    at = lines.index(of_type(lines, "trial-ended"))
    lines[at + 1 : at + 1] = lines[3 : at + 1]


def a_second_beginning(lines: list[Any]) -> None:
    lines.append(lines[0])


def rows_that_are_not_there(lines: list[Any]) -> None:
    of_type(lines, "trace")["data"]["rows"] += 1


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (an_unknown_trial, "the plan has no such trial"),
        (an_event_after_the_end, "event outside its trial"),
        (a_trial_inside_another, "the trial before has not ended"),
        (a_trial_twice, "starts a second time"),
        (a_second_beginning, "begins with run-started once"),
        (rows_that_are_not_there, "rows are missing"),
    ],
)
def test_a_journal_that_contradicts_itself_is_found(
    bundle: Path,
    retell: Retell,
    change: Callable[[list[Any]], None],
    what: str,
) -> None:
    retell(bundle, change)

    with pytest.raises(EvidenceError, match=what) as found:
        require_sound(bundle)

    assert found.value.code == "evidence"


@pytest.mark.parametrize("value", [None, 7, "x", [], {"sut.json": 1}, {"a": {}}])
@pytest.mark.parametrize(
    ("kind", "key"),
    [
        ("run-started", "format"),
        ("run-started", "plan_id"),
        ("sut", "sut"),
        ("trial-started", "trial"),
        ("trial-started", "conditions"),
        ("event", "kind"),
        ("trace", "rows"),
        ("trace", "file"),
        ("trace", "use"),
        ("trial-ended", "outcome"),
        ("finding", "code"),
        ("run-ended", "files"),
    ],
)
def test_a_journal_may_say_anything_and_verify_still_answers(
    bundle: Path, retell: Retell, kind: str, key: str, value: object
) -> None:
    def changed(lines: list[Any]) -> None:
        of_type(lines, kind)["data"][key] = value

    retell(bundle, changed)

    assert verify(bundle).problems


def test_trials_made_up_for_later_are_in_order_in_each_sitting(
    tmp_path: Path, small_record: RunRecord
) -> None:
    first, second, third = small_record.trials
    with new_writer(tmp_path, small_record.plan) as writer:
        write_trial(writer, replace(first, outcome=Outcome.INTERRUPTED))
        write_trial(writer, second)
    with RecordWriter.resume(
        writer.bundle, utc=StepClock(), harness_version="0.1.0"
    ) as writer:
        write_trial(writer, first)
        write_trial(writer, third)
        writer.finish()

    require_sound(writer.bundle)
