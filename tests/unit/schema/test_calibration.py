"""calibration.toml: written, read back the same, refused where it is wrong."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.domain.calibration import CalibratedRange, Calibration
from harness.domain.origin import Origin
from harness.errors import SchemaError
from harness.schema import calibration as module
from harness.schema.calibration import (
    WrittenCalibration,
    calibration_toml,
    load_calibration,
)
from harness.schema.reading import json_schema

LINE = CalibratedRange(
    channel="current",
    unit="A",
    least=0.005,
    most=0.06,
    gain=1.023,
    offset=-3e-5,
    u_gain_ratio=0.004,
    u_offset=1e-5,
    freedom=38.0,
    pairs=40,
)
WHOLE = Calibration(
    driver="ppk2",
    model="PPK2",
    serial_number="C10A",
    origin=Origin.MEASURED,
    taken_on="2026-01-31",
    valid_until="2027-01-31",
    reference="Jetperch JS220 no. 42",
    reference_serial_number="42",
    ambient_degc=23.5,
    conditions='on the bench, "warm"',
    ranges=(LINE, replace(LINE, least=0.06, most=1.0, freedom=math.inf)),
)


def written(folder: Path, text: str) -> Path:
    path = folder / "calibration.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_calibration_comes_back_as_it_was_written(tmp_path: Path) -> None:
    assert load_calibration(written(tmp_path, calibration_toml(WHOLE))) == WHOLE


@settings(max_examples=25)
@given(st.text(), st.floats(1e-9, 10.0), st.none() | st.floats(-40.0, 60.0))
def test_whatever_it_holds_comes_back(
    tmp_path_factory: pytest.TempPathFactory,
    remark: str,
    gain: float,
    ambient: float | None,
) -> None:
    # TOML has no surrogates, and neither has UTF-8
    remark = remark.encode("utf-8", "ignore").decode()
    one = replace(
        WHOLE,
        conditions=remark,
        ambient_degc=ambient,
        ranges=(replace(LINE, gain=gain),),
    )

    path = written(tmp_path_factory.mktemp("c"), calibration_toml(one))

    assert load_calibration(path) == one


WRONG = {
    "a misspelt key": ("gain =", "gian =", "'gian'"),
    "no date": ('taken_on = "2026-01-31"', 'taken_on = "soon"', "'soon' is no date"),
    "a range the wrong way": ("least = 0.005", "least = 0.5", "from its least"),
    "another origin": ('origin = "measured"', 'origin = "hoped"', "'hoped'"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_in_it_is_named(name: str, tmp_path: Path) -> None:
    old, new, sentence = WRONG[name]
    text = calibration_toml(WHOLE)
    assert old in text

    with pytest.raises(SchemaError, match=sentence):
        load_calibration(written(tmp_path, text.replace(old, new, 1)))


def test_one_that_was_simulated_says_so_first() -> None:
    assert replace(WHOLE, origin=Origin.SIMULATED).title.startswith("SIMULATED")
    assert WHOLE.title.startswith("calibration of 2026-01-31")


def test_the_exported_schema_is_that_of_the_form() -> None:
    exported = Path(module.__file__).with_name("calibration.v1.schema.json")

    assert exported.read_bytes() == json_schema(WrittenCalibration)
