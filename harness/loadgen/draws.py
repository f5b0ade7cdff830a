"""What is drawn from the order seed: which query comes next, and which is looked at.

Both lists are to be gone round, so that an agent without numpy can be given them.
"""

from itertools import chain

import numpy as np

STRIDE = 5
"""One query of so many is looked at: above the 10 % of the method, section 6, also
where a window ends in the middle of a stride."""
_ROUNDS = 64
"""Shuffled rounds before an order repeats itself."""
_STRIDES = 997


def seeded_order(seed: int, queries: int) -> list[int]:
    """Draw the order in which prepared queries are gone round."""
    generator = np.random.default_rng(seed)
    rounds = [generator.permutation(queries) for _ in range(_ROUNDS)]
    return [int(number) for number in np.concatenate(rounds)]


def chosen(seed: int) -> list[bool]:
    """Draw which queries are looked at: one of every five, the very first among them.

    The length of the list shares no factor with that of an order.
    """
    at = np.random.default_rng(seed).integers(0, STRIDE, _STRIDES)
    at[0] = 0
    rows = np.arange(STRIDE) == at[:, np.newaxis]
    return [bool(is_chosen) for is_chosen in chain.from_iterable(rows)]
