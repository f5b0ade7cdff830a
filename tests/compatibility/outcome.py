"""What the product makes of a model: described, then measured, or refused.

The whole way of a trial but for its process: the agent serves an order in here.
"""

from dataclasses import replace
from pathlib import Path

from harness.agent.serve import serve
from harness.catalogue.bindings import parse_bindings
from harness.catalogue.language import describe_model
from harness.clock import SystemClock
from harness.domain.plan import Minimum
from harness.domain.query import Outcome, OutputsChecked, TrialEnded
from harness.domain.scenario import LlmDecode
from harness.domain.workload import ModelArtifact
from harness.errors import UsageError
from harness.loadgen.transcript import Listener
from harness.loadgen.wire import Order, Task, encode_order
from harness.testing.builders import a_trial

RUNS = "runs"
_TALK = LlmDecode(prompt_tokens=(8,), output_tokens=12)


def outcome_of(path: Path, shapes: tuple[str, ...], ranges: tuple[str, ...]) -> str:
    """Say ``runs``, ``runs, …`` with what was found, or ``refused: …``."""
    try:
        found = describe_model(path, parse_bindings(shapes, ranges, None))
    except UsageError as error:
        return f"refused: {error.what}"
    talks = found.decoder is not None
    trial = a_trial("model", _TALK if talks else None)
    queries = 3 if talks else 20
    order = Order(
        task=Task.MEASURE,
        trial=replace(
            trial, minimum=Minimum(queries=queries, duration_ns=0), baseline_ns=1000
        ),
        runtime="harness.runtimes.onnxrt:open_runtime",
        model_path=str(path),
        sha256=found.sha256,
        inputs=found.inputs,
        external=found.external,
        decoder=found.decoder,
    )
    lines: list[bytes] = []
    serve(encode_order(order), lines.append, SystemClock())
    listener = Listener()
    heard = [listener.take(line) for line in lines]
    (ended,) = [event for event in heard if isinstance(event, TrialEnded)]
    if ended.outcome is not Outcome.DONE:
        return f"{ended.outcome}: {_what(ended.reason)}"
    (checked,) = [event for event in heard if isinstance(event, OutputsChecked)]
    return ", ".join([RUNS, *_notes(found, checked)])


def _notes(found: ModelArtifact, checked: OutputsChecked) -> list[str]:
    has_states = any(spec.follows is not None for spec in found.inputs)
    return [
        *(["outputs differ"] if checked.differing else []),
        *(["outputs are not finite"] if checked.non_finite else []),
        *(["states fed back"] if has_states else []),
        *(["token by token, its cache fed back as it grows"] if found.decoder else []),
    ]


def _what(reason: str) -> str:
    """Leave out what to do; its first sentence says what happened."""
    return reason.partition(". ")[0].removesuffix(".")
