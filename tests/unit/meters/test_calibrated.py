"""A calibrated meter: corrected, less uncertain, and no other specimen."""

from array import array
from dataclasses import replace
from datetime import date

import numpy as np
import pytest

from harness.clock import Deadline, VirtualClock
from harness.domain.calibration import CalibratedRange, Calibration
from harness.domain.origin import Origin
from harness.domain.reading import Channel, ReadingBlock
from harness.errors import NotCalibrated
from harness.meters.accuracy import accuracy_of
from harness.meters.base import InstrumentDescription
from harness.meters.calibrated import CalibratedMeter, require_fitting
from harness.meters.correction import corrected
from harness.meters.opening import open_meter
from harness.plugins import Address
from harness.stats.budget import Accuracy, floor_ratio

TODAY = date(2026, 6, 1)
LINE = CalibratedRange(
    channel="current",
    unit="A",
    least=0.005,
    most=0.06,
    gain=1.1,
    offset=0.001,
    u_gain_ratio=0.005,
    u_offset=1e-6,
    freedom=np.inf,
    pairs=40,
)
SIMULATED = Calibration(
    driver="ppk2",
    model="PPK2",
    serial_number="",
    origin=Origin.SIMULATED,
    taken_on="2026-01-31",
    valid_until="2027-01-31",
    reference="a simulator",
    ranges=(LINE,),
)
REAL = replace(SIMULATED, origin=Origin.MEASURED, serial_number="C10A")
PPK2 = InstrumentDescription(
    driver="ppk2",
    address="ppk2@tcp:host:1",
    origin=Origin.MEASURED,
    serial_number="C10A",
)


def a_block(channel: str, values: list[float]) -> ReadingBlock:
    return ReadingBlock(
        channel=Channel(name=channel, unit="A", source="ppk2@"),
        clock="monotonic",
        origin=Origin.SIMULATED,
        times_ns=array("q", range(len(values))),
        values=array("d", values),
    )


def test_readings_in_the_range_are_corrected_and_others_are_not() -> None:
    fixed = corrected(a_block("current", [0.001, 0.01, 0.5]), SIMULATED.ranges, 3.0)

    assert list(fixed.values) == pytest.approx([0.001, 0.012, 0.5])


def test_power_of_a_meter_of_current_is_corrected_by_its_voltage() -> None:
    fixed = corrected(a_block("power", [0.03]), SIMULATED.ranges, 3.0)

    assert list(fixed.values) == pytest.approx([0.036])


def test_a_channel_that_was_not_calibrated_stays_as_it_is() -> None:
    block = a_block("logic", [1.0])

    assert corrected(block, SIMULATED.ranges, 3.0) is block


def test_a_calibrated_meter_reads_corrected_power_and_says_so() -> None:
    clock = VirtualClock()
    with open_meter(Address.parse("ppk2@sim:idle-60mW"), clock) as meter:
        fixed = CalibratedMeter(meter, SIMULATED, TODAY)
        with fixed.acquire(["power"]) as acquisition:
            blocks = list(acquisition.blocks(Deadline.after(0.3, clock)))
            assert acquisition.loss().missing == 0

    assert fixed.identify().calibration.startswith("SIMULATED calibration")
    mean = float(np.mean([value for block in blocks for value in block.values]))
    assert mean == pytest.approx(1.1 * 0.06 + 0.001 * 3.0, rel=0.01)


def test_the_budget_is_that_of_the_calibration_where_one_was_taken() -> None:
    def floor(least_w: float, calibration: Calibration | None) -> float:
        found = accuracy_of(
            "ppk2", least_w=least_w, most_w=0.1, volts=3.0, calibration=calibration
        )
        return floor_ratio(
            Accuracy(gain_ratio=found.gain_ratio, offset_w=found.offset_w), 0.06
        )

    assert floor(0.05, None) > 0.11
    assert floor(0.05, SIMULATED) == pytest.approx(0.01, rel=0.02)
    # a trace that goes on into another range is worth what that one is worth
    assert floor(0.005, SIMULATED) > 0.11


REFUSALS = {
    "another driver": (replace(REAL, driver="pzem"), "of a pzem"),
    "a simulator took part": (SIMULATED, "is simulated, and the meter is measured"),
    "another specimen": (replace(REAL, serial_number="B2"), "of number B2, and this"),
    "too old": (replace(REAL, valid_until="2026-05-31"), "expired on 2026-05-31"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_calibration_that_does_not_fit_is_refused(name: str) -> None:
    calibration, sentence = REFUSALS[name]

    with pytest.raises(NotCalibrated, match=sentence):
        require_fitting(calibration, PPK2, TODAY)


def test_a_calibration_that_fits_is_used_to_its_last_day() -> None:
    require_fitting(replace(REAL, valid_until=TODAY.isoformat()), PPK2, TODAY)


def test_a_meter_without_a_number_is_not_taken_for_the_one_calibrated() -> None:
    nameless = replace(PPK2, serial_number="")

    with pytest.raises(NotCalibrated, match="tells no serial number"):
        require_fitting(replace(REAL, serial_number=""), nameless, TODAY)
