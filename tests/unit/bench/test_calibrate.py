"""Two meters, or a meter and a resistor, compared on this machine's clock."""

from array import array
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import date

import numpy as np
import pytest

from harness.bench.calibrate import (
    Circumstances,
    Resistor,
    against_meter,
    against_resistor,
)
from harness.clock import Deadline, VirtualClock
from harness.domain.origin import Origin
from harness.domain.reading import Channel, Loss, ReadingBlock
from harness.errors import LinkClosed, MeterError, Unsupported
from harness.meters.base import InstrumentDescription

AROUND = Circumstances(today=date(2026, 1, 31), valid_days=365, ambient_degc=23.0)
STEP_NS = 10_000_000


class LineMeter:
    """Indicates (true - offset) / gain of a current that steps once a second."""

    def __init__(  # noqa: PLR0913 - each argument is one property of the meter
        self,
        driver: str,
        *,
        gain: float = 1.0,
        offset: float = 0.0,
        origin: Origin = Origin.MEASURED,
        channel: str = "current",
        levels: tuple[float, ...] = (0.01, 0.03, 0.05),
        dies: bool = False,
    ) -> None:
        self._driver, self._gain, self._offset = driver, gain, offset
        self._origin, self._channel = origin, channel
        self._levels, self._dies = np.array(levels), dies

    def identify(self) -> InstrumentDescription:
        return InstrumentDescription(
            driver=self._driver,
            address=f"{self._driver}@tcp:x:1",
            origin=self._origin,
            model=self._driver.upper(),
            serial_number="17",
            facts={"voltage_v": "3"},
        )

    def channels(self) -> tuple[Channel, ...]:
        return (Channel(name=self._channel, unit="A", source=self._driver),)

    @contextmanager
    def acquire(
        self,
        channels: Collection[str],  # noqa: ARG002
        *,
        rate_hz: float | None = None,  # noqa: ARG002
    ) -> Iterator["LineMeter"]:
        yield self

    def blocks(self, until: Deadline) -> Iterator[ReadingBlock]:
        if self._dies:
            raise LinkClosed("The device went away", where="tcp:x:1")
        times = np.arange(STEP_NS, until.at_ns, STEP_NS, dtype=np.int64)
        true = self._levels[(times - STEP_NS) // 1_000_000_000 % len(self._levels)]
        scale = 3.0 if self._channel == "power" else 1.0
        values = (true - self._offset) / self._gain * scale
        yield ReadingBlock(
            channel=self.channels()[0],
            clock="virtual",
            origin=self._origin,
            times_ns=array("q", times.tobytes()),
            values=array("d", values.tobytes()),
        )

    def loss(self) -> Loss:
        return Loss(missing=0, expected=1)


def test_gain_and_offset_are_found_against_a_better_meter() -> None:
    meter = LineMeter("ppk2", gain=1.08, offset=2e-4)

    found = against_meter(meter, LineMeter("joulescope"), VirtualClock(), 20.0, AROUND)

    (line,) = found.ranges
    assert line.gain == pytest.approx(1.08, rel=1e-3)
    assert line.offset == pytest.approx(2e-4, abs=2e-5)
    assert (line.least, line.most) == (5e-3, 60e-3)
    assert line.u_gain_ratio == pytest.approx(0.01 / np.sqrt(3), rel=0.05)
    assert found.origin is Origin.MEASURED
    assert (found.taken_on, found.valid_until) == ("2026-01-31", "2027-01-31")
    assert found.reference_serial_number == "17"


def test_each_range_that_was_used_gets_a_line_of_its_own() -> None:
    levels = (0.01, 0.05, 0.1, 0.5)
    meter = LineMeter("ppk2", gain=0.9, levels=levels)

    found = against_meter(
        meter, LineMeter("joulescope", levels=levels), VirtualClock(), 40.0, AROUND
    )

    assert [(line.least, line.most) for line in found.ranges] == [
        (5e-3, 60e-3),
        (60e-3, 1.0),
    ]
    assert [line.gain for line in found.ranges] == pytest.approx([0.9, 0.9], rel=0.02)


def test_power_over_a_set_voltage_stands_for_current() -> None:
    levels = (0.01, 0.02, 0.04)
    meter = LineMeter("ppk2", gain=1.05, levels=levels)
    reference = LineMeter("lpm01a", channel="power", levels=levels)

    found = against_meter(meter, reference, VirtualClock(), 20.0, AROUND)

    assert found.ranges[0].gain == pytest.approx(1.05, rel=1e-3)


def test_a_simulator_on_either_side_makes_it_simulated() -> None:
    real, simulated = LineMeter("ppk2"), LineMeter("ppk2", origin=Origin.SIMULATED)

    for pair in ((real, simulated), (simulated, real)):
        found = against_meter(*pair, VirtualClock(), 20.0, AROUND)
        assert found.origin is Origin.SIMULATED


def test_a_resistor_gives_a_gain() -> None:
    resistor = Resistor(
        ohm=100.0, ohm_within_ratio=0.001, volts=3.0, volts_within_ratio=0.002
    )
    meter = LineMeter("ppk2", gain=1.1, levels=(0.03,))

    found = against_resistor(meter, resistor, VirtualClock(), 10.0, AROUND)

    (line,) = found.ranges
    assert line.gain == pytest.approx(1.1, rel=1e-6)
    # the data sheet's offset of 50 µA counts as well: at one level it is a gain
    worst = np.hypot(np.hypot(0.001, 0.002), 50e-6 / (0.03 / 1.1))
    assert line.u_gain_ratio == pytest.approx(worst / np.sqrt(3), rel=1e-3)
    assert "100 Ohm ±0.10%" in found.reference


def test_too_short_a_time_says_how_long_it_takes() -> None:
    with pytest.raises(MeterError, match="--seconds"):
        against_meter(
            LineMeter("ppk2"), LineMeter("joulescope"), VirtualClock(), 1.2, AROUND
        )


def test_a_load_outside_every_range_is_told() -> None:
    meter = LineMeter("ppk2", levels=(3.0, 4.0))

    with pytest.raises(MeterError, match="In no range"):
        against_meter(
            meter, LineMeter("otii", levels=(3.0, 4.0)), VirtualClock(), 20.0, AROUND
        )


def test_meters_with_nothing_in_common_are_refused() -> None:
    with pytest.raises(Unsupported, match="same quantity"):
        against_meter(
            LineMeter("pzem", channel="power"),
            LineMeter("joulescope", channel="voltage"),
            VirtualClock(),
            20.0,
            AROUND,
        )


def test_a_meter_that_goes_away_ends_the_calibration() -> None:
    with pytest.raises(LinkClosed):
        against_meter(
            LineMeter("ppk2"),
            LineMeter("joulescope", dies=True),
            VirtualClock(),
            20.0,
            AROUND,
        )
