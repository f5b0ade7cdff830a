"""Scores of labelled items → task metric, retention, agreement, each with interval.

Retention is the metric of the quantised model over that of its float32 parent on the
same items (method, section 6); for errors, which are better when lower, the other way
round. The items are the sample: shares get score intervals, everything else a paired
bootstrap over items, drawn from a fixed seed so that a record always gives the same.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from math import isfinite

import numpy as np
from numpy.typing import NDArray

from harness.domain.labelled import Metric, Source
from harness.domain.origin import Origin
from harness.domain.plan import Arm
from harness.domain.query import ItemsScored
from harness.scoring.rows import Rows, unpack
from harness.scoring.values import resampler, value_of
from harness.stats.group import (
    ITEMS_NOT_SCORED,
    METRIC_UNDEFINED,
    NO_PARENT,
    Answer,
    Figure,
    Group,
)
from harness.stats.proportions import (
    ONE_SIDED_Z,
    TWO_SIDED_Z,
    Interval,
    Paired,
    ratio_interval,
    wilson,
)
from harness.stats.uncertainty import CONFIDENCE, Term

DRAWS = 1000
_DRAWS_OF_MANY_ROWS = 200
"""Detections are sorted anew in every draw."""
_SEED = 20020716
_DECIDES = frozenset({Metric.TOP1, Metric.TOP5, Metric.F1})
"""Metrics whose rows begin with the class that was decided for."""

Places = NDArray[np.int64]
Statistic = Callable[[Places], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Rows of one source, with the metric that they are of."""

    metric: Metric
    rows: Rows

    @property
    def items(self) -> Places:
        """Numbers of the items, in order."""
        return np.unique(self.rows[:, 0]).astype(np.int64)

    def of(self, items: Places) -> "Scores":
        """Give the rows of some items, in the order of their numbers."""
        kept = self.rows[np.isin(self.rows[:, 0], items)]
        ordered = kept[np.argsort(kept[:, 0], kind="stable")]
        return Scores(metric=self.metric, rows=ordered)

    @property
    def hits(self) -> NDArray[np.bool_]:
        """Say of each row whether the answer is right; of a metric that is a share."""
        column = 1 if self.metric is Metric.EXACT else 3
        return self.rows[:, column] > 0


def scores_of(event: ItemsScored) -> Scores:
    """Read the rows of an event that is about labelled items."""
    rows = unpack(event.packed, event.width)
    return Scores(metric=Metric(event.metric), rows=rows)


def accuracy_answers(group: Group) -> Iterator[Answer]:
    """Give metric, parent's metric, retention and agreement of a scored group."""
    if group.arm is Arm.HOST or group.labelled is None:
        return
    scored = [trial for trial in group.trials if trial.trial.is_scored]
    if not scored:
        return
    mine, said = own_scores(group), whose_answers(group)
    events = {event.source: event for event in scored[0].scored}
    parent = events.get(Source.PARENT)
    if mine is None:
        names = ("task_metric", "accuracy_retention")
        yield from (group.withhold(name, ITEMS_NOT_SCORED) for name in names)
        return
    yield metric_answer(group, "task_metric", mine, said)
    if parent is None:
        reason = ITEMS_NOT_SCORED if group.labelled.parent else NO_PARENT
        yield group.withhold("accuracy_retention", reason)
        return
    theirs = scores_of(parent)
    yield metric_answer(group, "task_metric_parent", theirs, "")
    yield _retention(group, mine, theirs, said)
    if mine.metric in _DECIDES:
        yield _agreement(group, mine, theirs)


def own_scores(group: Group) -> Scores | None:
    """Give the device's own answers to all labelled items; None where some lack."""
    scored = [trial for trial in group.trials if trial.trial.is_scored]
    if not scored or group.labelled is None:
        return None
    wanted = Source.REFERENCE if _is_answered_here(group) else Source.SESSION
    for event in scored[0].scored:
        if event.source is wanted and event.items >= group.labelled.items:
            return scores_of(event)
    return None


def whose_answers(group: Group) -> str:
    """Say where the answers come from, where it is not the device itself."""
    is_here = _is_answered_here(group)
    return " (the device's file, answered on this machine)" if is_here else ""


def _is_answered_here(group: Group) -> bool:
    """Say whether a model of a device, which answers nothing, was answered for.

    An emulated processor answers by itself.
    """
    scored = [trial for trial in group.trials if trial.trial.is_scored]
    answered = {event.source for event in scored[0].scored} if scored else set()
    return group.origin is Origin.EMULATED and Source.SESSION not in answered


def metric_answer(
    group: Group, name: str, scores: Scores, said: str, condition: str = ""
) -> Answer:
    """Give the metric of scores with its interval."""
    value = value_of(scores.metric, scores.rows)
    if not isfinite(value):
        return group.withhold(name, METRIC_UNDEFINED, condition=condition)
    count = len(scores.items)
    how = f"{scores.metric} on {count} items{said}"
    if scores.metric.is_share:
        hits = int(scores.hits.sum())
        figure = share_figure(hits, count, f"{how}, Wilson")
    else:
        draw = resampler(scores.metric, scores.rows)
        figure = bootstrapped(value, draw, scores, f"{how}, bootstrap")
    return group.estimate(name, replace(figure, condition=condition))


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """A model beside its parent on the same items, outside any record."""

    metric: Metric
    items: int
    value: float
    parent_value: float
    retention: float
    retention_lower: float
    retention_upper: float
    """One-sided 95 % bounds, each."""
    method: str


def compare_scores(mine: Scores, theirs: Scores) -> Compared:
    """Compare two models on the same items. NaN where the ratio does not exist."""
    values = [value_of(scores.metric, scores.rows) for scores in (mine, theirs)]
    figure = _retained(mine, theirs, "")
    return Compared(
        metric=mine.metric,
        items=len(mine.items),
        value=values[0],
        parent_value=values[1],
        retention=figure.value if figure else float("nan"),
        retention_lower=_or_nan(figure.lower if figure else None),
        retention_upper=_or_nan(figure.upper if figure else None),
        method=figure.method if figure else "",
    )


def _or_nan(bound: float | None) -> float:
    return float("nan") if bound is None else bound


def _retention(group: Group, mine: Scores, theirs: Scores, said: str) -> Answer:
    name = "accuracy_retention"
    common = np.intersect1d(mine.items, theirs.items)
    if len(common) < len(mine.items) or len(common) < len(theirs.items):
        return group.withhold(name, ITEMS_NOT_SCORED)
    figure = _retained(mine, theirs, said)
    if figure is None:
        return group.withhold(name, METRIC_UNDEFINED)
    return group.estimate(name, figure)


def _retained(mine: Scores, theirs: Scores, said: str) -> Figure | None:
    """Give retention on the same items; None where the ratio does not exist."""
    items = mine.items
    mine, theirs = mine.of(items), theirs.of(items)
    ratio = accuracy_ratio(
        mine.metric,
        value_of(mine.metric, mine.rows),
        value_of(theirs.metric, theirs.rows),
    )
    if not isfinite(ratio):
        return None
    how = f"{mine.metric} over that of the float32 parent on {len(items)} items{said}"
    if mine.metric.is_share:
        return retention_of_shares(mine, theirs, how)
    first = resampler(mine.metric, mine.rows)
    second = resampler(theirs.metric, theirs.rows)

    def draw(places: Places) -> float:
        return accuracy_ratio(mine.metric, first(places), second(places))

    return bootstrapped(ratio, draw, mine, f"{how}, paired bootstrap")


def accuracy_ratio(metric: Metric, mine: float, theirs: float) -> float:
    """Give one metric over another, of errors the other way round; NaN: it is none."""
    above, below = (mine, theirs) if metric.is_better_high else (theirs, mine)
    return above / below if below > 0 else float("nan")


def retention_of_shares(mine: Scores, theirs: Scores, how: str) -> Figure:
    """Give the ratio of two shares of the same items, with its score interval."""
    first, second = mine.hits, theirs.hits
    pairs = Paired(
        both=int((first & second).sum()),
        only_first=int((first & ~second).sum()),
        only_second=int((~first & second).sum()),
        items=len(first),
    )
    changed = pairs.only_first + pairs.only_second
    return interval_figure(
        pairs.ratio,
        ratio_interval(pairs, TWO_SIDED_Z),
        ratio_interval(pairs, ONE_SIDED_Z),
        len(first),
        f"{how}, {changed} changed, paired score interval",
    )


def _agreement(group: Group, mine: Scores, theirs: Scores) -> Answer:
    common = np.intersect1d(mine.items, theirs.items)
    same = mine.of(common).rows[:, 1] == theirs.of(common).rows[:, 1]
    how = f"same decision as the float32 parent, {len(common)} items, Wilson"
    figure = share_figure(int(same.sum()), len(common), how)
    return group.estimate("decision_agreement", figure)


def share_figure(hits: int, items: int, method: str) -> Figure:
    """Give a share of items with Wilson's interval."""
    return interval_figure(
        hits / items,
        wilson(hits, items, TWO_SIDED_Z),
        wilson(hits, items, ONE_SIDED_Z),
        items,
        method,
    )


def interval_figure(
    value: float, interval: Interval, bounds: Interval, items: int, method: str
) -> Figure:
    """Put a value and its interval together; U is the longer arm of the interval.

    `bounds` are one-sided, each at 95 %.
    """
    reach = max(interval.upper - value, value - interval.lower, 0.0)
    return Figure(
        value=value,
        terms=(Term(u=reach / TWO_SIDED_Z),),
        lower=bounds.lower,
        upper=bounds.upper,
        queries=items,
        method=method,
    )


def bootstrapped(value: float, draw: Statistic, scores: Scores, method: str) -> Figure:
    """Draw items with replacement; percentiles give the interval (Efron, 1979)."""
    items = len(scores.items)
    has_many_rows = len(scores.rows) > items
    draws = _DRAWS_OF_MANY_ROWS if has_many_rows else DRAWS
    generator = np.random.default_rng(_SEED)
    drawn = np.array([draw(generator.integers(0, items, items)) for _ in range(draws)])
    drawn = drawn[np.isfinite(drawn)]
    if len(drawn) < draws / 2:
        drawn = np.array([0.0, value, 2 * value])  # nothing is known of it
    tail = (1 - CONFIDENCE) / 2
    low, lower, upper, high = np.quantile(
        drawn, [tail, 1 - CONFIDENCE, CONFIDENCE, 1 - tail]
    )
    # one item more might have changed it by its own share, whatever the draws say
    least = abs(value) / items
    return interval_figure(
        value,
        Interval(
            lower=min(float(low), value - least), upper=max(float(high), value + least)
        ),
        Interval(
            lower=min(float(lower), value - least),
            upper=max(float(upper), value + least),
        ),
        items,
        f"{method}, {draws} draws",
    )
