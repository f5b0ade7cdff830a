"""What the product makes of a model: described, then measured, or refused.

The whole way of a trial but for its process: the agent serves an order in here.
"""

from dataclasses import replace
from pathlib import Path

from harness.agent.serve import serve
from harness.catalogue.bindings import parse_bindings
from harness.catalogue.describe import describe
from harness.clock import SystemClock
from harness.domain.plan import Minimum
from harness.domain.query import Outcome, OutputsChecked, TrialEnded
from harness.errors import UsageError
from harness.loadgen.transcript import Listener
from harness.loadgen.wire import Order, Task, encode_order
from harness.testing.builders import a_trial

RUNS = "runs"


def outcome_of(path: Path, shapes: tuple[str, ...], ranges: tuple[str, ...]) -> str:
    """Say ``runs``, ``runs, …`` with what was found, or ``refused: …``."""
    try:
        found = describe(path, parse_bindings(shapes, ranges, None))
    except UsageError as error:
        return f"refused: {error.what}"
    order = Order(
        task=Task.MEASURE,
        trial=replace(
            a_trial(), minimum=Minimum(queries=20, duration_ns=0), baseline_ns=1000
        ),
        runtime="harness.runtimes.onnxrt:open_runtime",
        model_path=str(path),
        sha256=found.sha256,
        inputs=found.inputs,
        external=found.external,
    )
    lines: list[bytes] = []
    serve(encode_order(order), lines.append, SystemClock())
    listener = Listener()
    heard = [listener.take(line) for line in lines]
    (ended,) = [event for event in heard if isinstance(event, TrialEnded)]
    if ended.outcome is not Outcome.DONE:
        return f"{ended.outcome}: {_what(ended.reason)}"
    (checked,) = [event for event in heard if isinstance(event, OutputsChecked)]
    has_states = any(spec.follows is not None for spec in found.inputs)
    notes = [
        *(["outputs differ"] if checked.differing else []),
        *(["outputs are not finite"] if checked.non_finite else []),
        *(["states fed back"] if has_states else []),
    ]
    return ", ".join([RUNS, *notes])


def _what(reason: str) -> str:
    """Leave out what to do; its first sentence says what happened."""
    return reason.partition(". ")[0].removesuffix(".")
