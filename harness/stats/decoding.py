"""What the answers of a language model say: first token, tokens after it, users.

TTFT counts from the moment a user asks to the first token; TPOT of an answer is the
time from its first token to its last over the tokens between (MLPerf Inference, rules
for language models); inter-token times are the single gaps. Runs are the independent
unit. Answers of a run may depend on each other, and the gaps inside one answer surely
do (the cache grows): nothing here takes either for independent.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from harness.domain.record import TrialRecord
from harness.domain.scenario import Level, LlmDecode
from harness.stats.group import NOBODY_SERVED, TOO_FEW_QUERIES, Answer, Figure, Group
from harness.stats.mean import mean_of_runs, rate_of_runs
from harness.stats.series import Stream, Window, is_measured
from harness.stats.tails import Shortfall, percentile_of_answers, percentile_of_runs
from harness.stats.uncertainty import Reals, Term, between_runs
from harness.units import NS_PER_S

_FIRST_TOKEN = {"ttft_p50": 0.50, "ttft_p90": 0.90, "ttft_p99": 0.99}
_GAPS = {"inter_token_p50": 0.50, "inter_token_p99": 0.99}
_PROMISED = 0.99
"""Percentile of TTFT that a user is promised."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelRun:
    """The measured answers of one run at one level, in order of issue; times in s."""

    ttft_s: Reals
    tpot_s: Reals
    """Of answers with two tokens at least."""
    gaps_s: Reals
    """Answer after answer."""
    tokens: NDArray[np.int64]
    """Of each answer."""
    spacings_s: Reals
    """From one completion to the next: their sum is the window."""
    window: Window


def level_run(trial: TrialRecord, index: int) -> LevelRun | None:
    """Take the answers of one level of a trial; None where there are none."""
    queries = trial.queries
    if queries is None or not queries.inner_counts:
        return None
    segments = np.asarray(queries.segment, dtype=np.int64)
    chosen = np.flatnonzero(is_measured(queries) & (segments == index))
    if not len(chosen):
        return None
    counts = np.asarray(queries.inner_counts, dtype=np.int64)
    # differences are taken in whole ns: seconds since boot would round them
    at_ns = np.asarray(queries.inner_ns, dtype=np.int64)
    ends = np.cumsum(counts)
    answers = [at_ns[ends[i] - counts[i] : ends[i]] for i in chosen]
    asked = np.asarray(queries.scheduled_ns, dtype=np.int64)[chosen]
    first = np.array([answer[0] for answer in answers])
    done = np.sort([answer[-1] for answer in answers])
    longer = [answer for answer in answers if len(answer) > 1]
    spans = np.array([(a[-1] - a[0]) / (len(a) - 1) for a in longer])
    gaps = np.concatenate([np.diff(a) for a in longer] or [np.empty(0, np.int64)])
    return LevelRun(
        ttft_s=(first - asked) / NS_PER_S,
        tpot_s=spans / NS_PER_S,
        gaps_s=gaps / NS_PER_S,
        tokens=counts[chosen],
        spacings_s=np.diff(done, prepend=asked.min()) / NS_PER_S,
        window=Window(start_s=asked.min() / NS_PER_S, end_s=done[-1] / NS_PER_S),
    )


def decode_answers(group: Group, scenario: LlmDecode) -> Iterator[Answer]:
    """Give every figure of every level, and how many users are served."""
    runs_at = [
        [run for trial in group.trials if (run := level_run(trial, index)) is not None]
        for index in range(len(scenario.levels))
    ]
    for level, runs in zip(scenario.levels, runs_at, strict=True):
        if not runs:
            yield group.withhold(
                "ttft_mean", TOO_FEW_QUERIES, needed=1, condition=level.condition
            )
            continue
        yield from _of_level(group, level, runs)
    for number in range(len(scenario.ttft_bounds_ns)):
        yield _served(group, scenario, runs_at, number)


def _of_level(group: Group, level: Level, runs: Sequence[LevelRun]) -> Iterator[Answer]:
    def answer(name: str, found: Figure | Shortfall) -> Answer:
        if isinstance(found, Figure):
            return group.estimate(name, replace(found, condition=level.condition))
        return group.withhold(
            name,
            TOO_FEW_QUERIES,
            needed=found.needed,
            observed=found.observed,
            condition=level.condition,
        )

    yield answer("ttft_mean", mean_of_runs([run.ttft_s for run in runs]))
    first = [Stream(run.ttft_s) for run in runs]
    for name, ratio in _FIRST_TOKEN.items():
        yield answer(name, percentile_of_answers(first, ratio))
    longer = [run for run in runs if len(run.tpot_s)]
    if longer:
        yield answer("tpot_mean", mean_of_runs([run.tpot_s for run in longer]))
        gaps = [Stream(run.gaps_s) for run in longer]
        for name, ratio in _GAPS.items():
            yield answer(name, percentile_of_runs(gaps, ratio))
    yield answer("output_rate", output_rate(runs))
    if level.users == 1:
        prompt = [level.prompt_tokens / run.ttft_s for run in runs]
        figure = mean_of_runs(prompt)
        yield answer("prompt_rate", replace(figure, method=f"{figure.method}; n/TTFT"))
    tokens = [run.tokens.astype(np.float64) for run in runs]
    yield answer("output_tokens_mean", mean_of_runs(tokens))


def output_rate(runs: Sequence[LevelRun]) -> Figure:
    """Give the tokens of all users over the window, prompts included, run by run."""
    answers = sum(len(run.tokens) for run in runs)
    if len(runs) == 1:
        one = rate_of_runs([runs[0].spacings_s], 1)
        tokens = float(runs[0].tokens.mean())
        return replace(
            one,
            value=one.value * tokens,
            terms=tuple(replace(term, u=term.u * tokens) for term in one.terms),
            lower=None if one.lower is None else one.lower * tokens,
            upper=None if one.upper is None else one.upper * tokens,
            method=f"output tokens over window; {one.method}",
        )
    rates = [float(run.tokens.sum()) / run.window.duration_s for run in runs]
    spread = between_runs(rates)
    return Figure(
        value=spread.value,
        terms=(spread.term,),
        lower=spread.lower,
        upper=spread.upper,
        runs=len(runs),
        queries=answers,
        method=f"output tokens over window, mean of {len(runs)} runs, Student t",
    )


def promise(scenario: LlmDecode, number: int) -> str:
    """Name a promise, as the figures of users under it do."""
    ttft_ms = scenario.ttft_bounds_ns[number] / 1e6
    tpot_ms = scenario.tpot_bounds_ns[number] / 1e6
    return f"ttft={ttft_ms:g} ms, tpot={tpot_ms:g} ms"


def _served(
    group: Group,
    scenario: LlmDecode,
    runs_at: Sequence[Sequence[LevelRun]],
    number: int,
) -> Answer:
    """Give the most users of those tried, all fewer of whom were served too.

    Both upper bounds count, of p99 of TTFT and of the mean TPOT: users are claimed
    only where they are shown. Where the search ends for want of answers and not at
    users who are not served, the figure is withheld. The value is a count of what was
    tried: it has no spread, and says nothing of numbers between.
    """
    condition = promise(scenario, number)
    first = scenario.prompt_tokens[0]
    most, needed, observed, tried = 0, 0, 0, 0
    for level, runs in sorted(
        zip(scenario.levels, runs_at, strict=True), key=lambda pair: pair[0].users
    ):
        if level.prompt_tokens != first:
            continue
        found = _keeps(runs, scenario, number)
        tried += sum(len(run.tokens) for run in runs)
        if isinstance(found, Shortfall):
            needed, observed = found.needed, found.observed
            break
        if not found:
            break
        most = level.users
    if most and not needed:
        return group.estimate(
            "users_served",
            Figure(
                value=float(most),
                terms=(Term(u=0.0),),
                lower=float(most),
                runs=len(group.trials),
                queries=tried,
                method="most users tried whose bounds of p99 TTFT and mean TPOT keep "
                "the promise",
                condition=condition,
            ),
        )
    if needed:
        return group.withhold(
            "users_served",
            TOO_FEW_QUERIES,
            needed=needed,
            observed=observed,
            condition=condition,
        )
    return group.withhold(
        "users_served", NOBODY_SERVED, observed=tried, condition=condition
    )


def _keeps(
    runs: Sequence[LevelRun], scenario: LlmDecode, number: int
) -> bool | Shortfall:
    """Say whether a level keeps a promise; a shortfall where it cannot be told."""
    ttft_s = scenario.ttft_bounds_ns[number] / NS_PER_S
    tpot_s = scenario.tpot_bounds_ns[number] / NS_PER_S
    longer = [run.tpot_s for run in runs if len(run.tpot_s)]
    if not longer:
        return False
    tpot = mean_of_runs(longer)
    if tpot.upper is None or tpot.upper > tpot_s:
        return False
    found = percentile_of_answers([Stream(run.ttft_s) for run in runs], _PROMISED)
    if isinstance(found, Figure):
        return found.upper is not None and found.upper <= ttft_s
    # too few for a bound: that it is missed already shows where the mean is above
    if fmean(float(run.ttft_s.mean()) for run in runs) > ttft_s:
        return False
    return found
