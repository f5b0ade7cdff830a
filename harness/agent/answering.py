"""Items answered and scored: those of the timed window, and all that are labelled.

The scores of what was kept in the window stand beside those of a plain pass in the
same session, and beside those of another machine: a device that skips, truncates or
swaps gives itself away wherever they differ (MLPerf Inference, TEST01).
"""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from harness.domain.labelled import LabelledData, Source
from harness.domain.query import OUTPUTS, ItemsScored, Noted
from harness.loadgen.wire import Order
from harness.runtimes.base import Session, Tensor
from harness.runtimes.feeds import SampleLibrary
from harness.scoring.rows import Rows, pack
from harness.scoring.scorers import Beside, score_item, sketch_item

SKETCHED_ITEMS = 16
"""Items without a label of which values are kept: as many as a window goes round."""
Answers = Iterable[tuple[tuple[int, ...], tuple[Tensor, ...]]]
"""Sample numbers of one call, and the outputs of it."""


def score_answers(
    order: Order, library: SampleLibrary, source: Source, answers: Answers
) -> Iterator[ItemsScored | Noted]:
    """Score answers, and say which items could not be; nothing for no answer."""
    rows: list[Rows] = []
    broken: list[str] = []
    scored: set[int] = set()
    for numbers, outputs in answers:
        for number, own in zip(numbers, _each(outputs, len(numbers)), strict=True):
            item = library.item(number)
            if item in scored:
                continue
            scored.add(item)
            try:
                rows.append(_rows(order.labelled, library, number, own))
            except ValueError as error:
                broken.append(f"item {item}: {error}")
    if broken:
        said = f"{broken[0]} ({len(broken)} of {len(scored)} items)"
        yield Noted(trial=order.trial.id, key=f"not_scored.{source}", value=said)
    if rows:
        yield _event(order, source, np.concatenate(rows), len(rows))


def answer_all(
    session: Session, library: SampleLibrary, items: Sequence[int]
) -> Answers:
    """Answer samples by number, one after the other, untimed."""
    for number in items:
        yield (number,), session.compute(library.sample(number))


def samples_of(order: Order, library: SampleLibrary) -> Sequence[int]:
    """List the samples that an order asks to be answered."""
    if order.items:
        return order.items
    return range(library.items or min(SKETCHED_ITEMS, library.sets_for(1)))


def _rows(
    labelled: LabelledData | None,
    library: SampleLibrary,
    number: int,
    outputs: Sequence[Tensor],
) -> Rows:
    item = library.item(number)
    if labelled is None or library.labels is None:
        return sketch_item(item, outputs)
    first = next(iter(library.sample(number).values()))
    beside = Beside(first=first, tokens=library.tokens)
    label = np.asarray(library.labels[item])
    return score_item(labelled.metric, item, outputs, label, beside)


def _each(outputs: tuple[Tensor, ...], samples: int) -> Iterator[tuple[Tensor, ...]]:
    """Cut the outputs of a batch into those of its samples."""
    if samples == 1:
        yield outputs
        return
    for at in range(samples):
        yield tuple(
            tensor[at : at + 1] if tensor.shape[:1] == (samples,) else tensor
            for tensor in outputs
        )


def _event(order: Order, source: Source, rows: Rows, items: int) -> ItemsScored:
    labelled = order.labelled
    return ItemsScored(
        trial=order.trial.id,
        model=order.model_name or order.trial.model,
        source=source,
        metric=OUTPUTS if labelled is None else labelled.metric.value,
        items=items,
        width=rows.shape[1] - 1,
        packed=pack(rows),
        data_sha256="" if labelled is None else labelled.sha256,
    )
