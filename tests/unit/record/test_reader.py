from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.domain.query import Outcome
from harness.domain.record import RunRecord
from harness.errors import DigestMismatch, RecordTruncated, Unverifiable
from harness.record.reader import read_record
from harness.record.verify import require_sound
from harness.testing.bundles import write_bundle

Retell = Callable[[Path, Callable[[list[Any]], None]], None]


def journal_of(bundle: Path) -> Path:
    return bundle / "evidence" / "journal.jsonl"


def test_a_journal_cut_at_any_byte_still_reads(
    tmp_path: Path, small_record: RunRecord
) -> None:
    only = replace(small_record, trials=small_record.trials[:1])
    only = replace(only, plan=replace(only.plan, trials=(only.trials[0].trial,)))
    bundle = write_bundle(tmp_path, only)
    whole = journal_of(bundle).read_bytes()
    ends = [n + 1 for n, byte in enumerate(whole) if byte == ord("\n")]
    # inside a line every byte is like its neighbours; near its ends each is tried
    lengths = {n + d for n in ends for d in (-2, -1, 0, 1)} | set(range(0, ends[-1], 7))

    for length in sorted(n for n in lengths if 0 <= n < len(whole)):
        journal_of(bundle).write_bytes(whole[:length])

        record = read_record(bundle)

        assert not record.is_complete
        assert len(record.trials) <= 1


def test_keys_and_line_types_of_a_newer_version_are_passed_over(
    bundle: Path, small_record: RunRecord, retell: Retell
) -> None:
    trial = small_record.trials[0].trial.id

    def from_the_future(lines: list[Any]) -> None:
        for line in lines:
            line["data"]["a_new_key"] = {"x": 1}
            line["another"] = True
        event = {"kind": "Fancy", "trial": trial}
        lines.insert(4, {"type": "event", "utc": "", "data": event})
        lines.append({"type": "weather", "utc": "", "data": {"rain": True}})
        lines.append({"type": "finding", "utc": "", "data": {"code": "brand-new"}})

    retell(bundle, from_the_future)

    record = read_record(bundle)

    assert [t.queries for t in record.trials] == [
        t.queries for t in small_record.trials
    ]
    assert record.findings == small_record.findings
    assert [t.outcome for t in record.trials] == [Outcome.DONE] * 3


def test_trials_come_in_the_order_of_the_plan(
    bundle: Path, small_record: RunRecord
) -> None:
    ids = [trial.trial.id for trial in read_record(bundle).trials]

    assert ids == [trial.id for trial in small_record.plan.trials]


def test_a_journal_of_a_newer_format_is_not_read(bundle: Path, retell: Retell) -> None:
    def newer(lines: list[Any]) -> None:
        lines[0]["data"]["format"] = "duanping/journal/2"

    retell(bundle, newer)

    with pytest.raises(Unverifiable, match="written by a newer version of duanping"):
        read_record(bundle)


def test_a_changed_journal_is_not_read(bundle: Path) -> None:
    data = journal_of(bundle).read_bytes()
    journal_of(bundle).write_bytes(data.replace(b'"load_ns":4', b'"load_ns":3'))

    with pytest.raises(DigestMismatch, match="The journal was changed: line"):
        read_record(bundle)


def test_a_changed_trace_is_not_read(bundle: Path) -> None:
    trace = next(bundle.glob("evidence/traces/*.power.*"))
    data = bytearray(trace.read_bytes())
    data[50] ^= 0x10
    trace.write_bytes(data)

    with pytest.raises(DigestMismatch, match=trace.name):
        read_record(bundle)


def test_a_missing_trace_is_named(bundle: Path) -> None:
    trace = next(bundle.glob("evidence/traces/*.power.*"))
    trace.unlink()

    with pytest.raises(RecordTruncated, match=f"{trace.name} is missing"):
        read_record(bundle)


def test_a_journal_cannot_have_files_outside_the_bundle_read(
    bundle: Path, retell: Retell
) -> None:
    def leading_out(lines: list[Any]) -> None:
        trace = next(line for line in lines if line["type"] == "trace")
        trace["data"]["file"] = "traces/../../../../../../etc/passwd"

    retell(bundle, leading_out)

    with pytest.raises(Unverifiable, match="outside the bundle"):
        read_record(bundle)
    with pytest.raises(Unverifiable, match="outside the bundle"):
        require_sound(bundle)


def test_a_folder_that_is_no_bundle_is_told_apart(tmp_path: Path) -> None:
    with pytest.raises(RecordTruncated, match="This is no bundle"):
        read_record(tmp_path)


def test_the_first_bundle_format_is_read_for_ever() -> None:
    data = Path(__file__).parents[2] / "data" / "bundles"
    golden = next(data.glob("v1/*"))

    record = read_record(golden)

    require_sound(golden)
    assert record.is_complete
    assert record.plan_id[:8] == golden.name[-8:]
    assert [t.outcome for t in record.trials] == [Outcome.DONE, Outcome.CRASHED]
    first = record.trials[0]
    assert first.queries is not None
    assert (len(first.queries), sum(first.queries.is_measured)) == (40, 32)
    assert first.queries.completed_ns[-1] == 798_772_935
    assert [block.channel.name for block in first.readings] == ["power"]
    assert record.trials[1].reason == "signal 9"
