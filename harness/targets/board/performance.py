"""A series of trials on the board's own schedule, with no link to anybody."""

import fcntl
import json
import os
import sys
from dataclasses import replace
from pathlib import Path

from harness.clock import SystemClock
from harness.errors import ConditionNotReached
from harness.targets.board.android import PhoneKernel
from harness.targets.board.conditions import rest, standing
from harness.targets.board.job import Job, RunFolder, Series
from harness.targets.board.keeper import become_daemon, keep, make_folder
from harness.targets.board.series import ALIVE, CONDITIONS, STOP, TOTAL

_LOOK_EVERY_NS = 250_000_000


class StopAsked(Exception):
    """Raised out of a wait once the series is to end."""


class AttentiveClock(SystemClock):
    """A clock whose waits are left once somebody wants the series ended."""

    def __init__(self, stop: Path) -> None:
        super().__init__()
        self._stop = stop

    def wait_until(self, instant_ns: int) -> None:
        """Wait in pieces. Raises StopAsked."""
        while True:
            if self._stop.exists():
                raise StopAsked
            now_ns = self.now_ns()
            if now_ns >= instant_ns:
                return
            super().wait_until(min(instant_ns, now_ns + _LOOK_EVERY_NS))


def detach_series(series: Series, base: Path, path: Path) -> None:
    """Start a series in a process that no closing link ends.

    It inherits the lock that says that a run is going on. Raises OSError where the
    folder is there already, or cannot be made.
    """
    path.mkdir(parents=True)
    alive = (path / ALIVE).open("w")
    fcntl.flock(alive, fcntl.LOCK_EX)
    (path / TOTAL).write_text(str(len(series.jobs)))
    if os.fork() == 0:
        become_daemon(path / "errors")
        status = 1
        try:
            _perform(series, base, path)
            status = 0
        except StopAsked:
            status = 0
        finally:
            os._exit(status)
    alive.close()


def _perform(series: Series, base: Path, path: Path) -> None:
    """Wait, then execute trial after trial, each in its conditions."""
    clock, kernel = AttentiveClock(path / STOP), PhoneKernel()
    asked = series.asked
    rest(clock, series.wait_s)
    for number, job in enumerate(series.jobs):
        folder = RunFolder(path / str(number))
        make_folder(folder)
        with standing(base, kernel, clock) as stand:
            try:
                reached = stand.reach(asked)
            except ConditionNotReached as error:
                _write(folder, {"what": error.sentence()})
                continue
            anchor_ns = reached["anchor_ns"]
            if asked.anchor_ns is None and isinstance(anchor_ns, int):
                asked = replace(asked, anchor_ns=anchor_ns)
            _write(folder, reached | {"first_anchor_ns": asked.anchor_ns})
            _keep_apart(job, folder)
        rest(clock, series.rest_s)


def _keep_apart(job: Job, folder: RunFolder) -> None:
    """Keep one trial in a process of its own: it binds itself to cores."""
    child = os.fork()
    if child == 0:
        errors = os.open(folder.path / "errors", os.O_WRONLY | os.O_CREAT, 0o600)
        os.dup2(errors, sys.stderr.fileno())
        status = 1
        try:
            keep(job, folder)
            status = 0
        finally:
            os._exit(status)
    folder.pid.write_text(str(child))
    os.waitpid(child, 0)
    folder.pid.unlink()


def _write(folder: RunFolder, values: dict[str, object]) -> None:
    (folder.path / CONDITIONS).write_text(json.dumps(values))
