"""A small record with figures of both arms, and the bundle that holds it."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.domain.finding import Finding, Severity
from harness.domain.plan import Arm
from harness.domain.record import LabInfo, RunRecord
from harness.record.digest import digest_of
from harness.testing.builders import (
    a_plan,
    a_record,
    a_trial,
    a_trial_record,
    some_latencies,
)
from harness.testing.bundles import write_bundle

Retell = Callable[[Path, Callable[[list[Any]], None]], None]


@pytest.fixture
def retell() -> Retell:
    """Give a function that changes a journal's lines and chains them soundly anew.

    The manifest goes: such a record can be told from a killed one by its content only.
    """

    def retold(bundle: Path, change: Callable[[list[Any]], None]) -> None:
        journal = bundle / "evidence" / "journal.jsonl"
        lines = [json.loads(text) for text in journal.read_text().splitlines()]
        change(lines)
        head, texts = "0" * 64, []
        for number, line in enumerate(lines):
            texts.append(json.dumps({**line, "seq": number, "prev": head}).encode())
            head = digest_of(texts[-1])
        journal.write_bytes(b"".join(text + b"\n" for text in texts))
        (bundle / "evidence" / "manifest.json").unlink()

    return retold


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
