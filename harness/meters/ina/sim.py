"""The other end of an INA board's wire: a chip with its steps, and a firmware.

Written from the chips' data sheets (INA226 SBOS547, INA228 SLYS021) and the protocol's
description; it shares nothing with the driver. The load is a function of time, so that
a test knows the truth. The board's clock may run fast or slow.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

Load = Callable[[float], float]
"""Seconds since power-on → amperes."""

_NS = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Chip:
    """Steps and ends of the two converters."""

    name: str
    bus_step_uv: float
    shunt_step_nv: float
    shunt_steps: int
    """Steps from zero to the end of the range."""


INA226 = Chip(
    name="INA226", bus_step_uv=1250.0, shunt_step_nv=2500.0, shunt_steps=32_767
)
INA228 = Chip(
    name="INA228", bus_step_uv=195.3125, shunt_step_nv=312.5, shunt_steps=524_287
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """The chip, what is around it, and its firmware's settings."""

    chip: Chip = INA226
    shunt_uohm: int = 10_000
    supply_v: float = 5.0
    period_us: int = 1000
    clock_ppm: float = 0.0
    first_sequence: int = 0
    first_us: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Misbehaviour:
    """What goes wrong on purpose."""

    silent_after: int | None = None
    """Number of the reading, counted from start, after which no more come."""
    lost_readings: frozenset[int] = field(default_factory=frozenset)
    restarts_at: int | None = None
    """Number of the reading before which the board loses power for a moment."""


class InaSimulator:
    """A board with one of TI's power monitors, on a bench that does not exist."""

    def __init__(
        self,
        load: Load,
        *,
        board: Board | None = None,
        misbehaviour: Misbehaviour | None = None,
    ) -> None:
        self._load = load
        self.board = board or Board()
        self._fault = misbehaviour or Misbehaviour()
        self._inbox = b""
        self._outbox = b""
        self._started_ns: int | None = None
        self._sent = 0

    @property
    def is_streaming(self) -> bool:
        """Whether it sends readings unasked."""
        return self._started_ns is not None

    def receive(self, data: bytes, now_ns: int) -> None:
        """Carry out the commands: one letter and a line feed each."""
        self._inbox += data
        *lines, self._inbox = self._inbox.split(b"\n")
        for line in lines:
            match line.strip():
                case b"?":
                    self._outbox += self._header()
                case b"S":
                    self._started_ns, self._sent = now_ns, 0
                case b"X":
                    self._started_ns = None

    def transmit(self, now_ns: int) -> bytes:
        """Give replies, and the lines of all conversions that are finished."""
        out, self._outbox = self._outbox, b""
        if self._started_ns is None:
            return out
        due = (now_ns - self._started_ns) // self._period_ns
        if self._fault.silent_after is not None:
            due = min(due, self._fault.silent_after)
        for number in range(self._sent, due):
            out += self._reading(number, self._started_ns)
        self._sent = max(self._sent, due)
        return out

    def next_ns(self, now_ns: int) -> int | None:
        """Say when the next conversion is finished."""
        if self._outbox:
            return now_ns
        if self._started_ns is None or self._sent == self._fault.silent_after:
            return None
        return self._started_ns + (self._sent + 1) * self._period_ns

    @property
    def _period_ns(self) -> int:
        # a board whose clock runs fast converts sooner than it says
        return round(self.board.period_us * 1000 / (1 + self.board.clock_ppm * 1e-6))

    def _header(self) -> bytes:
        board = self.board
        return _line(
            f"H,{board.chip.name},column=shunt_nv,shunt_uohm={board.shunt_uohm},"
            f"period_us={board.period_us},avg=1,ct_us=140,fw=1.0"
        )

    def _reading(self, number: int, begun_ns: int) -> bytes:
        restart = self._fault.restarts_at
        board, chip = self.board, self.board.chip
        begun = b""
        count, first, first_us = number, board.first_sequence, board.first_us
        if restart is not None and number >= restart:
            count, first, first_us = number - restart, 0, 0
            begun = self._header() if count == 0 else b""
        if number in self._fault.lost_readings:
            return begun
        amperes = self._load((begun_ns + (number + 0.5) * self._period_ns) / _NS)
        shunt_nv = amperes * board.shunt_uohm * 1e3
        steps = round(shunt_nv / chip.shunt_step_nv)
        is_full = abs(steps) >= chip.shunt_steps
        steps = max(-chip.shunt_steps, min(chip.shunt_steps, steps))
        bus_uv = (board.supply_v - amperes * 0.05) * 1e6
        bus_uv = round(round(bus_uv / chip.bus_step_uv) * chip.bus_step_uv)
        return begun + _line(
            f"P,{(first + count) % 65536},"
            f"{(first_us + (count + 1) * board.period_us) % 4294967296},"
            f"{bus_uv},{round(steps * chip.shunt_step_nv)},{1 if is_full else 0:X}"
        )


def _line(body: str) -> bytes:
    return f"${body}*{_crc(body.encode()):04X}\r\n".encode()


def _crc(data: bytes) -> int:
    """Compute the check value bit by bit, as a small firmware does."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte << 8
        for _ in range(8):
            crc = ((crc << 1) ^ 0x1021 if crc & 0x8000 else crc << 1) & 0xFFFF
    return crc
