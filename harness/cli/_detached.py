"""``duanping run --detached`` and ``--collect``: a run without its link."""

from pathlib import Path

from rich.console import Console

from harness import __version__
from harness.bench.conduct import Bench
from harness.bench.detached import collect, leave, require_detachable
from harness.bench.intake import Request, gather
from harness.cli._progress import announced
from harness.clock import SystemClock
from harness.domain.plan import is_timed
from harness.errors import UsageError
from harness.planning import RECORDED, expected_seconds
from harness.record.bundle import RecordWriter
from harness.schema.lab import Lab, load_lab

LATER = f"{RECORDED}later"
"""Power may be recorded meanwhile and laid beside: idle and marks are kept for it."""


def require_no_host(request: Request) -> None:
    """Raise UsageError for what this machine would have to do meanwhile."""
    if request.target and not is_timed(request.target):
        raise UsageError(
            "An emulated processor lives on this machine, which has no link to let go",
            where=f"--target {request.target}",
            remedy="Leave --detached out.",
        )
    if request.checks_network:
        raise UsageError(
            "A run without its link is traced by nobody",
            where="--check-network",
            remedy="Check in a run that keeps its link; leave the option out here.",
        )
    if request.meter not in {None, LATER}:
        raise UsageError(
            "A run without its link is read by no meter of this machine",
            where=f"--meter {request.meter}",
            remedy="Record its power with the meter's own program or with duanping "
            "meters capture, then: duanping power BUNDLE --trace FILE",
        )


def require_one_way(
    resume: Path | None, collected: Path | None, *, is_detached: bool
) -> None:
    """Raise UsageError where more than one of these was asked for."""
    if sum((is_detached, collected is not None, resume is not None)) > 1:
        raise UsageError(
            "A run is left, collected or gone on with, one at a time",
            where="--detached, --collect, --resume",
            remedy="Keep one of them.",
        )


def leave_run(request: Request, out: Path, wait_s: float, console: Console) -> Path:
    """Leave a run on its board, and say when and how to collect it."""
    if wait_s < 0:
        raise UsageError("A board cannot begin in the past", where=f"--wait {wait_s:g}")
    with announced(console, "Preparing models …"):
        intake = gather(request, lambda _: None)
    require_detachable(intake.plan)
    clock = SystemClock()
    with RecordWriter.create(
        out,
        intake.plan,
        utc=clock.utc_now,
        harness_version=__version__,
        lab=intake.lab.info,
    ) as writer:
        bench = Bench(
            plan=intake.plan,
            paths=intake.paths,
            samples=intake.samples,
            clock=clock,
            report=lambda _: None,
            boards=intake.lab.boards,
        )
        with announced(console, "Sending agent and models …"):
            leave(bench, writer, wait_s)
    pauses_s = intake.plan.preset.cool_down_ns * 1e-9 * len(intake.plan.trials)
    seconds = wait_s + pauses_s + sum(map(expected_seconds, intake.plan.trials))
    console.print(
        f"The board begins in {wait_s:.0f} s and needs about {seconds:.0f} s in all. "
        "Let go of it now; afterwards:\n"
        f"duanping run --collect {writer.bundle}",
        markup=False,
        highlight=False,
        soft_wrap=True,
    )
    return writer.bundle


def collect_run(bundle: Path, lab: Path | None, console: Console) -> None:
    """Collect a run from its board into its bundle."""
    desk = load_lab(lab) if lab else Lab()
    clock = SystemClock()
    with (
        RecordWriter.resume(
            bundle, utc=clock.utc_now, harness_version=__version__
        ) as writer,
        announced(console, "Collecting …"),
    ):
        gathered = collect(writer, desk.boards, desk.ambient_degc)
        writer.finish()
    console.print(f"{gathered.collected} trials were collected.", highlight=False)
    if gathered.not_put_back:
        console.print(
            f"The board could not put back: {gathered.not_put_back}", markup=False
        )
