"""The lines of the MLPerf Tiny / EEMBC protocol; no link, no clock.

A command is words and ``%``, with no line end; the device answers with lines and, at
the last, ``m-ready``. Tolerant of what real firmware does with blanks, line ends and
commas; a line that a number depends on is either read whole or not at all.
Grammar: mlcommons/tiny, benchmark/api (th_api, ee_main), as of v1.4.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

END = b"%"
COMMAND_MAX = 80
"""Characters before the ``%``; the firmware overwrites the last one with more."""
CHUNK_BYTES = 31
"""Bytes of a sample in one ``db``; what the reference runner sends."""
LAP_WRAP = 1 << 32
"""Laps are unsigned 32-bit microseconds: they begin again after 71.6 minutes."""


class Mode(StrEnum):
    """What the firmware was built for, as its banner says."""

    PERFORMANCE = "performance"
    """Time stamps are lines, at 115200 baud."""
    ENERGY = "energy"
    """Time stamps are edges on a pin, at 9600 baud."""


@dataclass(frozen=True, slots=True)
class Ready:
    """The device has answered and waits for a command."""


@dataclass(frozen=True, slots=True)
class Lap:
    """The device's clock, in microseconds modulo `LAP_WRAP`."""

    us: int


@dataclass(frozen=True, slots=True)
class Banner:
    """The device has just started."""

    mode: Mode


@dataclass(frozen=True, slots=True)
class Fact:
    """``name``, ``profile``, ``model`` or ``buff-ptr``, and what it is."""

    key: str
    value: str


@dataclass(frozen=True, slots=True)
class Expecting:
    """How many bytes of a sample the device waits for."""

    count: int


@dataclass(frozen=True, slots=True)
class Step:
    """A moment of a command, such as ``load-done`` or ``infer-start-10``."""

    name: str


@dataclass(frozen=True, slots=True)
class Results:
    """Outputs of the last inference."""

    values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Refused:
    """The firmware's error, in its own words."""

    words: str


@dataclass(frozen=True, slots=True)
class Other:
    """A line that nothing depends on: help, greetings, noise."""

    text: str


Said = Ready | Lap | Banner | Fact | Expecting | Step | Results | Refused | Other

_STEPS = (
    r"m-(init-done|load-done|warmup-start-\d+|warmup-done|infer-start-\d+|infer-done)"
)
_TOO_LARGE = r"(Supplied buffer size \d+ exceeds maximum of \d+)"
_FORMS: MappingProxyType[str, Callable[[re.Match[str]], Said]] = MappingProxyType(
    {
        r"m-ready": lambda _: Ready(),
        r"m-lap-us-(\d{1,10})": lambda found: Lap(int(found[1])),
        r"m-timestamp-mode-(performance|energy)": lambda f: Banner(Mode(f[1])),
        r"m-name-dut-\[(.*)\]": lambda found: Fact("name", found[1].strip()),
        r"m-(buff-ptr)-(\d+)": lambda found: Fact(found[1], found[2]),
        r"m-(profile|model)-\[(.*)\]": lambda found: Fact(found[1], found[2].strip()),
        r"m-\[Expecting (\d+) bytes\]": lambda found: Expecting(int(found[1])),
        # of the streaming wake word's reference
        r"Expecting (\d+) bytes": lambda found: Expecting(int(found[1])),
        r"(Unrecognized command .*)": lambda found: Refused(found[1]),
        r"Error: (.*)": lambda found: Refused(found[1]),
        _STEPS: lambda found: Step(found[1]),
        r"e-\[(.*)\]": lambda found: Refused(found[1]),
        _TOO_LARGE: lambda found: Refused(found[1]),
    }
)
_RESULTS = re.compile(r"m-results-\[(.*)\]")
_IN_THOUSANDTHS = re.compile(r"[01]\.\d{3}")
_ONE_TORN, _ONE = "0.1000", "1.000"
"""Reference firmware without floating-point output prints ``0.`` and thousandths in at
least three digits: of one, there are a thousand."""
_BLOCK = re.compile(r"\[([^\[\]]*)\]")
_WHOLE = re.compile(r"-?\d{1,5}")
"""Whole numbers in brackets, with commas between and sometimes after them."""
_TEXT = frozenset(b"\t\r\n\0") | frozenset(range(0x20, 0x7F))


def encode(command: str) -> bytes:
    """Give a command as bytes.

    Raises ValueError for one that firmware does not survive: empty (the reference
    crashes on it), too long, or with a character that belongs to the framing.
    """
    if not command.strip():
        raise ValueError("an empty command crashes the reference firmware")
    if len(command) > COMMAND_MAX:
        raise ValueError(f"{len(command)} characters are more than {COMMAND_MAX}")
    if not command.isascii() or not command.isprintable() or "%" in command:
        raise ValueError(f"{command!r} holds a character of the framing")
    return command.encode("ascii") + END


def split(buffer: bytes) -> tuple[list[bytes], bytes]:
    """Give whole lines without their ends, and what is left of the buffer."""
    *lines, rest = buffer.split(b"\n")
    return [line.strip(b"\r \t\0") for line in lines], rest


def read_line(line: bytes) -> Said:
    """Say what a line means; noise is `Other`, never a number."""
    try:
        text = line.decode("ascii").strip()
    except UnicodeDecodeError:
        return Other(line.decode("ascii", errors="replace"))
    for form, made in _FORMS.items():
        found = re.fullmatch(form, text)
        if found:
            return made(found)
    found = _RESULTS.fullmatch(text)
    return Other(text) if found is None else _results(found[1], text)


def _results(inside: str, text: str) -> Said:
    """Read numbers; the empty reference leaves a comma after the last."""
    words = [word.strip() for word in inside.split(",")]
    if words and not words[-1]:
        words.pop()
    if any(_IN_THOUSANDTHS.fullmatch(word) for word in words):
        words = [_ONE if word == _ONE_TORN else word for word in words]
    try:
        return Results(tuple(float(word) for word in words))
    except ValueError:
        return Other(text)


def activations(said: Sequence[Said]) -> tuple[int, ...] | None:
    """Give what a wake-word device says of each frame when it is stopped.

    After ``target activations:`` come int8 numbers in brackets, over as many lines as
    they take. None where there is no such block, or a line of it is damaged: which
    frame a later number belongs to could not be told.
    """
    texts = [one.text for one in said if isinstance(one, Other)]
    heads = [n for n, text in enumerate(texts) if text.startswith("target activations")]
    return _numbers(texts[heads[-1] + 1 :]) if heads else None


def whole_numbers(said: Sequence[Said]) -> tuple[int, ...] | None:
    """Give the numbers of an answer to ``db print_i16``; None where there are none."""
    return _numbers([one.text for one in said if isinstance(one, Other)])


def _numbers(texts: Sequence[str]) -> tuple[int, ...] | None:
    found = _BLOCK.match(" ".join(texts))
    if found is None:
        return None
    words = [word.strip() for word in found[1].split(",")]
    if not words[-1]:
        words.pop()
    if not all(_WHOLE.fullmatch(word) for word in words):
        return None
    return tuple(map(int, words))


def is_text(data: bytes) -> bool:
    """Say whether bytes are what a line of this protocol is made of.

    At another baud rate than the board's they are not.
    """
    return all(byte in _TEXT for byte in data)


def load_commands(data: bytes, chunk_bytes: int = CHUNK_BYTES) -> list[str]:
    """Give the commands that put a sample into the device, ``db load`` first."""
    pieces = [data[n : n + chunk_bytes] for n in range(0, len(data), chunk_bytes)]
    return [f"db load {len(data)}", *(f"db {piece.hex()}" for piece in pieces)]
