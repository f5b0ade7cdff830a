"""A run whose meter is unplugged in the middle, from the command to the report."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Command = Callable[..., "subprocess.CompletedProcess[str]"]

SUITE = """
format = "duanping/suite/1"
name = "one"

[[workload]]
id = "kws"
model = "dscnn-kws"
title_zh = "关键词识别"
title_en = "Keyword spotting"
[[workload.scenario]]
kind = "SingleStream"
"""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def unplugged(
    duanping: Command, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, object]:
    """Give what the command printed."""
    folder = tmp_path_factory.mktemp("unplugged")
    suite = folder / "one.toml"
    suite.write_text(SUITE, encoding="utf-8")
    result = duanping(
        "run", "--device", "wearable", "--suite", suite, "--preset", "rapid",
        "--target", "local@", "--meter", "ppk2@sim:bursts-5mW-120mW?fault=unplug:6s",
        "--out", folder / "reports", "--json",
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    told: dict[str, object] = json.loads(result.stdout)
    return told


def test_the_run_goes_on_without_energy_and_says_why(
    unplugged: dict[str, object],
) -> None:
    findings = {one["code"]: one["values"] for one in unplugged["findings"]}  # type: ignore[attr-defined]
    report = Path(str(unplugged["report"])).read_text(encoding="utf-8")
    estimates = Path(str(unplugged["bundle"])) / "derived" / "estimates.csv"

    assert findings["meter-lost"]["window"] == "incomplete"
    assert "The device went away" in findings["meter-lost"]["reason"]
    assert "仪表在测量中途断开" in report
    assert "The meter went away while measuring" in report
    names = estimates.read_text(encoding="utf-8")
    assert "latency" in names
    assert "energy_per_inference" not in names


def test_the_raw_bytes_are_evidence_and_a_change_of_them_is_found(
    duanping: Command, unplugged: dict[str, object]
) -> None:
    bundle = Path(str(unplugged["bundle"]))
    manifest = json.loads((bundle / "evidence/manifest.json").read_text())
    (name,) = [name for name in manifest["files"] if name.startswith("raw/")]

    sound = duanping("verify", bundle)
    raw = bundle / "evidence" / name
    data = raw.read_bytes()
    raw.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    changed = duanping("verify", bundle)
    raw.write_bytes(data)

    assert sound.returncode == 0, sound.stderr
    assert changed.returncode == 4
    assert name in changed.stderr
