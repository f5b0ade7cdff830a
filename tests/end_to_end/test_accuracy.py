"""A trained reference model is answered, graded and shown by the whole command."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.catalogue.index import load_index

Command = Callable[..., "subprocess.CompletedProcess[str]"]

SUITE = """
format = "duanping/suite/1"
name = "trained"

[[workload]]
id = "har"
model = "{model}"
title_zh = "活动识别"
title_en = "Activity recognition"
[[workload.scenario]]
kind = "SingleStream"
"""


def a_trained_model() -> str:
    trained = [e.name for e in load_index().entries if e.accuracy and e.parent]
    if not trained:
        pytest.skip("no trained model is shipped")
    return next((name for name in trained if "har" in name), trained[0])


def test_an_emulated_run_answers_the_row_of_accuracy(
    duanping: Command, tmp_path: Path
) -> None:
    suite = tmp_path / "trained.toml"
    suite.write_text(SUITE.format(model=a_trained_model()), encoding="utf-8")

    done = duanping(
        *("run", "--device", "wearable", "--suite", suite, "--preset", "rapid"),
        *("--out", tmp_path / "reports", "--json"),
    )

    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    (row,) = [row for row in facts["rows"] if row["id"] == "acc_ret"]
    assert row["status"] != "not measured"
    assert row["origin"] == "emulated"
    assert 0.9 < row["value"] < 1.1
    assert 0 < row["expanded_uncertainty"] < 0.05
    bundle = Path(facts["bundle"])
    assert duanping("verify", bundle).returncode == 0
    page = (bundle / "derived" / "report.html").read_text(encoding="utf-8")
    assert "量化后准确率保持率" in page
