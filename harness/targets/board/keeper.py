"""The keeper: executes one trial on the board, detached from whoever asked for it.

Everything goes into the run's journal as it is said. The run ends at once when the
host says stop, and when nothing was heard of the host for the length of the lease,
so that no board computes for nobody.
"""

import fcntl
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import IO

from harness.clock import SystemClock
from harness.domain.plan import Trial
from harness.domain.query import Outcome, QueryBlock, TrialEnded, TrialEvent
from harness.loadgen.transcript import Speaker
from harness.meters.kernel import Kernel, keep_to
from harness.meters.kernelsampler import sampled_by_kernel
from harness.targets.agentlife import Place
from harness.targets.apart import available_cores, clean_environment, share_cores
from harness.targets.base import Deployment
from harness.targets.board.job import CLOCK, Job, RunFolder
from harness.targets.performing import Performer, longest_silence_s

LAST_BYTES = 512
_LOOK_EVERY_S = 0.25


class BoardClock(SystemClock):
    """The board's monotonic clock under a name of its own."""

    name = CLOCK


def detach(job: Job, folder: RunFolder) -> None:
    """Start a keeper in a process that no closing link ends.

    It inherits the files that are open here, and so keeps the locks on them.
    """
    make_folder(folder)
    alive = folder.alive.open("w")
    fcntl.flock(alive, fcntl.LOCK_EX)
    if os.fork() == 0:
        become_daemon(folder.path / "errors")
        status = 1
        try:
            keep(job, folder)
            status = 0
        finally:
            os._exit(status)
    alive.close()


def make_folder(folder: RunFolder) -> None:
    """Make a run's files, with room for its last words. Raises OSError."""
    folder.path.mkdir(parents=True)
    folder.last.write_bytes(b" " * LAST_BYTES)
    folder.boot.write_text(Kernel().boot_id())
    folder.lease.touch()
    folder.journal.touch()


def become_daemon(errors: Path) -> None:
    """Leave the session of whoever started us; errors go to a file."""
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDWR)
    said = os.open(errors, os.O_WRONLY | os.O_CREAT, 0o600)
    for number, descriptor in enumerate((nothing, nothing, said)):
        os.dup2(descriptor, number)
    # a shell may have started us with the signal ignored
    signal.signal(signal.SIGINT, signal.default_int_handler)


def keep(job: Job, folder: RunFolder) -> None:
    """Execute the job's trial; every ending becomes a last event and ``done``.

    Where the disk takes no more, the reason is left in the run's last words.
    """
    watch = _Watch(folder, job.lease_s)
    watch.start()
    try:
        with folder.journal.open("ab", buffering=0) as journal:
            _speak(job, watch, journal)
    except OSError as error:
        _leave_last_words(folder, f"The board cannot write its journal: {error}")


@contextmanager
def said_whole() -> Iterator[None]:
    """Hold an interrupt back until the line within is said; then it is raised.

    In between it would leave a line that is counted or digested and not in the
    journal, and the host would take the whole trial for lost. Main thread only.
    """
    held: list[int] = []
    usual = signal.signal(signal.SIGINT, lambda number, _: held.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)
    if held:
        raise KeyboardInterrupt


def _speak(job: Job, watch: "_Watch", journal: IO[bytes]) -> None:
    speaker = Speaker(journal.write)
    speaker.hello(
        {
            "pid": str(os.getpid()),
            "clock": CLOCK,
            "boot": Kernel().boot_id(),
            "python": sys.version.split()[0],
        }
    )
    queries = 0
    ended: TrialEnded | None = None
    try:
        for event in _events(job):
            if isinstance(event, TrialEnded):
                ended = event
                continue
            with said_whole():
                speaker.event(event)
                if isinstance(event, QueryBlock):
                    queries += len(event.completed_ns)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the trial is over: too late
    except KeyboardInterrupt:  # the watch's, while no agent was waited for
        ended = ended or TrialEnded(
            trial=job.trial.id, outcome=Outcome.INTERRUPTED, queries=queries
        )
    watch.is_over.set()
    if ended is None:
        raise OSError("the trial ended without its last event")
    if watch.reason and ended.outcome is Outcome.INTERRUPTED:
        ended = replace(ended, reason=watch.reason)
    speaker.event(ended)
    speaker.done()


def _events(job: Job) -> Iterator[TrialEvent]:
    performer = Performer(
        BoardClock(), partial(_place, silence_s=job.silence_s), lambda _: job.runtime
    )
    on = Deployment(
        model=job.model,
        path=Path(job.model_path),
        samples=Path(job.samples_path) if job.samples_path else None,
        labelled=job.labelled,
    )
    if job.inspected is not None:
        performer.knows(job.trial, on, job.inspected)
    return performer.execute(job.trial, on)


def _place(trial: Trial, *, silence_s: float) -> Place:
    threads = trial.settings.intra_op_threads
    model_cores, other_cores = share_cores(available_cores(), threads)
    keep_to(0, other_cores)
    clock = BoardClock()
    environment = clean_environment(threads)
    environment["PYTHONPATH"] = os.environ.get("PYTHONPATH", "")
    return Place(
        clock=clock,
        environment=environment,
        model_cores=model_cores,
        sampled=partial(
            sampled_by_kernel, clock=clock, cores=other_cores, kernel=Kernel()
        ),
        silence_s=silence_s + longest_silence_s(trial),
    )


def _leave_last_words(folder: RunFolder, words: str) -> None:
    data = words.encode()[:LAST_BYTES].ljust(LAST_BYTES)
    with folder.last.open("r+b") as file:  # in place: a full disk has no room for more
        file.write(data)


class _Watch(threading.Thread):
    """Interrupts the keeper once the host wants it to stop, or is gone for long."""

    def __init__(self, folder: RunFolder, lease_s: float) -> None:
        super().__init__(daemon=True, name="lease")
        self.is_over = threading.Event()
        self.reason = ""
        self._folder = folder
        self._lease_s = lease_s

    def run(self) -> None:
        """Look at the lease until the run is over."""
        clock = SystemClock()
        seen = self._folder.lease.stat().st_mtime_ns
        heard_ns = clock.now_ns()
        while not self.is_over.wait(_LOOK_EVERY_S):
            renewed = self._folder.lease.stat().st_mtime_ns
            if renewed != seen:
                seen, heard_ns = renewed, clock.now_ns()
            if self._folder.stop.exists():
                self.reason = self._folder.stop.read_text() or "Ctrl-C"
            elif clock.now_ns() - heard_ns > self._lease_s * 1e9:
                self.reason = (
                    f"Nothing was heard of the host for {self._lease_s:g} s, "
                    "so the board ended the run"
                )
            if self.reason:
                os.kill(os.getpid(), signal.SIGINT)
                return
