"""What is added to a finished record: read back, dated, refused when it is wrong."""

import json
import shutil
from array import array
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness.domain.origin import Origin
from harness.domain.reading import Channel, ReadingBlock
from harness.domain.record import RunRecord
from harness.errors import DigestMismatch, EvidenceError, UsageError
from harness.record.additions import (
    ADDITION,
    POWER_TRACE,
    NewAddition,
    NewTrial,
    read_additions,
    write_addition,
)
from harness.record.reader import read_record
from harness.record.verify import require_sound, verify
from harness.schema.codec import dumps
from harness.testing.bundles import StepClock, write_bundle

Damage = Callable[[Path], object]


def a_block(clock: str = "otii#0123456789ab") -> ReadingBlock:
    return ReadingBlock(
        channel=Channel(name="power", unit="W", source="otii@trace:0", rate_hz=1e3),
        clock=clock,
        origin=Origin.MEASURED,
        times_ns=array("q", [10, 20, 30]),
        values=array("d", [0.1, 0.2, 0.3]),
    )


def an_addition(trial: str, original: bytes = b"the export") -> NewAddition:
    return NewAddition(
        kind=POWER_TRACE,
        source_name="rec.csv",
        original=original,
        facts={"form": "otii"},
        trials=(
            NewTrial(trial=trial, blocks=(a_block(),), notes={"meter.model": "Otii"}),
        ),
    )


def add(bundle: Path, new: NewAddition) -> Path:
    return write_addition(bundle, new, utc=StepClock(), harness_version="0.1.0")


@pytest.fixture
def bundle(tmp_path: Path, small_record: RunRecord) -> Path:
    return write_bundle(tmp_path, small_record)


def test_an_addition_is_read_with_the_trial_that_it_is_of(
    bundle: Path, small_record: RunRecord
) -> None:
    first = small_record.trials[0].trial.id
    before = read_record(bundle)
    manifest = (bundle / "evidence" / "manifest.json").read_bytes()

    add(bundle, an_addition(first))

    after = read_record(bundle)
    trial = after.trials[0]
    assert trial.readings[0] == a_block()
    assert trial.readings[1:] == before.trials[0].readings
    assert trial.notes["meter.model"] == "Otii"
    assert after.trials[1:] == before.trials[1:]
    assert (bundle / "evidence" / "manifest.json").read_bytes() == manifest
    require_sound(bundle)


def test_an_addition_says_when_it_was_made_and_what_it_belongs_to(
    bundle: Path, small_record: RunRecord
) -> None:
    folder = add(bundle, an_addition(small_record.trials[0].trial.id))

    said = json.loads((folder / ADDITION).read_text())
    assert said["format"] == "duanping/addition/1"
    assert said["added_at"].startswith("2026-01-02T03:04:05")
    assert set(said["files"]) == {
        "original/recording",
        f"traces/{small_record.trials[0].trial.id}.power.recorded.parquet",
    }
    assert (folder / "original" / "recording").read_bytes() == b"the export"


def test_what_a_failed_meter_said_does_not_stay_with_the_recording(
    tmp_path: Path, small_record: RunRecord
) -> None:
    first, *rest = small_record.trials
    noted = {"meter.failure": "unplugged", "agent.version": "1"}
    spoiled = replace(small_record, trials=(replace(first, notes=noted), *rest))
    bundle = write_bundle(tmp_path, spoiled)

    add(bundle, an_addition(first.trial.id))

    notes = read_record(bundle).trials[0].notes
    assert notes == {"agent.version": "1", "meter.model": "Otii"}


def test_the_newest_addition_counts_and_the_older_stays(
    bundle: Path, small_record: RunRecord
) -> None:
    first, second = (trial.trial.id for trial in small_record.trials[:2])
    add(bundle, an_addition(first))
    add(bundle, an_addition(second, b"another export"))

    record = read_record(bundle)
    assert "meter.model" not in record.trials[0].notes
    assert record.trials[1].notes["meter.model"] == "Otii"
    assert len(read_additions(bundle)) == 2
    require_sound(bundle)


def test_the_same_file_is_added_once(bundle: Path, small_record: RunRecord) -> None:
    new = an_addition(small_record.trials[0].trial.id)
    add(bundle, new)

    with pytest.raises(UsageError, match="added already"):
        add(bundle, new)
    add(bundle, replace(new, facts={"form": "otii", "voltage_v": "3"}))


def test_a_record_that_is_not_finished_is_not_added_to(bundle: Path) -> None:
    (bundle / "evidence" / "manifest.json").unlink()

    with pytest.raises(UsageError, match="duanping run --resume"):
        add(bundle, an_addition("kws"))


def _append(name: str) -> Damage:
    def damage(folder: Path) -> None:
        path = next(folder.rglob(name))
        path.write_bytes(path.read_bytes() + b" ")

    return damage


DAMAGES: dict[str, tuple[Damage, str]] = {
    "its original": (_append("recording"), "recording was changed"),
    "its trace": (_append("*.parquet"), "was changed"),
    "its own page": (_append(ADDITION), "not in the form"),
    "a stranger": (lambda f: (f / "x.txt").write_text("x"), "not named"),
    "a gap": (lambda f: (f / "original" / "recording").unlink(), "is missing"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_to_an_addition_is_found_by_name(
    name: str, bundle: Path, small_record: RunRecord
) -> None:
    folder = add(bundle, an_addition(small_record.trials[0].trial.id))
    damage, sentence = DAMAGES[name]

    damage(folder)

    problems = verify(bundle).problems
    assert sentence in problems[0].what
    assert not verify(bundle).is_sound


def test_a_changed_trace_is_not_read(bundle: Path, small_record: RunRecord) -> None:
    _append("*.parquet")(add(bundle, an_addition(small_record.trials[0].trial.id)))

    with pytest.raises(DigestMismatch, match="not the file that was written"):
        read_record(bundle)


def test_an_addition_to_another_record_is_refused(
    bundle: Path, small_record: RunRecord
) -> None:
    folder = add(bundle, an_addition(small_record.trials[0].trial.id))
    page = folder / ADDITION
    said = json.loads(page.read_text())

    page.write_bytes(dumps({**said, "manifest_sha256": "0" * 64}))

    with pytest.raises(DigestMismatch, match="added to another record"):
        read_record(bundle)


def test_an_addition_whose_predecessor_went_is_refused(
    bundle: Path, small_record: RunRecord
) -> None:
    trial = small_record.trials[0].trial.id
    first = add(bundle, an_addition(trial))
    add(bundle, an_addition(trial, b"another"))

    shutil.rmtree(first)

    with pytest.raises(EvidenceError, match="before this one"):
        read_additions(bundle)


def test_an_addition_that_was_cut_off_in_writing_is_nothing(
    bundle: Path, small_record: RunRecord
) -> None:
    folder = add(bundle, an_addition(small_record.trials[0].trial.id))
    (folder / ADDITION).unlink()

    assert read_additions(bundle) == ()
    assert verify(bundle).is_sound
