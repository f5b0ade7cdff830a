"""What the exports of other programs look like, as data.

Where a form was looked up (none was copied; these are names of columns):

- ppk2-app: ``src/actions/exportChartAction.ts`` of NordicSemiconductor/
  pc-nrfconnect-ppk. Time of a reading is its number over the rate, in ms; digital
  channels are one column of eight characters, or eight columns, or both, with ``-``
  for a channel that is off and ``X`` where both states came. Rows of readings that
  are missing are left out.
- joulescope-ui-0: ``export`` of jetperch/pyjoulescope_ui 0.x.
- joulescope-ui: ``waveform_widget.py`` (`_on_export_csv`) of the same, 1.x: the mean
  of what each pixel shows, not every reading. numpy's ``savetxt``, hence ``# time``.
- joulescope-statistics: ``statistics_record.py`` of the same.
- pyjls: ``pyjls/entry_points/csv.py`` (PyPI: pyjls), ``<source>.<signal>``.
- otii: headings ``"Arc Main Current (A)"`` beside ``"Wall-clock time (UTC)"`` or
  ``Timestamp (s)``, as scripts that read Otii's exports name them; from Otii 3 on the
  name of the project's device stands before ``Main``. Quoted values.
- monsoon-powertool: ``Time (s)`` or ``Time (ms)``, ``Main Avg Power (mW)``, ``USB Avg
  Current (mA)`` … as scripts that read PowerTool's exports name them.
- monsoon-python: ``outputCSVHeaders`` of PyPI's Monsoon 0.1.88. It writes seconds
  under the heading ``Time(ms)``, the same for all readings of a USB packet.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Stamp(StrEnum):
    """Which end of its interval a reading's time is."""

    BEGIN = "begin"
    END = "end"


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """A column's heading as a pattern, and what makes SI units of its values."""

    pattern: str
    factor: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """One kind of export: its columns by quantity, the preferred heading first.

    Quantities: ``time`` (s), ``utc``, ``power`` (W), ``current`` (A), ``voltage`` (V),
    ``logic`` (eight states) and ``digital`` (one state; several columns).
    """

    name: str
    program: str
    driver: str
    """Whose data sheet holds where the user names no other."""
    columns: Mapping[str, tuple[Heading, ...]]
    stamp: Stamp = Stamp.BEGIN
    most_hz: float | None = None
    """No instrument of this kind reads faster: then its time is in seconds."""
    needs: tuple[str, ...] = ()
    """Columns without which headings this plain are not taken for this form."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """A form found in a heading line: number of the column and factor by quantity."""

    form: Form
    columns: Mapping[str, tuple[int, float]]
    digital: tuple[int, ...] = ()
    """Columns of the digital channels, channel 0 first."""

    @property
    def has_time(self) -> bool:
        """Say whether there is a time axis."""
        return "time" in self.columns or "utc" in self.columns


_MICRO = "[uµμ]"


def _one(pattern: str, factor: float = 1.0) -> tuple[Heading, ...]:
    return (Heading(pattern=pattern, factor=factor),)


FORMS = (
    Form(
        name="ppk2-app",
        program="nRF Connect Power Profiler",
        driver="ppk2",
        columns={
            "time": _one(r"Timestamp ?\(ms\)", 1e-3),
            "current": _one(rf"Current ?\({_MICRO}A\)", 1e-6),
            "logic": _one(r"D0-D7"),
            "digital": _one(r"D[0-7]"),
        },
    ),
    Form(
        name="joulescope-ui-0",
        program="Joulescope UI 0.x",
        driver="joulescope",
        columns={
            "time": _one(r"# ?time \(s\)"),
            "current": _one(r"current \(A\)"),
            "voltage": _one(r"voltage \(V\)"),
        },
    ),
    Form(
        name="joulescope-ui",
        program="Joulescope UI, visible data",
        driver="joulescope",
        columns={
            "time": _one(r"# ?time"),
            "current": _one(r".+\.i"),
            "voltage": _one(r".+\.v"),
            "power": _one(r".+\.p"),
        },
    ),
    Form(
        name="joulescope-statistics",
        program="Joulescope UI, statistics",
        driver="joulescope",
        stamp=Stamp.END,
        needs=("current", "voltage", "power"),
        columns={
            "time": _one(r"# ?time"),
            "current": _one(r"current"),
            "voltage": _one(r"voltage"),
            "power": _one(r"power"),
        },
    ),
    Form(
        name="pyjls",
        program="pyjls csv",
        driver="joulescope",
        columns={
            "time": _one(r"# ?timestamp"),
            "current": _one(r".+\.current"),
            "voltage": _one(r".+\.voltage"),
            "power": _one(r".+\.power"),
        },
    ),
    Form(
        name="otii",
        program="Qoitech Otii",
        driver="otii",
        columns={
            "time": _one(r"(?:Timestamp|Time|Relative time) ?\([sS]\)"),
            "utc": _one(r"Wall-clock time \(UTC\)"),
            "current": _one(r"(?:.* )?Main current \(A\)"),
            "voltage": _one(r"(?:.* )?Main voltage \(V\)"),
            "power": _one(r"(?:.* )?Main power \(W\)"),
        },
    ),
    Form(
        name="monsoon-powertool",
        program="Monsoon PowerTool",
        driver="monsoon",
        columns={
            "time": (
                Heading(pattern=r"Time ?\(s\)"),
                Heading(pattern=r"Time ?\(ms\)", factor=1e-3),
            ),
            "current": _one(r"Main(?: Avg)? Current ?\(mA\)", 1e-3),
            "voltage": _one(r"Main(?: Avg)? Voltage ?\(V\)"),
            "power": (
                Heading(pattern=r"Main(?: Avg)? Power ?\(mW\)", factor=1e-3),
                Heading(pattern=r"Main(?: Avg)? Power ?\(W\)"),
            ),
        },
    ),
    Form(
        name="monsoon-powertool-usb",
        program="Monsoon PowerTool, USB channel",
        driver="monsoon",
        columns={
            "time": (
                Heading(pattern=r"Time ?\(s\)"),
                Heading(pattern=r"Time ?\(ms\)", factor=1e-3),
            ),
            "current": _one(r"USB(?: Avg)? Current ?\(mA\)", 1e-3),
            "voltage": _one(r"USB(?: Avg)? Voltage ?\(V\)"),
            "power": (
                Heading(pattern=r"USB(?: Avg)? Power ?\(mW\)", factor=1e-3),
                Heading(pattern=r"USB(?: Avg)? Power ?\(W\)"),
            ),
        },
    ),
    Form(
        name="monsoon-python",
        program="Monsoon's Python library",
        driver="monsoon",
        most_hz=6000.0,
        columns={
            "time": _one(r"Time\(ms\)", 1e-3),
            "current": _one(r"Main\(mA\)", 1e-3),
            "voltage": _one(r"Main Voltage\(V\)"),
        },
    ),
)
"""In the order in which they are tried; of two that fit, the first."""

_QUANTITIES = ("power", "current")


def layout_of(headings: Sequence[str]) -> Layout | None:
    """Recognise a heading line; None where no known program writes such a one.

    A form fits where it finds a power, or a current, and a time (the time may be
    missing from the file altogether, which is told apart later).
    """
    fitting = [_laid(form, headings) for form in FORMS]
    for layout in fitting:
        if layout is not None and layout.has_time:
            return layout
    return next((one for one in fitting if one is not None), None)


def _laid(form: Form, headings: Sequence[str]) -> Layout | None:
    columns = {}
    for quantity, wanted in form.columns.items():
        found = _column(headings, wanted)
        if found is not None and quantity != "digital":
            columns[quantity] = found
    has_power = any(quantity in columns for quantity in _QUANTITIES)
    if not has_power or not set(form.needs) <= set(columns):
        return None
    return Layout(form=form, columns=columns, digital=_digital(form, headings))


def _column(
    headings: Sequence[str], wanted: Sequence[Heading]
) -> tuple[int, float] | None:
    for one in wanted:
        for place, heading in enumerate(headings):
            if re.fullmatch(one.pattern, heading, re.IGNORECASE):
                return place, one.factor
    return None


def _digital(form: Form, headings: Sequence[str]) -> tuple[int, ...]:
    patterns = [one.pattern for one in form.columns.get("digital", ())]
    return tuple(
        place
        for place, heading in enumerate(headings)
        if any(re.fullmatch(pattern, heading) for pattern in patterns)
    )


def known_programs() -> str:
    """Name the programs whose exports are read, for a sentence."""
    return ", ".join(dict.fromkeys(form.program for form in FORMS))
