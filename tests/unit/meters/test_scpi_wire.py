"""SCPI lines: three answers, and no damaged field is read as some other number."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UnknownName, Unsupported
from harness.meters.answer import Frame, Garbage, NeedMore
from harness.meters.scpi import wire
from harness.meters.scpi.profiles import Profile, profile_named, profiles


def test_a_line_ends_with_a_line_feed_with_or_without_carriage_return() -> None:
    assert wire.cut_line(b"1.5,2\r\nrest") == Frame(value="1.5,2")
    assert wire.cut_line(b"1.5,2\n") == Frame(value="1.5,2")
    assert wire.rest_of(b"1.5,2\r\nrest") == b"rest"


def test_half_a_line_needs_more_and_an_endless_one_is_garbage() -> None:
    assert wire.cut_line(b"1.5,") == NeedMore()
    assert isinstance(wire.cut_line(b"1" * 2000), Garbage)


def test_bytes_that_are_no_text_are_garbage() -> None:
    assert isinstance(wire.cut_line(b"2.29\x0087E+02\n"), Garbage)


def test_a_list_is_read_with_over_range_and_absent_values_told_apart() -> None:
    answer = wire.parse_values(
        "2.2987E+02,INF,NAN,-4.1234E-01", wire.Form.LIST, ["U", "I", "WH", "P"]
    )

    over, absent = wire.Missing.OVER_RANGE, wire.Missing.NO_DATA
    assert answer == Frame(value=(229.87, over, absent, -0.41234))


def test_the_infinities_of_scpi_are_no_numbers() -> None:
    answer = wire.parse_values("9.9E37,-9.9E+37,9.91E37", wire.Form.LIST, "abc")

    over, absent = wire.Missing.OVER_RANGE, wire.Missing.NO_DATA
    assert answer == Frame(value=(over, over, absent))


def test_a_labelled_answer_is_read_in_the_order_that_was_asked_for() -> None:
    answer = wire.parse_values(
        "I +0.1000E+0;U +110.14E+0;P +011.00E+0", wire.Form.LABELLED, ["U", "I", "P"]
    )

    assert answer == Frame(value=(110.14, 0.1, 11.0))


@pytest.mark.parametrize(
    ("line", "form"),
    [
        ("1.0,2.0", wire.Form.LIST),
        ("1.0,2.0,3.0,4.0", wire.Form.LIST),
        ("1.0,2.0.0,3.0", wire.Form.LIST),
        ("1.0,2.0E,3.0", wire.Form.LIST),
        ("1.0,,3.0", wire.Form.LIST),
        ("U +1E+0;I +1E+0", wire.Form.LABELLED),
        ("U +1E+0;I +1E+0;X +1E+0", wire.Form.LABELLED),
        ("U +1E+0;U +1E+0;I +1E+0;P +1E+0", wire.Form.LABELLED),
    ],
)
def test_a_damaged_answer_is_garbage(line: str, form: wire.Form) -> None:
    assert isinstance(wire.parse_values(line, form, ["U", "I", "P"]), Garbage)


@given(st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=6))
def test_numbers_come_back_as_they_were_written(numbers: list[float]) -> None:
    line = ",".join(f"{number:.17E}" for number in numbers)

    answer = wire.parse_values(line, wire.Form.LIST, [str(k) for k in numbers])

    assert answer == Frame(value=tuple(numbers))


@given(st.binary(max_size=60))
def test_any_bytes_at_all_give_one_of_three_answers(data: bytes) -> None:
    answer = wire.cut_line(data)

    assert isinstance(answer, Frame | NeedMore | Garbage)
    if isinstance(answer, Frame):
        wire.parse_values(answer.value, wire.Form.LABELLED, ["U", "I"])
        wire.parse_error(answer.value)
        wire.parse_identity(answer.value)


def test_an_identity_has_four_fields() -> None:
    answer = wire.parse_identity("YOKOGAWA,WT310E,C2TA01234V,F1.04")

    assert answer == Frame(
        value=wire.Identity(
            maker="YOKOGAWA",
            model="WT310E",
            serial_number="C2TA01234V",
            firmware="F1.04",
        )
    )
    assert isinstance(wire.parse_identity("PowerShield > error"), Garbage)


@pytest.mark.parametrize(
    ("line", "number", "text"),
    [
        ('0,"No error"', 0, "No error"),
        ('113,"Undefined header"', 113, "Undefined header"),
        ('-222,"Data out of range"', -222, "Data out of range"),
        ("0", 0, ""),
    ],
)
def test_an_error_is_a_number_and_a_text(line: str, number: int, text: str) -> None:
    answer = wire.parse_error(line)

    assert answer == Frame(value=wire.QueuedError(number=number, text=text))


def test_a_reading_is_no_error() -> None:
    assert isinstance(wire.parse_error("2.2987E+02,1.0"), Garbage)


@pytest.mark.parametrize("profile", profiles().values(), ids=lambda p: p.name)
def test_a_profile_measures_power_and_says_where_it_is_from(profile: Profile) -> None:
    units = {item.channel: item.unit for item in profile.items}

    assert units["power"] == "W"
    assert profile.source
    assert profile.default_period_s in profile.periods_s.values()
    assert profile.fetch or all(item.query for item in profile.items)


def test_only_the_wt310e_claims_to_be_proven() -> None:
    proven = [profile.name for profile in profiles().values() if profile.is_proven]

    assert proven == ["wt310e"]


@pytest.mark.parametrize(
    ("maker", "model", "name"),
    [
        ("YOKOGAWA", "WT310E", "wt310e"),
        ("YOKOGAWA", "WT333E", "wt310e"),
        ("Rohde&Schwarz", "HMC8015", "hmc8015"),
        ("HAMEG", "HMC8015", "hmc8015"),
        ("ITECH Ltd.", "IT9121", "it9121"),
        ("HIOKI", "PW3335-01", "pw3335"),
        ("Siglent Technologies", "SPD3303X-E", "siglent-spd3303x"),
        ("Agilent Technologies", "N6705B", "n6705"),
    ],
)
def test_an_identity_leads_to_one_profile(maker: str, model: str, name: str) -> None:
    fitting = [p.name for p in profiles().values() if p.answers_to(maker, model)]

    assert fitting == [name]


def test_the_smallest_range_that_holds_the_value_is_taken() -> None:
    ranges = profile_named("wt310e").current

    assert ranges.least_for(0.4, what="current", where="") == 0.5
    assert ranges.least_for(0.5, what="current", where="") == 0.5


def test_a_value_beyond_all_ranges_is_refused_with_the_ranges() -> None:
    with pytest.raises(Unsupported, match=r"No current range .* holds 30 .*20\)"):
        profile_named("wt310e").current.least_for(30, what="current", where="x")


def test_an_unknown_profile_is_named_with_the_near_one() -> None:
    with pytest.raises(UnknownName, match="Did you mean 'wt310e'"):
        profile_named("wt310")
