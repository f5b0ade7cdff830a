"""Edges that a meter sees at its logic inputs, out of channels as dense as power.

A pin of the device moves a handful of times in a trial; what is kept of a hundred
thousand levels a second is where they changed.
"""

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from harness.domain.reading import Channel, ReadingBlock

EDGE_CHANNELS = ("logic", "event")
"""Levels of inputs as the bits of a number, or an instant at which one fell."""


def edge_channels(channels: Iterable[Channel]) -> tuple[str, ...]:
    """Name those of a meter's channels that tell of edges."""
    return tuple(one.name for one in channels if one.name in EDGE_CHANNELS)


def changes(blocks: Sequence[ReadingBlock]) -> tuple[ReadingBlock, ...]:
    """Keep of each channel of edges the readings at which it changed.

    The first reading of levels is kept as well: it says what they were before. Blocks
    are in order of time; what is no channel of edges is left out.
    """
    found = []
    for name in EDGE_CHANNELS:
        own = [block for block in blocks if block.channel.name == name]
        if not own:
            continue
        times = np.concatenate([np.asarray(b.times_ns, dtype=np.int64) for b in own])
        levels = np.concatenate([np.asarray(b.values, dtype=np.float64) for b in own])
        if name == "logic":
            kept = np.flatnonzero(np.diff(levels, prepend=levels[:1] - 1))
            times, levels = times[kept], levels[kept]
        found.append(
            replace(
                own[0],
                times_ns=array("q", times.tobytes()),
                values=array("d", levels.tobytes()),
            )
        )
    return tuple(found)
