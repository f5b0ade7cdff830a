"""Items answered and scored: those of the timed window, and all that are labelled.

The scores of what was kept in the window stand beside those of a plain pass in the
same session, and beside those of another machine: a device that skips, truncates or
swaps gives itself away wherever they differ (MLPerf Inference, TEST01).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from harness.domain.labelled import LabelledData, Source
from harness.domain.query import OUTPUTS, ItemsScored, Noted
from harness.scoring.rows import Rows, pack
from harness.scoring.scorers import Tensor, score_item, sketch_item

Answers = Iterable[tuple[tuple[int, ...], tuple[Tensor, ...]]]
"""Sample numbers of one call, and the outputs of it."""


class Samples(Protocol):
    """Samples by number, and the labels of the items that they are."""

    @property
    def labels(self) -> Tensor | None:
        """Give a label an item, along axis 0; None: there are none."""
        ...

    def item(self, number: int) -> int:
        """Say which item a sample is."""
        ...

    def sample(self, number: int) -> Mapping[str, Tensor]:
        """Give the inputs of a sample."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Scoring:
    """On whose behalf answers are scored."""

    trial: str
    model: str
    """Name of the model that answered."""
    labelled: LabelledData | None
    """What the labels are for; None: there are none."""


class AnswerSheet:
    """Scores answers as they come, so that no output has to be kept."""

    def __init__(self, scoring: Scoring, samples: Samples, source: Source) -> None:
        self.source = source
        self._scoring = scoring
        self._samples = samples
        self._rows: list[Rows] = []
        self._broken: list[str] = []
        self._scored: set[int] = set()

    def take(self, numbers: Sequence[int], outputs: tuple[Tensor, ...]) -> None:
        """Score the outputs of one call, sample by sample; of an item the first."""
        for number, own in zip(numbers, _each(outputs, len(numbers)), strict=True):
            item = self._samples.item(number)
            if item in self._scored:
                continue
            self._scored.add(item)
            try:
                labelled = self._scoring.labelled
                self._rows.append(_rows(labelled, self._samples, number, own))
            except ValueError as error:
                self._broken.append(f"item {item}: {error}")

    def events(self) -> Iterator[ItemsScored | Noted]:
        """Give the scores, and say which items could not be; nothing for no answer."""
        if self._broken:
            said = (
                f"{self._broken[0]} ({len(self._broken)} of {len(self._scored)} items)"
            )
            key = f"not_scored.{self.source}"
            yield Noted(trial=self._scoring.trial, key=key, value=said)
        if self._rows:
            rows = np.concatenate(self._rows)
            yield _event(self._scoring, self.source, rows, len(self._rows))


def score_answers(
    scoring: Scoring, samples: Samples, source: Source, answers: Answers
) -> Iterator[ItemsScored | Noted]:
    """Score answers, and say which items could not be; nothing for no answer."""
    sheet = AnswerSheet(scoring, samples, source)
    for numbers, outputs in answers:
        sheet.take(numbers, outputs)
    yield from sheet.events()


def _rows(
    labelled: LabelledData | None,
    samples: Samples,
    number: int,
    outputs: Sequence[Tensor],
) -> Rows:
    item, labels = samples.item(number), samples.labels
    if labelled is None or labels is None:
        return sketch_item(item, outputs)
    first = next(iter(samples.sample(number).values()))
    return score_item(labelled.metric, item, outputs, labels[item], first)


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


def _event(scoring: Scoring, source: Source, rows: Rows, items: int) -> ItemsScored:
    labelled = scoring.labelled
    return ItemsScored(
        trial=scoring.trial,
        model=scoring.model,
        source=source,
        metric=OUTPUTS if labelled is None else labelled.metric.value,
        items=items,
        width=rows.shape[1] - 1,
        packed=pack(rows),
        data_sha256="" if labelled is None else labelled.sha256,
    )
