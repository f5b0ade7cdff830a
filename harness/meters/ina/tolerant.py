"""Lines of other people's sketches, read by a regular expression.

Nothing in such a line tells that one before it is missing or that a digit is wrong, so
this makes no claim of integrity: ``integrity: none`` stands in the description. Each
reading is stamped by the arrival of its line.
"""

import re
from array import array
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from harness.clock import Clock, Deadline
from harness.domain.origin import Origin
from harness.domain.reading import Channel, Loss, ReadingBlock
from harness.errors import LinkTimeout, MeterError, SchemaError, Unsupported
from harness.links.bytelink import ByteLink
from harness.meters.base import InstrumentDescription

GROUPS = {
    "V": ("voltage", 1.0),
    "mV": ("voltage", 1e-3),
    "A": ("current", 1.0),
    "mA": ("current", 1e-3),
    "uA": ("current", 1e-6),
    "W": ("power", 1.0),
    "mW": ("power", 1e-3),
}
"""Names of groups in a pattern → the quantity, and its SI unit per unit."""
_UNITS = {"power": "W", "voltage": "V", "current": "A"}
_PROBE_S = 3.0
_SILENCE_S = 5.0
_READ_BYTES = 4096
_LONGEST_LINE = 500


def compile_pattern(pattern: str) -> re.Pattern[str]:
    r"""Read a pattern with named groups, such as ``(?P<V>\S+),(?P<mA>\S+)``.

    Raises SchemaError where it is no pattern, names a group that is not in `GROUPS`,
    or gives no power.
    """
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise SchemaError(
            f"'{pattern}' is no regular expression: {error}",
            remedy=r"Write for example (?P<V>\S+),(?P<mA>\S+)",
        ) from error
    names = set(compiled.groupindex)
    quantities = {GROUPS[name][0] for name in names & set(GROUPS)}
    is_enough = "power" in quantities or {"voltage", "current"} <= quantities
    if names - set(GROUPS) or not is_enough:
        raise SchemaError(
            f"'{pattern}' does not tell power",
            remedy=f"Name its groups after units ({', '.join(GROUPS)}): a power, or "
            "a voltage and a current.",
        )
    return compiled


def parse_line(line: str, pattern: re.Pattern[str]) -> dict[str, float] | None:
    """Read the quantities of one whole line, in SI units; None: it does not match."""
    match = pattern.fullmatch(line.strip())
    if match is None:
        return None
    found: dict[str, float] = {}
    for name, text in match.groupdict().items():
        quantity, scale = GROUPS[name]
        try:
            found[quantity] = float(text) * scale
        except (TypeError, ValueError):
            return None
    if "power" not in found:
        found["power"] = found["voltage"] * found["current"]
    return found


class LineMeter:
    """A sketch that prints a line a reading, behind a byte link."""

    def __init__(
        self,
        link: ByteLink,
        clock: Clock,
        *,
        address: str,
        origin: Origin,
        pattern: str,
    ) -> None:
        self._link = link
        self._clock = clock
        self._address = address
        self._origin = origin
        self._pattern = compile_pattern(pattern)
        self._quantities = self._require_lines()

    def identify(self) -> InstrumentDescription:
        """Say that nothing is known but the pattern."""
        return InstrumentDescription(
            driver="ina",
            address=self._address,
            origin=self._origin,
            facts={"integrity": "none", "pattern": self._pattern.pattern},
        )

    def channels(self) -> tuple[Channel, ...]:
        """What the lines tell; at which rate is not known."""
        return tuple(
            Channel(name=name, unit=unit, source=self._address)
            for name, unit in _UNITS.items()
            if name in self._quantities
        )

    @contextmanager
    def acquire(
        self, channels: Collection[str], *, rate_hz: float | None = None
    ) -> Iterator["LineAcquisition"]:
        """Measure the named channels. Raises Unsupported for others, or for a rate."""
        known = {channel.name: channel for channel in self.channels()}
        if set(channels) - set(known) or rate_hz is not None:
            raise Unsupported(
                f"These lines give {', '.join(known)}, as often as they come",
                where=self._address,
                remedy="Ask for these, without a rate.",
            )
        yield LineAcquisition(
            self._link,
            self._clock,
            channels=tuple(known[name] for name in channels),
            pattern=self._pattern,
            origin=self._origin,
        )

    def _require_lines(self) -> set[str]:
        """Wait for one line that matches, and say what it tells."""
        until = Deadline.after(_PROBE_S, self._clock)
        lines = _Lines(self._link)
        seen = ""
        while (line := lines.next(until)) is not None:
            found = parse_line(line, self._pattern)
            if found is not None:
                return set(found)
            seen = line
        raise MeterError(
            f"No line matched the pattern within {_PROBE_S:g} s"
            + (f"; the last was '{seen[:60]}'" if seen else "; nothing came"),
            where=self._address,
            remedy="Compare the pattern with the lines and the line speed.",
        )


class _Lines:
    """Whole lines from a link; the piece before the first line end is left out."""

    def __init__(self, link: ByteLink) -> None:
        self._link = link
        self._buffer = b""
        self._is_whole = False

    def next(self, until: Deadline) -> str | None:
        """Give the next whole line; None where the deadline came first."""
        while True:
            head, end, rest = self._buffer.partition(b"\n")
            if end:
                self._buffer = rest
                if self._is_whole:
                    return head.decode("ascii", errors="replace").rstrip("\r")
                self._is_whole = True
                continue
            if len(self._buffer) > _LONGEST_LINE:
                self._buffer, self._is_whole = b"", False
            piece = self._link.read(_READ_BYTES, until)
            if not piece:
                return None
            self._buffer += piece


class LineAcquisition:
    """A sketch while it is being listened to."""

    def __init__(
        self,
        link: ByteLink,
        clock: Clock,
        *,
        channels: tuple[Channel, ...],
        pattern: re.Pattern[str],
        origin: Origin,
    ) -> None:
        self._lines = _Lines(link)
        self._where = link.where
        self._clock = clock
        self._channels = channels
        self._pattern = pattern
        self._origin = origin
        self._good = self._unreadable = 0

    def blocks(self, until: Deadline) -> Iterator[ReadingBlock]:
        """Yield each line's reading as it comes. Raises LinkTimeout after 5 s."""
        while not until.is_over():
            silence = Deadline.after(min(_SILENCE_S, until.remaining_s()), self._clock)
            line = self._lines.next(silence)
            if line is not None:
                yield from self._stamped(line)
            elif not until.is_over():
                raise LinkTimeout(
                    f"No line has come for {_SILENCE_S:g} s",
                    where=self._where,
                    remedy="What came before is kept. Look at the board and its cable.",
                )

    def loss(self) -> Loss:
        """Lines that could not be read. Lines that never came cannot be known of."""
        return Loss(missing=self._unreadable, expected=self._good + self._unreadable)

    def _stamped(self, line: str) -> Iterator[ReadingBlock]:
        values = parse_line(line, self._pattern)
        if values is None:
            self._unreadable += 1
            return
        self._good += 1
        now_ns = self._clock.now_ns()
        for channel in self._channels:
            if channel.name in values:
                yield ReadingBlock(
                    channel=channel,
                    clock=self._clock.name,
                    origin=self._origin,
                    times_ns=array("q", [now_ns]),
                    values=array("d", [values[channel.name]]),
                )
