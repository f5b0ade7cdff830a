"""``duanping run --detached``, ``--collect``, ``--abort``: a run without its link."""

from contextlib import ExitStack
from dataclasses import replace
from math import sqrt
from pathlib import Path

from rich.console import Console

from harness import __version__
from harness.bench.answering import Answering
from harness.bench.conduct import Bench
from harness.bench.detached import (
    ABORTED,
    Desk,
    Found,
    Gathered,
    Left,
    collect,
    forget,
    found_ended,
    found_over,
    leave,
    note_fed,
    require_detachable,
    require_due,
    seconds_in_all,
)
from harness.bench.intake import Request, gather, gather_again
from harness.cli._progress import announced
from harness.clock import SystemClock
from harness.domain.finding import Finding, Severity
from harness.domain.plan import Plan, is_timed
from harness.domain.record import RunRecord
from harness.errors import LinkError, StillAtWork, TargetError, UsageError
from harness.planning import RECORDED
from harness.record.bundle import RecordWriter
from harness.record.reader import left_by, read_record
from harness.record.recovery import require_unfinished
from harness.schema.lab import Lab, load_lab
from harness.stats.relation import MOST_SKEW, Refused, from_clock_pairs
from harness.targets.local import HANG_AFTER_S, LocalTarget

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
    if request.checks_offline:
        raise UsageError(
            "A run without its link is tried on no failing network",
            where="--check-offline",
            remedy="Try it in a run that keeps its link; leave the option out here.",
        )
    if request.meter not in {None, LATER}:
        raise UsageError(
            "A run without its link is read by no meter of this machine",
            where=f"--meter {request.meter}",
            remedy="Record its power with the meter's own program, then: duanping "
            "power BUNDLE --trace FILE; or with duanping meters capture, then: "
            "--trace 'FILE?by=host-stamps'",
        )


def require_one_way(**ways: bool) -> None:
    """Raise UsageError where more than one of these was asked for."""
    asked = [f"--{way}" for way, is_asked in ways.items() if is_asked]
    if len(asked) > 1:
        raise UsageError(
            "A run is left, collected, aborted or gone on with, one at a time",
            where=", ".join(asked),
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
            is_cut = leave(bench, writer, wait_s, clock.utc_now)
    _tell(
        console,
        f"The board begins in {wait_s:.0f} s and needs about "
        f"{seconds_in_all(intake.plan, wait_s):.0f} s in all. "
        f"{'Its supply is cut' if is_cut else 'Let go of it now'}; afterwards:\n"
        f"duanping run --collect {writer.bundle}",
    )
    return writer.bundle


def collect_run(bundle: Path, request: Request, console: Console) -> None:
    """Collect a run from its board into its bundle; nothing is written before it is.

    Raises TargetError where the board is not done yet, or was not with every trial.
    """
    plan, left, desk = _asked(bundle, request, console)
    require_due(left, SystemClock().utc_now(), str(bundle))
    name = bundle.resolve().name
    with ExitStack() as stack:
        with announced(console, "Asking the board …"):
            try:
                found = stack.enter_context(found_over(plan, name, left, desk))
            except StillAtWork:
                if left.due_utc:
                    _note_fed(bundle, left)
                raise
        gathered = _into_record(bundle, found, desk, console)
        if gathered.missing:
            raise TargetError(
                f"{len(gathered.missing)} of {found.standing.total} trials were not "
                f"executed to their end: {gathered.missing[0]}",
                where=found.target.shell.where,
                remedy="The others are safe. Go on, with the link: "
                f"duanping run --resume {bundle}",
            )


def abort_run(bundle: Path, request: Request, console: Console) -> None:
    """End a run on its board, and take what it has measured into its bundle."""
    plan, left, desk = _asked(bundle, request, console)
    name = bundle.resolve().name
    with ExitStack() as stack:
        with announced(console, "Ending the run on the board …"):
            found = stack.enter_context(found_ended(plan, name, left, desk))
        if _into_record(bundle, found, desk, console).missing:
            _tell(
                console,
                "The run was aborted; what was measured is kept. To go on, with the "
                f"link: duanping run --resume {bundle}",
            )


def _note_fed(bundle: Path, left: Left) -> None:
    utc = SystemClock().utc_now
    with RecordWriter.resume(bundle, utc=utc, harness_version=__version__) as writer:
        note_fed(writer, left, utc())


def _asked(bundle: Path, request: Request, console: Console) -> tuple[Plan, Left, Desk]:
    """Give the plan, how it was left, and what is needed to collect it."""
    require_unfinished(bundle)
    record = read_record(bundle)
    require_detachable(record.plan)
    lab = load_lab(request.lab) if request.lab else Lab()
    desk = Desk(boards=lab.boards, ambient_degc=lab.ambient_degc)
    if record.plan.labelled:
        desk = _with_answers(desk, record, request, console)
    return record.plan, Left.of(left_by(bundle)), desk


def _with_answers(
    desk: Desk, record: RunRecord, request: Request, console: Console
) -> Desk:
    """Have answers ready that the board's are held against, where models are here."""
    try:
        with announced(console, "Preparing models …"):
            intake = gather_again(record, request, lambda _: None)
    except UsageError as error:
        _tell(console, f"No accuracy retention: {error.sentence()}")
        return replace(desk, unanswered=error.what)
    here = LocalTarget(intake.plan.profile, SystemClock(), HANG_AFTER_S)
    answering = Answering(
        plan=intake.plan,
        paths=intake.paths,
        samples=intake.samples,
        answer=here.answer,
    )
    return replace(desk, answering=answering)


def _into_record(bundle: Path, found: Found, desk: Desk, console: Console) -> Gathered:
    """Take what the board has into the record, then remove it there."""
    with (
        RecordWriter.resume(
            bundle, utc=SystemClock().utc_now, harness_version=__version__
        ) as writer,
        announced(console, "Collecting …"),
    ):
        gathered = collect(found, writer, desk)
        if not gathered.missing:
            writer.finish()
        elif ABORTED in gathered.missing or found.was_aborted:
            writer.find(Finding(code="run-aborted", severity=Severity.NOTE))
            writer.break_off(ABORTED)
        else:
            writer.break_off(gathered.missing[0])
    _tell(console, f"{gathered.collected} trials were collected.")
    if gathered.not_put_back:
        _tell(console, f"The board could not put back: {gathered.not_put_back}")
    if gathered.clock_pairs:
        _tell(console, _clocks(gathered.clock_pairs))
    try:
        forget(found)
    except LinkError as error:
        _tell(console, f"All is collected, but still on the board: {error.sentence()}")
    return gathered


def _clocks(pairs: str) -> str:
    """Say how well the board's clock is known by the host's."""
    relation = from_clock_pairs(pairs)
    if isinstance(relation, Refused):
        return (
            "The clocks of host and board do not go together "
            f"({relation.values['skew']:.2g}): one of them stood still, as in sleep, "
            "or was set. No reading is laid by this machine's stamps."
        )
    if ";" not in pairs:
        return (
            "The clocks of host and board were read together once only: drift "
            f"unknown, up to {MOST_SKEW:.0e}."
        )
    return (
        "Clocks of host and board, read together when it was left and now: drift "
        f"{relation.skew:.2e}, U = {2 * relation.u_skew:.1e}; in between a stamp of "
        f"this machine holds on the board's clock with U = "
        f"{2e-6 * relation.u_offset_ns:.2g} ms at best, "
        f"{2e-6 * relation.u_offset_ns * sqrt(2):.2g} ms at the ends (k = 2)."
    )


def _tell(console: Console, text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)
