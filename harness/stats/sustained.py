"""What a long load leaves of the speed, and what it adds to the memory.

The last fifth of the window against the first fifth (method, section 5).
"""

from collections.abc import Iterator
from math import hypot

import numpy as np

from harness.domain.record import TrialRecord
from harness.stats.bootstrap import BlockMean, block_mean
from harness.stats.decoding import LevelRun, level_run, output_rate
from harness.stats.group import NOT_READABLE, TOO_FEW_QUERIES, Answer, Figure, Group
from harness.stats.series import spacings_s, window_of
from harness.stats.uncertainty import Reals, Term, between_runs
from harness.units import NS_PER_S

_FIFTH = 0.2
_LEAST_QUERIES = 10
"""Two in each fifth: fewer have no spread."""
_RSS = "rss"


def sustained_answers(group: Group) -> Iterator[Answer]:
    """Give the sustained ratio and the growth of the resident set of a group."""
    ratios = [found for trial in group.trials if (found := sustained_ratio(trial))]
    yield _kept(group, ratios, "rate of the last fifth over that of the first")
    yield _growth(group)


def sustained_talk(group: Group) -> Iterator[Answer]:
    """Give the same of a language model, and its tokens per second over all."""
    runs = [run for trial in group.trials if (run := level_run(trial, 0)) is not None]
    if runs:
        yield group.estimate("output_rate", output_rate(runs))
    ratios = [found for run in runs if (found := sustained_decode(run))]
    what = "rate of tokens in answers of the last fifth over that in those of the first"
    yield _kept(group, ratios, what)
    yield _growth(group)


def sustained_decode(run: LevelRun) -> Figure | None:
    """Give the decode rate of the last fifth of a run's time over that of the first.

    Mean time per output token of the answers completed in each fifth, the first over
    the last; time to first tokens is in neither. None for fewer than two answers in a
    fifth, or for answers of one token.
    """
    times = np.cumsum(run.spacings_s)
    if len(times) != len(run.tpot_s):
        return None
    first = run.tpot_s[times <= _FIFTH * times[-1]]
    last = run.tpot_s[times > (1 - _FIFTH) * times[-1]]
    return _quotient(first, last)


def _kept(group: Group, ratios: list[Figure], what: str) -> Answer:
    if ratios:
        figure = _over_runs(ratios, what, group.queries)
        return group.estimate("sustained_ratio", figure)
    return group.withhold(
        "sustained_ratio",
        TOO_FEW_QUERIES,
        needed=_LEAST_QUERIES,
        observed=group.queries,
    )


def _growth(group: Group) -> Answer:
    growths = [found for trial in group.trials if (found := rss_growth(trial))]
    if growths:
        what = "resident set of the last fifth over that of the first, less one"
        return group.estimate("rss_growth", _over_runs(growths, what, group.queries))
    return group.withhold("rss_growth", NOT_READABLE)


def sustained_ratio(trial: TrialRecord) -> Figure | None:
    """Give throughput of the last fifth of a run's time over that of the first.

    Mean spacing of the queries completed in each fifth, the first over the last;
    u from the block bootstrap of both. None for fewer than two queries in a fifth.
    """
    spacings = spacings_s(trial)
    if len(spacings) < _LEAST_QUERIES:
        return None
    times = np.cumsum(spacings)
    first = spacings[times <= _FIFTH * times[-1]]
    last = spacings[times > (1 - _FIFTH) * times[-1]]
    return _quotient(first, last)


def rss_growth(trial: TrialRecord) -> Figure | None:
    """Give by what ratio the mean resident set grew from first to last fifth.

    None where the curve was not sampled, or not in both fifths.
    """
    block = next((b for b in trial.readings if b.channel.name == _RSS), None)
    window = window_of(trial)
    if block is None or window is None or block.clock != trial.clock:
        return None
    times = np.asarray(block.times_ns, dtype=np.int64) / NS_PER_S
    position = (times - window.start_s) / window.duration_s
    values = np.asarray(block.values, dtype=np.float64)
    first = values[(position >= 0) & (position <= _FIFTH)]
    last = values[(position >= 1 - _FIFTH) & (position <= 1)]
    found = _quotient(last, first)
    if found is None:
        return None
    return Figure(value=found.value - 1, terms=found.terms)


def _quotient(above: Reals, below: Reals) -> Figure | None:
    """Give the quotient of two means with u by propagation (JCGM 100, 5.1.6)."""
    if min(len(above), len(below)) < 2 or below.mean() == 0:  # noqa: PLR2004 - a spread
        return None
    top, bottom = block_mean(above), block_mean(below)
    value = top.value / bottom.value
    u = abs(value) * hypot(_relative(top), _relative(bottom))
    freedom = min(top.term.freedom, bottom.term.freedom)
    return Figure(value=value, terms=(Term(u=u, freedom=freedom),))


def _relative(mean: BlockMean) -> float:
    return mean.term.u / abs(mean.value) if mean.value else 0.0


def _over_runs(runs: list[Figure], what: str, queries: int) -> Figure:
    if len(runs) == 1:
        return Figure(
            value=runs[0].value,
            terms=runs[0].terms,
            queries=queries,
            method=f"{what}, one run, circular block bootstrap",
        )
    spread = between_runs([run.value for run in runs])
    return Figure(
        value=spread.value,
        terms=(spread.term,),
        lower=spread.lower,
        upper=spread.upper,
        runs=len(runs),
        queries=queries,
        method=f"{what}, mean of {len(runs)} runs, Student t",
    )
