"""Conditions on a board: reached before a trial, held through it, put back after it.

What is set is put back when the host is done, and when it is gone: where the link
drops in the middle of a trial, only after the trial, whose conditions they are.
"""

import fcntl
import hashlib
import json
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from harness.clock import Clock, Deadline
from harness.errors import ConditionNotReached
from harness.meters.kernel import Kernel
from harness.targets.board.job import Asked, speak
from harness.targets.board.relay import is_locked
from harness.units import NS_PER_S

ANCHOR_LIMIT = 1.25
"""An anchor slower than this, against the first of the run, is a board held back."""
_ANCHOR = bytes(1 << 20)
_ANCHOR_ROUNDS = 8
_LOOK_EVERY_S = 1.0
_WATCH_S = 0.25


@dataclass(slots=True)
class Stand:
    """The kernel, the files that were changed, and what they said before."""

    kernel: Kernel
    clock: Clock
    anchor: Callable[[], None]
    before: dict[Path, str] = field(default_factory=dict)

    def reach(self, asked: Asked) -> dict[str, object]:
        """Reach what is asked and give what was reached. Raises ConditionNotReached."""
        if asked.governor is not None:
            self._set_governor(asked.governor)
        patience = Deadline.after(asked.patience_s, self.clock)
        if asked.max_start_degc is not None:
            self._cool_to(asked.max_start_degc, patience)
        anchor_ns = self._anchored(asked.anchor_ns, patience)
        kernel, charger = self.kernel, self.kernel.is_charger_on()
        return {
            "busy_cores": self._busy_cores(),
            "device_degc": kernel.temperature_degc(),
            "governor": kernel.governor(),
            "frequency_hz": kernel.frequency_hz(),
            "load_average": kernel.load_average(),
            "is_on_battery": None if charger is None else not charger,
            "throttle": kernel.throttle(),
            "charge": kernel.charge(),
            "anchor_ns": anchor_ns,
        }

    def put_back(self) -> list[str]:
        """Write back what was there before; gives what could not be put back."""
        failed = []
        for path, text in self.before.items():
            try:
                path.write_text(text)
            except OSError as error:
                failed.append(f"{path} = {text}: {error.strerror}")
        self.before.clear()
        return failed

    def _set_governor(self, wanted: str) -> None:
        for path, found in self.kernel.governors().items():
            if found == wanted:
                continue
            try:
                path.write_text(wanted)
            except OSError as error:
                raise ConditionNotReached(
                    f"The governor is '{found}', and '{wanted}' cannot be set: "
                    f"{error.strerror}",
                    where=str(path),
                    remedy="Log in as root, or set it by hand before the run.",
                ) from error
            self.before[path] = found

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


@contextmanager
def standing(kernel: Kernel, clock: Clock) -> Iterator[Stand]:
    """Give a stand that puts back what it has set, however this is left."""
    stand = Stand(kernel, clock, anchor)
    try:
        yield stand
    finally:
        stand.put_back()


def hold(base: Path, kernel: Kernel, clock: Clock) -> None:
    """Reach what a line of standard input asks for and hold it until the next one.

    Says ``reached`` or ``not-reached``, and ``back`` with what could not be put back.
    Waits first until what an earlier host asked for has been put back.
    """
    out = sys.stdout.buffer
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))
    asked = Asked(**json.loads(sys.stdin.buffer.readline()))
    with (base / "conditions").open("w") as lock, standing(kernel, clock) as stand:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            reached = stand.reach(asked)
        except ConditionNotReached as error:
            out.write(
                speak(
                    "not-reached",
                    what=error.what,
                    where=error.where,
                    remedy=error.remedy,
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
