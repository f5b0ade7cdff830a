"""What each execution provider of this machine would take of a model.

Each is asked in a process of its own: a provider that brings its process down brings
down nothing else.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from harness.clock import SystemClock
from harness.domain.plan import Arm, Minimum, RuntimeSettings, Seeds, Trial
from harness.domain.query import ModelLoaded, Noted, Outcome, TrialEnded
from harness.domain.scenario import SingleStream
from harness.domain.workload import ModelArtifact
from harness.loadgen.wire import Order, Task
from harness.targets.agentlife import Place, live
from harness.targets.host import available_cores, clean_environment

CPU = "CPUExecutionProvider"
_REMOTE = frozenset({"AzureExecutionProvider"})
_PATIENCE_S = 300.0
_RUNTIME = "harness.runtimes.onnxrt:open_runtime"


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


def placements(
    sha256: str, path: Path, external: tuple[str, ...]
) -> tuple[Placement, ...]:
    """Ask every provider that is there, the processor's first."""
    model = ModelArtifact(
        name="inspected", sha256=sha256, size_bytes=1, inputs=(), external=external
    )
    first, providers = _ask(model, path, CPU)
    others = [name for name in providers if name != CPU]
    return (first, *(_asked(model, path, name) for name in others))


def _asked(model: ModelArtifact, path: Path, provider: str) -> Placement:
    if provider in _REMOTE:
        said = "works over the network, and is not asked"
        return Placement(provider=provider, reason=said)
    return _ask(model, path, provider)[0]


def _ask(
    model: ModelArtifact, path: Path, provider: str
) -> tuple[Placement, tuple[str, ...]]:
    order = Order(
        task=Task.INSPECT,
        trial=_trial(provider),
        runtime=_RUNTIME,
        model_path=str(path.absolute()),
        sha256=model.sha256,
        inputs=(),
        external=model.external,
    )
    found, there = Placement(provider=provider), ""
    for event in live(order, _place()):
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
            case TrialEnded(outcome=Outcome.INTERRUPTED):
                raise KeyboardInterrupt
            case TrialEnded(outcome=outcome) if outcome is not Outcome.DONE:
                found = Placement(provider=provider, reason=event.reason)
            case _:
                pass  # readings of a process that measures nothing
    return found, tuple(_listed(there))


def _listed(text: str) -> Iterator[str]:
    return (name.strip() for name in text.split(",") if name.strip())


def _place() -> Place:
    return Place(
        clock=SystemClock(),
        environment=clean_environment(1),
        model_cores=frozenset(available_cores()),
        other_cores=frozenset(),
        silence_s=_PATIENCE_S,
    )


def _trial(provider: str) -> Trial:
    """Make the trial that an order must name; nothing of it is carried out."""
    return Trial(
        id="inspection",
        arm=Arm.HOST,
        target="local@",
        workload="inspection",
        model="inspected",
        scenario=SingleStream(),
        run=1,
        warm_up=Minimum(queries=1, duration_ns=0),
        minimum=Minimum(queries=1, duration_ns=0),
        baseline_ns=0,
        seeds=Seeds(arrival=0, sample=0, order=0),
        settings=RuntimeSettings(provider=provider),
    )
