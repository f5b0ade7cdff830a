"""Sequences of tokens out of a model, and how far one is from another."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ids = NDArray[np.int64]
_SPACE = "▁"
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


def text_of(ids: NDArray[np.int64], tokens: Sequence[str]) -> str:
    """Join the texts of tokens; ``▁`` in them stands for a space (SentencePiece).

    Raises ValueError for an id that has no text.
    """
    if ids.size and int(ids.max()) >= len(tokens):
        raise ValueError(f"token {int(ids.max())} is none of its {len(tokens)} tokens")
    return "".join(tokens[token] for token in ids).replace(_SPACE, " ").strip()


def numbered(found: str, words: str, *, by_word: bool) -> tuple[Ids, Ids]:
    """Give two texts as numbers, the same part of text always the same one.

    The parts are words, parted by spaces, or single characters.
    """
    parts = [text.split() if by_word else list(text) for text in (found, words)]
    places = {part: at for at, part in enumerate(dict.fromkeys(parts[0] + parts[1]))}
    one, other = (np.array([places[p] for p in part], np.int64) for part in parts)
    return one, other


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
