"""Rows of scores: a matrix whose first column is the item's number, and its text."""

import base64
import zlib

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float64]
"""[rows, 1 + width]: item number, then what the metric's scorer says of it."""


def pack(rows: Rows) -> str:
    """Give rows as text: little-endian float64, deflated, base64."""
    data = np.ascontiguousarray(rows, dtype="<f8").tobytes()
    return base64.b64encode(zlib.compress(data)).decode("ascii")


def unpack(text: str, width: int) -> Rows:
    """Read what `pack` wrote. Raises ValueError for anything else."""
    try:
        data = zlib.decompress(base64.b64decode(text, validate=True))
    except zlib.error as error:
        raise ValueError(f"these are no packed rows: {error}") from error
    return np.frombuffer(data, dtype="<f8").astype(np.float64).reshape(-1, 1 + width)
