"""Answers that an agent could not score are scored on the host, as they come."""

import base64
from pathlib import Path

import numpy as np
import pytest

from harness.domain.labelled import Source
from harness.domain.query import (
    AnswersGiven,
    GivenTensor,
    ItemsScored,
    LinkEvent,
    Noted,
    Outcome,
    TrialEnded,
)
from harness.errors import LinkError
from harness.scoring.rows import unpack
from harness.targets.answered import with_scores
from harness.targets.base import Deployment
from harness.testing.builders import a_model, a_trial

TRIAL = a_trial()
ON = Deployment(model=a_model(), path=Path("model.onnx"))
NOTE = Noted(trial=TRIAL.id, key="k", value="v")
ENDED = TrialEnded(trial=TRIAL.id, outcome=Outcome.DONE, queries=0)


def an_answer(
    number: int, *values: float, source: Source = Source.WINDOW
) -> AnswersGiven:
    data = np.array([values], dtype="<f4")
    given = GivenTensor(
        dtype="float32",
        shape=data.shape,
        base64=base64.b64encode(data.tobytes()).decode(),
    )
    return AnswersGiven(
        trial=TRIAL.id, source=source, numbers=(number,), outputs=(given,)
    )


def scored(*events: LinkEvent) -> list[LinkEvent]:
    return list(with_scores(iter(events), TRIAL, ON))


def test_answers_become_one_event_of_scores_where_they_stood() -> None:
    before, made, after = scored(NOTE, an_answer(0, 1.5), an_answer(1, 2.5), ENDED)

    assert (before, after) == (NOTE, ENDED)
    assert isinstance(made, ItemsScored)
    rows = unpack(made.packed, made.width)
    assert [(row[0], row[1]) for row in rows] == [(0.0, 1.5), (1.0, 2.5)]
    assert made.model == TRIAL.model


def test_each_source_has_scores_of_its_own() -> None:
    window, session = scored(
        an_answer(0, 1.0), an_answer(0, 1.0, source=Source.SESSION), ENDED
    )[:2]

    assert isinstance(window, ItemsScored)
    assert isinstance(session, ItemsScored)
    assert (window.source, session.source) == (Source.WINDOW, Source.SESSION)


def test_events_without_answers_pass_unchanged() -> None:
    assert scored(NOTE, ENDED) == [NOTE, ENDED]


@pytest.mark.parametrize(
    "given",
    [
        GivenTensor(dtype="float32", shape=(1, 3), base64="AAAA"),
        GivenTensor(dtype="flout32", shape=(1,), base64="AAAAAA=="),
        GivenTensor(dtype="float32", shape=(1,), base64="!"),
    ],
)
def test_what_is_no_tensor_is_an_error_of_the_link(given: GivenTensor) -> None:
    answer = AnswersGiven(
        trial=TRIAL.id, source=Source.WINDOW, numbers=(0,), outputs=(given,)
    )
    with pytest.raises(LinkError, match="is no tensor"):
        scored(answer, ENDED)
