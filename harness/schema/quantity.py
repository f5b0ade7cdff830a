"""Quantities as people write them in files: a number and its unit."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

from pydantic import Field

from harness.errors import SchemaError, UsageError
from harness.units import parse_quantity, si_unit

_NUMBER_AND_UNIT = re.compile(r"^\s*[+-]?\d[\d.]*(?:[eE][+-]?\d+)?\s+(\S+)\s*$")

Quantity = Annotated[
    str,
    Field(description='A number and its unit: "256 KiB".', examples=["256 KiB"]),
]


def unit_of(text: str, where: str) -> str:
    """Give the unit inside of a quantity, whatever it measures."""
    match = _NUMBER_AND_UNIT.match(text)
    if match is None:
        raise SchemaError(
            f"'{text}' is not a quantity",
            where=where,
            remedy='Write a number and a unit, such as "90 MMAC/s".',
        )
    with placed(where):
        return si_unit(match.group(1))


def not_negative(text: str, unit: str, where: str) -> float:
    """Read a quantity that cannot be below zero; `where` places an error."""
    with placed(where):
        value = parse_quantity(text, unit)
    if value < 0:
        raise SchemaError(
            f"'{text}' is negative", where=where, remedy="Give a value above zero."
        )
    return value


@contextmanager
def placed(where: str) -> Iterator[None]:
    """Say at which place a quantity was refused."""
    try:
        yield
    except UsageError as error:
        raise SchemaError(error.what, where=where, remedy=error.remedy) from error
