"""Sequences of tokens out of a model, and how far one is from another."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

BLANK = 0
"""The token that CTC puts between others (Graves et al., 2006)."""


def decode_sequence(output: NDArray[Any], *, is_ctc: bool) -> NDArray[np.int64]:
    """Read tokens: ids as they are up to a -1, scores by their highest.

    `is_ctc`: of scores, repeats are merged and blanks left out (best path).
    """
    if output.dtype.kind in "iu":
        flat = output.ravel().astype(np.int64)
        ids: NDArray[np.int64] = flat[flat >= 0]
        return ids
    scores = output.reshape(-1, output.shape[-1])
    best: NDArray[np.int64] = scores.argmax(axis=-1).astype(np.int64)
    if not is_ctc:
        return best
    is_new = np.concatenate(([True], best[1:] != best[:-1]))
    kept: NDArray[np.int64] = best[is_new & (best != BLANK)]
    return kept


def edits(found: NDArray[np.int64], words: NDArray[np.int64]) -> int:
    """Count insertions, deletions and substitutions (Levenshtein, 1966).

    >>> edits(np.array([1, 2, 4]), np.array([1, 3, 4, 5]))
    2
    """
    row = np.arange(len(words) + 1)
    for token in found:
        before = row.copy()
        row[0] += 1
        for at, word in enumerate(words, start=1):
            kept = before[at - 1] + (token != word)
            row[at] = min(kept, before[at] + 1, row[at - 1] + 1)
    return int(row[-1])
