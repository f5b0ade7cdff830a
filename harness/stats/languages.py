"""How good the answers are in each language, and against those in Chinese.

Items of different languages are different items, so their shares are compared as
independent ones. The least ratio is that of the language with the least; its lower
bound is the least of the languages' own lower bounds, which errs on the safe side
however many languages there are: the worst language's bound is among them.
"""

from collections.abc import Iterator
from dataclasses import replace
from math import isfinite

import numpy as np

from harness.domain.labelled import CHINESE, LANGUAGE, LabelledData
from harness.scoring.values import resampler, value_of
from harness.stats.accuracy import (
    Places,
    Scores,
    accuracy_ratio,
    bootstrapped,
    interval_figure,
    metric_answer,
    own_scores,
    whose_answers,
)
from harness.stats.group import (
    METRIC_UNDEFINED,
    NO_CHINESE_ITEMS,
    TOO_FEW_ITEMS,
    Answer,
    Figure,
    Group,
)
from harness.stats.proportions import (
    ONE_SIDED_Z,
    TWO_SIDED_Z,
    independent_ratio_interval,
)

LEAST_ITEMS = 100
"""Of each language, for a ratio to be judged."""
_SEED = 20020717
LEAST = "language_ratio_min"


def language_answers(group: Group) -> Iterator[Answer]:
    """Give the metric of every group of items and, of languages, ratios to Chinese."""
    labelled, mine = group.labelled, own_scores(group)
    if labelled is None or not labelled.grouping or mine is None:
        return
    said = whose_answers(group)
    parts = by_group(labelled, mine)
    for name, scores in parts.items():
        condition = f"{labelled.grouping}={name}"
        yield metric_answer(group, "group_metric", scores, said, condition)
    if labelled.grouping == LANGUAGE:
        yield from _ratios(group, parts, said)


def by_group(labelled: LabelledData, scores: Scores) -> dict[str, Scores]:
    """Part the scores by the groups of their items, of those that have any."""
    of = np.asarray(labelled.group_of, dtype=np.int64)
    found = {}
    for number, name in enumerate(labelled.groups):
        part = scores.of(np.flatnonzero(of == number))
        if len(part.rows):
            found[name] = part
    return found


def chinese_among(names: tuple[str, ...]) -> str:
    """Give the tag of Chinese: ``zh`` itself, else the first of its kind; or empty."""
    kinds = sorted(name for name in names if name.split("-")[0] == CHINESE)
    return kinds[0] if kinds else ""


def _ratios(group: Group, parts: dict[str, Scores], said: str) -> Iterator[Answer]:
    reference = chinese_among(tuple(parts))
    if not reference:
        yield group.withhold(LEAST, NO_CHINESE_ITEMS)
        return
    theirs = parts.pop(reference)
    found: dict[str, Figure] = {}
    for name, mine in parts.items():
        condition = f"{LANGUAGE}={name}"
        figure = _ratio(mine, theirs, f"over {reference}{said}")
        if figure is None:
            yield group.withhold(
                "language_ratio", METRIC_UNDEFINED, condition=condition
            )
            continue
        found[name] = replace(figure, condition=condition)
        yield group.estimate("language_ratio", found[name])
    yield _least(group, {reference: theirs, **parts}, found)


def _least(group: Group, parts: dict[str, Scores], found: dict[str, Figure]) -> Answer:
    """Give the least ratio; withheld where a language has too few items."""
    counts = {name: len(scores.items) for name, scores in parts.items()}
    least_items = min(counts.values())
    if least_items < LEAST_ITEMS:
        return group.withhold(
            LEAST, TOO_FEW_ITEMS, needed=LEAST_ITEMS, observed=least_items
        )
    if len(found) < len(parts) - 1 or not found:
        return group.withhold(LEAST, METRIC_UNDEFINED)
    name = min(found, key=lambda one: found[one].value)
    worst = found[name]
    lower = [figure.lower for figure in found.values() if figure.lower is not None]
    return group.estimate(
        LEAST,
        replace(
            worst,
            lower=min(lower, default=None),
            method=f"{name}; {worst.method}; bound: the least of {len(found)}",
            condition="",
        ),
    )


def _ratio(mine: Scores, theirs: Scores, said: str) -> Figure | None:
    """Give the metric on some items over that on others; None: there is no ratio."""
    metric = mine.metric
    value = accuracy_ratio(
        metric, value_of(metric, mine.rows), value_of(metric, theirs.rows)
    )
    if not isfinite(value):
        return None
    counts = len(mine.items), len(theirs.items)
    how = f"{metric} {said}, {counts[0]} and {counts[1]} items"
    if metric.is_share:
        shares = (
            (int(mine.hits.sum()), counts[0]),
            (int(theirs.hits.sum()), counts[1]),
        )
        return interval_figure(
            value,
            independent_ratio_interval(*shares, TWO_SIDED_Z),
            independent_ratio_interval(*shares, ONE_SIDED_Z),
            counts[0],
            f"{how}, score interval of independent shares",
        )
    first, second = (resampler(metric, one.rows) for one in (mine, theirs))
    generator = np.random.default_rng(_SEED)

    def draw(places: Places) -> float:
        others = generator.integers(0, counts[1], counts[1])
        return accuracy_ratio(metric, first(places), second(others))

    return bootstrapped(value, draw, mine, f"{how}, bootstrap of both")
