"""A small record with figures of both arms, and the bundle that holds it."""

from dataclasses import replace
from pathlib import Path

import pytest

from harness.domain.finding import Finding, Severity
from harness.domain.plan import Arm
from harness.domain.record import LabInfo, RunRecord
from harness.testing.builders import (
    a_plan,
    a_record,
    a_trial,
    a_trial_record,
    some_latencies,
)
from harness.testing.bundles import write_bundle


@pytest.fixture
def small_record() -> RunRecord:
    """Two trials on the device and one on the host, 40 queries each."""
    trials = [a_trial(run=1), a_trial(run=2), a_trial(arm=Arm.HOST)]
    records = tuple(
        a_trial_record(trial, latencies_ns=some_latencies(40, seed=trial.run))
        for trial in trials
    )
    return replace(
        a_record(["kws"]),
        plan=a_plan(trials),
        trials=records,
        lab=LabInfo(fields={"lab.name": "某实验室"}),
        findings=(Finding(code="emulated", severity=Severity.NOTE),),
    )


@pytest.fixture
def bundle(tmp_path: Path, small_record: RunRecord) -> Path:
    """Give a whole bundle that holds `small_record`."""
    return write_bundle(tmp_path, small_record)
