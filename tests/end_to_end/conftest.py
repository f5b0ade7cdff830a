"""One small suite and one finished run, shared by the end-to-end tests."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Command = Callable[..., "subprocess.CompletedProcess[str]"]

SUITE = """
format = "duanping/suite/1"
name = "small"

[[workload]]
id = "kws"
model = "dscnn-kws"
title_zh = "关键词识别"
title_en = "Keyword spotting"
[[workload.scenario]]
kind = "SingleStream"

[[workload]]
id = "ad"
model = "fcae-ad"
title_zh = "异常声检测"
title_en = "Anomaly detection"
[[workload.scenario]]
kind = "SingleStream"
[[workload.scenario]]
kind = "ColdStart"
"""


@pytest.fixture(scope="session")
def small_suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a suite of two small models."""
    path = tmp_path_factory.mktemp("suites") / "small.toml"
    path.write_text(SUITE, encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def finished(
    duanping: Command, small_suite: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Give the bundle of a run that went well."""
    out = tmp_path_factory.mktemp("reports")
    result = duanping(
        "run", "--device", "wearable", "--suite", small_suite, "--preset", "rapid",
        "--out", out, "--json",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return Path(json.loads(result.stdout)["bundle"])
