"""One question to an agent in a process of its own, about a model and no trial."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from harness.clock import SystemClock
from harness.domain.plan import Arm, Minimum, RuntimeSettings, Seeds, Trial
from harness.domain.profile import CPU
from harness.domain.query import LinkEvent, Outcome, TrialEnded
from harness.domain.scenario import SingleStream
from harness.domain.workload import ModelArtifact
from harness.loadgen.wire import Order, Task
from harness.meters.process import sampled
from harness.targets.agentlife import Place, live
from harness.targets.apart import available_cores, clean_environment

_PATIENCE_S = 300.0
_RUNTIME = "harness.runtimes.onnxrt:open_runtime"


def question(
    task: Task,
    model: ModelArtifact,
    path: Path,
    *,
    provider: str = CPU,
    options: tuple[tuple[str, str], ...] = (),
) -> Order:
    """Make the order; only onnxruntime is ever asked. `options` are the provider's."""
    return Order(
        task=task,
        trial=_trial(
            model, RuntimeSettings(provider=provider, provider_options=options)
        ),
        runtime=_RUNTIME,
        model_path=str(path.absolute()),
        sha256=model.sha256,
        inputs=model.inputs,
        external=model.external,
    )


def ask(order: Order) -> Iterator[LinkEvent]:
    """Give what the agent says, its end last. Raises KeyboardInterrupt."""
    for event in live(order, _place()):
        if isinstance(event, TrialEnded) and event.outcome is Outcome.INTERRUPTED:
            raise KeyboardInterrupt
        yield event


def _place() -> Place:
    clock = SystemClock()
    return Place(
        clock=clock,
        environment=clean_environment(1),
        model_cores=frozenset(available_cores()),
        sampled=partial(sampled, clock=clock, cores=frozenset()),
        silence_s=_PATIENCE_S,
    )


def _trial(model: ModelArtifact, settings: RuntimeSettings) -> Trial:
    """Make the trial that an order must name; nothing of it is carried out."""
    least = Minimum(queries=1, duration_ns=0)
    return Trial(
        id="question",
        arm=Arm.HOST,
        target="local@",
        workload="question",
        model=model.name,
        scenario=SingleStream(),
        run=1,
        warm_up=least,
        minimum=least,
        baseline_ns=0,
        seeds=Seeds(arrival=0, sample=0, order=0),
        settings=settings,
    )
