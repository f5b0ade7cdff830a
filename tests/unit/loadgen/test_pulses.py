"""Pulses before and after a run: sequences, edges, and what a meter can resolve."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.loadgen.pulses import (
    LEAST_CHIP_NS,
    Burst,
    PulsePlan,
    PulseTrain,
    Sequence,
    burst_of,
    m_sequence,
    plan_pulses,
)

SEQUENCES = st.sampled_from(list(Sequence))
SEEDS = st.integers(0, 10_000)


@given(SEQUENCES, SEEDS)
def test_a_sequence_looks_like_itself_only_where_it_is_not_shifted(
    sequence: Sequence, seed: int
) -> None:
    chips = np.where(m_sequence(sequence, seed), 1, -1)

    shifted = [int(chips @ np.roll(chips, by)) for by in range(sequence.length)]

    # the defining property: N in step, -1 at every other shift
    assert shifted == [sequence.length] + [-1] * (sequence.length - 1)


@given(SEQUENCES, SEEDS)
def test_one_chip_more_is_busy_than_idle(sequence: Sequence, seed: int) -> None:
    chips = m_sequence(sequence, seed)

    assert len(chips) == sequence.length
    assert sum(chips) == (sequence.length + 1) // 2


def test_each_seed_up_to_the_length_turns_the_sequence_differently() -> None:
    found = {m_sequence(Sequence.PN31, seed) for seed in range(31)}

    assert len(found) == 31
    assert m_sequence(Sequence.PN31, 31) == m_sequence(Sequence.PN31, 0)


@given(SEQUENCES, SEEDS, st.integers(1, 10**9), st.integers(0, 10**15))
def test_a_burst_is_busy_exactly_in_the_busy_chips(
    sequence: Sequence, seed: int, chip_ns: int, start_ns: int
) -> None:
    chips = m_sequence(sequence, seed)

    burst = burst_of(chips, chip_ns, start_ns)

    middles = [start_ns + chip_ns * k + chip_ns // 2 for k in range(len(chips))]
    spans = list(zip(burst.rises_ns, burst.falls_ns, strict=True))
    busy = tuple(any(rise <= at < fall for rise, fall in spans) for at in middles)
    assert busy == chips


@given(SEEDS)
def test_the_postamble_is_the_preamble_backwards(seed: int) -> None:
    plan = PulsePlan(sequence=Sequence.PN31, chip_ns=20_000_000, seed=seed)

    before, after = plan.preamble(0), plan.postamble(0)

    mirrored = tuple(plan.duration_ns - at for at in reversed(before.edges_ns))
    assert after.edges_ns == mirrored


@given(st.integers(1, 10**10), SEEDS)
def test_a_burst_keeps_its_rests_and_chips_that_the_meter_resolves(
    step_ns: int, seed: int
) -> None:
    plan = plan_pulses(step_ns, seed)
    burst = plan.preamble(7)

    shortest = min(later - earlier for earlier, later in pairwise(burst.edges_ns))

    assert burst.rises_ns[0] >= 7 + plan.quiet_ns
    assert burst.falls_ns[-1] <= 7 + plan.duration_ns - plan.quiet_ns
    assert shortest >= max(4 * step_ns, LEAST_CHIP_NS)


def test_slow_meters_get_the_short_sequence_and_middling_ones_the_long_one() -> None:
    rates_hz = (100_000, 1000, 100, 10, 1)

    plans = [plan_pulses(10**9 // rate, seed=0) for rate in rates_hz]

    assert [plan.sequence for plan in plans] == [
        Sequence.PN31,
        Sequence.PN31,
        Sequence.PN63,
        Sequence.PN15,
        Sequence.PN15,
    ]
    assert [plan.duration_ns / 1e9 for plan in plans] == [0.74, 0.74, 6.9, 10.5, 105.0]


def test_an_interval_must_be_positive() -> None:
    with pytest.raises(ValueError, match="interval"):
        plan_pulses(0, seed=0)


@pytest.mark.parametrize(
    ("rises", "falls"), [((), ()), ((1,), (1,)), ((1, 5), (2,)), ((1, 3), (4, 5))]
)
def test_a_burst_whose_edges_do_not_take_turns_cannot_be(
    rises: tuple[int, ...], falls: tuple[int, ...]
) -> None:
    with pytest.raises(ValueError, match="burst"):
        Burst(rises_ns=rises, falls_ns=falls)


def test_a_train_needs_bursts_in_order() -> None:
    early = Burst(rises_ns=(0,), falls_ns=(10,))
    late = Burst(rises_ns=(20,), falls_ns=(30,))

    assert PulseTrain(bursts=(early, late)).bursts == (early, late)
    with pytest.raises(ValueError, match="follow"):
        PulseTrain(bursts=(late, early))
    with pytest.raises(ValueError, match="needs a burst"):
        PulseTrain(bursts=())
