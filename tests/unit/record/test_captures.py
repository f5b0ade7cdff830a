"""Raw captures in a bundle: kept compressed, named in the journal, given back whole."""
# ruff: noqa: PT012 - a run is killed in the middle of what it writes

from dataclasses import replace
from pathlib import Path

import pytest

from harness.domain.sut import ConditionsReached
from harness.errors import DigestMismatch, RecordTruncated, Unverifiable
from harness.record.agreement import account_of
from harness.record.bundle import RecordWriter
from harness.record.captures import capture_bytes, spool_path
from harness.record.digest import digest_of
from harness.record.story import CaptureLine
from harness.record.verify import verify
from harness.testing.builders import a_plan, a_trial, a_trial_record
from harness.testing.bundles import StepClock, new_writer, write_trial

RAW = b"duanping/capture/1\n{}\n" + bytes(range(256)) * 400


def a_bundle(parent: Path) -> tuple[Path, CaptureLine]:
    """Write a bundle of one trial with a capture; give its evidence and the line."""
    trial = a_trial()
    with new_writer(parent, a_plan([trial])) as writer:
        folder = writer.raw_folder()
        spool_path(folder, trial.id, "PPK2@serial:/dev/ttyACM0?voltage=3V").write_bytes(
            RAW
        )
        write_trial(writer, a_trial_record(trial))
        writer.finish()
    evidence = writer.bundle / "evidence"
    (attempt,) = account_of(evidence).story.attempts.values()
    (line,) = attempt.captures
    return evidence, line


def test_a_capture_is_compressed_and_given_back_byte_for_byte(tmp_path: Path) -> None:
    evidence, line = a_bundle(tmp_path)

    assert line.file.endswith(".ppk2-serial-dev-ttyacm0-voltage-3v.capture.zst")
    assert line.raw_bytes == len(RAW)
    assert line.size_bytes < len(RAW) // 10
    assert capture_bytes(evidence, line) == RAW
    assert not list((evidence / "raw").glob("*.part"))
    assert verify(evidence.parent).is_sound


def test_a_capture_of_another_trial_is_left_alone(tmp_path: Path) -> None:
    first, second = a_trial(), a_trial(run=2)
    with new_writer(tmp_path, a_plan([first, second])) as writer:
        spool = spool_path(writer.raw_folder(), second.id, "pzem@sim:idle-61W")
        spool.write_bytes(RAW)
        write_trial(writer, a_trial_record(first))

        assert spool.read_bytes() == RAW


def test_a_second_capture_of_a_trial_has_a_name_of_its_own(tmp_path: Path) -> None:
    first = spool_path(tmp_path, "kws.r1", "pzem@sim:")
    first.touch()

    assert spool_path(tmp_path, "kws.r1", "pzem@sim:") != first


def test_a_changed_capture_is_found(tmp_path: Path) -> None:
    evidence, line = a_bundle(tmp_path)
    path = evidence / line.file
    path.write_bytes(path.read_bytes()[:-1] + b"x")

    with pytest.raises(DigestMismatch, match="is not the file that was written"):
        capture_bytes(evidence, line)
    assert not verify(evidence.parent).is_sound


def test_a_missing_capture_is_found(tmp_path: Path) -> None:
    evidence, line = a_bundle(tmp_path)
    (evidence / line.file).unlink()

    with pytest.raises(RecordTruncated):
        capture_bytes(evidence, line)
    assert not verify(evidence.parent).is_sound


@pytest.mark.parametrize("name", ["../plan.json", "raw/../plan.json", "/etc/passwd"])
def test_a_name_that_leads_out_of_the_folder_is_refused(
    tmp_path: Path, name: str
) -> None:
    evidence, line = a_bundle(tmp_path)

    with pytest.raises(Unverifiable, match="outside the bundle"):
        capture_bytes(evidence, replace(line, file=name))


@pytest.mark.parametrize("raw_bytes", [len(RAW) - 1, len(RAW) + 1])
def test_a_capture_that_unpacks_to_another_length_is_refused(
    tmp_path: Path, raw_bytes: int
) -> None:
    evidence, line = a_bundle(tmp_path)

    with pytest.raises(Unverifiable, match="can be unpacked"):
        capture_bytes(evidence, replace(line, raw_bytes=raw_bytes))


def test_what_is_not_compressed_is_refused(tmp_path: Path) -> None:
    evidence, line = a_bundle(tmp_path)
    (evidence / line.file).write_bytes(b"no zstd")

    with pytest.raises(Unverifiable, match="can be unpacked"):
        capture_bytes(evidence, replace(line, sha256=digest_of(b"no zstd")))


def test_what_a_killed_run_had_read_is_put_aside_and_named(tmp_path: Path) -> None:
    trial = a_trial()
    with (
        pytest.raises(KeyboardInterrupt),
        new_writer(tmp_path, a_plan([trial])) as writer,
    ):
        spool = spool_path(writer.raw_folder(), trial.id, "pzem@sim:idle-61W")
        spool.write_bytes(RAW)
        writer.begin(trial, ConditionsReached())
        raise KeyboardInterrupt

    bundle = writer.bundle
    with RecordWriter.resume(bundle, utc=StepClock(), harness_version="0.1.0") as again:
        write_trial(again, a_trial_record(trial))
        again.finish()

    aside = bundle / "evidence/traces/abandoned" / spool.name
    assert aside.read_bytes() == RAW
    assert verify(bundle).is_sound
    story = account_of(bundle / "evidence").story
    assert spool.name in {Path(file.file).name for file in story.abandoned}
