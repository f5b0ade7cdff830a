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
from dataclasses import dataclass
from math import isfinite

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

RATE_HZ = 100_000
WORD_BYTES = 4
RANGES = 5
ADC_FULL_SCALE = 16_383
_ADC_LSB_V = 1.8 / 163_840
_INDEX_MASK = 0x1FFFF
_COUNTER_MODULUS = 64
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
DUT_OFF = b"\x0c\x00"

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
class Frames:
    """Whole words of the stream, and what could not be read as any.

    `missing_before[k]` counts the readings known to be missing just before word k,
    modulo 64: whole multiples of 64 can only be seen by the clock.
    """

    words: NDArray[np.uint32]
    missing_before: NDArray[np.int64]
    unreadable_bytes: int
    rest: bytes
    last_counter: int | None


_FRAMING_WORDS = 256
_LEAST_AGREEMENT = 0.5
"""Below this share of counter steps of one, the words are out of step with the bytes:
the right phase counts in every step, a wrong one in less than 7 % of them."""


def frame(data: bytes, last_counter: int | None) -> Frames:
    """Cut bytes into words, finding the word boundary again where it was lost.

    `data` begins with the rest of the call before; `last_counter` is that call's.
    """
    phase = _phase(data)
    words = np.frombuffer(data, "<u4", (len(data) - phase) // WORD_BYTES, phase)
    end = phase + WORD_BYTES * len(words)
    counters = ((words >> 18) & (_COUNTER_MODULUS - 1)).astype(np.int64)
    if len(counters) == 0:
        return Frames(
            words=words,
            missing_before=counters,
            unreadable_bytes=phase,
            rest=data[end:],
            last_counter=last_counter,
        )
    before = counters[0] - 1 if last_counter is None else last_counter
    steps = np.diff(counters, prepend=before)
    return Frames(
        words=words,
        missing_before=(steps - 1) % _COUNTER_MODULUS,
        unreadable_bytes=phase,
        rest=data[end:],
        last_counter=int(counters[-1]),
    )


def _phase(data: bytes) -> int:
    """Find at which of the four byte offsets the counter counts."""
    if _agreement(data, 0) >= _LEAST_AGREEMENT:
        return 0
    return max(range(WORD_BYTES), key=lambda offset: _agreement(data, offset))


def _agreement(data: bytes, offset: int) -> float:
    count = min(_FRAMING_WORDS, (len(data) - offset) // WORD_BYTES)
    if count <= 1:
        return 1.0 if offset == 0 else 0.0
    words = np.frombuffer(data, "<u4", count, offset)
    counters = ((words >> 18) & (_COUNTER_MODULUS - 1)).astype(np.int16)
    return float(np.mean(np.diff(counters) % _COUNTER_MODULUS == 1))


def ranges_of(words: NDArray[np.uint32]) -> NDArray[np.int8]:
    """Give the range, 0-4, of each word."""
    ranges: NDArray[np.int8] = np.minimum((words >> 14) & 7, RANGES - 1).astype(np.int8)
    return ranges


def logic_of(words: NDArray[np.uint32]) -> NDArray[np.uint8]:
    """Give the logic inputs D0-D7 of each word, D0 in the lowest bit."""
    return (words >> 24).astype(np.uint8)


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
    is_kept = ~(is_slow & (since < _SETTLING_SLOW))
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
