import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import StorageError
from harness.record.digest import digest_of
from harness.record.journal import (
    NO_LINE_BEFORE,
    JournalWriter,
    LineType,
    parse,
    utc_text,
)
from harness.testing.bundles import StepClock


def a_journal(path: Path, lines: int = 4) -> bytes:
    with JournalWriter(path, StepClock()) as journal:
        for number in range(lines):
            journal.append(LineType.EVENT, {"number": number, "text": "温度 µ"})
    return path.read_bytes()


def test_each_line_holds_the_digest_of_the_line_before(tmp_path: Path) -> None:
    texts = a_journal(tmp_path / "j").splitlines()

    before = [json.loads(text)["prev"] for text in texts]

    assert before == [NO_LINE_BEFORE, *(digest_of(text) for text in texts[:-1])]


def test_lines_are_canonical_and_numbered_from_zero(tmp_path: Path) -> None:
    journal = parse(a_journal(tmp_path / "j"))

    assert [line.seq for line in journal.lines] == [0, 1, 2, 3]
    assert journal.lines[3].data == {"number": 3, "text": "温度 µ"}
    assert journal.lines[0].utc == "2026-01-02T03:04:05.001Z"
    assert journal.fault is None


def test_a_torn_last_line_is_recognised_at_every_length(tmp_path: Path) -> None:
    data = a_journal(tmp_path / "j", lines=3)

    for length in range(len(data)):
        journal = parse(data[:length])

        assert journal.fault is None
        assert len(journal.lines) == data[:length].count(b"\n")
        assert journal.torn == data[:length].rpartition(b"\n")[2]


def test_a_changed_line_is_named_by_its_number(tmp_path: Path) -> None:
    data = a_journal(tmp_path / "j")
    changed = data.replace(b'"number":1', b'"number":7')

    fault = parse(changed).fault

    assert fault is not None
    assert fault.line == 2
    assert "line 3 follows a line with sha256" in fault.what


def test_a_line_that_was_taken_out_is_noticed(tmp_path: Path) -> None:
    texts = a_journal(tmp_path / "j").splitlines(keepends=True)

    fault = parse(b"".join([texts[0], *texts[2:]])).fault

    assert fault is not None
    assert fault.line == 1


@given(st.binary(max_size=300))
@settings(deadline=None)
def test_parsing_answers_for_any_bytes(data: bytes) -> None:
    journal = parse(data)

    assert journal.whole_bytes + len(journal.torn) == len(data)
    assert journal.fault is not None or b"\n" not in data


def test_numbers_too_long_and_nesting_too_deep_are_faults_not_crashes() -> None:
    for text in (b"[" * 100_000, b"1" * 10_000, b'{"seq":0}', b"[]"):
        fault = parse(text + b"\n").fault

        assert fault is not None
        assert fault.what == "line 1 is not a line of a journal"


def test_a_journal_goes_on_after_a_torn_line(tmp_path: Path) -> None:
    path = tmp_path / "j"
    data = a_journal(path)
    path.write_bytes(data + b'{"seq":4,"pr')

    with JournalWriter(path, StepClock()) as journal:
        torn = journal.torn
        journal.append(LineType.RESUMED, {})

    read = parse(path.read_bytes())
    assert torn == b'{"seq":4,"pr'
    assert read.fault is None
    assert [line.type for line in read.lines] == ["event"] * 4 + ["resumed"]


def test_two_writers_never_write_one_journal(tmp_path: Path) -> None:
    with (
        JournalWriter(tmp_path / "j", StepClock()),
        pytest.raises(StorageError, match="Another process is writing this record"),
    ):
        JournalWriter(tmp_path / "j", StepClock())


def test_a_value_that_json_lacks_is_refused_and_leaves_no_trace(tmp_path: Path) -> None:
    path = tmp_path / "j"

    with JournalWriter(path, StepClock()) as journal:
        with pytest.raises(ValueError, match="JSON"):
            journal.append(LineType.EVENT, {"value": float("nan")})
        journal.append(LineType.EVENT, {"value": 1})

    assert parse(path.read_bytes()).fault is None


def test_times_are_written_in_utc() -> None:
    in_beijing = datetime(2026, 1, 2, 11, 4, 5, tzinfo=timezone(timedelta(hours=8)))

    assert utc_text(in_beijing) == "2026-01-02T03:04:05.000Z"
    assert utc_text(in_beijing.astimezone(UTC)) == utc_text(in_beijing)
