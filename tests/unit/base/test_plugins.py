"""Addresses and entry points."""

import pytest

from harness import plugins
from harness.errors import SchemaError, UnknownName
from harness.plugins import Address


@pytest.mark.parametrize(
    ("text", "driver", "link"),
    [
        ("local@", "local", ""),
        ("linux@ssh:root@10.0.0.2", "linux", "ssh:root@10.0.0.2"),
        ("ppk2@serial:/dev/ttyACM0", "ppk2", "serial:/dev/ttyACM0"),
    ],
)
def test_an_address_is_a_driver_and_a_link(text: str, driver: str, link: str) -> None:
    address = Address.parse(text)

    assert (address.driver, address.link) == (driver, link)
    assert str(address) == text


@pytest.mark.parametrize("text", ["local", "", "@link"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(SchemaError, match="driver@link"):
        Address.parse(text)


def test_our_own_targets_are_found_like_foreign_ones() -> None:
    assert {"local", "emulated"} <= set(plugins.names(plugins.TARGETS))


def test_an_unknown_target_is_named_with_the_near_ones() -> None:
    with pytest.raises(UnknownName, match=r"no target 'locl'.*'local'"):
        plugins.find(plugins.TARGETS, "locl")
