"""The LPM01A's wire: commands, acknowledgements, decimal lines, binary words. Pure.

Facts from ST's user manual UM2269 (commands, as the help text of the instrument gives
them) and from recorded dialogues of public hosts of this instrument:

- A command is a line; the answer is ``PowerShield > ack COMMAND[ VALUE]`` or
  ``PowerShield > error COMMAND`` and a line ``Error detail: …``.
- Decimal format: a line a reading, ``6409-07`` = 6409·10⁻⁷ A or J. Between them
  ``TimeStamp: 003s 000ms, buff 03%`` every 1000 readings, after which a NUL may stand
  before the next reading, and ``event 00 ris``.
- Binary format: two bytes a reading, big endian: ``0x52A0`` = 0x2A0·16⁻⁵ A or J. No
  exponent is 15; bytes ``F0 F1`` to ``F0 F7`` begin a message that ends with ``FF FF``:
  F1 error and F2 information in ASCII, F3 time stamp (u32 in ms, then the load of its
  buffer in percent), F4 end, F5 over-current, F6 target switched off, F7 supply in mV.
- There is no check value and no number of the reading anywhere.
"""

import re
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from harness.meters.answer import Decoded, Fault, Frame, Garbage, NeedMore

BAUD = 3_686_400
FREQUENCIES = {
    1.0: "1",
    2.0: "2",
    5.0: "5",
    10.0: "10",
    20.0: "20",
    50.0: "50",
    100.0: "100",
    200.0: "200",
    500.0: "500",
    1e3: "1k",
    2e3: "2k",
    5e3: "5k",
    10e3: "10k",
    20e3: "20k",
    50e3: "50k",
    100e3: "100k",
}
"""Readings a second → the instrument's word for it."""
MOST_ASCII_HZ = 5e3
"""Up to here decimal lines may go on for ever."""
MOST_ENERGY_HZ = 10e3
LEAST_V, MOST_V = 1.8, 3.3
MOST_A = 50e-3
"""Of the dynamic mode; UM2269."""
END_OF_ACQUISITION = b"Acquisition completed"


class Format(Enum):
    """How readings travel."""

    ASCII = "ascii_dec"
    BINARY = "bin_hexa"


def encode(command: str) -> bytes:
    """Encode a command."""
    return command.encode("ascii") + b"\n"


_ERROR_DETAIL = re.compile(r"Error detail:\s*(.*)")


def decode_answer(buffer: bytes, command: str) -> Decoded[str]:
    """Read the answer to a command: what stands after it on the ``ack`` line.

    Lines that are not about this command are passed over.
    """
    text = buffer.decode("ascii", errors="replace").replace("\0", "")
    *lines, _ = text.split("\n")
    for place, line in enumerate(lines):
        said = line.strip().removeprefix("PowerShield >").strip()
        for word in ("ack", "error"):
            if said.startswith(f"{word} {command}"):
                rest = said.removeprefix(f"{word} {command}").strip(" :")
                return (
                    Frame(value=rest) if word == "ack" else _refusal(lines[place + 1 :])
                )
    return NeedMore()


def _refusal(lines: list[str]) -> Decoded[str]:
    for line in lines:
        match = _ERROR_DETAIL.search(line)
        if match:
            return Garbage(fault=Fault.REFUSED, detail=match.group(1).strip())
    return NeedMore()


_STARTED = b"ack start"


def begin_of_stream(buffer: bytes, form: Format) -> int | None:
    """Find where readings begin after ``start``; None: not here yet.

    Decimal lines begin after the acknowledgement's, binary words with a time stamp.
    """
    ack = buffer.find(_STARTED)
    if form is Format.BINARY:
        stamp = buffer.find(b"\xf0\xf3", max(ack, 0))
        return None if stamp < 0 else stamp
    line_end = buffer.find(b"\n", ack)
    return None if ack < 0 or line_end < 0 else line_end + 1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Values:
    """Readings in a row, A or J each: float64[n], n ≥ 1."""

    values: NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeStamp:
    """The instrument's time since start, in ms, and how full its buffer is."""

    at_ms: int
    buffer_ratio: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """An edge at the event input, just after the reading before it."""

    is_rising: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """Bytes that are no reading and no message."""

    count: int
    """Bytes."""
    readings: int
    """How many readings they may have been, at least; a time stamp tells more."""


@dataclass(frozen=True, slots=True)
class OverCurrent:
    """The instrument says that the current was above its range."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """The instrument stopped; `why` is empty where it was told to."""

    why: str = ""


Item = Values | TimeStamp | Event | Unreadable | OverCurrent | Ended


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """What was read, in order, and the bytes that wait for more."""

    items: tuple[Item, ...]
    rest: bytes


_READING = re.compile(rb"\d{4}[+-]\d{2}")
_TIME = re.compile(rb"TimeStamp:\s*(\d+)s\s*(\d{1,3})ms,\s*buff\s*[<>]?\s*(\d{1,3})%")
_EVENT = re.compile(rb"event\s+\d+\s+(ris|fal)")
_QUIET = re.compile(rb"(PowerShield >.*|end|start|summary.*|)", re.IGNORECASE)
"""Lines that carry no reading and no news."""
_NEWS: dict[bytes, Item] = {
    b"acquisition completed": Ended(),
    b"overcurrent": OverCurrent(),
    b"over-current": OverCurrent(),
}
_LONGEST_LINE = 128


def cut_ascii(data: bytes) -> Cut:
    """Cut decimal lines. A line is believed only if all of it is a reading."""
    *lines, rest = data.split(b"\n")
    items: list[Item] = []
    run: list[float] = []
    for line in lines:
        text = line.strip(b"\0\r ")
        if _READING.fullmatch(text):
            run.append(int(text[:4]) * 10.0 ** int(text[4:]))
            continue
        item = _message(text)
        if item is not None:
            _flush(run, items)
            items.append(item)
    _flush(run, items)
    if len(rest) > _LONGEST_LINE:
        items.append(Unreadable(count=len(rest), readings=1))
        rest = b""
    return Cut(items=tuple(items), rest=rest)


def _flush(run: list[float], items: list[Item]) -> None:
    if run:
        items.append(Values(values=np.array(run)))
        run.clear()


def _message(text: bytes) -> Item | None:
    """Read a line that is no reading; None where it says nothing new."""
    if match := _TIME.fullmatch(text):
        seconds, milliseconds, percent = map(int, match.groups())
        return TimeStamp(
            at_ms=1000 * seconds + milliseconds, buffer_ratio=percent / 100
        )
    if match := _EVENT.fullmatch(text):
        return Event(is_rising=match.group(1) == b"ris")
    if found := [item for word, item in _NEWS.items() if word in text.lower()]:
        return found[0]
    if b"error" in text.lower():
        return Ended(why=text.decode("ascii", errors="replace"))
    is_quiet = _QUIET.fullmatch(text)
    return None if is_quiet else Unreadable(count=len(text), readings=1)


_NO_EXPONENT = 0xF
_TAG = re.compile(rb"\xf0[\xf1-\xf7]")
_FIXED = {0xF3: 9, 0xF4: 4, 0xF5: 4, 0xF6: 4, 0xF7: 6}
"""Length of a message, by its second byte."""
_MESSAGE_END = b"\xff\xff"
_LONGEST_MESSAGE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class _Message:
    item: Item | None
    size: int


def cut_binary(data: bytes) -> Cut:
    """Cut binary words. What stands between two messages is believed as a whole.

    An odd number of bytes there means that one was lost or came from elsewhere, and
    nobody can tell where; none of that stretch is a reading.
    """
    items: list[Item] = []
    at = 0
    while tag := _TAG.search(data, at):
        message = _binary_message(data, tag.start())
        if message is None:
            break
        items += _stretch(data[at : tag.start()])
        if message.item is not None:
            items.append(message.item)
        at = tag.start() + message.size
    return Cut(items=tuple(items), rest=data[at:])


def _stretch(data: bytes) -> list[Item]:
    if not data:
        return []
    words = np.frombuffer(data, ">u2", len(data) // 2)
    exponents = words >> 12
    if len(data) % 2 or bool((exponents == _NO_EXPONENT).any()):
        return [Unreadable(count=len(data), readings=len(data) // 2)]
    values = (words & 0xFFF) * 16.0 ** -exponents.astype(float)
    return [Values(values=values)]


def _binary_message(data: bytes, at: int) -> _Message | None:
    """Read the message that begins at `at`; None while its end has not come."""
    kind = data[at + 1]
    size = _FIXED.get(kind) or _text_size(data, at)
    if size is None or at + size > len(data):
        return None
    body = data[at + 2 : at + size - 2]
    if data[at + size - 2 : at + size] != _MESSAGE_END:
        return _Message(item=Unreadable(count=2, readings=1), size=2)
    return _Message(item=_meaning(kind, body), size=size)


def _text_size(data: bytes, at: int) -> int | None:
    end = data.find(_MESSAGE_END, at)
    if end < 0:
        is_endless = len(data) - at > _LONGEST_MESSAGE
        return _LONGEST_MESSAGE if is_endless else None
    return end + len(_MESSAGE_END) - at


def _meaning(kind: int, body: bytes) -> Item | None:
    match kind:
        case 0xF1:
            return Ended(why=body.decode("ascii", errors="replace"))
        case 0xF3:
            at_ms = int.from_bytes(body[:4], "big")
            return TimeStamp(at_ms=at_ms, buffer_ratio=body[4] / 100)
        case 0xF4:
            return Ended()
        case 0xF5:
            return OverCurrent()
        case 0xF6:
            return Ended(why="it has switched the device under test off")
        case _:
            return None  # information, and the supply's voltage
