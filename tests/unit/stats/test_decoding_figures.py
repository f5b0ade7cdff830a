"""Figures of a language model's answers: exact on made-up times, and covered."""

from array import array
from collections.abc import Callable, Sequence
from dataclasses import replace
from math import sqrt

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.signal import lfilter
from scipy.special import ndtri

from harness.domain.estimate import Estimate, Withheld
from harness.domain.origin import Origin
from harness.domain.plan import Minimum
from harness.domain.query import Outcome, Phase
from harness.domain.reading import Channel, ReadingBlock
from harness.domain.record import Queries, TrialRecord
from harness.domain.scenario import LlmDecode, LlmSustained
from harness.stats.decodecost import context_memory, token_energy
from harness.stats.decoding import decode_answers
from harness.stats.group import Answer, Figure, Group
from harness.stats.mean import mean_of_runs
from harness.stats.series import Stream
from harness.stats.sustained import sustained_talk
from harness.stats.tails import Shortfall, percentile_of_answers, percentile_of_runs
from harness.stats.talkchecks import check_talk
from harness.stats.uncertainty import combine
from harness.testing.builders import a_model, a_profile, a_trial
from harness.units import NS_PER_S

MS = 1_000_000
ONE = LlmDecode(prompt_tokens=(100,), output_tokens=4)
TWO = LlmDecode(
    prompt_tokens=(100,),
    output_tokens=4,
    users=(1, 2),
    ttft_bounds_ns=(50 * MS, 15 * MS),
    tpot_bounds_ns=(5 * MS, 5 * MS),
)
AT_ONE = "prompt=100, output=4, users=1"


def answers_of(
    scenario: LlmDecode,
    levels: Sequence[Sequence[tuple[int, Sequence[int]]]],
    *,
    run: int = 1,
    warm_up: bool = True,
) -> TrialRecord:
    """Put answers end to end: (time to first token, gaps) in ns, level by level."""
    trial = replace(
        a_trial("llm", scenario, run=run), minimum=Minimum(queries=2, duration_ns=0)
    )
    queries = Queries(
        scheduled_ns=array("q"),
        issued_ns=array("q"),
        completed_ns=array("q"),
        is_measured=array("b"),
        segment=array("q"),
    )
    now = NS_PER_S
    plan = [(0, 0, levels[0][0])] if warm_up else []
    plan += [(1, at, one) for at, level in enumerate(levels) for one in level]
    for measured, segment, (first, gaps) in plan:
        instants = np.cumsum([now + first, *gaps])
        queries.scheduled_ns.append(now)
        queries.issued_ns.append(now)
        queries.completed_ns.append(int(instants[-1]))
        queries.is_measured.append(measured)
        queries.segment.append(segment)
        queries.inner_counts.append(len(instants))
        queries.inner_ns.extend(int(at) for at in instants)
        now = int(instants[-1])
    return TrialRecord(
        trial=trial, outcome=Outcome.DONE, clock="virtual", queries=queries
    )


def a_group(scenario: LlmDecode, trials: Sequence[TrialRecord]) -> Group:
    return Group(
        arm=trials[0].trial.arm,
        workload="llm",
        scenario=scenario,
        origin=Origin.EMULATED,
        profile=a_profile(),
        model=replace(a_model(), parameters=500_000_000),
        trials=tuple(trials),
    )


def by_name(found: Sequence[Answer], condition: str) -> dict[str, Answer]:
    return {one.measurand.name: one for one in found if one.condition == condition}


def test_figures_of_one_run_are_those_of_its_answers() -> None:
    kinds = [(10 * MS, (1 * MS, 2 * MS, 3 * MS)), (20 * MS, (4 * MS,) * 3)]
    order = np.random.default_rng(1).permutation([0, 1] * 20)
    group = a_group(ONE, [answers_of(ONE, [[kinds[kind] for kind in order]])])

    found = by_name(list(decode_answers(group, ONE)), AT_ONE)

    values = {n: a.value for n, a in found.items() if isinstance(a, Estimate)}
    assert values["ttft_mean"] == pytest.approx(0.015)
    assert values["ttft_p50"] == pytest.approx(0.010)
    assert values["ttft_p90"] == pytest.approx(0.020)
    assert values["tpot_mean"] == pytest.approx(0.003)
    assert values["output_rate"] == pytest.approx(160 / (20 * 0.048))
    assert values["prompt_rate"] == pytest.approx((100 / 0.01 + 100 / 0.02) / 2)
    assert values["output_tokens_mean"] == 4


def test_warm_up_and_other_levels_enter_no_figure_of_a_level() -> None:
    fast, slow = [(10 * MS, (MS,) * 3)] * 4, [(90 * MS, (9 * MS,) * 3)] * 4
    trial = answers_of(TWO, [fast, slow])

    found = list(decode_answers(a_group(TWO, [trial]), TWO))

    one = by_name(found, AT_ONE)["tpot_mean"]
    both = by_name(found, "prompt=100, output=4, users=2")["tpot_mean"]
    assert isinstance(one, Estimate)
    assert isinstance(both, Estimate)
    assert (one.value, both.value) == (pytest.approx(1e-3), pytest.approx(9e-3))
    assert one.queries == 4


def test_too_few_answers_for_a_percentile_are_told_with_what_they_lack() -> None:
    trial = answers_of(ONE, [[(10 * MS, (MS,) * 3)] * 5])

    found = by_name(list(decode_answers(a_group(ONE, [trial]), ONE)), AT_ONE)[
        "ttft_p90"
    ]

    assert isinstance(found, Withheld)
    assert (found.needed_queries, found.observed_queries) == (29, 5)


def test_answers_of_a_single_token_have_no_time_between_tokens() -> None:
    scenario = replace(ONE, output_tokens=1)
    trial = answers_of(scenario, [[(10 * MS, ())] * 5])

    found = list(decode_answers(a_group(scenario, [trial]), scenario))

    assert "tpot_mean" not in {one.measurand.name for one in found}


def users_served(levels: Sequence[Sequence[tuple[int, Sequence[int]]]]) -> list[Answer]:
    group = a_group(TWO, [answers_of(TWO, levels)])
    found = [
        one
        for one in decode_answers(group, TWO)
        if one.measurand.name == "users_served"
    ]
    assert [one.condition for one in found] == [
        "ttft=50 ms, tpot=5 ms",
        "ttft=15 ms, tpot=5 ms",
    ]
    return found


def test_users_are_counted_as_far_as_both_bounds_are_shown() -> None:
    one = [(10 * MS, (MS,) * 3)] * 300
    two = [(20 * MS, (2 * MS,) * 3)] * 300

    wide, narrow = users_served([one, two])

    assert isinstance(wide, Estimate)
    assert isinstance(narrow, Estimate)
    assert (wide.value, narrow.value) == (2.0, 1.0)


def test_nobody_is_served_where_one_user_waits_too_long_for_a_token() -> None:
    slow = [(10 * MS, (9 * MS,) * 3)] * 300

    for one in users_served([slow, slow]):
        assert isinstance(one, Withheld)
        assert one.reason == "no-user-served"


def test_users_are_withheld_where_the_search_ends_for_want_of_answers() -> None:
    one, two = [(10 * MS, (MS,) * 3)] * 300, [(12 * MS, (MS,) * 3)] * 40

    wide, narrow = users_served([one, two])

    for found in (wide, narrow):
        assert isinstance(found, Withheld)
        assert (found.reason, found.needed_queries) == ("too-few-queries", 299)


def with_power(trial: TrialRecord) -> TrialRecord:
    """Give idle at 1 W before and after, and 3 W from the first prompt to the last."""
    queries = trial.queries
    assert queries is not None
    start, end = queries.issued_ns[0], queries.completed_ns[-1]
    times = np.arange(0, end + 2 * NS_PER_S, 5 * MS, dtype=np.int64)
    watts = np.where((times > start) & (times <= end), 3.0, 1.0)
    block = ReadingBlock(
        channel=Channel(name="power", unit="W", source="emulated"),
        clock="virtual",
        origin=Origin.EMULATED,
        times_ns=array("q", times.tobytes()),
        values=array("d", watts.tobytes()),
    )
    phases = (
        (Phase.BASELINE_BEFORE, 0),
        (Phase.LOAD, NS_PER_S),
        (Phase.WARM_UP, start),
        (Phase.MEASURED, queries.issued_ns[1]),
        (Phase.BASELINE_AFTER, end),
    )
    return replace(trial, readings=(block,), phases=phases)


def test_energy_is_divided_by_tokens_and_by_parameters_and_turned_round() -> None:
    answers = [(70 * MS, (10 * MS,) * 3)] * 20
    trials = [with_power(answers_of(ONE, [answers], run=run)) for run in (1, 2)]

    found = list(token_energy(a_group(ONE, trials), ONE))

    values = {
        (one.measurand.name, one.condition): one.value
        for one in found
        if isinstance(one, Estimate)
    }
    # an answer of 4 tokens takes 100 ms, at 3 W, of which 1 W is idle
    assert values["energy_per_token", AT_ONE] == pytest.approx(0.05, rel=0.02)
    assert values["energy_per_token_per_billion", AT_ONE] == pytest.approx(
        0.1, rel=0.02
    )
    assert values["tokens_per_joule", AT_ONE] == pytest.approx(1 / 0.075, rel=0.02)
    assert values["tokens_per_joule", "most users"] == pytest.approx(
        1 / 0.075, rel=0.02
    )


def test_without_a_meter_there_is_no_energy_and_no_guess() -> None:
    trial = answers_of(ONE, [[(10 * MS, (MS,) * 3)] * 3])

    found = list(token_energy(a_group(ONE, [trial]), ONE))

    assert {one.reason for one in found if isinstance(one, Withheld)} == {
        "no-power-readings"
    }
    assert len(found) == 3


def test_memory_grows_by_what_the_process_grew_between_two_contexts() -> None:
    trial = answers_of(ONE, [[(10 * MS, (MS,) * 3)] * 3])
    noted = replace(
        trial,
        notes={"decode.context_memory": "1000:5000000 2000:9000000 4000:17000000"},
    )

    found = context_memory(a_group(ONE, [noted]))

    assert isinstance(found, Estimate)
    assert found.value == 4000.0
    assert found.standard_uncertainty == pytest.approx(
        sqrt(2) * 64 * 4096 / 3000 / sqrt(3)
    )


def test_shapes_stand_in_where_no_kernel_was_asked() -> None:
    trial = answers_of(ONE, [[(10 * MS, (MS,) * 3)] * 3])
    noted = replace(trial, notes={"decode.cache_bytes_per_token": "6144"})

    found = context_memory(a_group(ONE, [noted]))

    assert isinstance(found, Estimate)
    assert (found.value, found.method) == (6144.0, "size of the cache by its shapes")


ENDING = replace(ONE, stops_at_end=True)


@pytest.mark.parametrize(
    ("scenario", "gaps", "codes"),
    [
        (ONE, 3, []),
        (ONE, 2, ["output-length-off"]),
        (ENDING, 2, []),
        (replace(ENDING, expected_tokens=3.2), 2, []),
        (
            replace(ENDING, expected_tokens=4.0),
            2,
            ["output-length-off"],
        ),
    ],
)
def test_answers_of_another_length_than_they_must_have_are_found(
    scenario: LlmDecode, gaps: int, codes: list[str]
) -> None:
    trial = answers_of(scenario, [[(10 * MS, (MS,) * gaps)] * 3])

    assert [one.code for one in check_talk(trial, scenario)] == codes


def test_a_level_with_too_few_answers_is_found() -> None:
    trial = answers_of(TWO, [[(10 * MS, (MS,) * 3)] * 3, [(10 * MS, (MS,) * 3)]])

    (found,) = check_talk(trial, TWO)

    assert found.code == "too-few-queries"
    assert found.values["condition"] == "prompt=100, output=4, users=2"


# Coverage: what is claimed with 95 % has to hold about so often, with dependence

SIGMA, BETWEEN = 0.05, 0.01


def correlated(
    count: int, phi: float, generator: np.random.Generator
) -> NDArray[np.float64]:
    noise = generator.standard_normal(count + 50) * sqrt(1 - phi**2)
    series: NDArray[np.float64] = lfilter([1.0], [1.0, -phi], noise)[50:]
    return series


def share(trials: int, holds: Callable[[np.random.Generator], bool | None]) -> float:
    generator = np.random.default_rng(20261125)
    found = [one for _ in range(trials) if (one := holds(generator)) is not None]
    assert len(found) > 0.7 * trials  # the rest is withheld, and claims nothing
    return sum(found) / len(found)


def test_the_upper_bound_of_a_p90_of_few_answers_covers() -> None:
    truth = float(np.exp(sqrt(SIGMA**2 + BETWEEN**2) * ndtri(0.9)))

    def holds(generator: np.random.Generator) -> bool | None:
        runs = [
            Stream(
                np.exp(
                    SIGMA * correlated(16, 0.2, generator)
                    + BETWEEN * generator.standard_normal()
                )
            )
            for _ in range(3)
        ]
        found = percentile_of_answers(runs, 0.9)
        if isinstance(found, Shortfall):
            return None
        assert found.upper is not None
        return found.upper >= truth

    assert share(600, holds) >= 0.94


def test_the_mean_time_per_token_covers_though_gaps_grow_inside_an_answer() -> None:
    growth = np.linspace(0.0, 0.2, 31)

    def holds(generator: np.random.Generator) -> bool:
        runs = []
        for _ in range(3):
            level = 1 + BETWEEN * generator.standard_normal()
            gaps = 1 + growth + 0.1 * generator.standard_normal((12, 31))
            runs.append(level * gaps.mean(axis=1))
        found = mean_of_runs(runs)
        reach = combine_reach(found)
        return abs(found.value - (1 + growth.mean())) <= reach

    assert 0.93 <= share(800, holds) <= 0.97


def combine_reach(found: Figure) -> float:

    u, k = combine(found.terms)
    return u * k


def test_the_bound_of_a_p99_of_gaps_covers_though_an_answer_repeats_itself() -> None:
    growth = np.tile(np.linspace(0.0, 0.2, 63), 12)
    generator = np.random.default_rng(7)
    sample = np.tile(growth, 40) + 0.02 * generator.standard_normal(40 * len(growth))
    truth = float(np.quantile(sample, 0.99))

    def holds(draws: np.random.Generator) -> bool | None:
        runs = [
            Stream(1 + growth + 0.02 * draws.standard_normal(len(growth)))
            for _ in range(3)
        ]
        found = percentile_of_runs(runs, 0.99)
        if isinstance(found, Shortfall):
            return None
        assert found.upper is not None
        return found.upper >= 1 + truth

    assert _share_or_withheld(holds) >= 0.94


def _share_or_withheld(holds: Callable[[np.random.Generator], bool | None]) -> float:
    """As `share`; a figure that is withheld makes no false claim."""
    draws = np.random.default_rng(3)
    found = [holds(draws) for _ in range(200)]
    return sum(one is not False for one in found) / len(found)


LONG = LlmSustained(duration_ns=600 * NS_PER_S, prompt_tokens=100, output_tokens=4)


def a_long_run(kept: float, answers: int = 200, first_ms: int = 20) -> Group:
    """Make answers whose tokens slow down in the middle of the run."""
    paces = [
        10 * MS if n < answers / 2 else round(10 * MS / kept) for n in range(answers)
    ]
    level = [(first_ms * MS, [pace] * 3) for pace in paces]
    trial = answers_of(LlmDecode(prompt_tokens=(100,), output_tokens=4), [level])
    return replace(
        a_group(ONE, [trial]),
        scenario=LONG,
        trials=(replace(trial, trial=replace(trial.trial, scenario=LONG)),),
    )


def sustained_of(group: Group) -> dict[str, Answer]:
    return {one.measurand.name: one for one in sustained_talk(group)}


@pytest.mark.parametrize("kept", [1.0, 0.8, 0.5])
def test_what_a_long_conversation_keeps_of_its_rate_is_that_of_its_tokens(
    kept: float,
) -> None:
    found = sustained_of(a_long_run(kept))["sustained_ratio"]

    assert isinstance(found, Estimate)
    assert found.scenario == "LlmSustained"
    assert found.value == pytest.approx(kept, rel=1e-9)


def test_the_time_to_first_tokens_is_in_neither_fifth() -> None:
    found = sustained_of(a_long_run(0.5, first_ms=500))["sustained_ratio"]

    assert isinstance(found, Estimate)
    assert found.value == pytest.approx(0.5, rel=1e-9)


def test_a_long_conversation_of_few_answers_says_how_many_it_needs() -> None:
    found = sustained_of(a_long_run(1.0, answers=5))["sustained_ratio"]

    assert isinstance(found, Withheld)
    assert found.reason == "too-few-queries"
    assert found.needed_queries == 10


def test_a_conversation_shorter_than_its_duration_is_found() -> None:
    (trial,) = a_long_run(1.0).trials

    codes = {one.code for one in check_talk(trial, LONG)}

    assert codes == {"window-too-short"}
