"""Conditions on a board: reached before a trial, held through it, put back after it.

What is set is put back when the host is done, and when it is gone: where the link
drops in the middle of a trial, only after the trial, whose conditions they are.
"""

import fcntl
import hashlib
import json
import os
import signal
import socket
import struct
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from harness.clock import Clock, Deadline
from harness.domain.profile import SETTABLE
from harness.errors import ConditionNotReached
from harness.meters.kernel import Kernel
from harness.targets.board.job import Asked, speak
from harness.targets.board.knobs import Panel, Turn
from harness.targets.board.ledger import Change, Ledger
from harness.targets.board.relay import is_locked
from harness.units import NS_PER_S

ANCHOR_LIMIT = 1.25
"""An anchor slower than this, against the first of the run, is a board held back."""
_ANCHOR = bytes(1 << 20)
_ANCHOR_ROUNDS = 8
_LOOK_EVERY_S = 1.0
_WATCH_S = 0.25
_OURS = 2
_SIOCGIFADDR = 0x8915
_AS_ROOT = "Log in as root, or set it by hand before the run."
_REMEDIES = {
    "governor": _AS_ROOT,
    "screen": _AS_ROOT,
    "radios": _AS_ROOT,
    "charging": "Only root may keep a charger off, and only where the kernel has a "
    "switch for it. Else cut the port's supply: [targets.NAME.power] in lab.toml, "
    "with --detached.",
}


@dataclass(slots=True)
class Stand:
    """A board, the note of what was changed on it, and a piece of work to time."""

    kernel: Kernel
    clock: Clock
    anchor: Callable[[], None]
    ledger: Ledger
    panel: Panel = field(init=False)
    """What can be set on the board."""

    def __post_init__(self) -> None:
        self.panel = Panel(self.kernel, self.clock)

    def reach(self, asked: Asked) -> dict[str, object]:
        """Reach what is asked and give what was reached. Raises ConditionNotReached.

        What an earlier run left changed is put back first.
        """
        recovered = self._recover()
        set_from, missed = self._set_all(asked)
        patience = Deadline.after(asked.patience_s, self.clock)
        if asked.max_start_degc is not None:
            self._cool_to(asked.max_start_degc, patience)
        anchor_ns = self._anchored(asked.anchor_ns, patience)
        kernel, charger = self.kernel, self.kernel.is_charger_on()
        panel = self.panel
        return {
            "busy_cores": self._busy_cores(),
            "device_degc": kernel.temperature_degc(),
            "governor": kernel.governor(),
            "screen": panel.stands("screen"),
            "radios": panel.stands("radios"),
            "charging": panel.stands("charging"),
            "set_from": set_from,
            "missed": missed,
            "recovered": recovered,
            "frequency_hz": kernel.frequency_hz(),
            "load_average": kernel.load_average(),
            "is_on_battery": None if charger is None else not charger,
            "throttle": kernel.throttle(),
            "charge": kernel.charge(),
            "anchor_ns": anchor_ns,
        }

    def put_back(self) -> list[str]:
        """Put back what was there before; gives what could not be, with a command."""
        try:
            return self.ledger.put_back(self.panel)
        except OSError as error:
            return [f"the note of what was set: {error.strerror}"]

    def _recover(self) -> list[str]:
        """Put back what an earlier run left, and name it."""
        try:
            boots = {"", self.kernel.boot_id()}  # what a restart has undone is no news
            changes = [c for c in self.ledger.changes() if c.boot in boots]
            failed = self.ledger.put_back(self.panel)
        except OSError as error:
            failed = [error.strerror or str(error)]
        if failed:
            raise ConditionNotReached(
                "An earlier run left the board changed, and it cannot be put back: "
                + "; ".join(failed),
                where=str(self.ledger.path),
                remedy="Put it back by hand, then run again.",
            )
        return [f"{change.condition}: {change.place}" for change in changes]

    def _set_all(self, asked: Asked) -> tuple[dict[str, str], dict[str, str]]:
        """Set what is asked; gives what was found, and what was missed and why."""
        found: dict[str, str] = {}
        missed: dict[str, str] = {}
        for condition in SETTABLE:
            wanted = getattr(asked, condition)
            if wanted is None:
                continue
            try:
                self._require_settable(condition, asked)
                for turn in self.panel.turns(condition, wanted):
                    found |= self._set(condition, turn)
            except ConditionNotReached as error:
                if condition not in asked.wished:
                    raise
                missed[condition] = error.what
        return found, missed

    def _require_settable(self, condition: str, asked: Asked) -> None:
        """Raise ConditionNotReached for what this board has no means for."""
        if condition == "radios" and _is_cut_by_radios(asked, self.kernel):
            raise ConditionNotReached(
                "The link to the board is by radio, which cannot be switched off "
                "while it is needed",
                remedy="Take a cable, or let the link go: duanping run --detached",
            )
        if condition == "governor" or self.panel.turns(condition, "off"):
            return
        is_so = (
            self.kernel.is_charger_on() is False
            if condition == "charging"
            else self.panel.stands(condition) == "none"
        )
        if not is_so:
            raise ConditionNotReached(
                f"This board has nothing by which its {condition} can be switched off",
                remedy=_REMEDIES[condition],
            )

    def _set(self, condition: str, turn: Turn) -> dict[str, str]:
        """Set one thing, noted beforehand; gives how it was found, by its place."""
        knob = turn.knob
        before = knob.read()
        if before == turn.to:
            return {}
        if before is None:
            raise ConditionNotReached(
                f"The {condition} cannot be read, and so could not be put back",
                where=knob.place,
                remedy=_REMEDIES[condition],
            )
        outlives = knob.outlives_a_restart
        change = Change(
            condition=condition,
            place=knob.place,
            before=before,
            boot="" if outlives else self.kernel.boot_id(),
        )
        try:
            self.ledger.add(change)
            knob.turn(turn.to)
        except OSError as error:
            if knob.read() == before:
                self.ledger.strike_out(change)
            raise ConditionNotReached(
                f"The {condition} is '{before}', and '{turn.to}' cannot be set: "
                f"{error.strerror or error}",
                where=knob.place,
                remedy=_REMEDIES[condition],
            ) from error
        return {knob.place: before}

    def _cool_to(self, limit: float, patience: Deadline) -> None:
        """Wait until the board is at `limit` or below; a board may not say."""
        while (degc := self.kernel.temperature_degc()) is not None and degc > limit:
            if patience.is_over():
                raise ConditionNotReached(
                    f"The board is at {degc:.1f} degC and did not cool down to "
                    f"{limit:g} degC",
                    remedy="Cool it or its surroundings, end what else runs on it, "
                    "or ask for device_max_start above that in the profile.",
                )
            rest(self.clock, _LOOK_EVERY_S)

    def _anchored(self, reference_ns: int | None, patience: Deadline) -> int:
        """Time the anchor until it is as fast as at the start; it also warms up."""
        while True:
            found = min(self._timed() for _ in range(_ANCHOR_ROUNDS))
            if reference_ns is None or found <= ANCHOR_LIMIT * reference_ns:
                return found
            if patience.is_over():
                raise ConditionNotReached(
                    f"The anchor workload takes {found / reference_ns:.2f} times as "
                    "long as at the start of the run",
                    remedy="The board is held back: look at its heat, its supply and "
                    "what else runs on it, then run again with --resume.",
                )
            rest(self.clock, _LOOK_EVERY_S)

    def _timed(self) -> int:
        begun_ns = self.clock.now_ns()
        self.anchor()
        return self.clock.now_ns() - begun_ns

    def _busy_cores(self) -> float | None:
        before = self.kernel.cpu_ticks()
        rest(self.clock, _WATCH_S)
        after = self.kernel.cpu_ticks()
        if before is None or after is None or after[1] <= before[1]:
            return None
        share = (after[0] - before[0]) / (after[1] - before[1])
        return share * len(
            list(self.kernel.root.glob("sys/devices/system/cpu/cpu[0-9]*"))
        )


def anchor() -> None:
    """Digest one mebibyte: a fixed piece of work, by the same library everywhere."""
    hashlib.sha256(_ANCHOR).digest()


def ledger_in(base: Path) -> Ledger:
    """Give the note of what is changed on the board whose folder that is."""
    return Ledger(base / "changed.json")


@contextmanager
def standing(base: Path, kernel: Kernel, clock: Clock) -> Iterator[Stand]:
    """Give a stand that puts back what it has set, however this is left.

    Waits first until what an earlier host asked for has been put back.
    """
    with (base / "conditions").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        stand = Stand(kernel, clock, anchor, ledger_in(base))
        try:
            yield stand
        finally:
            stand.put_back()


def hold(base: Path, kernel: Kernel, clock: Clock) -> None:
    """Reach what a line of standard input asks for and hold it until the next one.

    Says ``reached`` or ``not-reached``, and ``back`` with what could not be put back.
    """
    out = sys.stdout.buffer
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))
    asked = Asked(**json.loads(sys.stdin.buffer.readline()))
    with standing(base, kernel, clock) as stand:
        try:
            reached = stand.reach(asked)
        except ConditionNotReached as error:
            out.write(
                speak(
                    "not-reached",
                    what=error.what,
                    where=error.where,
                    remedy=error.remedy,
                    failed=stand.put_back(),
                )
            )
            return
        out.write(speak("reached", conditions=reached))
        out.flush()
        if not sys.stdin.buffer.readline():
            while is_locked(base / "busy"):
                rest(clock, _LOOK_EVERY_S)
        failed = stand.put_back()
    out.write(speak("back", failed=failed))


def rest(clock: Clock, seconds: float) -> None:
    """Let that time pass."""
    clock.wait_until(clock.now_ns() + round(seconds * NS_PER_S))


def _is_cut_by_radios(asked: Asked, kernel: Kernel) -> bool:
    if asked.radio_link is not None:
        return asked.radio_link
    words = os.environ.get("SSH_CONNECTION", "").split()  # sshd(8): ours comes third
    return len(words) > _OURS and words[_OURS] in _radio_addresses(kernel)


def _radio_addresses(kernel: Kernel) -> Iterator[str]:
    """Give the addresses of interfaces that are radios; netdevice(7)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        for _, name in socket.if_nameindex():
            if not (kernel.root / "sys/class/net" / name / "phy80211").exists():
                continue
            request = struct.pack("256s", name.encode())
            try:
                answer = fcntl.ioctl(asking, _SIOCGIFADDR, request)
            except OSError:
                continue  # it has no address
            yield socket.inet_ntoa(answer[20:24])
