"""The table of drivers that speak over a byte link, with their simulators, as data.

One more driver is one more row of `DRIVERS`, and one line in the entry points of
``pyproject.toml``. Modules are loaded when their row is used.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

from harness.clock import Clock
from harness.domain.origin import Origin
from harness.errors import EquipmentError, SchemaError, Unsupported
from harness.links.bytelink import ByteLink, Parity
from harness.links.loop import Instrument
from harness.meters.base import Meter
from harness.meters.loads import Drawn, Waveform
from harness.units import example_unit, parse_quantity


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of an address, as written."""

    values: Mapping[str, str]
    where: str

    def quantity(self, name: str, unit: str) -> float | None:
        """Give an option such as ``voltage=3.3V`` in the unit inside; None: absent.

        Raises SchemaError where it is no quantity.
        """
        if name not in self.values:
            return None
        return parse_quantity(self.values[name], unit)

    def require_quantity(self, name: str, unit: str, why: str) -> float:
        """Give a quantity that must be there. Raises Unsupported."""
        value = self.quantity(name, unit)
        if value is None:
            raise Unsupported(
                f"The {name} is not given, and {why}",
                where=self.where,
                remedy=f"Add to the address: ?{name}=…{example_unit(unit)}",
            )
        return value

    def whole(self, name: str, default: int) -> int:
        """Give a whole number. Raises SchemaError."""
        text = self.values.get(name, str(default))
        try:
            return int(text, 0)
        except ValueError as error:
            raise SchemaError(
                f"'{text}' is no whole number", where=f"{self.where}: {name}"
            ) from error

    def choice(self, name: str, of: tuple[str, ...], default: str) -> str:
        """Give one of several words. Raises SchemaError."""
        word = self.values.get(name, default)
        if word not in of:
            raise SchemaError(
                f"'{word}' is none of {', '.join(of)}", where=f"{self.where}: {name}"
            )
        return word


@dataclass(frozen=True, slots=True, kw_only=True)
class Wired:
    """All that a driver is opened with."""

    link: ByteLink
    clock: Clock
    address: str
    origin: Origin
    options: Options
    is_simulated: bool
    """Whether nothing real can be harmed: a simulator of ours, or a capture."""

    def make(self, module: str, name: str, **more: Any) -> Any:  # noqa: ANN401 - a class by name
        """Make the driver class `name` of ``harness.meters.<module>``."""
        driver = getattr(import_module(f"harness.meters.{module}"), name)
        return driver(
            self.link, self.clock, address=self.address, origin=self.origin, **more
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Driver:
    """A driver, how it is opened, and what stands in for its instrument."""

    title: str
    connect: Callable[[Wired], AbstractContextManager[Meter]]
    simulate: Callable[[Drawn, Options], Instrument]
    baud: int = 115_200
    parity: Parity = Parity.NONE
    options: tuple[str, ...] = ()


_SIMULATED_V = 3.0
"""Supply of a simulated device under test, where the address names none."""


_PPK2_V = (0.8, 5.0)
"""Supply, and what may be put on VIN (Nordic, PPK2 user guide)."""
_LPM01A_V = (1.8, 3.3)
"""Supply (ST UM2243, command ``volt``)."""
_INA_V = (0.1, 85.0)
"""Bus voltage of the wider of the two chips (TI INA228 data sheet); never none."""


def _supply_v(
    options: Options, limits_v: tuple[float, float], *, is_simulated: bool
) -> float:
    """Give the voltage, which a real device under test must never get by default.

    Raises Unsupported where there is none, or one that the meter cannot give.
    """
    given = options.quantity("voltage", "V")
    if given is None and is_simulated:
        return _SIMULATED_V
    volts = options.require_quantity(
        "voltage", "V", "a wrong one destroys the device under test"
    )
    least, most = limits_v
    if not least <= volts <= most:
        raise Unsupported(
            f"This meter works at {least:g} V to {most:g} V, not at {volts:g} V",
            where=options.where,
            remedy="Give the voltage that the device under test is made for, or take "
            "another meter.",
        )
    return volts


def _ppk2(wired: Wired) -> AbstractContextManager[Meter]:
    driver = import_module("harness.meters.ppk2.driver")
    options = wired.options
    supply = driver.Supply(
        voltage_v=_supply_v(options, _PPK2_V, is_simulated=wired.is_simulated),
        is_source=options.choice("mode", ("source", "ampere"), "source") == "source",
    )
    return nullcontext(wired.make("ppk2.driver", "Ppk2", supply=supply))


def _ppk2_sim(load: Drawn, options: Options) -> Instrument:
    volts = _supply_v(options, _PPK2_V, is_simulated=True)
    pin = load.pin if isinstance(load, Waveform) and load.pin_s else None
    return _simulator(
        "ppk2.sim",
        "Ppk2Simulator",
        lambda seconds: load.watts(seconds) / volts,
        seed=load.seed,
        logic=pin,
    )


def _lpm01a(wired: Wired) -> AbstractContextManager[Meter]:
    driver = import_module("harness.meters.lpm01a.driver")
    form = import_module("harness.meters.lpm01a.wire").Format
    options = wired.options
    word = options.choice("format", ("auto", "ascii", "binary"), "auto")
    setting = driver.Setting(
        voltage_v=_supply_v(options, _LPM01A_V, is_simulated=wired.is_simulated),
        is_energy=options.choice("output", ("energy", "current"), "energy") == "energy",
        format=None if word == "auto" else form[word.upper()],
    )
    return _Released(wired.make("lpm01a.driver", "Lpm01a", setting=setting))


def _lpm01a_sim(load: Drawn, options: Options) -> Instrument:
    volts = _supply_v(options, _LPM01A_V, is_simulated=True)
    return _simulator(
        "lpm01a.sim",
        "Lpm01aSimulator",
        lambda seconds: load.watts(seconds) / volts,
        events_s=load.pin_falls_s() if isinstance(load, Waveform) else (),
    )


def _pzem(wired: Wired) -> AbstractContextManager[Meter]:
    unit = wired.options.whole("unit", 1)
    return nullcontext(wired.make("pzem.driver", "Pzem", unit=unit))


def _pzem_sim(load: Drawn, options: Options) -> Instrument:
    unit = options.whole("unit", 1)
    return _simulator("pzem.sim", "PzemSimulator", load.watts, unit=unit)


def _dlt645(wired: Wired) -> AbstractContextManager[Meter]:
    driver = import_module("harness.meters.dlt645.driver")
    line = driver.Line(
        number=wired.options.values.get("number"),
        baud=wired.options.whole("baud", driver.BAUD),
    )
    return nullcontext(wired.make("dlt645.driver", "Dlt645", line=line))


def _ruideng(series: str) -> Callable[[Wired], AbstractContextManager[Meter]]:
    def connect(wired: Wired) -> AbstractContextManager[Meter]:
        driver = import_module("harness.meters.ruideng.driver")
        made = wired.make("ruideng.driver", "Ruideng", series=driver.Series[series])
        return nullcontext(made)

    return connect


def _scpi(wired: Wired) -> AbstractContextManager[Meter]:
    driver = import_module("harness.meters.scpi.driver")
    profiles = import_module("harness.meters.scpi.profiles")
    name = wired.options.values.get("profile")
    inputs = driver.Inputs(
        voltage_v=wired.options.quantity("voltage", "V"),
        current_a=wired.options.quantity("current", "A"),
        profile=None if name is None else profiles.profile_named(name),
    )
    return _Released(wired.make("scpi.driver", "ScpiMeter", inputs=inputs))


def _ina(wired: Wired) -> AbstractContextManager[Meter]:
    pattern = wired.options.values.get("pattern")
    if pattern is not None:
        made = wired.make("ina.tolerant", "LineMeter", pattern=pattern)
        return nullcontext(made)
    return nullcontext(wired.make("ina.driver", "InaMeter"))


def _ina_sim(load: Drawn, options: Options) -> Instrument:
    volts = _supply_v(options, _INA_V, is_simulated=True)
    board = import_module("harness.meters.ina.sim").Board(supply_v=volts)
    return _simulator(
        "ina.sim", "InaSimulator", lambda s: _at(load, s) / volts, board=board
    )


class _Released:
    """A meter whose keys go back to the person before it when it is left."""

    def __init__(self, meter: Any) -> None:  # noqa: ANN401 - a meter with `release`
        self._meter = meter

    def __enter__(self) -> Meter:
        meter: Meter = self._meter
        return meter

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        # one that does not answer any more cannot be released, and has been told of
        with suppress(EquipmentError):
            self._meter.release()


def _at(load: Drawn, second: float) -> float:
    return float(load.watts(np.array([second]))[0])


def _simulator(module: str, name: str, load: Any, **more: Any) -> Instrument:  # noqa: ANN401 - a class by name
    made = getattr(import_module(f"harness.meters.{module}"), name)
    simulator: Instrument = made(load, **more)
    return simulator


DRIVERS: dict[str, Driver] = {
    "ppk2": Driver(
        title="Nordic Power Profiler Kit II, 100 kS/s",
        connect=_ppk2,
        simulate=_ppk2_sim,
        options=("voltage", "mode"),
    ),
    "lpm01a": Driver(
        title="ST X-NUCLEO-LPM01A power shield, 1 S/s to 100 kS/s",
        connect=_lpm01a,
        simulate=_lpm01a_sim,
        baud=3_686_400,
        options=("voltage", "output", "format"),
    ),
    "pzem": Driver(
        title="Peacefair PZEM-004T v3, mains, 1 S/s",
        connect=_pzem,
        simulate=_pzem_sim,
        baud=9600,
        options=("unit",),
    ),
    "scpi": Driver(
        title="Bench power meter over SCPI: Yokogawa WT310E, others by profile",
        connect=_scpi,
        simulate=lambda load, _: _simulator(
            "scpi.sim", "Wt310eSimulator", lambda s: _at(load, s)
        ),
        baud=57_600,
        options=("profile", "voltage", "current"),
    ),
    "dlt645": Driver(
        title="DL/T 645-2007 electricity meter",
        connect=_dlt645,
        simulate=lambda load, _: _simulator(
            "dlt645.sim", "Dlt645Simulator", load.watts
        ),
        baud=2400,
        parity=Parity.EVEN,
        options=("number",),
    ),
    "um25c": Driver(
        title="Ruideng UM24C, UM25C, UM34C, USB, 4 S/s",
        connect=_ruideng("UM"),
        simulate=lambda load, _: _simulator("ruideng.sim", "UmSimulator", load.watts),
    ),
    "tc66c": Driver(
        title="Ruideng TC66C, USB, 4 S/s",
        connect=_ruideng("TC66C"),
        simulate=lambda load, _: _simulator(
            "ruideng.sim", "Tc66cSimulator", load.watts
        ),
    ),
    "ina": Driver(
        title="INA226 or INA228 board over a line protocol",
        connect=_ina,
        simulate=_ina_sim,
        options=("pattern", "voltage"),
    ),
}
"""By the name that stands before the ``@``."""
