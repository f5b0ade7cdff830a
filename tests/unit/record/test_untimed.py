"""A record of a target without time: what goes in, and what is found out later."""

from dataclasses import replace
from pathlib import Path

import pytest

from harness.domain.origin import Origin
from harness.domain.query import ModelLoaded, Phase, PhaseEntered, ReadingsTaken
from harness.domain.sut import ConditionsReached
from harness.record.reader import read_record
from harness.record.verify import verify
from harness.testing.builders import SHA, a_trial_record
from harness.testing.bundles import blocks_of, new_writer, write_bundle
from harness.testing.counted import a_counted_record


def test_counts_come_back_from_a_bundle_as_they_went_in(tmp_path: Path) -> None:
    record = a_counted_record()

    bundle = write_bundle(tmp_path, record)
    again = read_record(bundle)

    assert [t.counted for t in again.trials] == [t.counted for t in record.trials]
    assert [t.compared for t in again.trials] == [t.compared for t in record.trials]
    assert again.trials[0].queries is None
    assert verify(bundle).is_sound


def test_nothing_that_says_a_time_can_be_written(tmp_path: Path) -> None:
    record = a_counted_record(("kws",))
    trial = record.plan.trials[0]
    timed = a_trial_record(trial)
    assert timed.queries is not None
    power = ReadingsTaken(trial=trial.id, block=timed.readings[0])
    forbidden = (
        next(blocks_of(trial.id, timed.queries)),
        PhaseEntered(trial=trial.id, phase=Phase.MEASURED, at_ns=1),
        ModelLoaded(trial=trial.id, sha256=SHA, load_ns=1),
        power,
    )

    with new_writer(tmp_path, record.plan) as writer:
        writer.begin(trial, ConditionsReached())

        for event in forbidden:
            with pytest.raises(ValueError, match="says a time"):
                writer.add(event)


def test_an_emulated_processor_that_is_called_measured_is_found(tmp_path: Path) -> None:
    record = a_counted_record(("kws",))
    suts = {
        address: replace(sut, origin=Origin.MEASURED)
        for address, sut in record.suts.items()
    }

    found = verify(write_bundle(tmp_path, replace(record, suts=suts)))

    assert not found.is_sound
    assert "is called measured" in found.problems[0].what


def test_a_time_that_was_written_all_the_same_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = a_counted_record(("kws",))
    timed = a_trial_record(record.plan.trials[0])
    forged = replace(record.trials[0], queries=timed.queries)
    monkeypatch.setattr("harness.record.bundle.says_a_time", lambda _: False)

    found = verify(write_bundle(tmp_path, replace(record, trials=(forged,))))

    assert not found.is_sound
    assert "its target has no time" in found.problems[0].what
