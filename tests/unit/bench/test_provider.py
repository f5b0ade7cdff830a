"""Which provider a device's models are given to: the profile's, or the user's."""

from dataclasses import replace

import pytest

from harness.bench.provider import Wish, parse_options
from harness.domain.profile import CPU, DeviceProfile
from harness.errors import Unsupported, UsageError
from harness.testing.builders import a_profile

QNN = "QNNExecutionProvider"
HTP = (("backend_path", "libQnnHtp.so"), ("htp_performance_mode", "burst"))


def a_phone() -> DeviceProfile:
    return replace(a_profile(), provider=QNN, provider_options=HTP)


def test_without_a_wish_it_is_the_profile_s() -> None:
    assert Wish().chosen(a_phone(), is_emulated=False) == (QNN, HTP)


def test_a_wish_goes_before_the_profile_and_takes_none_of_its_options() -> None:
    wish = Wish(provider=CPU)

    assert wish.chosen(a_phone(), is_emulated=False) == (CPU, ())


def test_an_option_is_added_to_the_profile_s_and_goes_before_it() -> None:
    wish = Wish(options={"htp_performance_mode": "default", "device_id": "0"})

    assert wish.chosen(a_phone(), is_emulated=False) == (
        QNN,
        (
            ("backend_path", "libQnnHtp.so"),
            ("device_id", "0"),
            ("htp_performance_mode", "default"),
        ),
    )


def test_an_emulated_device_executes_on_no_provider_whatever_its_profile_says() -> None:
    assert Wish().chosen(a_phone(), is_emulated=True) == (CPU, ())
    with pytest.raises(Unsupported, match=QNN):
        Wish(provider=QNN).chosen(a_phone(), is_emulated=True)


def test_options_are_a_key_and_a_value_each() -> None:
    given = ["backend_path=libQnnHtp.so", "flags=a=b"]

    assert parse_options(given) == {"backend_path": "libQnnHtp.so", "flags": "a=b"}


@pytest.mark.parametrize("wrong", ["backend_path", "=libQnnHtp.so", ""])
def test_what_is_no_option_is_refused_in_a_sentence(wrong: str) -> None:
    with pytest.raises(UsageError, match="is no option of a provider"):
        parse_options([wrong])
