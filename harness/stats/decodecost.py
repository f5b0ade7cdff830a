"""What the tokens of a language model cost: energy, and memory for their context."""

from collections.abc import Iterator
from dataclasses import replace
from math import sqrt

from harness.domain.record import TrialRecord
from harness.domain.scenario import LlmDecode
from harness.stats.decoding import level_run
from harness.stats.energy import (
    Reading,
    energy_within,
    figure_of,
    weakest_evidence,
)
from harness.stats.group import (
    NO_POWER_READINGS,
    NOT_READABLE,
    Answer,
    Figure,
    Group,
)
from harness.stats.memory import BATCH_BYTES
from harness.stats.uncertainty import Term, between_runs, rectangular

_BILLION = 1e9
_CONTEXT, _CACHE = "decode.context_memory", "decode.cache_bytes_per_token"
ENERGY = ("energy_per_token", "energy_per_token_per_billion", "tokens_per_joule")


def token_energy(group: Group, scenario: LlmDecode) -> Iterator[Answer]:
    """Give net energy for each output token, and tokens for each joule, by level.

    Prompts are in the window, so their energy is in that of the tokens. Tokens per
    joule are of gross energy: what the mains pay for.
    """
    grade = weakest_evidence(group)
    for index, level in enumerate(scenario.levels):
        net: list[Reading] = []
        gross: list[Reading] = []
        answers = 0
        for trial in group.trials:
            run = level_run(trial, index)
            if run is None:
                continue
            answers += len(run.tokens)
            found = energy_within(trial, run.window, float(run.tokens.sum()))
            if found is not None:
                gross.append(found.gross_j)
                net += [found.net_j] if found.net_j is not None else []
        condition = level.condition
        if grade is None or not gross:
            for name in ENERGY:
                yield group.withhold(name, NO_POWER_READINGS, condition=condition)
            continue
        yield _per_joule(
            group, replace(figure_of(gross, answers, grade), condition=condition)
        )
        if not net:
            yield group.withhold(ENERGY[0], NOT_READABLE, condition=condition)
            continue
        figure = replace(figure_of(net, answers, grade), condition=condition)
        yield group.estimate("energy_per_token", figure)
        yield _per_billion(group, figure)


def _per_joule(group: Group, gross: Figure) -> Answer:
    """Turn gross energy a token round: same relative u (JCGM 100, 5.1.6)."""
    if gross.value <= 0:
        return group.withhold(
            "tokens_per_joule", NOT_READABLE, condition=gross.condition
        )
    factor = 1 / gross.value**2
    return group.estimate(
        "tokens_per_joule",
        replace(
            gross,
            value=1 / gross.value,
            terms=tuple(replace(t, u=t.u * factor) for t in gross.terms),
            method=f"output tokens over gross energy; {gross.method}",
        ),
    )


def _per_billion(group: Group, net: Figure) -> Answer:
    parameters = group.model.parameters
    if not parameters:
        return group.withhold(
            "energy_per_token_per_billion", NOT_READABLE, condition=net.condition
        )
    share = _BILLION / parameters
    return group.estimate(
        "energy_per_token_per_billion",
        replace(
            net,
            value=net.value * share,
            terms=tuple(replace(t, u=t.u * share) for t in net.terms),
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
