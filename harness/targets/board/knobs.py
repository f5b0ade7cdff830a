"""What of a board can be set from a process on it: files of the kernel, Android's own.

A *knob* is named by its place, so that whoever finds the note of it can put it back:
the path of a file, or ``android:NAME``. Sources: kernel ABI sysfs-class-backlight
(``bl_power``: 0 on, 4 off), sysfs-class-rfkill (``soft``: 1 blocked) and
sysfs-class-power (``charge_behaviour``); ``input_suspend`` and ``charging_enabled``
are of Qualcomm's kernels. Android: KeyEvent.java (223 sleep, 224 wake up),
ConnectivityService's shell command ``airplane-mode``, Settings.Global
``airplane_mode_on``, PowerManagerService's dump (``mWakefulness``).

``dumpsys battery unplug`` is not used: it changes what Android believes, not what
feeds the phone.
"""

import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from harness.clock import Clock, Deadline
from harness.meters.kernel import Kernel
from harness.targets.board.android import Ask, PhoneKernel

_ANDROID = "android:"
_SETTLE_S = 5.0
"""Android carries a command out some time after it has said nothing against it."""
_LOOK_EVERY_NS = 100_000_000
_AWAKE = re.compile(r"[wW]akefulness\w*(?:\(\))?=(Awake|Asleep|Dozing|Dreaming)")
_CHOSEN = re.compile(r"\[([\w-]+)\]")
_CHARGER_KNOBS = (
    # file of a power supply, what keeps the charger from feeding the device
    ("input_suspend", "1"),
    ("charge_behaviour", "force-discharge"),
    # … and what at least keeps it from charging the battery
    ("charging_enabled", "0"),
    ("charge_behaviour", "inhibit-charge"),
)


class Knob(Protocol):
    """Something that can be read and set."""

    @property
    def place(self) -> str:
        """Name it, so that it is found again."""
        ...

    @property
    def outlives_a_restart(self) -> bool:
        """Say whether it stays as it was set when the board starts again."""
        ...

    def read(self) -> str | None:
        """Give how it stands; None where that cannot be told."""
        ...

    def turn(self, to: str) -> None:
        """Set it, and see that it is. Raises OSError where it is not."""
        ...

    def by_hand(self, to: str) -> str:
        """Give the command that sets it, for a person."""
        ...


@dataclass(frozen=True, slots=True)
class FileKnob:
    """A file of the kernel."""

    path: Path
    outlives_a_restart: bool = False

    @property
    def place(self) -> str:
        """Name the file."""
        return str(self.path)

    def read(self) -> str | None:
        """Give what it says; of several words the one in brackets."""
        try:
            text = self.path.read_text(errors="replace").strip()
        except OSError:
            return None  # not on this machine, not for us, or asleep
        chosen = _CHOSEN.search(text)
        return chosen[1] if chosen else text

    def turn(self, to: str) -> None:
        """Write it and read it back. Raises OSError."""
        self.path.write_text(to)
        found = self.read()
        if found != to:
            raise OSError(0, f"it says '{found}' after '{to}' was written")

    def by_hand(self, to: str) -> str:
        """Give the line that writes it."""
        return f"echo {shlex.quote(to)} > {shlex.quote(str(self.path))}"


@dataclass(frozen=True, slots=True)
class PhoneKnob:
    """Something of Android's, set by a command of its own."""

    name: str
    ask: Ask
    clock: Clock

    @property
    def place(self) -> str:
        """Name it."""
        return f"{_ANDROID}{self.name}"

    @property
    def outlives_a_restart(self) -> bool:
        """Say so of what stands in Android's settings."""
        return self.name == "airplane"

    def read(self) -> str | None:
        """Give ``on`` or ``off``; None where Android does not say."""
        if self.name == "airplane":
            said = self.ask("settings", "get", "global", "airplane_mode_on").strip()
            return {"0": "off", "1": "on"}.get(said)
        said = self.ask("dumpsys", "power")
        found = _AWAKE.search(said)
        if found is None:
            return None
        return "on" if found[1] == "Awake" else "off"

    def turn(self, to: str) -> None:
        """Give the command and wait until Android says that it is so."""
        self.ask(*self._command(to))
        until = Deadline.after(_SETTLE_S, self.clock)
        while (found := self.read()) != to:
            if until.is_over():
                raise OSError(0, f"Android says '{found}' after {self.by_hand(to)}")
            self.clock.wait_until(self.clock.now_ns() + _LOOK_EVERY_NS)

    def by_hand(self, to: str) -> str:
        """Give the command."""
        return f"adb shell {shlex.join(self._command(to))}"

    def _command(self, to: str) -> tuple[str, ...]:
        if self.name == "airplane":
            way = {"on": "enable", "off": "disable"}[to]
            return ("cmd", "connectivity", "airplane-mode", way)
        return ("input", "keyevent", {"off": "223", "on": "224"}[to])


@dataclass(frozen=True, slots=True)
class Turn:
    """A knob and where it is to stand."""

    knob: Knob
    to: str


@dataclass(frozen=True, slots=True)
class Panel:
    """Every knob of one board."""

    kernel: Kernel
    clock: Clock
    _phone: list[bool] = field(default_factory=list)

    def turns(self, condition: str, wanted: str) -> list[Turn]:
        """List what brings a condition about; none where this board has nothing."""
        match condition:
            case "governor":
                return [Turn(FileKnob(p), wanted) for p in self.kernel.governors()]
            case "screen":
                return self._screen()
            case "radios":
                return self._radios()
            case "charging":
                return self._charging()
            case _:
                raise ValueError(f"no such condition: {condition}")

    def knob_at(self, place: str) -> Knob:
        """Find a knob again by its place."""
        if place.startswith(_ANDROID):
            return self._phone_knob(place.removeprefix(_ANDROID))
        return FileKnob(Path(place))

    def stands(self, condition: str) -> str | None:
        """Say how a condition stands: ``on``, ``off``, ``none`` or a status; or None.

        ``none``: the board has no screen, or no radio, that could be on.
        """
        if condition == "charging":
            return self.kernel.charging()
        turns = self.turns(condition, "off")
        if not turns:
            return "none" if self._has_none(condition) else None
        found = [(turn.knob.read(), turn.to) for turn in turns]
        if any(now is None for now, _ in found):
            return None
        return "off" if all(now == to for now, to in found) else "on"

    def _has_none(self, condition: str) -> bool:
        if condition == "screen":
            ports = self.kernel.root.glob("sys/class/drm/*/status")
            return all(FileKnob(port).read() != "connected" for port in ports)
        return condition == "radios" and not self._is_phone()

    def _screen(self) -> list[Turn]:
        if self._is_phone():
            return [Turn(self._phone_knob("screen"), "off")]
        files = sorted(self.kernel.root.glob("sys/class/backlight/*/bl_power"))
        return [Turn(FileKnob(file), "4") for file in files]

    def _radios(self) -> list[Turn]:
        if self._is_phone():
            return [Turn(self._phone_knob("airplane"), "on")]
        files = sorted(self.kernel.root.glob("sys/class/rfkill/rfkill*/soft"))
        return [Turn(FileKnob(file), "1") for file in files]

    def _charging(self) -> list[Turn]:
        for name, to in _CHARGER_KNOBS:
            files = sorted(self.kernel.root.glob(f"sys/class/power_supply/*/{name}"))
            able = [file for file in files if to.isdigit() or to in _text(file)]
            if able:
                return [Turn(FileKnob(file), to) for file in able]
        return []

    def _phone_knob(self, name: str) -> PhoneKnob:
        return PhoneKnob(name, self._ask, self.clock)

    def _ask(self, command: str, *words: str) -> str:
        if isinstance(self.kernel, PhoneKernel):
            return self.kernel.ask(command, *words)
        return ""

    def _is_phone(self) -> bool:
        """Ask once whether Android answers."""
        if not self._phone:
            said = self._ask("getprop", "ro.build.version.release")
            self._phone.append(bool(said.strip()))
        return self._phone[0]


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""  # not for us: then it cannot be set either
