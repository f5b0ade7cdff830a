"""The boards of this desk: who answers, what each is, models sent ahead of a run."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from harness.bench.supply import open_target, opened_and_fed
from harness.domain.board import Board
from harness.domain.plan import Arm, Plan
from harness.domain.profile import DeviceProfile
from harness.errors import HarnessError
from harness.plugins import Address


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came of asking one target who it is."""

    name: str
    """Its name in the lab file; the address where it has none."""
    address: str
    is_there: bool
    says: str
    """Who it is, or why it does not answer."""
    facts: dict[str, str] = field(default_factory=dict)


def probe(
    name: str, address: str, profile: DeviceProfile, boards: Mapping[str, Board]
) -> Answer:
    """Open a target as a run would, ask who it is, and let it go again."""
    try:
        with open_target(Address.parse(address), profile, boards) as target:
            sut = target.identify()
    except HarnessError as error:
        return Answer(name=name, address=address, is_there=False, says=error.sentence())
    return Answer(
        name=name, address=address, is_there=True, says=sut.name, facts=sut.facts
    )


def sync_models(
    plan: Plan,
    paths: Mapping[str, Path],
    boards: Mapping[str, Board],
    report: Callable[[str], None],
) -> tuple[str, ...]:
    """Have every model of a plan's device on the device; gives their names.

    Raises what a run would raise.
    """
    trials = [trial for trial in plan.trials if trial.arm is Arm.DEVICE]
    names = dict.fromkeys(trial.model for trial in trials)
    address = Address.parse(trials[0].target)
    with opened_and_fed(address, plan.profile, boards) as target:
        for name in names:
            report(name)
            with target.deploy(plan.model(name), paths[name], None):
                pass
    return tuple(names)
