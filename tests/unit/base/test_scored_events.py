"""Scores in a record are whole, or no record: whoever wrote them."""

import base64
import zlib
from dataclasses import replace

import numpy as np
import pytest

from harness.domain.labelled import Metric, Source
from harness.domain.network import Network
from harness.domain.query import ItemsScored, NetworkTried, Outcome, RepeatsProbed
from harness.scoring.detection import WIDTH
from harness.scoring.rows import pack

GOOD = ItemsScored(
    trial="t",
    model="m",
    source=Source.SESSION,
    metric="top1",
    items=2,
    width=3,
    packed=pack(np.ones((2, 4))),
)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"packed": "not base64"}, "."),
        ({"packed": base64.b64encode(b"not deflated").decode()}, "no packed rows"),
        ({"packed": GOOD.packed[:-8]}, "cut"),
        ({"packed": base64.b64encode(zlib.compress(b"odd")).decode()}, "whole rows"),
        ({"packed": pack(np.ones((0, 4)))}, "whole rows"),
        ({"width": 4}, "whole rows"),
        ({"width": 1, "packed": pack(np.ones((2, 2)))}, "has 3 columns"),
        ({"metric": "bleu"}, "bleu"),
    ],
)
def test_rows_that_are_not_whole_make_no_event(
    change: dict[str, object], reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        replace(GOOD, **change)


def test_every_metric_says_how_many_columns_it_has() -> None:
    assert all(metric.columns >= 1 for metric in Metric)
    assert Metric.MAP.columns == WIDTH


@pytest.mark.parametrize(("rounds", "count"), [(0, 4), (3, 4), (2, 0)])
def test_rounds_of_a_probe_are_of_one_length(rounds: int, count: int) -> None:
    with pytest.raises(ValueError, match="every round"):
        RepeatsProbed(
            trial="t",
            rounds=rounds,
            repeated_ns=(1,) * count,
            rotated_ns=(1,) * 4,
            fresh_ns=(1,) * 4,
        )


TRIED = NetworkTried(
    trial="t",
    network=Network(name="none", loss=1.0),
    round=1,
    method="by hand",
    seed=1,
    latencies_ns=(5, 6),
    outcome=Outcome.DONE,
)


@pytest.mark.parametrize(
    "change", [{"round": 0}, {"latencies_ns": (5, -1)}, {"fell_back": (2,)}]
)
def test_a_network_that_was_tried_in_no_possible_way_makes_no_event(
    change: dict[str, object],
) -> None:
    with pytest.raises(ValueError, match=r"rounds count|only a query"):
        replace(TRIED, **change)  # type: ignore[arg-type]
