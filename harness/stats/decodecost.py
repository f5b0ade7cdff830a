"""What the tokens of a language model cost: energy, and memory for their context."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import sqrt

from harness.domain.origin import EvidenceClass
from harness.domain.record import TrialRecord
from harness.domain.scenario import LlmDecode
from harness.stats.decoding import level_run
from harness.stats.energy import (
    WITHHELD_FOR,
    Reading,
    RunEnergy,
    energy_within,
    figure_of,
    weakest_evidence,
    why_no_energy,
)
from harness.stats.group import NOT_READABLE, Answer, Figure, Group
from harness.stats.memory import BATCH_BYTES
from harness.stats.relation import Refused
from harness.stats.uncertainty import Term, between_runs, rectangular

_BILLION = 1e9
_CONTEXT, _CACHE = "decode.context_memory", "decode.cache_bytes_per_token"
MOST_USERS = "most users"
"""Condition of the figures at the level with the most users, however many they are."""
ENERGY = ("energy_per_token", "energy_per_token_per_billion", "tokens_per_joule")


def token_energy(group: Group, scenario: LlmDecode) -> Iterator[Answer]:
    """Give net energy for each output token, and tokens for each joule, by level.

    Prompts are in the window, so their energy is in that of the tokens. Tokens per
    joule are of gross energy: what the mains pay for.
    """
    grade = weakest_evidence(group)
    last = len(scenario.levels) - 1
    for index, level in enumerate(scenario.levels):
        found, answers = _energies(group, index, is_last=index == last)
        runs = [one for one in found if isinstance(one, RunEnergy)]
        if grade is None or not runs:
            reason = why_no_energy(group, found)
            for name in ENERGY:
                yield group.withhold(name, reason, condition=level.condition)
            continue

        def figure(
            readings: Sequence[Reading],
            answers: int = answers,
            grade: EvidenceClass = grade,
            condition: str = level.condition,
        ) -> Figure:
            return replace(figure_of(readings, answers, grade), condition=condition)

        gross = [run.gross_j for run in runs]
        yield _per_joule(group, figure(gross))
        if index == last:
            yield _per_joule(group, figure(gross, condition=MOST_USERS))
        net = [run.net_j for run in runs if isinstance(run.net_j, Reading)]
        if net:
            yield group.estimate(ENERGY[0], figure(net))
            yield _per_billion(group, figure(net))
            continue
        refused = [run.net_j for run in runs if isinstance(run.net_j, Refused)]
        for name in ENERGY[:2]:
            yield group.withhold(
                name, WITHHELD_FOR[refused[0].reason], condition=level.condition
            )


def _energies(
    group: Group, index: int, *, is_last: bool
) -> tuple[list[RunEnergy | Refused], int]:
    """Integrate one level of every run, for each output token; and count answers."""
    found: list[RunEnergy | Refused] = []
    answers = 0
    for trial in group.trials:
        run = level_run(trial, index)
        if run is None:
            continue
        answers += len(run.tokens)
        tokens = float(run.tokens.sum())
        one = energy_within(trial, run.window, tokens, rests_after=is_last)
        found += [] if one is None else [one]
    return found, answers


def _per_joule(group: Group, gross: Figure) -> Answer:
    """Turn gross energy a token round: same relative u (JCGM 100, 5.1.6)."""
    if gross.value <= 0:
        return group.withhold(ENERGY[2], NOT_READABLE, condition=gross.condition)
    factor = 1 / gross.value**2
    return group.estimate(
        ENERGY[2],
        replace(
            gross,
            value=1 / gross.value,
            terms=tuple(term.times(factor) for term in gross.terms),
            method=f"output tokens over gross energy; {gross.method}",
        ),
    )


def _per_billion(group: Group, net: Figure) -> Answer:
    parameters = group.model.parameters
    if not parameters:
        return group.withhold(ENERGY[1], NOT_READABLE, condition=net.condition)
    share = _BILLION / parameters
    return group.estimate(
        ENERGY[1],
        replace(
            net,
            value=net.value * share,
            terms=tuple(term.times(share) for term in net.terms),
            method=f"{net.method}; over {parameters / _BILLION:.4g}·10⁹ parameters",
        ),
    )


def context_memory(group: Group) -> Answer:
    """Give the growth of memory with each token of context of one user.

    Read off the process where the kernel says it: the slope between the shortest and
    the longest context that were filled. Else what the shapes of the cache say.
    """
    slopes = [found for trial in group.trials if (found := _slope(trial)) is not None]
    if slopes:
        values = [value for value, _ in slopes]
        terms = [rectangular(max(reach for _, reach in slopes))]
        value = values[0]
        if len(values) > 1:
            spread = between_runs(values)
            value = spread.value
            terms.append(spread.term)
        return group.estimate(
            "context_memory_per_token",
            Figure(
                value=value,
                terms=tuple(terms),
                runs=len(values),
                method="resident set at the longest less at the shortest context, over "
                "the tokens between; a prompt's activations are in it",
            ),
        )
    noted = [t.notes[_CACHE] for t in group.trials if _CACHE in t.notes]
    if not noted:
        return group.withhold("context_memory_per_token", NOT_READABLE)
    return group.estimate(
        "context_memory_per_token",
        Figure(
            value=float(noted[0]),
            terms=(Term(u=0.0),),
            runs=len(noted),
            method="size of the cache by its shapes",
        ),
    )


def _slope(trial: TrialRecord) -> tuple[float, float] | None:
    """Give bytes a token, and how far the kernel's account may be off."""
    pairs = [pair.split(":") for pair in trial.notes.get(_CONTEXT, "").split()]
    found = sorted((int(tokens), int(resident)) for tokens, resident in pairs)
    if not found or found[-1][0] == found[0][0]:
        return None
    (least, low), *_, (most, high) = found
    tokens = most - least
    return (high - low) / tokens, sqrt(2) * BATCH_BYTES / tokens
