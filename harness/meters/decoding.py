"""From the raw bytes of a capture to readings: a pure function.

The driver that read the instrument reads its capture, on a clock of its own that costs
no time to wait on and tells the times at which the bytes came. What the host did in
between (a question asked late, a slow turn of its loop) takes no time here, so that a
stamp may lie earlier than a live one by as much, and never by more than the round trip
that bounds it.
"""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, is_dataclass

import numpy as np
from numpy.typing import NDArray

from harness.clock import Deadline, VirtualClock
from harness.domain.reading import Loss, ReadingBlock
from harness.errors import EquipmentError
from harness.links.replay import BEGUN, ENDED, Capture
from harness.meters.base import Acquisition
from harness.meters.edges import changes, edge_channels
from harness.meters.opening import open_captured

POWER = "power"
MOST_HZ = 1000.0
"""Faster readings are averaged to this rate: their energy stays exactly the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """What a capture holds."""

    blocks: tuple[ReadingBlock, ...]
    """Readings of power, at most a thousand a second; edges, where they were."""
    loss: Loss
    tally: dict[str, float]
    """What became of the stream, as the driver counts it."""
    fault: EquipmentError | None = None
    """What ended the readings before the capture ends; those before it are good."""


def decode(capture: Capture, where: str, *, edges: bool = False) -> Decoded:
    """Read the power out of the capture of one acquisition, and edges if asked for.

    Raises SchemaError or UnknownName for a capture of no known meter, MeterError or
    LinkError where not even the meter's first answers can be read.
    """
    begins = [moment.at_ns for moment in capture.moments[:1]]
    clock = VirtualClock(
        capture.facts.get("clock", "monotonic"), min(begins, default=0)
    )
    last_ns = max((moment.at_ns for moment in capture.moments[-1:]), default=0)
    until = Deadline(clock=clock, at_ns=capture.marks.get(ENDED, last_ns))
    blocks: list[ReadingBlock] = []
    fault: EquipmentError | None = None
    with open_captured(capture, clock, where) as meter:
        clock.wait_until(capture.marks.get(BEGUN, 0))
        wanted = edge_channels(meter.channels()) if edges else ()
        with meter.acquire([POWER, *wanted]) as acquisition:
            try:
                blocks.extend(_thinned(acquisition.blocks(until)))
            except EquipmentError as error:
                fault = error
            loss, tally = acquisition.loss(), tally_of(acquisition)
    return Decoded(blocks=with_changes(blocks), loss=loss, tally=tally, fault=fault)


def with_changes(blocks: Sequence[ReadingBlock]) -> tuple[ReadingBlock, ...]:
    """Give the blocks of power, and of channels of edges what changed."""
    power = (block for block in blocks if block.channel.name == POWER)
    return (*power, *changes(blocks))


def tally_of(acquisition: Acquisition) -> dict[str, float]:
    """Give the numbers in which a driver counts its stream, where it does."""
    count = getattr(acquisition, "tally", None)
    counted = count() if count is not None else None
    if not is_dataclass(counted) or isinstance(counted, type):
        return {}
    return {
        name: float(value)
        for name, value in asdict(counted).items()
        if isinstance(value, int | float)
    }


def _thinned(blocks: Iterable[ReadingBlock]) -> Iterator[ReadingBlock]:
    """Thin power out, and levels to their changes, block by block as they come.

    The first level of a block is kept too; with the block before it, it is a change or
    goes with the rest. Ten minutes of a PPK2's levels would not fit into memory.
    """
    for block in blocks:
        if not len(block.values):
            continue
        if block.channel.name == POWER:
            yield thinned(block)
        else:
            yield from changes([block])


def thinned(block: ReadingBlock) -> ReadingBlock:
    """Average readings that come faster than 1 kHz, each over the time it stands for.

    A reading stands for the mean over the interval that ends at its time, so the mean
    of n of them, stamped with the last, stands for the n intervals together.
    """
    times = np.asarray(block.times_ns, dtype=np.int64)
    rate = block.channel.rate_hz or 0.0
    group = round(rate / MOST_HZ)
    if group <= 1 or len(times) < group:
        return block
    whole = len(times) // group * group
    values = np.asarray(block.values, dtype=np.float64)
    means: NDArray[np.float64] = values[:whole].reshape(-1, group).mean(axis=1)
    ends = times[group - 1 : whole : group]
    if whole < len(times):
        means = np.append(means, values[whole:].mean())
        ends = np.append(ends, times[-1])
    return ReadingBlock(
        channel=block.channel,
        clock=block.clock,
        origin=block.origin,
        times_ns=array("q", ends.tobytes()),
        values=array("d", means.tobytes()),
    )
