"""Data sheets as nouns: every shipped one, and what a wrong one is told."""

from pathlib import Path

import pytest

from harness import plugins
from harness.errors import NotCalibrated, SchemaError
from harness.meters.datasheet import datasheet_of, load_datasheet
from harness.units import SCALES

SHEET = """
format = "harness/datasheet/1"
maker = "Somebody"
model = "Thing"
hardware_verified = false
source = "manual, page 1"
[rate]
readings_hz = 10.0
averages = true
latency_s = 0.1
source = "page 2"
[timebase]
relative = 50e-6
source = "page 3"
[[ranges]]
channel = "power"
unit = "W"
least = 0.0
most = 10.0
gain = 0.01
offset = 0.002
resolution = 0.001
source = "page 4"
[[ranges]]
channel = "power"
unit = "W"
least = 5.0
most = 10.0
gain = 0.02
offset = 0.002
resolution = 0.01
source = "page 5"
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "datasheet.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("driver", plugins.names(plugins.METERS))
def test_every_driver_has_a_data_sheet_that_can_be_read(driver: str) -> None:
    sheet = datasheet_of(driver)

    units = {unit for unit, _ in SCALES.values()}
    assert sheet.source
    assert not sheet.is_hardware_verified
    assert {one.unit for one in sheet.ranges} <= units
    assert all(one.least < one.most for one in sheet.ranges)


def test_the_ppk2_is_good_for_ten_percent_and_fifteen_in_its_highest_range() -> None:
    sheet = datasheet_of("ppk2")

    gains = [sheet.spec_at("current", a).gain for a in (1e-6, 1e-4, 1e-3, 0.02, 0.5)]

    assert gains == [0.10, 0.10, 0.10, 0.10, 0.15]
    assert sheet.spec_at("current", 1e-6).resolution == 0.2e-6


def test_of_ranges_that_overlap_the_last_one_holds(tmp_path: Path) -> None:
    sheet = load_datasheet(written(tmp_path, SHEET))

    assert sheet.spec_at("power", 1.0).source == "page 4"
    assert sheet.spec_at("power", -7.0).source == "page 5"


def test_a_value_beyond_every_range_is_refused(tmp_path: Path) -> None:
    sheet = load_datasheet(written(tmp_path, SHEET))

    with pytest.raises(NotCalibrated, match="nothing of power at 11"):
        sheet.spec_at("power", 11.0)


def test_of_two_models_in_one_sheet_each_has_its_own_terms() -> None:
    sheet = datasheet_of("um25c")

    um = sheet.spec_at("voltage", 5.0, model="UM25C")
    tc = sheet.spec_at("voltage", 5.0, model="TC66C")

    assert um.resolution == 0.001
    assert tc.resolution == 0.0001


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        ("latency_s", "latncy_s", "Did you mean 'latency_s'?"),
        ("gain = 0.01", "gain = 1.5", "1.5 may not stand here"),
        ('source = "page 4"', "", "The key 'source' is missing"),
        ("averages = true", "averages = 1", "1 may not stand here"),
    ],
)
def test_a_slip_of_the_pen_is_told_with_its_place(
    tmp_path: Path, before: str, after: str, sentence: str
) -> None:
    path = written(tmp_path, SHEET.replace(before, after))

    with pytest.raises(SchemaError) as caught:
        load_datasheet(path)

    assert sentence in caught.value.sentence()
    assert "datasheet.toml" in caught.value.sentence()


def test_a_driver_without_a_data_sheet_is_told() -> None:
    with pytest.raises(NotCalibrated, match="Nothing is known"):
        datasheet_of("no-such-driver")
