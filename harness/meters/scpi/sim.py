"""The other end of a WT310E's RS-232 wire, and of simpler instruments.

Written from the instrument's communication manual (IM WT310E-17EN) and IEEE 488.2;
it shares nothing with the driver. Headers are taken in long and short form, optional
nodes may be left out, several commands may stand on one line, and the header is sent
back with answers until it is turned off, as the instrument does when it is delivered.
The load is a function of time, so that a test knows the truth.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

Load = Callable[[float], float]
"""Seconds since power-on → active power in W."""

_NS = 1_000_000_000
_PERIODS_S = {"100MS": 0.1, "250MS": 0.25, "500MS": 0.5}
_PERIODS_S |= {f"{s}S": float(s) for s in (1, 2, 5, 10, 20)}
_VOLTS = (15.0, 30.0, 60.0, 150.0, 300.0, 600.0)
_AMPERES = (5e-3, 10e-3, 20e-3, 50e-3, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0)
_OVER = 1.4
"""At crest factor 3, a value above 140 % of its range is over range."""
_STEP_S = 0.005
_NO_ERROR = '0,"No error"'


@dataclass(frozen=True, slots=True, kw_only=True)
class Mains:
    """What the load hangs on."""

    voltage_v: float = 230.0
    power_factor: float = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Misbehaviour:
    """What goes wrong on purpose; times in seconds since power-on."""

    silent_after_s: float | None = None
    identity: str = "YOKOGAWA,WT310E,C2TA01234V,F1.04"
    refused: frozenset[str] = field(default_factory=frozenset)
    """Headers, as in `_COMMANDS`, that this firmware does not know."""


class Wt310eSimulator:
    """A WT310E on a bench that does not exist."""

    def __init__(
        self,
        load: Load,
        *,
        mains: Mains | None = None,
        misbehaviour: Misbehaviour | None = None,
    ) -> None:
        self._load = load
        self._mains = mains or Mains()
        self._fault = misbehaviour or Misbehaviour()
        self._inbox = b""
        self._queue: list[str] = []
        self._outbox = b""
        self._errors: list[str] = []
        self._now_ns = 0
        self._epoch_ns = 0
        self._updates = 0
        self._mean_w = math.nan
        self._events = 0
        self._awaited = 0
        self._integral_wh: float | None = None
        self.is_integrating = False
        self.is_remote = False
        self.settings = {
            "header": "1",
            "rate": "250MS",
            "volt": "300",
            "curr": "1",
            "volt_auto": "1",
            "curr_auto": "1",
            "format": "ASC",
            "count": "3",
            "filter": "NEV",
            "mode": "NORM",
            "timer": "0,0,0",
        }
        self.items = {1: "U,1", 2: "I,1", 3: "P,1"}
        self._power_on_ns: int | None = None
        self.commands: list[str] = []
        """Every command that it was given, in order."""

    def receive(self, data: bytes, now_ns: int) -> None:
        """Take commands; one that waits holds up those that come after it."""
        self._inbox += data
        self._switch_on(now_ns)
        *lines, self._inbox = self._inbox.split(b"\n")
        for line in lines:
            self._queue += _units(line.decode("ascii", errors="replace").strip())
        self._advance(now_ns)

    def transmit(self, now_ns: int) -> bytes:
        """Give the answers that are ready."""
        self._switch_on(now_ns)
        self._advance(now_ns)
        out, self._outbox = self._outbox, b""
        return b"" if self._is_silent(now_ns) else out

    def next_ns(self, now_ns: int) -> int | None:
        """Say when a command that waits will go on."""
        if self._is_silent(now_ns):
            return None
        if self._outbox:
            return now_ns
        if self._awaited:
            end_ns = self._epoch_ns + (self._updates + 1) * self._period_ns
            return (self._power_on_ns or 0) + end_ns
        return None

    def _switch_on(self, now_ns: int) -> None:
        """Begin to measure at the first contact; the host's clock may be days old."""
        if self._power_on_ns is None:
            self._power_on_ns = now_ns

    def _is_silent(self, now_ns: int) -> bool:
        after = self._fault.silent_after_s
        since_ns = now_ns - (self._power_on_ns or 0)
        return after is not None and since_ns >= after * _NS

    @property
    def _period_ns(self) -> int:
        return round(_PERIODS_S[str(self.settings["rate"])] * _NS)

    def _advance(self, now_ns: int) -> None:
        self._now_ns = now_ns - (self._power_on_ns or 0)
        due = (self._now_ns - self._epoch_ns) // self._period_ns
        while self._updates < due:
            self._renew()
        while self._queue and not self._awaited:
            self._execute(self._queue.pop(0))

    def _renew(self) -> None:
        """Finish one update interval: new values, and the event that says so."""
        end_s = (self._epoch_ns + (self._updates + 1) * self._period_ns) / _NS
        period_s = self._period_ns / _NS
        self._mean_w = self._mean(end_s - period_s, end_s)
        if self.is_integrating and self._integral_wh is not None:
            self._integral_wh += self._mean_w * period_s / 3600.0
        self._updates += 1
        if self.settings["filter"] == "FALL":
            self._events |= 1
        if self._awaited & self._events:
            self._awaited = 0
            while self._queue and not self._awaited:
                self._execute(self._queue.pop(0))

    def _mean(self, begin_s: float, end_s: float) -> float:
        steps = max(1, math.ceil((end_s - begin_s) / _STEP_S))
        width = (end_s - begin_s) / steps
        return (
            sum(self._load(begin_s + (k + 0.5) * width) for k in range(steps)) / steps
        )

    def _execute(self, unit: str) -> None:
        self.commands.append(unit)
        header, _, parameters = unit.partition(" ")
        is_query = header.endswith("?")
        for name, pattern in _COMMANDS.items():
            match = pattern.fullmatch(header.rstrip("?").lstrip(":"))
            if match and name not in self._fault.refused:
                number = int(match[1]) if match.groups() else 0
                if is_query:
                    self._answer(name, number, parameters.strip())
                else:
                    self._set(name, number, parameters.strip().upper())
                return
        self._errors.append('113,"Undefined header"')

    def _answer(self, name: str, number: int, parameters: str) -> None:
        match name:
            case "*IDN":
                self._say(self._fault.identity)
            case "NUMeric[:NORMal]:VALue":
                wanted = [int(parameters)] if parameters else list(self._numbers())
                self._say(",".join(self._value(self.items[n]) for n in wanted))
            case "NUMeric[:NORMal]:ITEM<x>":
                self._say(self.items.get(number, "NONE"))
            case "STATus:EESR":
                self._say(str(self._events))
                self._events = 0
            case "STATus:ERRor":
                self._say(self._errors.pop(0) if self._errors else _NO_ERROR)
            case "[INPut:]VOLTage:RANGe":
                self._say_setting(name, f"{float(self.settings['volt']):.3E}")
            case "[INPut:]CURRent:RANGe":
                self._say_setting(name, f"{float(self.settings['curr']):.3E}")
            case _ if name in _PLAIN:
                self._say_setting(name, str(self.settings[_PLAIN[name]]))
            case _:
                self._errors.append('113,"Undefined header"')

    def _set(self, name: str, number: int, value: str) -> None:
        match name:
            case "*CLS":
                self._errors, self._events = [], 0
            case "COMMunicate:REMote":
                self.is_remote = _truth(value) == "1"
            case "COMMunicate:WAIT":
                mask = int(value)
                self._awaited = 0 if mask & self._events else mask
            case "[INPut:]VOLTage:RANGe":
                self._set_range("volt", value, _VOLTS)
            case "[INPut:]CURRent:RANGe":
                self._set_range("curr", value, _AMPERES)
            case "NUMeric[:NORMal]:ITEM<x>":
                self.items[number] = value
            case "RATE":
                self._set_rate(value)
            case "INTEGrate:RESet" | "INTEGrate:STARt" | "INTEGrate:STOP":
                self._integrate(name)
            case _ if name in _PLAIN:
                self.settings[_PLAIN[name]] = _truth(value)
            case _:
                self._errors.append('113,"Undefined header"')

    def _set_range(self, which: str, value: str, offered: tuple[float, ...]) -> None:
        asked = float(value.rstrip("VA"))
        if self._integral_wh is not None:
            self._errors.append('221,"Setting conflict"')
        elif not any(math.isclose(asked, one) for one in offered):
            self._errors.append('222,"Data out of range"')
        else:
            self.settings[which] = f"{asked:g}"
            self.settings[f"{which}_auto"] = "0"

    def _set_rate(self, value: str) -> None:
        if value not in _PERIODS_S:
            self._errors.append('222,"Data out of range"')
            return
        self.settings["rate"] = value
        self._epoch_ns, self._updates = self._now_ns, 0

    def _integrate(self, name: str) -> None:
        match name:
            case "INTEGrate:RESet":
                self._integral_wh = None
                self.is_integrating = False
            case "INTEGrate:STARt":
                self._integral_wh = 0.0
                self.is_integrating = True
            case _:
                self.is_integrating = False

    def _numbers(self) -> range:
        return range(1, int(self.settings["count"]) + 1)

    def _value(self, item: str) -> str:
        volts = self._mains.voltage_v
        amperes = self._mean_w / (volts * self._mains.power_factor)
        is_u_over = volts > _OVER * float(self.settings["volt"])
        is_i_over = amperes > _OVER * float(self.settings["curr"])
        match item.partition(",")[0]:
            case _ if math.isnan(self._mean_w):
                return "NAN"
            case "U":
                return "INF" if is_u_over else f"{volts:.4E}"
            case "I":
                return "INF" if is_i_over else f"{amperes:.4E}"
            case "P":
                return "INF" if is_u_over or is_i_over else f"{self._mean_w:.4E}"
            case "WH" if self._integral_wh is not None:
                return f"{self._integral_wh:.5E}"
            case _:
                return "NAN"

    def _say(self, text: str) -> None:
        self._outbox += text.encode() + b"\n"

    def _say_setting(self, name: str, text: str) -> None:
        is_long = self.settings["header"] == "1"
        header = ":" + re.sub(r"\[|\]|<x>", "", name).upper() + " "
        self._say((header if is_long else "") + text)


_PLAIN = {
    "COMMunicate:HEADer": "header",
    "SYSTem:COMMunicate:COMMand": "command_set",
    "NUMeric:FORMat": "format",
    "NUMeric[:NORMal]:NUMber": "count",
    "STATus:FILTer1": "filter",
    "RATE": "rate",
    "[INPut:]VOLTage:AUTO": "volt_auto",
    "[INPut:]CURRent:AUTO": "curr_auto",
    "INTEGrate:MODE": "mode",
    "INTEGrate:TIMer": "timer",
}
_NAMES = (
    "*IDN",
    "*CLS",
    "COMMunicate:REMote",
    "COMMunicate:WAIT",
    "NUMeric[:NORMal]:ITEM<x>",
    "NUMeric[:NORMal]:VALue",
    "STATus:EESR",
    "STATus:ERRor",
    "[INPut:]VOLTage:RANGe",
    "[INPut:]CURRent:RANGe",
    "INTEGrate:STARt",
    "INTEGrate:STOP",
    "INTEGrate:RESet",
    *_PLAIN,
)


def _pattern(name: str) -> re.Pattern[str]:
    """Take a header as the manual prints it: capitals are its short form."""
    text = name.replace("*", r"\*").replace("[", "(?:").replace("]", ")?")
    text = re.sub(r"([A-Z]+)([a-z]+)", r"\1(?:\2)?", text).replace("<x>", r"(\d+)")
    return re.compile(text, re.IGNORECASE)


_COMMANDS = {name: _pattern(name) for name in _NAMES}


def _truth(value: str) -> str:
    return {"ON": "1", "OFF": "0", "ASCII": "ASC"}.get(value, value)


def _units(line: str) -> list[str]:
    """Cut a message into its units, each with its whole path (IEEE 488.2, A.1.1)."""
    units: list[str] = []
    path = ""
    for part in (piece.strip() for piece in line.split(";") if piece.strip()):
        whole = part if part[0] in ":*" or not path else f":{path}:{part}"
        if part[0] != "*":
            path = whole.partition(" ")[0].lstrip(":").rpartition(":")[0]
        units.append(whole)
    return units


class LineSimulator:
    """An instrument that answers each known line, and nothing else, with a line."""

    def __init__(
        self, answers: Mapping[str, Callable[[float], str]], *, end: bytes = b"\n"
    ) -> None:
        self._answers = answers
        self._end = end
        self._inbox = b""
        self._outbox = b""
        self.commands: list[str] = []

    def receive(self, data: bytes, now_ns: int) -> None:
        """Answer every whole line at once; the answer may depend on the time in s."""
        self._inbox += data
        *lines, self._inbox = self._inbox.split(b"\n")
        for line in lines:
            text = line.decode("ascii").strip()
            self.commands.append(text)
            if text in self._answers:
                answer = self._answers[text](now_ns / _NS)
                self._outbox += answer.encode() + self._end

    def transmit(self, now_ns: int) -> bytes:
        """Give the answers."""
        del now_ns
        out, self._outbox = self._outbox, b""
        return out

    def next_ns(self, now_ns: int) -> int | None:
        """It says nothing unasked."""
        return now_ns if self._outbox else None
