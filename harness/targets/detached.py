"""Runs that a board executes with nobody there: left on it, looked at, collected."""

from dataclasses import dataclass
from typing import Any

from harness.clock import Deadline
from harness.domain.plan import Trial
from harness.domain.profile import Conditions
from harness.domain.query import AnswersGiven, Noted, TrialEnded, TrialEvent
from harness.domain.sut import ConditionsReached
from harness.errors import LinkError, TargetError, Unsupported
from harness.loadgen.transcript import Done, Hello, Listener
from harness.targets.base import Deployment
from harness.targets.board.job import Asked, Job, Series, encode_series
from harness.targets.fitted import answer
from harness.targets.follower import parsed
from harness.targets.remote import RemoteTarget

NOTE = "detached"
"""Key of the note of a trial that was executed with nobody there."""
_ASK_S = 60.0
_GIVE_S = 600.0
_NO_LEASE_S = 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How far a run on a board is."""

    is_there: bool
    is_over: bool = False
    ended: int = 0
    total: int = 0
    not_put_back: str = ""
    """Conditions that the board could not put back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """One trial as the board has written it down."""

    conditions: ConditionsReached | None
    events: tuple[TrialEvent, ...]
    """All of them with the last; none where the board was not done with the trial."""
    reason: str
    """Why there are none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What a board is to do by itself."""

    work: tuple[tuple[Trial, Deployment], ...]
    conditions: Conditions
    wait_s: float
    """Before the first trial."""
    rest_s: float
    """After each."""


def leave(target: RemoteTarget, name: str, order: Order) -> None:
    """Have the board begin by itself. Raises TargetError where it does not."""
    series = Series(
        jobs=tuple(_job(target, trial, on) for trial, on in order.work),
        asked=Asked(
            governor=order.conditions.governor,
            max_start_degc=order.conditions.device_max_start_degc,
            patience_s=target.patience.cool_s,
        ),
        wait_s=order.wait_s,
        rest_s=order.rest_s,
    )
    base = target.fitted.folder
    command = target.fitted.command("leave", base, _folder(target, name))
    until = Deadline.after(_ASK_S, target.clock)
    done = target.shell.run(command, until, stdin=encode_series(series))
    said = answer(done.stdout, target.shell, done.stderr)
    if said["line"] != "left":
        raise TargetError(
            str(said.get("reason", "The board did not take the run")),
            where=target.shell.where,
            remedy="Look at the board: duanping devices --probe",
        )


def require_able(target: RemoteTarget) -> None:
    """Raise Unsupported for a board whose agent keeps no series of trials."""
    if target.fitted.is_runner:
        raise Unsupported(
            "The C runner executes no run with nobody there",
            where=target.shell.where,
            remedy="Leave --detached out: one trial goes on while the link is away "
            "(detached = true in lab.toml lets it go on purpose). Or install Python "
            "3.11 and onnxruntime on the board.",
        )


def look(target: RemoteTarget, name: str) -> Standing:
    """Ask how far a run is."""
    command = target.fitted.command("look", _folder(target, name))
    done = target.shell.run(command, Deadline.after(_ASK_S, target.clock))
    said = answer(done.stdout, target.shell, done.stderr)
    del said["line"]
    return Standing(**said)


def collect(target: RemoteTarget, name: str, number: int) -> Collected:
    """Read one trial of a run that is over.

    Raises LinkError where lines are missing or wrong.
    """
    command = target.fitted.command("give", _folder(target, name), str(number))
    done = target.shell.run(command, Deadline.after(_GIVE_S, target.clock))
    listener = Listener()
    reached: ConditionsReached | None = None
    events: list[TrialEvent] = []
    is_done = False
    for line in done.stdout.splitlines(keepends=True):
        match parsed(line):
            case {"line": "conditions", "conditions": dict(found)}:
                reached = _reached(found)
            case {"line": "over", "reason": str(reason)}:
                whole = tuple(_noted(events)) if is_done else ()
                return Collected(conditions=reached, events=whole, reason=reason)
            case {"line": "hello" | "event" | "done"}:
                match listener.take(line):
                    case Done():
                        is_done = True
                    case Hello() | AnswersGiven():
                        pass  # a runner gives answers, and keeps no series
                    case event:
                        events.append(event)
            case _:
                pass  # a login script's greeting
    raise LinkError(
        "The board's journal did not come whole",
        where=target.shell.where,
        remedy="Nothing is lost: collect it again.",
    )


def forget(target: RemoteTarget, name: str) -> None:
    """Remove a run from the board."""
    command = target.fitted.command("forget", _folder(target, name))
    target.shell.run(command, Deadline.after(_ASK_S, target.clock))


def _job(target: RemoteTarget, trial: Trial, on: Deployment) -> Job:
    return Job(
        trial=trial,
        inspected=None,
        model=on.model,
        model_path=on.handle,
        samples_path=str(on.samples) if on.samples else None,
        labelled=on.labelled,
        runtime=target.opener(trial.settings.runtime),
        silence_s=target.patience.silence_s,
        lease_s=_NO_LEASE_S,
    )


def _folder(target: RemoteTarget, name: str) -> str:
    return f"{target.fitted.folder}/series/{name}"


def _reached(found: dict[str, Any]) -> ConditionsReached:
    values = dict(found)
    anchor_ns, first_ns = values.pop("anchor_ns"), values.pop("first_anchor_ns")
    return ConditionsReached(**values, anchor_ratio=anchor_ns / first_ns)


def _noted(events: list[TrialEvent]) -> list[TrialEvent]:
    """Add to a whole trial that nobody was there."""
    last = events[-1]
    if not isinstance(last, TrialEnded):
        return []
    note = Noted(trial=last.trial, key=NOTE, value="on the board's own schedule")
    return [*events[:-1], note, last]
