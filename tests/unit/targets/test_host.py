"""What a measured process gets from its surroundings is told: GPUs, libraries."""

from pathlib import Path

import pytest

from harness.targets import host
from harness.targets.apart import clean_environment


def test_a_gpu_is_named_as_its_driver_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "gpus" / "0000:00:06.0"
    folder.mkdir(parents=True)
    (folder / "information").write_text(
        "Model: \t\t NVIDIA H200\nIRQ:   \t\t 10\nGPU UUID: \t GPU-1\n"
    )
    monkeypatch.setattr(host, "_NVIDIA", tmp_path)

    assert host.describe_host()["gpu"] == "NVIDIA H200"


def test_nothing_is_said_of_a_gpu_where_no_driver_tells_of_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host, "_NVIDIA", tmp_path / "absent")

    assert "gpu" not in host.describe_host()


def test_where_libraries_are_looked_for_is_kept_and_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LD_LIBRARY_PATH", "/opt/accelerator/lib")

    assert clean_environment(1)["LD_LIBRARY_PATH"] == "/opt/accelerator/lib"
    assert host.describe_host()["library_path"] == "/opt/accelerator/lib"
