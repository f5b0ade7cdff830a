"""Any single byte of the evidence that is changed, lost or added is found."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.domain.plan import Arm
from harness.errors import EvidenceError
from harness.record.reader import read_record
from harness.record.verify import require_sound, verify
from harness.testing.builders import (
    a_plan,
    a_record,
    a_trial,
    a_trial_record,
    some_latencies,
)
from harness.testing.bundles import write_bundle

FUZZ = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    trials = [a_trial(), a_trial(arm=Arm.HOST)]
    record = replace(
        a_record(["kws"]),
        plan=a_plan(trials),
        trials=tuple(
            a_trial_record(trial, latencies_ns=some_latencies(20)) for trial in trials
        ),
    )
    return write_bundle(tmp_path_factory.mktemp("whole"), record)


@pytest.fixture(scope="module")
def scratch(whole: Path) -> Iterator[Path]:
    copy = whole.parent / "scratch" / whole.name
    shutil.copytree(whole, copy)
    yield copy
    shutil.rmtree(copy)


def evidence_files(bundle: Path) -> list[Path]:
    return sorted(path for path in (bundle / "evidence").rglob("*") if path.is_file())


@given(data=st.data())
@settings(FUZZ, max_examples=300)
def test_every_flipped_byte_is_found(data: st.DataObject, scratch: Path) -> None:
    path = data.draw(st.sampled_from(evidence_files(scratch)))
    whole = path.read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    mask = data.draw(st.integers(1, 255))
    changed = bytearray(whole)
    changed[at] ^= mask
    path.write_bytes(changed)

    try:
        with pytest.raises(EvidenceError):
            require_sound(scratch)
    finally:
        path.write_bytes(whole)


def test_every_flipped_bit_of_the_manifest_is_found(scratch: Path) -> None:
    path = scratch / "evidence" / "manifest.json"
    whole = path.read_bytes()

    for at in range(len(whole)):
        changed = bytearray(whole)
        changed[at] ^= 1 << at % 8
        path.write_bytes(changed)
        with pytest.raises(EvidenceError):
            require_sound(scratch)

    path.write_bytes(whole)
    require_sound(scratch)


@given(data=st.data())
@settings(FUZZ, max_examples=100)
def test_a_file_cut_or_lengthened_is_found_and_never_crashes_the_reader(
    data: st.DataObject, scratch: Path
) -> None:
    path = data.draw(st.sampled_from(evidence_files(scratch)))
    whole = path.read_bytes()
    length = data.draw(st.integers(0, len(whole) - 1))
    tail = data.draw(st.sampled_from([b"", b"\n", b"\x00" * 9, whole]))
    changed = whole[:length] + tail
    if changed == whole:
        return
    path.write_bytes(changed)

    try:
        found = verify(scratch)
        assert found.problems
        assert not found.is_sound
        try_to_read(scratch)
    finally:
        path.write_bytes(whole)


def try_to_read(bundle: Path) -> None:
    """Read a bundle that may be damaged: a record or an EvidenceError, nothing else."""
    try:
        record = read_record(bundle)
    except EvidenceError:
        return
    assert len(record.trials) <= 2
