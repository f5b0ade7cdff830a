"""A plan that a board executes by itself: left on it, and collected afterwards.

Until it is collected the bundle is one that was cut short: it holds the plan, and its
name is that of the run on the board.
"""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace

from harness import plugins
from harness.bench.answering import labelled_as_planned
from harness.bench.conduct import Bench, open_target
from harness.domain.board import Board
from harness.domain.plan import Arm, Plan, Trial
from harness.errors import TargetError, Unsupported
from harness.plugins import Address
from harness.record.bundle import RecordWriter
from harness.targets import detached
from harness.targets.base import Deployment
from harness.targets.remote import RemoteTarget
from harness.units import NS_PER_S

_BOARDS = ("android", "linux")


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """What came of collecting."""

    collected: int
    """Trials that the board has executed to their end."""
    not_put_back: str
    """Conditions that the board could not put back; empty: all were."""


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


def leave(bench: Bench, writer: RecordWriter, wait_s: float) -> None:
    """Send all that the plan needs and have the board begin in `wait_s`.

    Raises what opening and sending raise; TargetError where the board does not begin.
    """
    plan = bench.plan
    address = Address.parse(plan.trials[0].target)
    with open_target(address, plan.profile, bench.boards) as target, ExitStack() as on:
        detached.require_able(_board(target))
        writer.describe(target.identify())
        deployed: dict[str, Deployment] = {}
        for name in dict.fromkeys(trial.model for trial in _trials(plan)):
            sent = target.deploy(
                plan.model(name), bench.paths[name], bench.samples.get(name)
            )
            deployed[name] = on.enter_context(sent)
        order = detached.Order(
            work=tuple(
                (trial, labelled_as_planned(deployed[trial.model], plan, trial))
                for trial in _trials(plan)
            ),
            conditions=plan.profile.conditions,
            wait_s=wait_s,
            rest_s=plan.preset.cool_down_ns / NS_PER_S,
        )
        detached.leave(_board(target), writer.bundle.name, order)


def collect(
    writer: RecordWriter, boards: Mapping[str, Board], ambient_degc: float | None
) -> Gathered:
    """Take what the board has written into the record, and remove it there.

    Raises TargetError where the board holds no such run or still executes it, and
    where it did not come to the end of every trial; those that it did are safe.
    """
    plan, name = writer.plan, writer.bundle.name
    require_detachable(plan)
    address = Address.parse(plan.trials[0].target)
    opener = plugins.find(plugins.TARGETS, address.driver)
    board = boards.get(str(address), Board())
    with opener(address, plan.profile, board=board, is_held=False) as target:
        standing = detached.look(target, name)
        _require_over(standing, target.shell.where)
        missing: list[str] = []
        for number, trial in enumerate(_trials(plan)):
            if trial.id in writer.finished_trials:
                continue
            found = detached.collect(target, name, number)
            if not found.events or found.conditions is None:
                missing.append(found.reason)
                continue
            writer.begin(trial, replace(found.conditions, ambient_degc=ambient_degc))
            for event in found.events:
                writer.add(event)
        detached.forget(target, name)
    if missing:
        raise TargetError(
            f"{len(missing)} of {standing.total} trials were not executed to their "
            f"end: {missing[0]}",
            where=target.shell.where,
            remedy=f"The others are safe. Go on, with the link: "
            f"duanping run --resume {writer.bundle}",
        )
    return Gathered(collected=standing.ended, not_put_back=standing.not_put_back)


def _require_over(standing: detached.Standing, where: str) -> None:
    if not standing.is_there:
        raise TargetError(
            "The board holds no run of that name",
            where=where,
            remedy="It may be another board, or the run was collected already. Go on, "
            "with the link: duanping run --resume BUNDLE",
        )
    if not standing.is_over:
        raise TargetError(
            f"The board is not done yet: {standing.ended} of {standing.total} trials "
            "have ended",
            where=where,
            remedy="Let go of it again and collect later.",
        )


def _trials(plan: Plan) -> tuple[Trial, ...]:
    return tuple(trial for trial in plan.trials if trial.arm is Arm.DEVICE)


def _board(target: object) -> RemoteTarget:
    if not isinstance(target, RemoteTarget):
        raise TypeError(f"{type(target).__name__} is no board")
    return target
