"""A Joulescope behind its library's topics.

Topics and messages as ``pyjoulescope_driver/record.py`` and ``measure.py`` use them
(PyPI 2.2): ``<device>/s/i/ctrl`` switches a signal on, ``<device>/s/i/!data`` gives its
readings, ``<device>/h/fs`` sets the rate to which the library filters and thins them,
and ``@/!remove`` tells of a device that went away. A message counts in ticks of
``sample_rate``, of which a reading takes ``decimate_factor``; a reading that was lost
leaves a gap in ``sample_id`` or is NaN.

The library calls back from a thread of its own: what comes is put in a queue, and read
from there.
"""

from array import array
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Protocol

import numpy as np

from harness.clock import Clock, Deadline
from harness.domain.origin import Origin
from harness.domain.reading import Channel, Loss, ReadingBlock
from harness.errors import (
    LinkClosed,
    LinkError,
    LinkTimeout,
    MeterError,
    Unsupported,
)
from harness.meters.base import InstrumentDescription
from harness.units import NS_PER_S

RATES_HZ = tuple(
    float(digit * 10**power)
    for power in range(7)
    for digit in (1, 2, 5)
    if digit * 10**power <= 1_000_000  # noqa: PLR2004 - the fastest
)
DEFAULT_HZ = 10_000.0
_TOPICS = {"power": ("p", "W"), "current": ("i", "A"), "voltage": ("v", "V")}
_REMOVED = "@/!remove"
_POLL_S = 0.02
_SILENT_S = 2.0
_PARTS = 3
"""Of a device's path, such as ``u/js220/000415``."""

Message = Mapping[str, Any]
Callback = Callable[[str, Any], None]


class Library(Protocol):
    """What of ``pyjoulescope_driver.Driver`` is used, under its own names."""

    def device_paths(self) -> list[str]:
        """List the devices that are plugged in."""
        ...

    def open(self, device_prefix: str, mode: str | None = None) -> int:
        """Open a device."""
        ...

    def close(self, device_prefix: str) -> None:
        """Close it."""
        ...

    def publish(self, topic: str, value: Any, timeout: float | None = None) -> None:  # noqa: ANN401
        """Set a value."""
        ...

    def subscribe(self, topic: str, flags: str, fn: Callback) -> None:
        """Have a function called with each message."""
        ...

    def unsubscribe(self, topic: str, fn: Callback) -> None:
        """No more."""
        ...


@contextmanager
def mapped(where: str) -> Iterator[None]:
    """Turn what the library raises into an error of a link."""
    try:
        yield
    except TimeoutError as error:
        raise LinkTimeout(
            "The Joulescope does not answer", where=where, remedy="Plug it in anew."
        ) from error
    except RuntimeError as error:
        raise LinkError(
            f"The Joulescope's library says: {error}",
            where=where,
            remedy="Close other programs that use it, and look at the udev rule.",
        ) from error


def choose(library: Library, asked: str) -> str:
    """Give the path of the device that is meant: the one named, or the only one.

    Raises MeterError where it is not there, or several are.
    """
    with mapped(f"joulescope@{asked}"):
        there = library.device_paths()
    if asked:
        if asked in there:
            return asked
        found = [path for path in there if path.rpartition("/")[2] == asked]
    else:
        found = there
    if len(found) == 1:
        return found[0]
    what = (
        f"There are {len(found)} Joulescopes"
        if found
        else f"There is no Joulescope {asked}".rstrip()
    )
    raise MeterError(
        what,
        where=f"joulescope@{asked}",
        remedy=f"Plugged in: {', '.join(there) or 'none'}. Name one: joulescope@PATH",
    )


class Joulescope:
    """An open Joulescope."""

    def __init__(
        self,
        library: Library,
        clock: Clock,
        *,
        path: str,
        address: str,
        origin: Origin,
    ) -> None:
        self._library = library
        self._clock = clock
        self._path = path
        self._address = address
        self._origin = origin
        parts = path.split("/")
        if len(parts) != _PARTS:
            raise MeterError(
                f"'{path}' is no path of a Joulescope",
                where=address,
                remedy="Update pyjoulescope_driver and this driver together.",
            )
        self._model, self._serial_number = parts[1].upper(), parts[2]

    def identify(self) -> InstrumentDescription:
        """Say what the path of the device says."""
        return InstrumentDescription(
            driver="joulescope",
            address=self._address,
            origin=self._origin,
            maker="Jetperch",
            model=self._model,
            serial_number=self._serial_number,
            calibration="factory",
            facts={"range": "auto"},
        )

    def channels(self) -> tuple[Channel, ...]:
        """Power, current and voltage."""
        return tuple(
            Channel(name=name, unit=unit, source=self._address, rate_hz=DEFAULT_HZ)
            for name, (_, unit) in _TOPICS.items()
        )

    @contextmanager
    def acquire(
        self, channels: Collection[str], *, rate_hz: float | None = None
    ) -> Iterator["JoulescopeAcquisition"]:
        """Measure the named channels.

        Raises Unsupported for an unknown channel or a rate that the library has not.
        """
        unknown = sorted(set(channels) - set(_TOPICS))
        rate_hz = DEFAULT_HZ if rate_hz is None else rate_hz
        if unknown or rate_hz not in RATES_HZ:
            raise Unsupported(
                f"A Joulescope gives {', '.join(_TOPICS)} at 1, 2, 5, 10 … 1000000 "
                "readings a second",
                where=self._address,
                remedy="Ask for these.",
            )
        streams = {name: self._stream(name, rate_hz) for name in channels}
        acquisition = JoulescopeAcquisition(
            self._clock, streams, path=self._path, where=self._address
        )
        with mapped(self._address):
            self._start(streams, rate_hz, acquisition)
        try:
            yield acquisition
        finally:
            # one that went away has nothing to stop, and its error is under way
            with suppress(TimeoutError, RuntimeError):
                self._stop(streams, acquisition)

    def _stream(self, name: str, rate_hz: float) -> "Stream":
        return Stream(
            channel=Channel(
                name=name,
                unit=_TOPICS[name][1],
                source=self._address,
                rate_hz=rate_hz,
            ),
            clock=self._clock,
            origin=self._origin,
        )

    def _start(
        self,
        streams: Mapping[str, "Stream"],
        rate_hz: float,
        acquisition: "JoulescopeAcquisition",
    ) -> None:
        self._library.publish(f"{self._path}/s/i/range/mode", "auto")
        self._library.publish(f"{self._path}/h/fs", int(rate_hz))
        self._library.subscribe(_REMOVED, "pub", acquisition.on_removed)
        for name, stream in streams.items():
            topic = f"{self._path}/s/{_TOPICS[name][0]}"
            self._library.subscribe(f"{topic}/!data", "pub", stream.on_message)
            self._library.publish(f"{topic}/ctrl", 1)

    def _stop(
        self, streams: Mapping[str, "Stream"], acquisition: "JoulescopeAcquisition"
    ) -> None:
        self._library.unsubscribe(_REMOVED, acquisition.on_removed)
        for name, stream in streams.items():
            topic = f"{self._path}/s/{_TOPICS[name][0]}"
            self._library.unsubscribe(f"{topic}/!data", stream.on_message)
            self._library.publish(f"{topic}/ctrl", 0)


class Stream:
    """One channel: messages in, readings out, losses counted."""

    def __init__(self, *, channel: Channel, clock: Clock, origin: Origin) -> None:
        self._channel = channel
        self._clock = clock
        self._origin = origin
        self._queue: deque[tuple[int, Message]] = deque()
        self._begin_ns: int | None = None
        self._begin_id = 0
        self._next_id = 0
        self.received = 0
        self.missing = 0
        self.heard_ns = clock.now_ns()

    def on_message(self, topic: str, message: Message) -> None:
        """Take a message, in the library's thread."""
        del topic
        self._queue.append((self._clock.now_ns(), message))

    def blocks(self) -> Iterator[ReadingBlock]:
        """Yield what has come since."""
        while self._queue:
            arrival_ns, message = self._queue.popleft()
            block = self._block(arrival_ns, message)
            if block is not None:
                yield block

    def _block(self, arrival_ns: int, message: Message) -> ReadingBlock | None:
        values = np.asarray(message["data"], dtype=np.float64)
        if not len(values):
            return None
        first, ticks = int(message["sample_id"]), int(message["decimate_factor"])
        period_ns = ticks * NS_PER_S / float(message["sample_rate"])
        if self._begin_ns is None:
            # the last of these readings ended about now
            self._begin_ns = arrival_ns - round((len(values) - 1) * period_ns)
            self._begin_id = self._next_id = first
        self.missing += max(0, (first - self._next_id) // ticks)
        self._next_id = first + len(values) * ticks
        self.heard_ns = arrival_ns
        places = (first - self._begin_id) // ticks + np.arange(len(values))
        times = self._begin_ns + np.rint(places * period_ns).astype(np.int64)
        is_read = np.isfinite(values)
        self.missing += int(len(values) - is_read.sum())
        self.received += int(is_read.sum())
        return ReadingBlock(
            channel=self._channel,
            clock=self._clock.name,
            origin=self._origin,
            times_ns=array("q", times[is_read].tobytes()),
            values=array("d", values[is_read].tobytes()),
        )


class JoulescopeAcquisition:
    """A Joulescope while it is measuring."""

    def __init__(
        self, clock: Clock, streams: Mapping[str, Stream], *, path: str, where: str
    ) -> None:
        self._clock = clock
        self._streams = streams
        self._path = path
        self._where = where
        self._is_removed = False

    def on_removed(self, topic: str, value: Any) -> None:  # noqa: ANN401
        """Take note that this device went away, in the library's thread."""
        del topic
        if value == self._path:
            self._is_removed = True

    def blocks(self, until: Deadline) -> Iterator[ReadingBlock]:
        """Yield readings as they come.

        Raises LinkClosed where the device went away, LinkTimeout where it has been
        silent for two seconds.
        """
        while not until.is_over():
            pause = Deadline.after(min(_POLL_S, until.remaining_s()), self._clock)
            self._clock.wait_until(pause.at_ns)
            for stream in self._streams.values():
                yield from stream.blocks()
            self._require_alive()

    def loss(self) -> Loss:
        """Readings missing by number, or that are NaN."""
        missing = sum(stream.missing for stream in self._streams.values())
        received = sum(stream.received for stream in self._streams.values())
        return Loss(missing=missing, expected=received + missing)

    def _require_alive(self) -> None:
        if self._is_removed:
            raise LinkClosed(
                "The Joulescope went away",
                where=self._where,
                remedy="What came before is kept. Look at its cable.",
            )
        heard_ns = min(stream.heard_ns for stream in self._streams.values())
        if self._clock.now_ns() - heard_ns > _SILENT_S * NS_PER_S:
            raise LinkTimeout(
                f"The Joulescope has been silent for {_SILENT_S:g} s",
                where=self._where,
                remedy="What came before is kept. Look at it and at its cable.",
            )
