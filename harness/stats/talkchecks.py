"""What the answers of a language model show about whether they count, by level."""

from collections.abc import Iterator

from harness.domain.finding import Finding
from harness.domain.record import TrialRecord
from harness.domain.scenario import (
    Level,
    LlmDecode,
    LlmSustained,
    Talking,
    talk_of,
)
from harness.stats.decoding import LevelRun, level_run
from harness.stats.severity import finding
from harness.units import NS_PER_S

LENGTH_LIMIT = 0.10
"""How far the mean length of answers may lie from the one that the model is known to
give (MLPerf Inference, compliance test TEST09)."""
_WINDOW_SLACK = 1e-3


def check_talk(trial: TrialRecord, scenario: Talking) -> Iterator[Finding]:
    """Give the findings about the levels of one finished trial."""
    talk = talk_of(scenario)
    wanted_ns = trial.trial.minimum.duration_ns
    if isinstance(scenario, LlmSustained):
        wanted_ns = max(wanted_ns, scenario.duration_ns)
    for index, level in enumerate(talk.levels):
        run = level_run(trial, index)
        yield from _enough(trial, level, run, wanted_ns)
        if run is not None:
            yield from _length(trial, talk, level, run)


def _enough(
    trial: TrialRecord, level: Level, run: LevelRun | None, wanted_ns: int
) -> Iterator[Finding]:
    planned = trial.trial
    answers = 0 if run is None else len(run.tokens)
    if answers < planned.minimum.queries:
        yield finding(
            "too-few-queries",
            planned.id,
            planned.arm,
            queries=answers,
            minimum=planned.minimum.queries,
            condition=level.condition,
        )
    seconds = 0.0 if run is None else run.window.duration_s
    wanted = wanted_ns / NS_PER_S
    if seconds < wanted * (1 - _WINDOW_SLACK):
        yield finding(
            "window-too-short",
            planned.id,
            planned.arm,
            seconds=round(seconds, 3),
            minimum=wanted,
            condition=level.condition,
        )


def _length(
    trial: TrialRecord, scenario: LlmDecode, level: Level, run: LevelRun
) -> Iterator[Finding]:
    """Compare how long answers are with how long they have to be."""
    mean = float(run.tokens.mean())
    if not scenario.stops_at_end:
        is_off = bool((run.tokens != scenario.output_tokens).any())
        wanted = float(scenario.output_tokens)
    else:
        wanted = scenario.expected_tokens
        is_off = bool(wanted) and abs(mean / wanted - 1) > LENGTH_LIMIT
    if is_off:
        yield finding(
            "output-length-off",
            trial.trial.id,
            trial.trial.arm,
            tokens=round(mean, 2),
            expected=wanted,
            condition=level.condition,
        )
