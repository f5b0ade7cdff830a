"""From the bytes of a recording to power over time, with what is known of it.

A recorder that sees current only leaves the voltage to the person who set it, and
that statement has an uncertainty of its own: it is asked for, never assumed.
"""

from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from harness.domain.origin import Origin
from harness.domain.reading import Channel, Loss, ReadingBlock
from harness.errors import SchemaError, UnknownName, Unsupported
from harness.meters.exports.forms import Stamp
from harness.meters.exports.timeline import Timeline
from harness.units import NS_PER_S, parse_quantity

Reals = NDArray[np.float64]
OPTIONS = ("meter", "voltage", "within", "by")
HOST_STAMPS = "host-stamps"
"""Value of the option ``by``: the readings' own stamps place them, not their shape."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceOptions:
    """What a person says of a recording that the file does not."""

    meter: str = ""
    """Driver whose data sheet holds; empty: that of the program's own instrument."""
    voltage_v: float | None = None
    within_v: float | None = None
    """The voltage lies within ± so much of what was said."""
    by_stamps: bool = False
    """Whether the stamps of the machine that took it place it beside the run."""

    @classmethod
    def parse(cls, query: str, where: str) -> "TraceOptions":
        """Read ``meter=ppk2&voltage=3V&within=30mV&by=host-stamps``.

        Raises UnknownName, SchemaError, Unsupported for a voltage of which nobody
        says how well it is known.
        """
        values = {}
        for pair in filter(None, query.split("&")):
            name, _, value = pair.partition("=")
            if name not in OPTIONS:
                raise UnknownName("option of a trace", name, OPTIONS, where=where)
            values[name] = value
        options = cls(
            meter=values.get("meter", ""),
            voltage_v=_volts(values.get("voltage")),
            within_v=_volts(values.get("within")),
            by_stamps=_is_by_stamps(values.get("by"), where),
        )
        if (options.voltage_v is None) != (options.within_v is None):
            raise Unsupported(
                "A voltage that was not measured needs the limits within which it lies",
                where=where,
                remedy="Write both, such as ?voltage=3.0V&within=30mV",
            )
        if options.voltage_v is not None and options.voltage_v <= 0:
            raise SchemaError("A supply has a voltage above zero", where=where)
        return options


def _is_by_stamps(word: str | None, where: str) -> bool:
    if word not in {None, HOST_STAMPS}:
        raise UnknownName("means of placing a trace", word, [HOST_STAMPS], where=where)
    return word is not None


def _volts(text: str | None) -> float | None:
    return None if text is None else parse_quantity(text, "V")


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantities:
    """Columns in SI units as a file gave them; what is not there is None."""

    seconds: Reals
    power_w: Reals | None = None
    current_a: Reals | None = None
    voltage_v: Reals | None = None
    logic: Reals | None = None
    """Logic inputs as a byte, NaN where a state is not known."""

    def chosen(self, kept: NDArray[np.bool_]) -> "Quantities":
        """Leave rows out."""
        return Quantities(
            seconds=self.seconds[kept],
            power_w=None if self.power_w is None else self.power_w[kept],
            current_a=None if self.current_a is None else self.current_a[kept],
            voltage_v=None if self.voltage_v is None else self.voltage_v[kept],
            logic=None if self.logic is None else self.logic[kept],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedTrace:
    """A recording: readings by a clock of their own, and where they come from."""

    form: str
    program: str
    driver: str
    """Whose data sheet holds."""
    clock: str
    blocks: tuple[ReadingBlock, ...]
    """Power, and logic inputs where there are any. Times run from near 0."""
    loss: Loss
    step_s: float
    voltage_ratio: float = 0.0
    """Limits ± of a stated voltage, relative; 0 where it was measured."""
    facts: Mapping[str, str] = field(default_factory=dict)

    @property
    def power(self) -> ReadingBlock:
        """The channel that energy comes from."""
        return next(block for block in self.blocks if block.channel.name == "power")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a recording comes from, for its channels and sentences."""

    where: str
    form: str
    program: str
    driver: str
    digest: str
    """sha256 of the file."""
    origin: Origin = Origin.MEASURED

    @property
    def clock(self) -> str:
        """Name the recorder's clock: no other recording shares it."""
        return f"{self.form}#{self.digest[:12]}"

    @property
    def channel_source(self) -> str:
        """Name the instrument as channels do."""
        return f"{self.driver}@trace:{self.digest[:12]}"


def digest_of(data: bytes) -> str:
    """Give the sha256 of a file's bytes."""
    return sha256(data).hexdigest()


def watts(
    found: Quantities, options: TraceOptions, where: str
) -> tuple[Reals, dict[str, str], float]:
    """Give power in W, how it came about, and the relative limits of a stated voltage.

    Raises Unsupported where the voltage is missing or said twice.
    """
    if found.voltage_v is not None and options.voltage_v is not None:
        raise Unsupported(
            "The recording holds the voltage, so it cannot be stated",
            where=where,
            remedy="Leave ?voltage=… out.",
        )
    if found.power_w is not None:
        return found.power_w, {"power": "recorded", **_volts_of(found, options)}, 0.0
    if found.current_a is None:
        raise ValueError("a recording has power or current")
    if found.voltage_v is not None:
        product: Reals = found.current_a * found.voltage_v
        how = "current times voltage, reading by reading"
        return product, {"power": how, **_volts_of(found, options)}, 0.0
    volts, within = options.voltage_v, options.within_v
    if volts is None or within is None:
        raise Unsupported(
            "The recording holds current only",
            where=where,
            remedy="State the supply's voltage and the limits within which it lies: "
            "FILE?voltage=3.0V&within=30mV",
        )
    facts = {
        "power": "current times a stated voltage",
        "voltage_v": f"{volts:g}",
        "voltage_within_v": f"{within:g}",
    }
    stated: Reals = found.current_a * volts
    return stated, facts, within / volts


def _volts_of(found: Quantities, options: TraceOptions) -> dict[str, str]:
    """Tell the voltage by which ranges of current become ranges of power."""
    if found.voltage_v is not None:
        return {"voltage_v": f"{float(np.nanmean(found.voltage_v)):.6g}"}
    return {} if options.voltage_v is None else {"voltage_v": f"{options.voltage_v:g}"}


def assembled(
    line: Timeline, power_w: Reals, logic: Reals | None, source: Source, stamp: Stamp
) -> tuple[ReadingBlock, ...]:
    """Make readings, each stamped with the end of the interval that it stands for."""
    times_ns = line.times_ns
    if stamp is Stamp.BEGIN:
        times_ns = times_ns + round(line.step_s * NS_PER_S)

    def block(name: str, unit: str, chosen: slice | NDArray[np.bool_]) -> ReadingBlock:
        values = power_w if name == "power" or logic is None else logic
        return ReadingBlock(
            channel=Channel(
                name=name,
                unit=unit,
                source=source.channel_source,
                rate_hz=1 / line.step_s,
            ),
            clock=source.clock,
            origin=source.origin,
            times_ns=array("q", times_ns[chosen].tobytes()),
            values=array("d", values[chosen].tobytes()),
        )

    blocks = [block("power", "W", slice(None))]
    if logic is not None and np.isfinite(logic).any():
        blocks.append(block("logic", "1", np.isfinite(logic)))
    return tuple(blocks)
