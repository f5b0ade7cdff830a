"""Units: what people write becomes SI, and nothing else gets in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import SchemaError, UnknownName
from harness.units import SCALES, from_si, parse_quantity, si_unit, to_si, units_of


@given(
    st.sampled_from(sorted(SCALES)),
    st.floats(min_value=-1e12, max_value=1e12, allow_nan=False),
)
def test_a_value_survives_the_way_to_si_and_back(unit: str, value: float) -> None:
    there_and_back = from_si(to_si(value, unit), unit)

    assert there_and_back == pytest.approx(value, rel=1e-12, abs=1e-300)


@pytest.mark.parametrize(
    ("text", "expected", "value"),
    [
        ("5 mW", "W", 0.005),
        ("32ms", "s", 0.032),
        ("640 KiB", "B", 655_360),
        ("1.1 Wh", "J", 3960),
        ("-3e-2 V", "V", -0.03),
        ("4.44 %/h", "ratio/h", 0.0444),
    ],
)
def test_quantities_are_read_into_si(text: str, expected: str, value: float) -> None:
    read = parse_quantity(text, expected)

    assert read == pytest.approx(value)


def test_a_quantity_of_another_kind_is_refused_with_the_units_that_fit() -> None:
    with pytest.raises(SchemaError, match="Use one of: W, mW"):
        parse_quantity("5 ms", "W")


def test_an_unknown_unit_is_refused_with_the_near_ones() -> None:
    with pytest.raises(UnknownName, match="'mW'"):
        parse_quantity("5 mw", "W")


@pytest.mark.parametrize("text", ["", "5", "mW", "five mW", "5 mW extra"])
def test_text_that_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(SchemaError, match="is not a quantity"):
        parse_quantity(text, "W")


def test_every_unit_measures_the_same_as_its_unit_inside() -> None:
    for unit in SCALES:
        assert unit in units_of(si_unit(unit))


@pytest.mark.parametrize("text", ["20", "2.5", "1e3", "-20"])
def test_a_number_without_a_unit_is_no_quantity(text: str) -> None:
    with pytest.raises(SchemaError, match="is not a quantity"):
        parse_quantity(text, "W")
