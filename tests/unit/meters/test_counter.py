"""Energy registers: rollovers are undone, a register set back is an error."""

from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import MeterError
from harness.meters.counter import EnergyCounter

MODULUS = 10_000


def a_counter() -> EnergyCounter:
    return EnergyCounter(modulus=MODULUS, joules_per_count=3600.0, where="pzem@sim:")


@given(
    start=st.integers(0, MODULUS - 1),
    steps=st.lists(st.integers(0, MODULUS // 4), min_size=1, max_size=30),
)
def test_energy_is_the_sum_of_the_steps_whatever_rolls_over(
    start: int, steps: list[int]
) -> None:
    counter = a_counter()
    counter.advance(start)

    energy = [
        counter.advance(total % MODULUS) for total in accumulate(steps, initial=start)
    ]

    assert energy == [3600.0 * total for total in accumulate(steps, initial=0)]


@pytest.mark.parametrize(("before", "after"), [(500, 0), (0, MODULUS // 4 + 1)])
def test_a_step_too_large_for_energy_is_told(before: int, after: int) -> None:
    counter = a_counter()
    counter.advance(before)

    with pytest.raises(MeterError) as caught:
        counter.advance(after)

    assert caught.value.sentence() == (
        f"The energy register went from {before} to {after}: it was set back while "
        "measuring (pzem@sim:). Leave the meter's buttons and supply alone, and run "
        "again."
    )
