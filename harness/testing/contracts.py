"""The contract of meters, for our drivers and for a stranger's.

Subclass `MeterContract` in a test file and give one fixture, ``bench``, that returns a
`MeterBench`; pytest finds the tests. On real hardware the same class runs with a
`SystemClock` and `is_lossless=False`.
"""
# ruff: noqa: S101, PT012 - tests assert; what is raised is raised inside a context

import math
from collections.abc import Collection
from itertools import pairwise

import pytest

from harness.clock import Deadline
from harness.domain.origin import Origin
from harness.domain.reading import ReadingBlock
from harness.errors import (
    EquipmentError,
    HarnessError,
    LinkClosed,
    LinkTimeout,
    Unsupported,
)
from harness.links.bytelink import ByteLink
from harness.links.faulty import Faults
from harness.meters.base import Acquisition, Meter
from harness.testing.meterbench import MeterBench, SwitchLink
from harness.units import NS_PER_S, SCALES

_SILENT_S = 0.3
_LATE_S = 1.5
_LONGEST_SILENCE_S = 15.0


def _same(link: ByteLink) -> ByteLink:
    return link


class _Spoiled(Exception):
    """What a caller raises in the middle of a measurement."""


class MeterContract:
    """What every meter keeps to. Subclasses give the fixture ``bench``."""

    def test_its_identity_is_stable(self, bench: MeterBench) -> None:
        """The same instrument says the same of itself, also after measuring."""
        with bench.open(_same) as meter:
            before = meter.identify()
            _measure(bench, meter)
            after = meter.identify()

        assert before == after

    def test_its_identity_names_driver_and_address(self, bench: MeterBench) -> None:
        """A report can say which meter this was."""
        with bench.open(_same) as meter:
            who = meter.identify()

        assert who.driver
        assert who.address
        assert all(isinstance(value, str) for value in who.facts.values())

    def test_its_origin_is_that_of_an_instrument(self, bench: MeterBench) -> None:
        """A meter measures or is simulated; nothing else."""
        with bench.open(_same) as meter:
            origin = meter.identify().origin

        assert origin in {Origin.MEASURED, Origin.SIMULATED, Origin.HOST}

    def test_channels_are_named_once_and_have_known_units(
        self, bench: MeterBench
    ) -> None:
        """Units are those used inside."""
        with bench.open(_same) as meter:
            channels = meter.channels()

        names = [channel.name for channel in channels]
        units = {unit for unit, _ in SCALES.values()}
        assert len(names) == len(set(names))
        assert bench.channel in names
        assert {channel.unit for channel in channels} <= units

    def test_channels_are_the_same_each_time(self, bench: MeterBench) -> None:
        """Looking changes nothing."""
        with bench.open(_same) as meter:
            first, second = meter.channels(), meter.channels()

        assert first == second

    def test_only_the_channel_asked_for_is_given(self, bench: MeterBench) -> None:
        """Nobody has to sort readings out."""
        with bench.open(_same) as meter:
            blocks = _measure(bench, meter)

        assert blocks
        assert {block.channel.name for block in blocks} == {bench.channel}

    def test_every_reading_is_a_number(self, bench: MeterBench) -> None:
        """What could not be read is absent, not NaN and not 0."""
        with bench.open(_same) as meter:
            values = _values(_measure(bench, meter))

        assert values
        assert all(math.isfinite(value) for value in values)

    def test_readings_are_true(self, bench: MeterBench) -> None:
        """Each lies where the bench knows it must."""
        if bench.truth is None:
            pytest.skip("this bench does not know the truth")
        with bench.open(_same) as meter:
            values = _values(_measure(bench, meter))

        least, most = bench.truth
        assert least <= min(values)
        assert max(values) <= most

    def test_times_never_go_back(self, bench: MeterBench) -> None:
        """Within a channel each reading is later than the one before."""
        with bench.open(_same) as meter:
            times = _times(_measure(bench, meter))

        assert all(before < after for before, after in pairwise(times))

    def test_times_lie_where_it_was_measured(self, bench: MeterBench) -> None:
        """Stamps are of the bench's clock, right to within the latency."""
        with bench.open(_same) as meter:
            begin_ns = bench.clock.now_ns()
            blocks = _measure(bench, meter)
            end_ns = bench.clock.now_ns()

        slack_ns = round(_LATE_S * NS_PER_S)
        times = _times(blocks)
        assert {block.clock for block in blocks} == {bench.clock.name}
        assert begin_ns - slack_ns <= times[0]
        assert times[-1] <= end_ns + slack_ns

    def test_readings_carry_the_origin_of_their_meter(self, bench: MeterBench) -> None:
        """A simulated reading can never pass for a measured one."""
        with bench.open(_same) as meter:
            origin = meter.identify().origin
            blocks = _measure(bench, meter)

        assert {block.origin for block in blocks} == {origin}

    def test_an_unknown_channel_is_refused(self, bench: MeterBench) -> None:
        """Before anything is measured, and with what there is instead."""
        with bench.open(_same) as meter, pytest.raises(Unsupported) as caught:
            _enter(meter, ["no-such-channel"])

        assert bench.channel in caught.value.sentence()

    def test_an_impossible_rate_is_refused(self, bench: MeterBench) -> None:
        """No meter gives readings so often; none may give others silently."""
        with bench.open(_same) as meter, pytest.raises(Unsupported) as caught:
            _enter(meter, [bench.channel], rate_hz=1.23456e9)

        assert caught.value.remedy

    def test_blocks_end_at_their_deadline(self, bench: MeterBench) -> None:
        """The caller's time is the caller's."""
        with bench.open(_same) as meter, meter.acquire([bench.channel]) as acquisition:
            until = Deadline.after(bench.seconds, bench.clock)
            list(acquisition.blocks(until))
            late_ns = bench.clock.now_ns() - until.at_ns

        assert 0 <= late_ns <= _LATE_S * NS_PER_S

    def test_blocks_may_be_asked_for_again(self, bench: MeterBench) -> None:
        """One acquisition goes on where it stopped."""
        with bench.open(_same) as meter, meter.acquire([bench.channel]) as acquisition:
            first = _read(bench, acquisition)
            second = _read(bench, acquisition)

        assert _times(first)[-1] < _times(second)[0]

    def test_nothing_is_lost_on_a_good_wire(self, bench: MeterBench) -> None:
        """Losses are known, not guessed."""
        with bench.open(_same) as meter, meter.acquire([bench.channel]) as acquisition:
            blocks = _read(bench, acquisition)
            loss = acquisition.loss()

        assert loss.expected >= loss.missing
        assert loss.missing == 0 or not bench.is_lossless
        assert loss.expected - loss.missing >= len(_values(blocks)) or loss.over_range

    def test_a_loss_is_never_taken_back(self, bench: MeterBench) -> None:
        """What is missing stays missing."""
        with bench.open(_same) as meter, meter.acquire([bench.channel]) as acquisition:
            _read(bench, acquisition)
            before = acquisition.loss()
            _read(bench, acquisition)
            after = acquisition.loss()

        assert before.missing <= after.missing
        assert before.expected < after.expected

    def test_acquire_can_be_left_by_an_exception_and_entered_again(
        self, bench: MeterBench
    ) -> None:
        """A trial that fails takes its own error along, and leaves the meter usable."""
        with bench.open(_same) as meter:
            with pytest.raises(_Spoiled), meter.acquire([bench.channel]) as acquisition:
                next(iter(acquisition.blocks(_soon(bench))))
                raise _Spoiled
            values = _values(_measure(bench, meter))

        assert values

    def test_an_acquisition_holds_nothing_of_the_one_before(
        self, bench: MeterBench
    ) -> None:
        """Its readings are all later than the last of that."""
        with bench.open(_same) as meter:
            first = _measure(bench, meter)
            second = _measure(bench, meter)

        assert _times(first)[-1] < _times(second)[0]

    def test_the_instrument_is_idle_afterwards(self, bench: MeterBench) -> None:
        """Nothing streams on into the next one's answers."""
        link = _Held(bench)
        with bench.open(link) as meter:
            _measure(bench, meter)
            quiet = Deadline.after(_SILENT_S, bench.clock)
            left = link.switch().read(65_536, quiet) if bench.has_link else b""

        assert left == b""

    def test_reads_split_anywhere_give_the_same_readings(
        self, bench: MeterBench
    ) -> None:
        """How bytes happen to arrive says nothing."""
        link = _Held(bench)
        with bench.open(_same) as meter:
            whole = _values(_measure(bench, meter))
        with bench.open(link) as meter:
            link.switch().spoil(Faults(most_per_read=7))
            split = _values(_measure(bench, meter))

        common = min(len(whole), len(split))
        assert common >= len(whole) - max(2, len(whole) // 10)
        if bench.truth is not None:
            least, most = bench.truth
            assert all(least <= value <= most for value in split)

    def test_garbage_is_not_a_reading(self, bench: MeterBench) -> None:
        """From a wire on which every byte is wrong no reading comes."""
        link = _Held(bench)
        got: list[ReadingBlock] = []
        with (
            bench.open(link) as meter,
            pytest.raises(EquipmentError),
            meter.acquire([bench.channel]) as acquisition,
        ):
            link.switch().spoil(Faults(garble=1.0, seed=1))
            got.extend(acquisition.blocks(_soon(bench)))
            # a meter that only counts what it could not read has said so
            loss = acquisition.loss()
            raise EquipmentError(f"{loss.missing} missing")

        assert _values(got) == []

    def test_lost_bytes_make_no_false_reading(self, bench: MeterBench) -> None:
        """What is still read on a bad wire is true."""
        link = _Held(bench)
        if not bench.has_integrity or bench.truth is None:
            pytest.skip("this wire's form cannot tell damaged bytes")
        got: list[ReadingBlock] = []
        with bench.open(link) as meter, meter.acquire([bench.channel]) as acquisition:
            link.switch().spoil(Faults(drop=0.001, seed=2))
            try:
                got.extend(_read(bench, acquisition))
            except EquipmentError as error:
                assert error.remedy  # noqa: PT017 - giving up aloud is one answer

        least, most = bench.truth
        assert all(least <= value <= most for value in _values(got))

    def test_an_unplugged_cable_is_told_at_once(self, bench: MeterBench) -> None:
        """And what came before it is kept."""
        link = _Held(bench)
        got: list[ReadingBlock] = []
        with (
            bench.open(link) as meter,
            pytest.raises(LinkClosed),
            meter.acquire([bench.channel]) as acquisition,
        ):
            got.extend(_read(bench, acquisition))
            link.switch().unplug()
            got.extend(_read(bench, acquisition))

        assert _values(got)

    def test_a_silent_meter_is_given_up(self, bench: MeterBench) -> None:
        """After a while, with a sentence, and not never."""
        link = _Held(bench)
        begin_ns = bench.clock.now_ns()
        with (
            bench.open(link) as meter,
            pytest.raises(LinkTimeout) as caught,
            meter.acquire([bench.channel]) as acquisition,
        ):
            _read(bench, acquisition)
            link.switch().fall_silent()
            list(acquisition.blocks(Deadline.after(60.0, bench.clock)))

        waited_s = (bench.clock.now_ns() - begin_ns) / NS_PER_S
        assert "silent" in caught.value.sentence()
        assert waited_s < bench.seconds + 2 * _LONGEST_SILENCE_S

    def test_nobody_there_is_told_when_it_is_opened(self, bench: MeterBench) -> None:
        """Not when the first reading fails to come."""

        def mute(link: ByteLink) -> ByteLink:
            switch = SwitchLink(link)
            switch.fall_silent()
            return switch

        _require_link(bench)
        with pytest.raises(HarnessError) as caught, bench.open(mute):
            pass

        assert caught.value.remedy

    def test_somebody_else_is_told_when_it_is_opened(self, bench: MeterBench) -> None:
        """An answer in another tongue is no answer."""

        def strange(link: ByteLink) -> ByteLink:
            switch = SwitchLink(link)
            switch.spoil(Faults(garble=1.0, seed=3))
            return switch

        _require_link(bench)
        with pytest.raises(HarnessError) as caught, bench.open(strange):
            pass

        assert caught.value.remedy


class _Held:
    """Puts a switch into the wire and keeps hold of it."""

    def __init__(self, bench: MeterBench) -> None:
        _require_link(bench)
        self._switch: SwitchLink | None = None

    def __call__(self, link: ByteLink) -> ByteLink:
        self._switch = SwitchLink(link)
        return self._switch

    def switch(self) -> SwitchLink:
        assert self._switch is not None
        return self._switch


def _require_link(bench: MeterBench) -> None:
    if not bench.has_link:
        pytest.skip("this meter has no byte link")


def _soon(bench: MeterBench) -> Deadline:
    return Deadline.after(bench.seconds, bench.clock)


def _read(bench: MeterBench, acquisition: Acquisition) -> list[ReadingBlock]:
    return list(acquisition.blocks(_soon(bench)))


def _measure(bench: MeterBench, meter: Meter) -> list[ReadingBlock]:
    with meter.acquire([bench.channel]) as acquisition:
        return _read(bench, acquisition)


def _enter(
    meter: Meter, channels: Collection[str], *, rate_hz: float | None = None
) -> None:
    with meter.acquire(channels, rate_hz=rate_hz):
        pass


def _values(blocks: list[ReadingBlock]) -> list[float]:
    return [value for block in blocks for value in block.values]


def _times(blocks: list[ReadingBlock]) -> list[int]:
    return [time_ns for block in blocks for time_ns in block.times_ns]
