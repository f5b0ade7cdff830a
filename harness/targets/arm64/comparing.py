"""Outputs of an emulated processor's kernels, against this machine's own."""

import numpy as np

from harness.domain.counting import KernelsCompared
from harness.domain.query import ItemsScored
from harness.scoring.rows import Rows, unpack


def compared(
    theirs: ItemsScored, ours: ItemsScored, processor: str
) -> KernelsCompared | None:
    """Compare values of the outputs, input by input; None where none are common.

    Up to 64 values of each input's outputs, evenly spread
    (`harness.scoring.scorers.sketch_item`), and exact: float64 holds every value of
    a narrower type.
    """
    if (theirs.metric, theirs.width) != (ours.metric, ours.width):
        return None
    one, other = (_by_item(event) for event in (theirs, ours))
    items = np.intersect1d(one[:, 0], other[:, 0])
    if not len(items):
        return None
    a, b = (rows[np.searchsorted(rows[:, 0], items), 1:] for rows in (one, other))
    is_same = (a == b) | (np.isnan(a) & np.isnan(b))
    with np.errstate(invalid="ignore"):
        difference = np.where(is_same, 0.0, np.abs(a - b))
    # what is no number on one side only differs by more than any number
    difference[np.isnan(difference)] = np.finfo(np.float64).max
    return KernelsCompared(
        trial=theirs.trial,
        model=theirs.model,
        processor=processor,
        items=len(items),
        identical=int(is_same.all(axis=1).sum()),
        largest_difference=float(difference.max()),
        largest_value=float(np.nan_to_num(np.abs(b)).max()),
    )


def _by_item(event: ItemsScored) -> Rows:
    rows = unpack(event.packed, event.width)
    ordered: Rows = rows[np.argsort(rows[:, 0], kind="stable")]
    return ordered
