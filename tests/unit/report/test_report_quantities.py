import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.domain.estimate import MEASURANDS, Estimate
from harness.domain.origin import Origin
from harness.report.quantities import (
    bounds_text,
    count,
    distinct,
    estimate_text,
    exactly,
    in_unit,
    named_value,
    number,
    probability,
    quantity,
    rounded_pair,
    unit_for,
)

NB, THIN = "\u00a0", "\u202f"


def _estimate(name: str, value: float, u: float, **more: float) -> Estimate:
    return Estimate(
        measurand=MEASURANDS[name],
        workload="kws",
        scenario="SingleStream",
        origin=Origin.MEASURED,
        value=value,
        standard_uncertainty=u,
        **more,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (0.0213, "s", f"21.3{NB}ms"),
        (0.000245, "J", f"245{NB}µJ"),
        (0.00398, "W", f"3.98{NB}mW"),
        (76_000, "B", f"74.2{NB}KiB"),
        (900_000.0, "s", f"250{NB}h"),
        (0.032, "ratio/h", f"3.20{NB}%/h"),
        (47.5, "Hz", f"47.5{NB}1/s"),
        (0.987, "ratio", "0.987"),
        (0.0, "s", f"0{NB}s"),
        (2e-10, "s", f"0.200{NB}ns"),
    ],
)
def test_a_quantity_is_written_in_the_unit_that_reads_best(
    value: float, unit: str, expected: str
) -> None:
    assert quantity(value, unit) == expected


def test_a_row_is_written_in_its_own_unit() -> None:
    assert in_unit(0.000245, "uJ") == f"245{NB}µJ"
    assert exactly(0.0032, "ms") == f"3.2{NB}ms"
    assert exactly(5.0, "s") == f"5{NB}s"


@pytest.mark.parametrize(
    ("value", "uncertainty", "expected"),
    [
        (20.01234, 0.0567, ("20.012", "0.057")),
        (556.94, 7.04, ("556.9", "7.0")),
        (12345.0, 678.0, (f"12{THIN}340", "680")),
        (3.0, 0.0, ("3.00", "0")),
        (0.0, 0.02, ("0.000", "0.020")),
        (20.012345, 3e-9, ("20.0123", "3×10⁻⁹")),
        (9.96, 0.0996, ("9.96", "0.10")),
    ],
)
def test_the_uncertainty_decides_where_the_value_ends(
    value: float, uncertainty: float, expected: tuple[str, str]
) -> None:
    assert rounded_pair(value, uncertainty) == expected


def test_an_exact_value_is_written_without_an_uncertainty() -> None:
    text = estimate_text(_estimate("model_file_size", 54_000, 0.0), "KiB")

    assert text == f"52.7{NB}KiB"


def test_an_estimate_is_written_with_its_expanded_uncertainty() -> None:
    text = estimate_text(_estimate("latency_p90", 0.0213, 0.00013))

    assert text == f"21.30 ± 0.26{NB}ms"


def test_a_bound_that_does_not_exist_is_left_open() -> None:
    only_upper = _estimate("latency_p99", 0.0331, 0.0001, upper_bound=0.0342)
    both = _estimate(
        "latency_p99", 0.0331, 0.0001, lower_bound=0.03312, upper_bound=0.03314
    )

    assert bounds_text(only_upper) == f"… – 34.2{NB}ms"
    assert bounds_text(both) == f"33.12 – 33.14{NB}ms"
    assert bounds_text(_estimate("latency_p99", 0.0331, 0.0001)) == "–"


def test_numbers_that_differ_are_written_differently_where_six_digits_allow() -> None:
    assert distinct([33.10, 33.14]) == ["33.10", "33.14"]
    assert distinct([1.0, 1.0]) == ["1.00", "1.00"]


def test_values_of_findings_take_their_unit_from_their_name() -> None:
    assert named_value(20_500_000, "latency_ns") == f"20.5{NB}ms"
    assert named_value(0.0123, "spread") == "0.0123"
    assert named_value(12345, "queries") == f"12{THIN}345"
    assert named_value("governor", "condition") == "governor"
    assert named_value(True, "is_on_battery") == "True"  # noqa: FBT003 - a value


def test_a_probability_never_rounds_to_certainty() -> None:
    assert probability(0.99999) == f"> 99.9{NB}%"
    assert probability(1e-9) == f"< 0.1{NB}%"


def test_thousands_are_set_apart() -> None:
    assert count(2_657_000) == f"2{THIN}657{THIN}000"


@given(st.floats(1e-12, 1e12), st.integers(3, 6))
def test_rounding_for_people_keeps_the_digits_that_it_shows(
    value: float, digits: int
) -> None:
    text = number(value, digits)

    if "×" not in text:
        shown = float(text.replace(THIN, ""))
        assert shown == pytest.approx(value, rel=0.51 * 10.0 ** (1 - digits))


@given(
    st.floats(-1e6, 1e6).filter(lambda v: abs(v) > 1e-6 or v == 0),
    st.floats(1e-9, 1e6),
)
def test_the_printed_pair_stays_within_the_uncertainty(
    value: float, uncertainty: float
) -> None:
    shown, spread = rounded_pair(value, uncertainty)

    if "×" not in shown + spread:
        error = abs(float(shown.replace(THIN, "")) - value)
        assert error <= max(0.06 * uncertainty, 5.1e-6 * abs(value))


@given(st.floats(1e-12, 1e9))
def test_the_chosen_unit_leaves_at_least_one_digit_before_the_point(
    value: float,
) -> None:
    unit = unit_for("J", value)

    factor = {"nJ": 1e-9, "uJ": 1e-6, "mJ": 1e-3, "J": 1.0}[unit]
    assert value / factor >= 0.999999 or unit == "nJ"
