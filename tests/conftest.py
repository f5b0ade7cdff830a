"""Shared by all tests: nothing phones home, and the command can be called."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

# a slow machine is no counter-example: speed lives in tests/perf
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

os.environ["ORT_DISABLE_TELEMETRY"] = "1"
os.environ["ORT_TELEMETRY_DISABLED"] = "1"

Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def duanping(tmp_path_factory: pytest.TempPathFactory) -> Command:
    """Call the real command in a process of its own, outside the checkout."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")

    def call(
        *arguments: str | Path, cwd: Path = elsewhere
    ) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "harness", *map(str, arguments)],
            cwd=cwd,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    return call
