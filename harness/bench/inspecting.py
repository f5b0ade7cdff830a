"""What each execution provider of this machine would take of a model.

Each is asked in a process of its own: a provider that brings its process down brings
down nothing else.
"""

from dataclasses import dataclass, field
from pathlib import Path

from harness.bench.asking import ask, question
from harness.domain.profile import CPU
from harness.domain.query import ModelLoaded, Noted, Outcome, TrialEnded
from harness.domain.workload import ModelArtifact
from harness.errors import TargetError, UnknownName, Unsupported
from harness.loadgen.wire import Task

_REMOTE = frozenset({"AzureExecutionProvider"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """What became of a model that was given to one provider first.

    `nodes` counts nodes of the optimised model per provider; empty where `reason`
    says why the model could not be loaded.
    """

    provider: str
    nodes: dict[str, int] = field(default_factory=dict)
    quantised_nodes: int | None = None
    quantisable_nodes: int | None = None
    reason: str = ""


def require_provider(provider: str, model: ModelArtifact, path: Path) -> None:
    """Raise UnknownName for a provider that this machine's runtime does not have.

    Raises TargetError where the runtime could not be asked.
    """
    if provider == CPU:
        return
    found, there = placement(model, path, CPU)
    if not there:
        raise TargetError(
            f"The runtime does not say which execution providers it has: "
            f"{found.reason}",
            where="local@",
            remedy="Look at its installation: duanping doctor.",
        )
    if provider not in there:
        raise UnknownName("execution provider here", provider, there)


def require_no_provider(provider: str) -> None:
    """Raise Unsupported for a provider of a device that executes nothing."""
    if provider != CPU:
        raise Unsupported(
            f"An emulated device has no {provider}: its profile says how fast it is",
            where="--provider",
            remedy="Say where the device is, such as --target local@, or leave it out.",
        )


def placements(
    sha256: str, path: Path, external: tuple[str, ...]
) -> tuple[Placement, ...]:
    """Ask every provider that is there, the processor's first."""
    model = ModelArtifact(
        name="inspected", sha256=sha256, size_bytes=1, inputs=(), external=external
    )
    first, providers = placement(model, path, CPU)
    others = [name for name in providers if name != CPU]
    return (first, *(_asked(model, path, name) for name in others))


def _asked(model: ModelArtifact, path: Path, provider: str) -> Placement:
    if provider in _REMOTE:
        said = "works over the network, and is not asked"
        return Placement(provider=provider, reason=said)
    return placement(model, path, provider)[0]


def placement(
    model: ModelArtifact, path: Path, provider: str
) -> tuple[Placement, tuple[str, ...]]:
    """Ask one provider; gives its answer, and the providers that the library has."""
    order = question(Task.INSPECT, model, path, provider=provider)
    found, there = Placement(provider=provider), ""
    for event in ask(order):
        match event:
            case ModelLoaded():
                found = Placement(
                    provider=provider,
                    nodes=event.placement,
                    quantised_nodes=event.quantised_nodes,
                    quantisable_nodes=event.quantisable_nodes,
                )
            case Noted(key="providers"):
                there = event.value
            case TrialEnded(outcome=outcome) if outcome is not Outcome.DONE:
                found = Placement(provider=provider, reason=event.reason)
            case _:
                pass  # readings of a process that measures nothing
    names = (name.strip() for name in there.split(","))
    return found, tuple(name for name in names if name)
