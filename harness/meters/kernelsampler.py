"""A process and its machine seen through the kernel, as channels; stdlib only."""

from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Lock, Thread

from harness.clock import Clock
from harness.domain.origin import Origin
from harness.domain.reading import Channel, ReadingBlock
from harness.meters.kernel import Kernel, keep_to
from harness.units import NS_PER_S

RATE_HZ = 10.0
SOURCE = "kernel"
_SLOW_EVERY = 10
"""Heat, clocks and supply change slowly: once in so many readings."""


class KernelSampler:
    """Readings of one process and its machine since they were last taken away."""

    def __init__(self, pid: int, clock: Clock, kernel: Kernel) -> None:
        self._pid = pid
        self._clock = clock
        self._kernel = kernel
        self._round = 0
        self._cpu_s: tuple[int, float] | None = None
        self._columns: dict[tuple[str, str], tuple[array[int], array[float]]] = {}
        self._lock = Lock()

    def sample(self) -> bool:
        """Take one reading of every channel; False once the process is gone."""
        resident = self._kernel.resident_bytes(self._pid)
        cpu_s = self._kernel.cpu_seconds(self._pid)
        if resident is None or cpu_s is None:
            return False
        now = self._clock.now_ns()
        self._add("rss", "B", now, float(resident))
        if self._cpu_s is not None:
            then, before_s = self._cpu_s
            self._add("cpu", "ratio", now, (cpu_s - before_s) * NS_PER_S / (now - then))
        self._cpu_s = (now, cpu_s)
        if self._round % _SLOW_EVERY == 0:
            self._sample_machine()
        self._round += 1
        return True

    def take(self) -> tuple[ReadingBlock, ...]:
        """Give the readings since the last call, one block a channel."""
        with self._lock:
            columns, self._columns = self._columns, {}
        return tuple(
            ReadingBlock(
                channel=Channel(name=name, unit=unit, source=SOURCE, rate_hz=RATE_HZ),
                clock=self._clock.name,
                origin=Origin.MEASURED,
                times_ns=times,
                values=values,
            )
            for (name, unit), (times, values) in columns.items()
        )

    def _sample_machine(self) -> None:
        kernel, now = self._kernel, self._clock.now_ns()
        charger = kernel.is_charger_on()
        readings = (
            ("temperature", "degC", kernel.temperature_degc()),
            ("frequency", "Hz", kernel.frequency_hz()),
            ("throttle", "1", kernel.throttle()),
            ("load", "1", kernel.load_average()),
            ("charge", "ratio", kernel.charge()),
            ("charger", "1", None if charger is None else float(charger)),
        )
        for name, unit, value in readings:
            if value is not None:
                self._add(name, unit, now, value)

    def _add(self, name: str, unit: str, now: int, value: float) -> None:
        with self._lock:
            empty = (array("q"), array("d"))
            times, values = self._columns.setdefault((name, unit), empty)
            times.append(now)
            values.append(value)


@contextmanager
def sampled_by_kernel(
    pid: int, clock: Clock, cores: frozenset[int], kernel: Kernel
) -> Iterator[KernelSampler]:
    """Sample a process in a thread, kept to `cores`, while the context is open."""
    sampler = KernelSampler(pid, clock, kernel)
    is_over = Event()

    def work() -> None:
        keep_to(0, cores)
        while sampler.sample() and not is_over.wait(1.0 / RATE_HZ):
            pass

    thread = Thread(target=work, name="kernel sampler", daemon=True)
    thread.start()
    try:
        yield sampler
    finally:
        is_over.set()
        thread.join()
