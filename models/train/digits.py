"""Handwritten digits: 1797 images of 8×8 that come with scikit-learn (CC BY 4.0).

They are the test part of E. Alpaydin and C. Kaynak, "Optical Recognition of
Handwritten Digits", UCI Machine Learning Repository, 1998: 43 people wrote for that
collection, and this part is by people of its own, in the order in which they wrote.
The split is by place, not by lot, so that hardly anyone writes on both sides of it;
who wrote what is not recorded.
"""

import numpy as np
from graph import Graph, Tensor

from train.task import Items, Part

_HELD_OUT = 1000
_SHIFTS = ((0, 0), (0, 1), (0, -1), (1, 0), (-1, 0))
_BRIGHTEST = 16.0


def network(g: Graph, image: Tensor) -> dict[str, Tensor]:
    """Ten digits from 8×8: three small convolutions."""
    x = g.conv(image, 16)
    x = g.conv(x, 32, stride=2)
    x = g.conv(x, 32)
    return {"logits": g.dense(g.mean(x), 10)}


def images(part: Part) -> Items:
    """Give the images [items, 1, 8, 8], from 0 to 1; those to learn from are shifted.

    Each image counts as a source of its own.
    """
    from sklearn.datasets import load_digits  # noqa: PLC0415 - an extra

    found = load_digits()
    values = (found.images / _BRIGHTEST).astype(np.float32)[:, None]
    labels = found.target.astype(np.int64)
    if part is Part.HELD_OUT:
        values, labels = values[-_HELD_OUT:], labels[-_HELD_OUT:]
        return Items(values=values, labels=labels, sources=np.arange(_HELD_OUT))
    values, labels = values[:-_HELD_OUT], labels[:-_HELD_OUT]
    moved = [np.roll(values, shift, axis=(2, 3)) for shift in _SHIFTS]
    return Items(
        values=np.concatenate(moved),
        labels=np.tile(labels, len(_SHIFTS)),
        sources=np.tile(np.arange(len(labels)), len(_SHIFTS)),
    )
