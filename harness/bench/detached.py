"""A plan that a board executes by itself: left on it, collected or aborted afterwards.

Until it is collected the bundle is one that was cut short: it holds the plan, and its
name is that of the run on the board. Both clocks are read together when the run is
left and when it is collected.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from harness.bench.answering import Answering, labelled_as_planned
from harness.bench.conduct import Bench
from harness.bench.supply import cut_supply, opened_and_fed
from harness.domain.board import Board
from harness.domain.finding import Finding, Severity
from harness.domain.labelled import Source
from harness.domain.plan import Arm, Plan, Trial
from harness.domain.query import (
    CLOCK_PAIRS,
    HOST_BOOT,
    Noted,
    Outcome,
    TrialEnded,
    TrialEvent,
)
from harness.errors import LinkError, StillAtWork, TargetError, Unsupported, UsageError
from harness.meters.kernel import Kernel
from harness.planning import expected_seconds
from harness.plugins import Address
from harness.record.bundle import RecordWriter, Utc
from harness.targets import detached
from harness.targets.base import Deployment
from harness.targets.remote import RemoteTarget
from harness.units import NS_PER_S

_BOARDS = ("android", "linux")
ABORTED = "Aborted by the operator"


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What a run is collected with."""

    boards: Mapping[str, Board]
    ambient_degc: float | None = None
    answering: Answering | None = None
    """Answers what the board's answers are held against."""
    unanswered: str = ""
    """Why nothing does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """What came of collecting."""

    collected: int
    """Trials that the board has executed to their end."""
    missing: tuple[str, ...]
    """Why the others were not, one by one."""
    not_put_back: str
    """Conditions that the board could not put back; empty: all were."""
    clock_pairs: str = ""
    """Pairs of readings of both clocks of the last trial, as in its notes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """What the record says of how a run was left; all empty where it says nothing."""

    clock_pair: str = ""
    host_boot: str = ""
    board_boot: str = ""
    due_utc: str = ""
    """When the board should be done; empty where its supply was not cut."""

    @classmethod
    def of(cls, facts: Mapping[str, object]) -> "Left":
        """Take what is known of a line `left`; another version may say more."""
        return cls(**{k: str(v) for k, v in facts.items() if k in cls.__slots__})

    @property
    def facts(self) -> dict[str, str]:
        """What is known, for a line `left`."""
        said = {name: getattr(self, name) for name in self.__slots__}
        return {key: text for key, text in said.items() if text}


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A board that was asked for the run that was left there."""

    target: RemoteTarget
    name: str
    standing: detached.Standing
    left: Left
    clock_pair: str = ""
    """Both clocks, read now."""
    was_aborted: bool = False
    """Whether it was ended before its time."""
    host_boot: str = field(default_factory=lambda: Kernel().boot_id())


def require_detachable(plan: Plan) -> None:
    """Raise Unsupported where the plan's device cannot go on without its link."""
    address = Address.parse(plan.trials[0].target)
    if address.driver not in _BOARDS:
        raise Unsupported(
            "Only a board or a phone can go on without its link",
            where=str(address),
            remedy="Leave --detached out, or name one: --target linux@ssh:user@host "
            "or android@adb:SERIAL.",
        )


def seconds_in_all(plan: Plan, wait_s: float) -> float:
    """Say how long a board that was left will need, from now on."""
    pauses_s = plan.preset.cool_down_ns / NS_PER_S * len(plan.trials)
    return wait_s + pauses_s + sum(map(expected_seconds, plan.trials))


def leave(bench: Bench, writer: RecordWriter, wait_s: float, utc: Utc) -> bool:
    """Send all that the plan needs and have the board begin in `wait_s`.

    Its supply is cut once it waits, where the lab file says how; gives whether it was.

    Raises what opening and sending raise; TargetError where the board does not begin,
    or its supply is not cut: then the run goes on there all the same.
    """
    plan = bench.plan
    address = Address.parse(plan.trials[0].target)
    with opened_and_fed(address, plan.profile, bench.boards) as opened:
        target = _board(opened)
        detached.require_able(target)
        writer.describe(target.identify())
        with ExitStack() as on:
            order = _order(target, bench, wait_s, on)
            detached.leave(target, writer.bundle.name, order)
        left = Left(
            clock_pair=_clock_pair(target),
            host_boot=Kernel().boot_id(),
            board_boot=detached.look(target, writer.bundle.name).boot,
        )
    due = utc() + timedelta(seconds=seconds_in_all(plan, wait_s))
    try:
        if cut_supply(address, bench.boards):
            left = replace(left, due_utc=due.isoformat(timespec="seconds"))
    except TargetError as error:
        raise TargetError(
            f"The run is on the board, and its supply was not cut: {error.what}",
            where=error.where,
            remedy="It goes on, fed. Cut it by hand, or end it: "
            f"duanping run --abort {writer.bundle}",
        ) from error
    finally:
        writer.leave(left.facts)
    return bool(left.due_utc)


def _order(
    target: RemoteTarget, bench: Bench, wait_s: float, on: ExitStack
) -> detached.Order:
    """Send the models and give what is to be done with them."""
    plan = bench.plan
    deployed: dict[str, Deployment] = {}
    for name in dict.fromkeys(trial.model for trial in _trials(plan)):
        sent = target.deploy(
            plan.model(name), bench.paths[name], bench.samples.get(name)
        )
        deployed[name] = on.enter_context(sent)
    return detached.Order(
        work=tuple(
            (trial, labelled_as_planned(deployed[trial.model], plan, trial))
            for trial in _trials(plan)
        ),
        conditions=plan.profile.conditions,
        wait_s=wait_s,
        rest_s=plan.preset.cool_down_ns / NS_PER_S,
    )


def require_due(left: Left, now: datetime, where: str) -> None:
    """Raise UsageError where looking now would feed a board while it measures."""
    if left.due_utc and now < datetime.fromisoformat(left.due_utc):
        raise UsageError(
            f"The board's supply is cut until it should be done, at {left.due_utc}; "
            "to look now would feed it in the middle of what is measured",
            where=where,
            remedy=f"Collect it then; or end it now: duanping run --abort {where}",
        )


@contextmanager
def found_over(plan: Plan, name: str, left: Left, desk: Desk) -> Iterator[Found]:
    """Open the board of a run that was left, and see that it is over.

    Raises TargetError where the board holds no such run, StillAtWork where it executes
    it: then its supply is cut again, if it was.
    """
    with _opened(plan, desk) as target:
        standing, where = detached.look(target, name), target.shell.where
        if standing.is_over or not standing.is_there:
            if standing.not_put_back:
                standing = detached.end(target, name)  # it is over: puts back once more
            _require_over(standing, where)
            yield _found(target, name, standing, left)
            return
    if left.due_utc:
        cut_supply(Address.parse(plan.trials[0].target), desk.boards)
    _require_over(standing, where)


@contextmanager
def found_ended(plan: Plan, name: str, left: Left, desk: Desk) -> Iterator[Found]:
    """Open the board of a run that was left, and end the run there.

    Raises TargetError where the board holds no such run or does not let go of it.
    """
    with _opened(plan, desk) as target:
        before = detached.look(target, name)
        standing = detached.end(target, name)
        _require_over(standing, target.shell.where)
        found = _found(target, name, standing, left)
        yield replace(found, was_aborted=not before.is_over)


def collect(found: Found, writer: RecordWriter, desk: Desk) -> Gathered:
    """Take what the board has written into the record; it stays on the board.

    Raises LinkError where a trial's journal does not come whole.
    """
    missing: list[str] = []
    collected = 0
    pairs = ""
    for number, trial in enumerate(_trials(writer.plan)):
        if trial.id in writer.finished_trials:
            continue
        one = detached.collect(found.target, found.name, number)
        if not one.events or one.conditions is None:
            missing.append(one.reason)
            continue
        notes = clock_notes(found, one.boot)
        pairs = notes.get(CLOCK_PAIRS, "")
        writer.begin(trial, replace(one.conditions, ambient_degc=desk.ambient_degc))
        for event in _completed(trial, one.events, notes, desk):
            writer.add(event)
        if trial.id in writer.finished_trials:
            collected += 1
        else:
            missing.append(ABORTED)
    if found.standing.not_put_back:
        writer.find(
            Finding(
                code="condition-not-put-back",
                severity=Severity.NOTE,
                values={"reason": found.standing.not_put_back},
            )
        )
    return Gathered(
        collected=collected,
        missing=tuple(missing),
        not_put_back=found.standing.not_put_back,
        clock_pairs=pairs,
    )


def note_fed(writer: RecordWriter, left: Left, now: datetime) -> None:
    """Record that a board was fed to be asked how far it is, and is alone again."""
    reason = f"fed to be asked how far it is, {now.isoformat(timespec='seconds')}"
    writer.find(
        Finding(
            code="power-state-changed",
            severity=Severity.CONDITIONAL,
            values={"reason": reason},
        )
    )
    writer.leave(left.facts)


def forget(found: Found) -> None:
    """Remove the run from the board. Raises LinkError."""
    detached.forget(found.target, found.name)


def _completed(
    trial: Trial, events: tuple[TrialEvent, ...], notes: Mapping[str, str], desk: Desk
) -> Iterator[TrialEvent]:
    """Give a trial's events; before its end, the clocks and what it is held against."""
    for event in events:
        if isinstance(event, TrialEnded):
            for key, value in notes.items():
                yield Noted(trial=trial.id, key=key, value=value)
            if event.outcome is Outcome.DONE and desk.answering is not None:
                yield from desk.answering.events(trial)
            elif event.outcome is Outcome.DONE and trial.is_scored:
                key = f"not_scored.{Source.PARENT}"
                yield Noted(trial=trial.id, key=key, value=desk.unanswered)
        yield event


def clock_notes(found: Found, boot: str) -> dict[str, str]:
    """Give the pairs of clocks that hold for a trial of that start of the board.

    A clock begins anew with every start of its machine: pairs hold only for trials of
    the same start, and go together only where this machine was not restarted either.
    """
    left = found.left
    pairs, host_boot = [], found.host_boot
    if found.clock_pair and boot == found.standing.boot:
        pairs.append(found.clock_pair)
    if left.clock_pair and boot == left.board_boot:
        if left.host_boot == host_boot:
            pairs.insert(0, left.clock_pair)
        elif not pairs:
            pairs, host_boot = [left.clock_pair], left.host_boot
    if not pairs:
        return {}
    return {CLOCK_PAIRS: ";".join(pairs), HOST_BOOT: host_boot}


def _found(
    target: RemoteTarget, name: str, standing: detached.Standing, left: Left
) -> Found:
    return Found(
        target=target,
        name=name,
        standing=standing,
        left=left,
        clock_pair=_clock_pair(target),
    )


def _clock_pair(target: RemoteTarget) -> str:
    """Read both clocks; empty where the link did not let us: that ends no run."""
    try:
        return target.clock_pair()
    except LinkError:
        return ""


@contextmanager
def _opened(plan: Plan, desk: Desk) -> Iterator[RemoteTarget]:
    require_detachable(plan)
    address = Address.parse(plan.trials[0].target)
    with opened_and_fed(address, plan.profile, desk.boards, is_held=False) as target:
        yield _board(target)


def _require_over(standing: detached.Standing, where: str) -> None:
    if not standing.is_there:
        raise TargetError(
            "The board holds no run of that name",
            where=where,
            remedy="It may be another board, or the run was collected already. Go on, "
            "with the link: duanping run --resume BUNDLE",
        )
    if not standing.is_over:
        raise StillAtWork(
            f"The board is not done yet: {standing.ended} of {standing.total} trials "
            "have ended",
            where=where,
            remedy="Let go of it again and collect later, or end it: "
            "duanping run --abort BUNDLE",
        )


def _trials(plan: Plan) -> tuple[Trial, ...]:
    return tuple(trial for trial in plan.trials if trial.arm is Arm.DEVICE)


def _board(target: object) -> RemoteTarget:
    if not isinstance(target, RemoteTarget):
        raise TypeError(f"{type(target).__name__} is no board")
    return target
