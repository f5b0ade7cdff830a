"""A byte link that misbehaves on purpose: drops, garbles, splits and delays."""

from dataclasses import dataclass

import numpy as np

from harness.clock import Deadline
from harness.links.bytelink import ByteLink


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """What is done to the bytes that come from the device; probabilities a byte."""

    drop: float = 0.0
    garble: float = 0.0
    most_per_read: int | None = None
    """Reads are split into pieces of at most this size."""
    seed: int = 0


class FaultyLink:
    """Wraps a link and spoils what is read from it; writing is left alone."""

    def __init__(self, inner: ByteLink, faults: Faults) -> None:
        self.where = inner.where
        self._inner = inner
        self._faults = faults
        self._generator = np.random.default_rng(faults.seed)

    def read(self, most: int, until: Deadline) -> bytes:
        """Give spoilt bytes; a read whose bytes were all dropped goes on waiting."""
        if self._faults.most_per_read is not None:
            most = min(most, self._faults.most_per_read)
        while True:
            data = self._inner.read(most, until)
            spoilt = self._spoil(data)
            if spoilt or not data:
                return spoilt

    def write(self, data: bytes) -> None:
        """Pass the bytes on as they are."""
        self._inner.write(data)

    def _spoil(self, data: bytes) -> bytes:
        values = np.frombuffer(data, dtype=np.uint8)
        is_kept = self._generator.random(len(values)) >= self._faults.drop
        is_garbled = self._generator.random(len(values)) < self._faults.garble
        noise = self._generator.integers(1, 256, len(values), dtype=np.uint8)
        return bytes(np.where(is_garbled, values ^ noise, values)[is_kept])
