from pathlib import Path

import pytest

from harness.domain.record import LabInfo
from harness.errors import RecordTruncated, Unverifiable
from harness.record.digest import digest_of
from harness.record.layout import (
    LAB_FORMAT,
    is_trace_name,
    plan_bytes,
    plan_id,
    read_form,
    require_format,
    short_id_in,
)
from harness.testing.builders import a_plan, a_trial


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd",
        "traces/../plan.json",
        "/etc/passwd",
        "traces/abandoned/../../x",
        "traces/.hidden",
        "traces/a/b.parquet",
        "plan.json",
    ],
)
def test_a_trace_name_leads_nowhere_else(name: str) -> None:
    assert not is_trace_name(name)


def test_names_that_the_writer_gives_are_trace_names() -> None:
    assert is_trace_name("traces/kws.singlestream.device.r1.queries.parquet")
    assert is_trace_name("traces/abandoned/kws.singlestream.device.r1-2.part")


def test_the_plan_id_is_the_digest_of_the_bytes_of_the_plan() -> None:
    plan = a_plan([a_trial()])

    assert plan_id(plan) == digest_of(plan_bytes(plan))


def test_a_bundle_with_a_name_of_its_own_names_no_plan() -> None:
    assert short_id_in("20260102T030405Z_my_watch_0123abcd") == "0123abcd"
    assert short_id_in("20260102T030405Z_my_watch_0123abcd-2") == "0123abcd"
    assert short_id_in("sample") is None


def test_a_newer_format_is_refused_with_what_to_do() -> None:
    with pytest.raises(Unverifiable) as refused:
        require_format("duanping/lab/2", LAB_FORMAT, where="lab.json")

    assert refused.value.sentence() == (
        "This was written by a newer version of duanping: its format is "
        "duanping/lab/2, and this version reads duanping/lab/1 (lab.json). "
        "Upgrade duanping (pip install --upgrade duanping) and try again."
    )


@pytest.mark.parametrize("found", [None, 1, "", "duanping/plan/1", "duanping/lab/x"])
def test_another_format_is_refused(found: object) -> None:
    with pytest.raises(Unverifiable, match="names the format"):
        require_format(found, LAB_FORMAT, where="lab.json")


def test_keys_of_a_newer_minor_version_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "lab.json"
    path.write_text('{"format":"duanping/lab/1.3","fields":{"a":"b"},"new":[1]}')

    assert read_form(LabInfo, path, LAB_FORMAT) == LabInfo(fields={"a": "b"})


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", "[" * 100_000, '{"format":"duanping/lab/1","fields":[]}', "\xff"],
)
def test_a_file_that_says_something_else_is_unverifiable(
    tmp_path: Path, text: str
) -> None:
    path = tmp_path / "lab.json"
    path.write_bytes(text.encode("latin-1"))

    with pytest.raises(Unverifiable):
        read_form(LabInfo, path, LAB_FORMAT)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecordTruncated, match=r"lab\.json is missing"):
        read_form(LabInfo, tmp_path / "lab.json", LAB_FORMAT)
