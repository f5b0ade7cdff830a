"""The PPK2's wire: commands, metadata text, and the stream of 32-bit words. Pure.

Facts from the public behaviour of the instrument (nRF Connect Power Profiler
application and the PPK2's published serial protocol):

- A command is one byte and its parameters; the replies are text (metadata) or the
  stream, never both at once.
- One word a reading, little endian: bits 0-13 ADC, 14-16 range, 17 spare, 18-23 a
  counter modulo 64, 24-31 the logic inputs D0-D7. 100 000 words a second.
- Amperes from a word: x = (4·adc − O[r])·(1.8/163840)/R[r];
  I = UG[r]·(x·(GS[r]·x + GI[r]) + S[r]·Vdd + I[r]).
- The three readings after a change of range are settling; the application shows a
  moving average in their place, a slower one in range 4, and keeps the first two
  readings after a change into range 4 out of both averages.
"""

import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

RATE_HZ = 100_000
WORD_BYTES = 4
RANGES = 5
ADC_FULL_SCALE = 16_383
MOST_A = 1.0
"""Beyond this the instrument is not specified."""
_ADC_LSB_V = 1.8 / 163_840
INDEX_MASK = 0x1FFFF
"""Of a word: range and ADC together, the place in the table of amperes."""
COUNTER_MODULUS = 64
_FAST, _SLOW = 0.18, 0.06
"""Weights of the two moving averages."""
_SETTLING = 3
_SETTLING_SLOW = 2

METADATA = b"\x19"
START = b"\x06"
STOP = b"\x07"
AMPERE_MODE = b"\x11\x01"
SOURCE_MODE = b"\x11\x02"
DUT_ON = b"\x0c\x01"

LEAST_MV, MOST_MV = 800, 5000


def set_voltage(millivolts: int) -> bytes:
    """Encode the command that sets VOUT. Raises ValueError outside 800-5000 mV."""
    if not LEAST_MV <= millivolts <= MOST_MV:
        raise ValueError(f"VOUT goes from {LEAST_MV} to {MOST_MV} mV")
    return b"\x0d" + struct.pack(">H", millivolts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """What the instrument says of itself; constants by range, index 0-4.

    A constant that it gives as ``nan`` makes its range unusable.
    """

    is_calibrated: bool
    vdd_mv: int
    hardware: str
    constants: dict[str, tuple[float, ...]]
    """``R GS GI O S I UG``, five numbers each."""

    def has_user_gain(self) -> bool:
        """Say whether a user's calibration is in it: a gain other than 1."""
        return any(gain != 1.0 for gain in self.constants["UG"])

    def usable_ranges(self) -> tuple[bool, ...]:
        """Say for each range whether all its constants are numbers."""
        return tuple(
            all(isfinite(values[r]) for values in self.constants.values())
            for r in range(RANGES)
        )


CONSTANTS = ("R", "GS", "GI", "O", "S", "I", "UG")
_END = b"END"
_PAIR = re.compile(r"^\s*([A-Za-z]+)([0-4])?\s*:\s*(\S+)\s*$")


def parse_metadata(buffer: bytes) -> Metadata | None:
    """Read the metadata text; None while its ``END`` has not come yet.

    Raises ValueError for text that is not a PPK2's: another instrument answered, or
    constants are missing.
    """
    if _END not in buffer:
        return None
    text = buffer.partition(_END)[0].decode("ascii", errors="replace")
    fields: dict[str, str] = {}
    for line in text.splitlines():
        match = _PAIR.match(line)
        if match:
            name, index, value = match.groups()
            fields[name + (index or "")] = value
    constants = {}
    for name in CONSTANTS:
        keys = [f"{name}{r}" for r in range(RANGES)]
        missing = [key for key in keys if key not in fields]
        if missing:
            raise ValueError(f"the constants {', '.join(missing)} are missing")
        constants[name] = tuple(float(fields[key]) for key in keys)
    return Metadata(
        is_calibrated=fields.get("Calibrated", "0") != "0",
        vdd_mv=round(float(fields.get("VDD", "0"))),
        hardware=fields.get("HW", ""),
        constants=constants,
    )


def ampere_table(metadata: Metadata, vdd_v: float) -> NDArray[np.float64]:
    """Tabulate amperes for each (range << 14 | adc): float64[131072].

    Ranges 5-7 do not exist and read as range 4. NaN where a constant is not a number.
    """
    adc = np.arange(1 << 14, dtype=np.float64) * 4.0
    table = np.empty((8, 1 << 14))
    c = metadata.constants
    for r in range(RANGES):
        x = (adc - c["O"][r]) * (_ADC_LSB_V / c["R"][r])
        offset = c["S"][r] * vdd_v + c["I"][r]
        table[r] = c["UG"][r] * (x * (c["GS"][r] * x + c["GI"][r]) + offset)
    table[RANGES:] = table[RANGES - 1]
    return table.ravel()


@dataclass(frozen=True, slots=True, kw_only=True)
class Framing:
    """Where the cutting of the stream into words stands between two calls."""

    rest: bytes = b""
    counter: int | None = None
    """Of the last word that was believed."""
    is_locked: bool = False
    """Whether `rest` begins at a word that follows the last one."""
    skipped_bytes: int = 0
    """Unreadable ones since the last word that was believed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frames:
    """Whole words of the stream, and what could not be read as any.

    `missing_before[k]` counts the readings known to be missing just before word k.
    The counter tells it modulo 64, the unreadable bytes at that place add whole
    multiples of 64; others can only be seen by the clock.
    """

    words: NDArray[np.uint32]
    missing_before: NDArray[np.int64]
    unreadable_bytes: int
    state: Framing


_LOCK_WORDS = 16
"""So many words have to count before a phase is believed: a USB packet's worth."""
_LOCK_BYTES = WORD_BYTES * _LOCK_WORDS + 2
"""From a word to the end of those that decide on it and its three rivals."""
_DOUBTED = 2
"""Words on either side of damage that are given up with it. A lost byte spoils the word
that it belonged to, whose counter may still be whole, and a neighbour of that may seem
to count by chance, once in 64 times."""
_DOUBTED_BYTES = WORD_BYTES * _DOUBTED
_SEARCH_BYTES = 4096


def frame(data: bytes, state: Framing) -> Frames:
    """Cut bytes into words, and find the word boundary again where it was lost.

    A break of the count after which the same phase goes on counting is a loss of
    readings; any other is damage, and what is around it is unreadable. The last words
    stay in the state until the next ones vouch for them, so that the answer does not
    depend on how the stream is cut into calls.
    """
    buffer = state.rest + data
    spans: list[_Span] = []
    at, is_locked, skipped = 0, state.is_locked, state.skipped_bytes
    unreadable = -skipped
    while True:
        if not is_locked:
            found = _lock(buffer, at)
            if found is None:
                begin = max(at, len(buffer) - _LOCK_BYTES)
            else:
                begin = found + _DOUBTED_BYTES * (skipped + found > at)
            skipped += begin - at
            at = begin
            if found is None:
                break
        end, is_locked = _sound(buffer, at)
        if end > at:
            spans.append(_Span(begin=at, end=end, skipped_bytes=skipped))
            unreadable += skipped
            skipped, at = 0, end
        if is_locked:
            break
    words, missing = _joined(buffer, spans, state.counter)
    return Frames(
        words=words,
        missing_before=missing,
        unreadable_bytes=unreadable + skipped,
        state=Framing(
            rest=buffer[at:],
            counter=int(_counters(words[-1:])[0]) if len(words) else state.counter,
            is_locked=is_locked,
            skipped_bytes=skipped,
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Span:
    """Bytes that are sound words, and how many before them are not."""

    begin: int
    end: int
    skipped_bytes: int


def _counters(words: NDArray[np.uint32]) -> NDArray[np.uint8]:
    return (words >> 18).astype(np.uint8) & np.uint8(COUNTER_MODULUS - 1)


def _lock(buffer: bytes, start: int) -> int | None:
    """Find the first offset at which the counter counts, and at no rival phase."""
    for begin in range(start, len(buffer) - _LOCK_BYTES + 1, _SEARCH_BYTES):
        window = buffer[begin : begin + _SEARCH_BYTES + _LOCK_BYTES - 1]
        fields = np.frombuffer(window, np.uint8)[2:] >> 2
        is_step = (fields[4:] - fields[:-4]) & (COUNTER_MODULUS - 1) == 1
        count = len(is_step) - WORD_BYTES * (_LOCK_WORDS - 2)
        counts = np.ones(count, bool)
        for step in range(_LOCK_WORDS - 1):
            counts &= is_step[WORD_BYTES * step : WORD_BYTES * step + count]
        rivals = counts[1:-2] | counts[2:-1] | counts[3:]
        alone = np.flatnonzero(counts[:-3] & ~rivals)
        if len(alone):
            return begin + int(alone[0])
    return None


def _sound(buffer: bytes, at: int) -> tuple[int, bool]:
    """Say up to which byte the words from `at` on are sound, and still in phase."""
    words = np.frombuffer(buffer, "<u4", (len(buffer) - at) // WORD_BYTES, at)
    steps = np.diff(_counters(words)) & (COUNTER_MODULUS - 1)
    breaks = (np.flatnonzero(steps != 1) + 1).tolist()
    limit = len(words) - _DOUBTED
    for place, begin in enumerate(breaks):
        following = breaks[place + 1] if place + 1 < len(breaks) else len(words)
        doubtful = max(0, begin - _DOUBTED)
        if following - begin >= _LOCK_WORDS:
            continue
        if following < len(words):
            return at + WORD_BYTES * doubtful, False
        limit = min(limit, doubtful)
    return at + WORD_BYTES * max(0, limit), True


def _joined(
    buffer: bytes, spans: Sequence[_Span], counter: int | None
) -> tuple[NDArray[np.uint32], NDArray[np.int64]]:
    """Put the sound spans together and count what is missing between words."""
    pieces = [
        np.frombuffer(buffer, "<u4", (span.end - span.begin) // WORD_BYTES, span.begin)
        for span in spans
    ]
    if not pieces:
        return np.zeros(0, np.uint32), np.zeros(0, np.int64)
    words = pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
    counters = _counters(words)
    before = int(counters[0]) - 1 if counter is None else counter
    steps = np.diff(counters, prepend=np.uint8(before % COUNTER_MODULUS))
    missing = ((steps - 1) & (COUNTER_MODULUS - 1)).astype(np.int64)
    index = 0
    for span, piece in zip(spans, pieces, strict=True):
        surplus = span.skipped_bytes // WORD_BYTES - int(missing[index])
        if surplus > 0 and (index > 0 or counter is not None):
            missing[index] += COUNTER_MODULUS * round(surplus / COUNTER_MODULUS)
        index += len(piece)
    return words, missing


def ranges_of(words: NDArray[np.uint32]) -> NDArray[np.int8]:
    """Give the range, 0-4, of each word."""
    ranges: NDArray[np.int8] = np.minimum((words >> 14) & 7, RANGES - 1).astype(np.int8)
    return ranges


def logic_of(words: NDArray[np.uint32]) -> NDArray[np.uint8]:
    """Give the logic inputs D0-D7 of each word, D0 in the lowest bit."""
    return (words >> 24).astype(np.uint8)


def is_usable(
    ranges: NDArray[np.int8], usable_ranges: Sequence[bool]
) -> NDArray[np.bool_]:
    """Say which readings are in a range whose constants are numbers."""
    usable: NDArray[np.bool_] = np.asarray(usable_ranges, bool)[ranges]
    return usable


def is_saturated(words: NDArray[np.uint32]) -> NDArray[np.bool_]:
    """Say which words are at full scale of the highest range."""
    at_top = (words & ADC_FULL_SCALE) == ADC_FULL_SCALE
    saturated: NDArray[np.bool_] = at_top & (ranges_of(words) == RANGES - 1)
    return saturated


@dataclass(frozen=True, slots=True, kw_only=True)
class Settling:
    """What the filter for readings after a change of range remembers."""

    range: int | None = None
    since_change: int = 1 << 30
    fast: float | None = None
    slow: float | None = None


def settle(
    amperes: NDArray[np.float64], ranges: NDArray[np.int8], state: Settling
) -> tuple[NDArray[np.float64], NDArray[np.bool_], Settling]:
    """Replace readings that are settling by moving averages.

    Returns amperes, which of them were replaced, and the state for the next call.
    The answer does not depend on how the stream is cut into calls.
    """
    if len(amperes) == 0:
        return amperes, np.zeros(0, bool), state
    first = int(ranges[0]) if state.range is None else state.range
    is_change = np.diff(ranges, prepend=np.int8(first)) != 0
    since = _since_change(is_change, state.since_change)
    is_settling = since < _SETTLING
    is_slow = ranges == RANGES - 1
    # a range without constants gives no number, which an average would keep for ever
    is_kept = ~(is_slow & (since < _SETTLING_SLOW)) & np.isfinite(amperes)
    place = np.cumsum(is_kept) - 1
    fast, fast_end = _average(amperes[is_kept], _FAST, state.fast)
    slow, slow_end = _average(amperes[is_kept], _SLOW, state.slow)
    replacement = np.where(
        is_slow,
        _at(slow, place, state.slow, amperes),
        _at(fast, place, state.fast, amperes),
    )
    settled = np.where(is_settling, replacement, amperes)
    return (
        settled,
        is_settling,
        Settling(
            range=int(ranges[-1]),
            since_change=int(min(since[-1], 1 << 30)),
            fast=fast_end,
            slow=slow_end,
        ),
    )


def _since_change(is_change: NDArray[np.bool_], before: int) -> NDArray[np.int64]:
    """Count the readings since the last change of range; 0 at the change."""
    index = np.arange(len(is_change))
    changes = np.where(is_change, index, -1)
    last = np.maximum.accumulate(changes)
    return np.where(last >= 0, index - last, index + before + 1)


def _average(
    values: NDArray[np.float64], weight: float, before: float | None
) -> tuple[NDArray[np.float64], float | None]:
    if len(values) == 0:
        return values, before
    start = float(values[0]) if before is None else before
    # direct form II: the state that makes the output continue from `start`
    averages, _ = lfilter(
        [weight], [1.0, weight - 1.0], values, zi=[(1.0 - weight) * start]
    )
    if before is None:
        averages[0] = start
    return averages, float(averages[-1])


def _at(
    averages: NDArray[np.float64],
    place: NDArray[np.int64],
    before: float | None,
    raw: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Give the average as of each reading; the raw reading where there is none yet."""
    earlier = raw if before is None else np.full(len(raw), before)
    if len(averages) == 0:
        return earlier
    return np.where(place < 0, earlier, averages[np.maximum(place, 0)])
