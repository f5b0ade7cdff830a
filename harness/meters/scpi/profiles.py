"""Profiles: what is different between SCPI power meters, as data.

The table is ``profiles.toml`` beside this file. A person who has an instrument that
is not in it adds a table there and no code.
"""

import re
import tomllib
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

from harness.errors import UnknownName, Unsupported
from harness.meters.scpi.wire import Form


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One quantity that the instrument gives."""

    channel: str
    unit: str
    """Unit inside, as `harness.units` names it."""
    item: str = ""
    """How the instrument calls it when several are fetched at once."""
    query: str = ""
    """The query for it alone, where the instrument has no query for several."""
    label: str = ""
    """Its name in a labelled answer."""
    scale: float = 1.0
    """Unit inside per unit of the instrument."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranges:
    """The ranges of one input: nominal values, and the messages that set them."""

    values: tuple[float, ...] = ()
    auto_off: str = ""
    setting: str = ""
    """With ``{value}`` for the range."""
    query: str = ""

    def least_for(self, most: float, *, what: str, where: str) -> float:
        """Give the smallest range that holds `most`. Raises Unsupported."""
        holding = [value for value in self.values if value >= most]
        if not holding:
            offered = ", ".join(f"{value:g}" for value in self.values) or "none"
            raise Unsupported(
                f"No {what} range of this instrument holds {most:g} (it has {offered})",
                where=where,
                remedy="Take an instrument or a sensor for larger values.",
            )
        return min(holding)


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """How one family of instruments is talked to. An empty message: it has none."""

    name: str
    maker: str
    identity: str
    """Regular expression at the start of ``maker,model`` of ``*IDN?``."""
    is_proven: bool
    """Whether independent code and a simulator from the manual agree with it."""
    source: str
    baud: int
    form: Form
    default_period_s: float
    periods_s: dict[str, float]
    """The instrument's word for an update interval → the interval in s."""
    items: tuple[Item, ...]
    tcp_port: int | None = None
    setup: tuple[str, ...] = ()
    release: tuple[str, ...] = ()
    error_query: str = ""
    select_count: str = ""
    select_item: str = ""
    select_all: str = ""
    wait: str = ""
    """Sent before `wait_query`, whose answer then comes with the next update."""
    wait_query: str = ""
    fetch: str = ""
    rate_command: str = ""
    voltage: Ranges = field(default_factory=Ranges)
    current: Ranges = field(default_factory=Ranges)
    integrate: tuple[str, ...] = ()
    integrate_end: tuple[str, ...] = ()

    def answers_to(self, maker: str, model: str) -> bool:
        """Say whether an instrument of this identity is of this family."""
        return re.match(self.identity, f"{maker},{model}", re.IGNORECASE) is not None


@cache
def profiles() -> dict[str, Profile]:
    """Give all profiles by name, proven ones first."""
    text = (files("harness.meters.scpi") / "profiles.toml").read_text("utf-8")
    made = [_profile(name, table) for name, table in tomllib.loads(text).items()]
    made.sort(key=lambda profile: not profile.is_proven)
    return {profile.name: profile for profile in made}


def profile_named(name: str) -> Profile:
    """Give the profile of that name. Raises UnknownName with the near ones."""
    try:
        return profiles()[name]
    except KeyError:
        raise UnknownName("SCPI profile", name, profiles()) from None


def _profile(name: str, table: dict[str, Any]) -> Profile:
    rest = dict(table)
    ranges: dict[str, Any] = {
        quantity: Ranges(
            values=tuple(rest.pop(f"{quantity}_ranges_{unit}", ())),
            auto_off=rest.pop(f"{quantity}_auto_off", ""),
            setting=rest.pop(f"{quantity}_range", ""),
            query=rest.pop(f"{quantity}_range_query", ""),
        )
        for quantity, unit in (("voltage", "v"), ("current", "a"))
    }
    messages: dict[str, Any] = {
        key: tuple(rest.pop(key))
        for key in ("setup", "release", "integrate", "integrate_end")
        if key in rest
    }
    return Profile(
        name=name,
        form=Form(rest.pop("form")),
        items=tuple(Item(**item) for item in rest.pop("items")),
        **messages,
        **ranges,
        **rest,
    )
