"""A process seen from outside: memory, CPU, clock frequency, heat and load, by psutil.

Memory and CPU are channels like any other. The curve is for the eye: peaks come from
the kernel's high-water mark, which the agent reads. A channel that cannot be read on
this machine is not there; nothing is guessed.
"""

import os
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event, Lock, Thread

import psutil

from harness.clock import Clock
from harness.domain.origin import Origin
from harness.domain.reading import Channel, ReadingBlock
from harness.meters.kernel import keep_to
from harness.units import NS_PER_S

RATE_HZ = 10.0
SOURCE = "psutil"
_SLOW_EVERY = 10
"""Heat and load change slowly and cost most to read: once in so many readings."""
_HZ_PER_MHZ = 1e6
_CPU_SENSORS = ("coretemp", "k10temp", "zenpower", "cpu_thermal", "acpitz")
"""Kernel drivers whose first sensor is that of the processor, best first."""


@dataclass(slots=True)
class _Column:
    channel: Channel
    times_ns: "array[int]" = field(default_factory=lambda: array("q"))
    values: "array[float]" = field(default_factory=lambda: array("d"))


class ProcessSampler:
    """Readings of one process since the last time that they were taken away."""

    def __init__(self, pid: int, clock: Clock, *, rate_hz: float = RATE_HZ) -> None:
        self._process = psutil.Process(pid)
        self._clock = clock
        self._rate_hz = rate_hz
        self._round = 0
        self._cpu_s: tuple[int, float] | None = None
        self._columns: dict[str, _Column] = {}
        self._lock = Lock()

    def sample(self) -> bool:
        """Take one reading of every channel; False once the process is gone."""
        try:
            with self._process.oneshot():
                rss = self._process.memory_info().rss
                times = self._process.cpu_times()
        except psutil.Error:
            return False
        now = self._clock.now_ns()
        self._add("rss", "B", now, float(rss))
        self._add_cpu(now, times.user + times.system)
        if self._round % _SLOW_EVERY == 0:
            self._add_if_read("frequency", "Hz", frequency_hz)
            self._add_if_read("temperature", "degC", temperature_degc)
            self._add_if_read("load", "1", load_average)
        self._round += 1
        return True

    def take(self) -> tuple[ReadingBlock, ...]:
        """Give the readings since the last call, one block a channel."""
        with self._lock:
            columns, self._columns = self._columns, {}
        return tuple(
            ReadingBlock(
                channel=column.channel,
                clock=self._clock.name,
                origin=Origin.MEASURED,
                times_ns=column.times_ns,
                values=column.values,
            )
            for column in columns.values()
        )

    def _add_cpu(self, now: int, cpu_s: float) -> None:
        """Add the share of one core since the last reading."""
        if self._cpu_s is not None:
            then, before_s = self._cpu_s
            self._add("cpu", "ratio", now, (cpu_s - before_s) * NS_PER_S / (now - then))
        self._cpu_s = (now, cpu_s)

    def _add_if_read(
        self, name: str, unit: str, read: Callable[[], float | None]
    ) -> None:
        value = read()
        if value is not None:
            self._add(name, unit, self._clock.now_ns(), value)

    def _add(self, name: str, unit: str, now: int, value: float) -> None:
        with self._lock:
            column = self._columns.get(name)
            if column is None:
                channel = Channel(
                    name=name, unit=unit, source=SOURCE, rate_hz=self._rate_hz
                )
                column = self._columns[name] = _Column(channel)
            column.times_ns.append(now)
            column.values.append(value)


@contextmanager
def sampled(
    pid: int, clock: Clock, cores: frozenset[int], *, rate_hz: float = RATE_HZ
) -> Iterator[ProcessSampler]:
    """Sample a process in a thread for as long as the context is open.

    The thread keeps to `cores` where the system lets it (empty: to none), so that it
    does not take a core from the process that it looks at.
    """
    sampler = ProcessSampler(pid, clock, rate_hz=rate_hz)
    is_over = Event()

    def work() -> None:
        keep_to(0, cores)
        while sampler.sample() and not is_over.wait(1.0 / rate_hz):
            pass

    thread = Thread(target=work, name="process sampler", daemon=True)
    thread.start()
    try:
        yield sampler
    finally:
        is_over.set()
        thread.join()


def frequency_hz() -> float | None:
    """Read the mean clock frequency of the cores; None where it is not readable."""
    try:
        mhz = float(psutil.cpu_freq().current)
    except (OSError, AttributeError, NotImplementedError, RuntimeError):
        return None  # each of them is how psutil says so on some system
    return mhz * _HZ_PER_MHZ if mhz > 0 else None


def temperature_degc() -> float | None:
    """Read the processor's temperature; None where no known sensor is readable."""
    if not hasattr(psutil, "sensors_temperatures"):
        return None
    sensors = psutil.sensors_temperatures()
    for name in _CPU_SENSORS:
        for reading in sensors.get(name, ()):
            return float(reading.current)
    return None


def load_average() -> float | None:
    """Read the system's load over the last minute; None where there is none."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else None


_BUSY_SECONDS = 0.25


def busy_cores() -> float:
    """Watch the whole machine for a quarter of a second: cores that were busy."""
    share = psutil.cpu_percent(interval=_BUSY_SECONDS) / 100.0
    return share * (psutil.cpu_count(logical=True) or 1)
