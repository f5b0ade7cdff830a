"""Answers that an agent could not score, scored on the host as they come."""

import base64
from collections.abc import Iterator

import numpy as np

from harness.domain.plan import Trial
from harness.domain.query import AnswersGiven, GivenTensor, LinkEvent, TrialEvent
from harness.errors import LinkError
from harness.runtimes.base import Tensor
from harness.runtimes.feeds import open_library
from harness.scoring.answers import AnswerSheet, Scoring
from harness.targets.base import Deployment


def with_scores(
    events: Iterator[LinkEvent], trial: Trial, on: Deployment, model: str = ""
) -> Iterator[TrialEvent]:
    """Pass events on, with scores in the place of raw answers.

    `on` names the samples on this host; `model` the one that answered, where it is
    not the trial's. Raises LinkError for outputs that are no tensors.
    """
    sheet: AnswerSheet | None = None
    for event in events:
        source = event.source if isinstance(event, AnswersGiven) else None
        if sheet is not None and sheet.source is not source:
            yield from sheet.events()
            sheet = None
        if not isinstance(event, AnswersGiven):
            yield event
            continue
        if sheet is None:
            sheet = _sheet(event, trial, on, model)
        sheet.take(event.numbers, tuple(_tensor(one) for one in event.outputs))


def _sheet(
    event: AnswersGiven, trial: Trial, on: Deployment, model: str
) -> AnswerSheet:
    library = open_library(
        on.model.inputs,
        trial.seeds.sample,
        on.samples,
        is_labelled=on.labelled is not None,
    )
    scoring = Scoring(trial=trial.id, model=model or trial.model, labelled=on.labelled)
    return AnswerSheet(scoring, library, event.source)


def _tensor(given: GivenTensor) -> Tensor:
    try:
        data = base64.b64decode(given.base64, validate=True)
        dtype = np.dtype(given.dtype).newbyteorder("<")
        return np.frombuffer(data, dtype).reshape(given.shape)
    except (ValueError, TypeError) as error:
        raise LinkError(
            f"What the device gives as an output is no tensor: {error}",
            remedy="Both ends must run the same version of the harness.",
        ) from error
