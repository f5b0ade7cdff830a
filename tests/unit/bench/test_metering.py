"""A meter beside a trial: read, thinned, its accuracy noted, its failure survived."""

from array import array
from collections.abc import Collection, Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.bench.metering import Metering, metered
from harness.clock import Deadline, VirtualClock
from harness.domain.origin import Origin
from harness.domain.query import Noted, ReadingsTaken
from harness.domain.reading import Channel, Loss, ReadingBlock
from harness.errors import LinkClosed, UnknownName, Unsupported
from harness.meters.base import InstrumentDescription
from harness.meters.decoding import thinned

STEP_NS = 10_000


def power(watts: Collection[float], *, rate_hz: float = 1e5) -> ReadingBlock:
    return ReadingBlock(
        channel=Channel(name="power", unit="W", source="ppk2@sim:", rate_hz=rate_hz),
        clock="monotonic",
        origin=Origin.SIMULATED,
        times_ns=array("q", range(STEP_NS, STEP_NS * (len(watts) + 1), STEP_NS)),
        values=array("d", watts),
    )


class OneBlockMeter:
    """Gives one block, then whatever `then` does, each time it is asked."""

    def __init__(
        self, block: ReadingBlock, *, lost: int = 0, dies: bool = False
    ) -> None:
        self._block = block
        self._lost = lost
        self._dies = dies

    def identify(self) -> InstrumentDescription:
        return InstrumentDescription(
            driver="ppk2",
            address="ppk2@sim:",
            origin=Origin.SIMULATED,
            model="PPK2",
            facts={"voltage_v": "3"},
        )

    def channels(self) -> tuple[Channel, ...]:
        return (self._block.channel,)

    @contextmanager
    def acquire(
        self,
        channels: Collection[str],  # noqa: ARG002
        *,
        rate_hz: float | None = None,  # noqa: ARG002
    ) -> Iterator["OneBlockMeter"]:
        yield self

    def blocks(self, until: Deadline) -> Iterator[ReadingBlock]:
        yield self._block
        if self._dies:
            raise LinkClosed("The device went away", where="ppk2", remedy="Look.")
        until.clock.wait_until(until.at_ns)

    def loss(self) -> Loss:
        return Loss(missing=self._lost, expected=1000)


def noted(meter: OneBlockMeter) -> tuple[list[ReadingsTaken], dict[str, str]]:
    with Metering(meter, VirtualClock()).recording("kws.r1") as recording:
        pass
    events = list(recording.events())
    notes = {e.key: e.value for e in events if isinstance(e, Noted)}
    return [e for e in events if isinstance(e, ReadingsTaken)], notes


@given(st.lists(st.floats(0, 1), min_size=1, max_size=500))
def test_thinning_keeps_the_energy(watts: list[float]) -> None:
    block = power(watts)

    thin = thinned(block)

    steps = np.diff(np.asarray(thin.times_ns), prepend=0)
    energy = float((np.asarray(thin.values) * steps).sum())
    assert energy == pytest.approx(sum(watts) * STEP_NS, rel=1e-9, abs=1e-9)


def test_slow_readings_are_left_as_they_are() -> None:
    block = power([1.0, 2.0, 3.0], rate_hz=10.0)

    assert thinned(block) is block


def test_the_meters_accuracy_is_noted_for_the_ranges_that_it_touched() -> None:
    # 10 mW at 3 V are 3.3 mA: the range up to 5 mA, ±10 % and 5 µA
    _, notes = noted(OneBlockMeter(power([0.010] * 200)))

    assert float(notes["meter.gain_ratio"]) == pytest.approx(0.10)
    assert float(notes["meter.offset_w"]) == pytest.approx(3 * 5e-6)


def test_a_meter_that_goes_away_keeps_what_it_gave_and_says_so() -> None:
    taken, notes = noted(OneBlockMeter(power([0.010] * 200), dies=True))

    assert taken
    assert "The device went away" in notes["meter.failure"]


def test_too_many_readings_lost_give_no_power_at_all() -> None:
    taken, notes = noted(OneBlockMeter(power([0.010] * 200), lost=5))

    assert taken == []
    assert "5 of 1000 lost" in notes["meter.failure"]


def test_power_beyond_the_data_sheet_gives_no_figure_and_loses_nothing_else() -> None:
    taken, notes = noted(OneBlockMeter(power([500.0] * 200)))

    assert taken == []
    assert "data sheet says nothing" in notes["meter.failure"]


def test_a_meter_without_power_is_refused() -> None:
    block = power([0.010])
    other = ReadingBlock(
        channel=Channel(name="current", unit="A", source="x"),
        clock=block.clock,
        origin=block.origin,
        times_ns=block.times_ns,
        values=block.values,
    )

    with (
        pytest.raises(Unsupported, match="gives no power"),
        Metering(OneBlockMeter(other), VirtualClock()).recording("kws.r1"),
    ):
        pass


def test_an_unknown_meter_is_named_with_the_near_ones() -> None:
    with (
        pytest.raises(UnknownName, match="'ppk2'"),
        metered("ppk3@sim:idle-10mW", VirtualClock()),
    ):
        pass
