"""A model quantised and held against what it was: size, outputs, accuracy, kernels."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf, log10
from pathlib import Path

import numpy as np

from harness.bench.asking import ask, question
from harness.bench.inspecting import Placement, placement
from harness.bench.labelling import require_scorable
from harness.catalogue.anatomy import take_apart
from harness.catalogue.bindings import InputBindings
from harness.catalogue.datasets import OwnData
from harness.catalogue.describe import describe
from harness.domain.labelled import Source
from harness.domain.profile import CPU, Scheme
from harness.domain.query import ItemsScored, Noted, Outcome, TrialEnded
from harness.domain.workload import ModelArtifact
from harness.errors import ModelRejected, TargetError, Unsupported
from harness.loadgen.wire import Order, Task
from harness.quantising.order import (
    Blocks,
    Mode,
    Quantised,
    QuantiseOrder,
    Ranges,
)
from harness.schema.codec import dump_bytes, load_bytes
from harness.scoring.rows import unpack
from harness.stats.accuracy import Compared, compare_scores, scores_of
from harness.targets.apart import clean_environment

DESTROYED_DB = 10.0
"""Below so much signal over quantisation noise the outputs are another model's."""
DESTROYED_RETENTION = 0.95
"""Limit of the lowest tier (tiers 2026.1, row acc_ret)."""
_COMPARED_SAMPLES = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the user wants quantised, and how."""

    model: Path
    out: Path
    bindings: InputBindings
    scheme: Scheme
    mode: Mode = Mode.STATIC
    per_channel: bool = True
    reduce_range: bool = False
    ranges: Ranges = Ranges.MINMAX
    samples_at_most: int = 200
    blocks: Blocks = field(default_factory=Blocks)
    labelled: OwnData | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The quantised model beside the float32 one."""

    before: ModelArtifact
    after: ModelArtifact
    made: Quantised
    placement: Placement
    """What this machine's processor makes of the quantised model."""
    sqnr_db: float
    """Signal over quantisation noise of the outputs; infinite where none differ."""
    samples: int
    accuracy: Compared | None = None
    broken: str = ""
    """What could not be answered by the quantised model, if anything."""

    @property
    def is_destroyed(self) -> bool:
        """Say whether the quantised model no longer does what the other did.

        By labels where there are any: accuracy kept is plainly below the lowest tier;
        else by the outputs.
        """
        if self.broken:
            return True
        if self.accuracy is not None:
            return self.accuracy.retention_upper < DESTROYED_RETENTION
        return self.sqnr_db < DESTROYED_DB


def quantise(wish: Wish) -> Comparison:
    """Quantise a model, write it, and compare it with what it was made from.

    Raises UsageError for a model or samples that do not fit or that hold nothing to
    quantise, TargetError where the tools fail.
    """
    found = take_apart(wish.model)
    if found.quantisation_kinds:
        raise ModelRejected(
            f"The model is quantised already: {found.quantisation}",
            where=str(wish.model),
            remedy="Give the float32 model that it was made from.",
        )
    before = describe(wish.model, wish.bindings)
    if wish.labelled is not None:
        require_scorable(wish.labelled, _fed(wish, before, wish.model), wish.model)
    made = _made(wish, before)
    _require_quantised(wish, found.operators)
    after = describe(wish.out, wish.bindings, name=f"{before.name}-quantised")
    sqnr, samples, broken = _outputs(wish, before, after)
    return Comparison(
        before=before,
        after=after,
        made=made,
        placement=placement(after, wish.out, CPU)[0],
        sqnr_db=sqnr,
        samples=samples,
        accuracy=_accuracy(wish, before, after) if not broken else None,
        broken=broken,
    )


def _made(wish: Wish, before: ModelArtifact) -> Quantised:
    order = QuantiseOrder(
        model=str(wish.model.absolute()),
        out=str(wish.out.absolute()),
        inputs=before.inputs,
        samples=str(wish.bindings.samples.absolute()) if wish.bindings.samples else "",
        samples_at_most=wish.samples_at_most,
        mode=wish.mode,
        scheme=wish.scheme,
        per_channel=wish.per_channel,
        reduce_range=wish.reduce_range,
        ranges=wish.ranges,
        blocks=wish.blocks,
    )
    done = subprocess.run(
        [sys.executable, "-P", "-m", "harness.quantising"],
        input=dump_bytes(order),
        capture_output=True,
        env=clean_environment(1),
        check=False,
    )
    if done.returncode != 0:
        words = done.stderr.decode(errors="replace").strip().splitlines()
        tail = words[-1] if words else f"exit status {done.returncode}"
        made = Quantised(error=tail)
    else:
        made = load_bytes(Quantised, done.stdout, where="the quantiser's answer")
    if made.missing:
        raise Unsupported(
            f"Quantising weights alone needs {made.missing}, which is not installed",
            where="--mode weights",
            remedy="pip install 'duanping[int4]'",
        )
    if made.error:
        raise TargetError(
            f"onnxruntime's tools could not quantise the model: {made.error}",
            where=str(wish.model),
            remedy="Look at its operators with 'duanping inspect'; try another --mode, "
            "or leave look-ups in reals: --no-lookups.",
        )
    return made


def _require_quantised(wish: Wish, operators: Mapping[str, int]) -> None:
    """Refuse, and take away, a file in which nothing is quantised."""
    if wish.out.is_file() and take_apart(wish.out).quantisation_kinds:
        return
    wish.out.unlink(missing_ok=True)
    held = ", ".join(f"{name} {count}" for name, count in operators.items())
    wanted = {
        Mode.STATIC: "a convolution or product with constant weights",
        Mode.DYNAMIC: "a matrix product or look-up with constant weights",
        Mode.WEIGHTS: "a matrix product or look-up of reals with constant weights",
    }
    raise ModelRejected(
        f"There is nothing to quantise: --mode {wish.mode} takes {wanted[wish.mode]}, "
        f"and the model holds {held}",
        where=str(wish.model),
        remedy="Try another --mode, or run the model as it is.",
    )


def _outputs(
    wish: Wish, before: ModelArtifact, after: ModelArtifact
) -> tuple[float, int, str]:
    """Give the SQNR in dB of the outputs, the samples, and what went wrong."""
    pairs = ((before, wish.model), (after, wish.out))
    asked = [_answers(_sketch(wish, model, path)) for model, path in pairs]
    (theirs, fault), (mine, broken) = asked
    if theirs is None or mine is None:
        if theirs is None:
            raise TargetError(
                f"The float32 model itself gives no outputs: {fault}",
                where=str(wish.model),
                remedy="Check the model and the samples.",
            )
        return -inf, 0, broken or "it gave no outputs"
    one = unpack(theirs.packed, theirs.width)[:, 1:]
    other = unpack(mine.packed, mine.width)[:, 1:]
    if not np.isfinite(other).all():
        return -inf, mine.items, "outputs that are not finite"
    noise = float(((one - other) ** 2).sum())
    signal = float((one**2).sum())
    sqnr = inf if noise == 0 else 10 * log10(signal / noise) if signal else -inf
    return sqnr, mine.items, broken


def _sketch(wish: Wish, model: ModelArtifact, path: Path) -> Order:
    return replace(
        question(Task.ANSWER, model, path),
        samples_path=str(wish.bindings.samples) if wish.bindings.samples else None,
        items=tuple(range(_COMPARED_SAMPLES)),
    )


def _accuracy(
    wish: Wish, before: ModelArtifact, after: ModelArtifact
) -> Compared | None:
    own = wish.labelled
    if own is None:
        return None
    scored = []
    for model, path in ((after, wish.out), (before, wish.model)):
        order = replace(
            question(Task.ANSWER, _fed(wish, model, path), path),
            samples_path=str(own.file),
            labelled=own.labelled(""),
            source=Source.REFERENCE,
        )
        event, fault = _answers(order)
        if event is None or event.items < own.items:
            raise TargetError(
                f"Not all labelled items could be scored: {fault}",
                where=str(path),
                remedy="See that labels and metric fit the model's outputs.",
            )
        scored.append(scores_of(event))
    return compare_scores(*scored)


def _fed(wish: Wish, model: ModelArtifact, path: Path) -> ModelArtifact:
    """Give a model whose inputs are filled from the labelled items."""
    samples = wish.labelled.file if wish.labelled else wish.bindings.samples
    filled = describe(path, replace(wish.bindings, samples=samples))
    return replace(model, inputs=filled.inputs)


def _answers(order: Order) -> tuple[ItemsScored | None, str]:
    """Give the answers, and what was said of those that are missing."""
    found, fault = None, ""
    for event in ask(order):
        match event:
            case ItemsScored():
                found = event
            case Noted(key=key) if key.startswith("not_scored"):
                fault = event.value
            case TrialEnded(outcome=outcome) if outcome is not Outcome.DONE:
                fault = event.reason
            case _:
                pass  # readings of a process that measures nothing
    return found, fault


def has_vnni(flags: Sequence[str]) -> bool:
    """Say whether a processor adds u8s8 products in 32 bits, so that none saturate."""
    return bool({"avx512_vnni", "avx_vnni"} & set(flags))
