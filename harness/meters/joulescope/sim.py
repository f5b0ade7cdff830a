"""A stand-in for the Joulescope's library: the same calls, a simulated device.

It knows nothing of the driver. Time passes when it is told to (`pump`); a clock that
does so whenever somebody waits on it stands for the library's own thread.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from harness.clock import Clock
from harness.meters.loads import Load
from harness.units import NS_PER_S

PATH = "u/js220/000042"
TICKS_HZ = 2_000_000
"""A JS220 counts two ticks a reading at its fastest."""
_BLOCK = 1000
"""Most readings in one message."""
Callback = Callable[[str, Any], None]


class FakeLibrary:
    """Stands for ``pyjoulescope_driver.Driver`` with one JS220 plugged in."""

    def __init__(
        self, load: Load, *, volts: float = 3.0, paths: tuple[str, ...] = (PATH,)
    ) -> None:
        self._load = load
        self._volts = volts
        self._paths = list(paths)
        self._opened: set[str] = set()
        self._subscribers: dict[str, list[Callback]] = {}
        self._running: dict[str, int] = {}
        self._rate_hz = 1_000_000
        self._begin_ns: int | None = None
        self._to_lose = 0
        self.is_silent = False
        self.values: dict[str, Any] = {}
        """What was published last, by topic."""

    def device_paths(self) -> list[str]:
        """List what is plugged in."""
        return list(self._paths)

    def open(self, device_prefix: str, mode: str | None = None) -> int:
        """Open a device. Raises RuntimeError where there is none."""
        del mode
        if device_prefix not in self._paths:
            raise RuntimeError(f"open {device_prefix} failed with 15: NOT_FOUND")
        self._opened.add(device_prefix)
        return 0

    def close(self, device_prefix: str) -> None:
        """Close it."""
        self._opened.discard(device_prefix)

    def publish(self, topic: str, value: Any, timeout: float | None = None) -> None:  # noqa: ANN401
        """Set a value. Raises TimeoutError for a device that is not there."""
        del timeout
        device, _, name = topic.partition("/s/")
        device = device.removesuffix("/h/fs")
        if device not in self._opened:
            raise TimeoutError(f"publish {topic} timed out")
        self.values[topic] = value
        if topic.endswith("/h/fs"):
            self._rate_hz = int(value)
        elif name.endswith("/ctrl"):
            signal = name.removesuffix("/ctrl")
            if value:
                self._running[signal] = -1
            else:
                self._running.pop(signal, None)

    def subscribe(self, topic: str, flags: str, fn: Callback) -> None:
        """Have a function called."""
        del flags
        self._subscribers.setdefault(topic, []).append(fn)

    def unsubscribe(self, topic: str, fn: Callback) -> None:
        """No more."""
        self._subscribers[topic].remove(fn)

    def lose(self, readings: int) -> None:
        """Leave out so many readings of the next message's beginning."""
        self._to_lose = readings

    def unplug(self) -> None:
        """Pull the cable: the library tells everybody who asked."""
        for path in self._paths:
            self._tell("@/!remove", path)
        self._paths.clear()
        self._opened.clear()

    def pump(self, now_ns: int) -> None:
        """Let time pass until `now_ns`, and call back with what was measured."""
        if self._begin_ns is None:
            self._begin_ns = now_ns
        if self.is_silent or not self._opened:
            return
        count = int((now_ns - self._begin_ns) * self._rate_hz / NS_PER_S)
        for signal, done in list(self._running.items()):
            begin = count if done < 0 else done
            if done < 0:
                self._running[signal] = count
            while begin < count:
                end = min(begin + _BLOCK, count)
                self._send(signal, begin, end)
                begin = self._running[signal] = end

    def _send(self, signal: str, begin: int, end: int) -> None:
        begin, self._to_lose = min(begin + self._to_lose, end), 0
        seconds = np.arange(begin, end) / self._rate_hz
        watts = self._load.watts(seconds)
        ticks = TICKS_HZ // self._rate_hz
        data = {"p": watts, "i": watts / self._volts}.get(
            signal, np.full(len(seconds), self._volts)
        )
        message = {
            "sample_id": begin * ticks,
            "utc": 0,
            "sample_rate": TICKS_HZ,
            "decimate_factor": ticks,
            "data": data.astype(np.float32),
        }
        self._tell(f"{PATH}/s/{signal}/!data", message)

    def _tell(self, topic: str, value: Any) -> None:  # noqa: ANN401
        for function in list(self._subscribers.get(topic, ())):
            function(topic, value)


class PumpedClock:
    """A clock that lets the simulated device's time pass whenever it is waited on."""

    def __init__(self, clock: Clock, library: FakeLibrary) -> None:
        self._clock = clock
        self._library = library
        self.name = clock.name
        library.pump(clock.now_ns())

    def now_ns(self) -> int:
        """Read the clock behind it."""
        return self._clock.now_ns()

    def wait_until(self, instant_ns: int) -> None:
        """Wait, then have the device say what it measured."""
        self._clock.wait_until(instant_ns)
        self._library.pump(self._clock.now_ns())
