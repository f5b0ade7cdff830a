"""Counters and sensors of this machine, read on a fixed grid of times.

A sampler is made anew for each acquisition. It is given the time and reads all its
quantities in one pass, so that voltage and current belong together.
"""

from array import array
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from harness.clock import Clock, Deadline
from harness.domain.origin import Origin
from harness.domain.reading import Channel, Loss, ReadingBlock
from harness.errors import MeterError, Unsupported
from harness.meters.base import InstrumentDescription
from harness.units import NS_PER_S

Sampler = Callable[[int], Mapping[str, float]]
"""Time in ns → values in SI units by channel name. A value that is not known now is
left out."""


def read_text(path: Path) -> str:
    """Read a small file of the kernel's. Raises OSError."""
    return path.read_text("ascii").strip()


def read_int(path: Path) -> int:
    """Read a number of the kernel's. Raises OSError, or MeterError for other text."""
    text = read_text(path)
    try:
        return int(text)
    except ValueError:
        raise MeterError(
            f"The kernel says '{text[:40]}' where a number belongs",
            where=str(path),
            remedy="Leave this counter out; its driver is faulty.",
        ) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """How often to read, in Hz."""

    default_hz: float
    fastest_hz: float
    """The counter's own pace: reading faster gives the same value again."""


class HostMeter:
    """A meter that is part of the machine."""

    def __init__(
        self,
        clock: Clock,
        *,
        description: InstrumentDescription,
        channels: tuple[Channel, ...],
        rates: Rates,
        begin: Callable[[int], Sampler],
    ) -> None:
        self._clock = clock
        self._description = description
        self._channels = channels
        self._rates = rates
        self._begin = begin

    def identify(self) -> InstrumentDescription:
        """Say what was found when it was opened."""
        return self._description

    def channels(self) -> tuple[Channel, ...]:
        """What this machine gives."""
        return self._channels

    @contextmanager
    def acquire(
        self, channels: Collection[str], *, rate_hz: float | None = None
    ) -> Iterator["HostAcquisition"]:
        """Measure the named channels, at most as often as they are renewed.

        Raises Unsupported for an unknown channel or a higher rate.
        """
        known = {channel.name: channel for channel in self._channels}
        unknown = sorted(set(channels) - set(known))
        if unknown:
            raise Unsupported(
                f"{self._description.model} gives {', '.join(known)}, "
                f"not {', '.join(unknown)}",
                where=self._description.address,
                remedy="Ask for these.",
            )
        rate_hz = self._rates.default_hz if rate_hz is None else rate_hz
        if rate_hz > self._rates.fastest_hz * (1 + 1e-9):
            raise Unsupported(
                f"{self._description.model} is renewed "
                f"{self._rates.fastest_hz:g} times a second",
                where=self._description.address,
                remedy="Ask for that rate or a lower one.",
            )
        yield HostAcquisition(
            self._begin(self._clock.now_ns()),
            self._clock,
            channels=tuple(known[name] for name in channels),
            period_s=1.0 / rate_hz,
            origin=self._description.origin,
        )


class HostAcquisition:
    """A meter of this machine while it is measuring."""

    def __init__(
        self,
        sampler: Sampler,
        clock: Clock,
        *,
        channels: tuple[Channel, ...],
        period_s: float,
        origin: Origin,
    ) -> None:
        self._sampler = sampler
        self._clock = clock
        self._channels = channels
        self._period_ns = round(period_s * NS_PER_S)
        self._origin = origin
        self._next_ns = clock.now_ns() + self._period_ns
        self._good = self._missing = 0

    def blocks(self, until: Deadline) -> Iterator[ReadingBlock]:
        """Yield one reading of each channel at each time of the grid.

        Raises MeterError where a counter can no longer be believed.
        """
        while self._next_ns <= until.at_ns:
            self._clock.wait_until(self._next_ns)
            now_ns = self._clock.now_ns()
            late = (now_ns - self._next_ns) // self._period_ns
            self._missing += late
            self._next_ns += (late + 1) * self._period_ns
            yield from self._blocks(now_ns, self._sampled(now_ns))
        self._clock.wait_until(until.at_ns)

    def loss(self) -> Loss:
        """Times of the grid at which nothing, or not everything, could be read."""
        return Loss(missing=self._missing, expected=self._good + self._missing)

    def _sampled(self, now_ns: int) -> Mapping[str, float]:
        try:
            return self._sampler(now_ns)
        except OSError:
            return {}  # a sensor that is asleep or gone; counted as missing

    def _blocks(
        self, now_ns: int, values: Mapping[str, float]
    ) -> Iterator[ReadingBlock]:
        if all(channel.name in values for channel in self._channels):
            self._good += 1
        else:
            self._missing += 1
        for channel in self._channels:
            if channel.name in values:
                yield ReadingBlock(
                    channel=channel,
                    clock=self._clock.name,
                    origin=self._origin,
                    times_ns=array("q", [now_ns]),
                    values=array("d", [values[channel.name]]),
                )
