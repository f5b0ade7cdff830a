"""Shared by all tests: nothing phones home, and the command can be called."""

import fcntl
import os
import platform
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from harness.targets.runner.build import ARCHITECTURES, build_bundle, find_compiler
from harness.targets.runner.bundle import Bundle, find_bundle

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


@pytest.fixture(scope="session")
def built_runner(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Bundle]:
    """Give a cache with the C runner for this machine in it: built once a session."""
    architecture = ARCHITECTURES.get(platform.machine())
    if architecture is None or find_compiler(architecture) is None:
        pytest.skip("there is no C compiler for this machine")
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    cache = shared / "runner-cache"
    cache.mkdir(exist_ok=True)
    with (
        pytest.MonkeyPatch.context() as patch,
        (cache / "lock").open("w") as lock,
    ):
        patch.setenv("XDG_CACHE_HOME", str(cache))
        fcntl.flock(lock, fcntl.LOCK_EX)
        found = find_bundle(architecture.machine)
        return cache, found or build_bundle(architecture, None, lambda _: None)


@pytest.fixture(scope="class")
def runner(built_runner: tuple[Path, Bundle]) -> Iterator[Bundle]:
    """Give the C runner for this machine, and have the product find it."""
    cache, bundle = built_runner
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(cache))
        yield bundle
