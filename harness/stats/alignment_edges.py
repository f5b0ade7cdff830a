"""Clocks related by a pin of the device that a meter watches: the best means there is.

The pin is high while the device makes its marks (`harness.loadgen.pulses`), so that
every rise and fall of it is in the record twice: by the host's clock, and in the trace,
as a change of the meter's logic inputs, or as the instants at which one fell.
"""

from collections.abc import Iterator

import numpy as np

from harness.domain.reading import ReadingBlock
from harness.domain.record import TrialRecord
from harness.stats.power import PowerTrace
from harness.stats.relation import Refused, Relation, from_edges
from harness.units import NS_PER_S

U_PIN_NS = 100_000
"""By how much a pin moves after the host's stamp: a write to a file of the kernel takes
20 to 200 µs."""
_INPUTS = 8


def align_by_edges(trial: TrialRecord, trace: PowerTrace) -> Relation | Refused | None:
    """Relate the meter's clock to the trial's by edges that both saw.

    None where the trace holds no input that moved as often as the pin did.
    """
    if trial.trial.pulses is None or not trial.trial.pulses.pin:
        return None
    host = _host_edges(trial)
    for seen, step_ns in _seen(trial, trace):
        times = [at_ns for at_ns, is_rise in host if is_rise in seen]
        meter = sorted(at_ns for is_rise in seen for at_ns in seen[is_rise])
        if times and len(times) == len(meter):
            return from_edges(times, meter, step_ns, U_PIN_NS)
    return None


def _host_edges(trial: TrialRecord) -> list[tuple[int, bool]]:
    edges = [
        (at_ns, is_rise)
        for made in trial.pulses
        for is_rise, column in ((True, made.rises_ns), (False, made.falls_ns))
        for at_ns in column
    ]
    return sorted(edges)


def _seen(
    trial: TrialRecord, trace: PowerTrace
) -> Iterator[tuple[dict[bool, list[int]], float]]:
    """Give the edges of each input that moved, and the interval that hides them."""
    for block in trial.readings:
        if block.channel.source != trace.source:
            continue
        if block.channel.name == "logic":
            rate_hz = block.channel.rate_hz or NS_PER_S / trace.step_s
            for bit in range(_INPUTS):
                yield _moves(block, bit), NS_PER_S / rate_hz
        elif block.channel.name == "event":
            # the edge lies in the reading after the one whose time it was given
            step_ns = trace.step_s * NS_PER_S
            yield {False: [round(at + step_ns) for at in block.times_ns]}, step_ns


def _moves(block: ReadingBlock, bit: int) -> dict[bool, list[int]]:
    levels = np.asarray(block.values, dtype=np.int64) >> bit & 1
    times = np.asarray(block.times_ns, dtype=np.int64)
    steps = np.diff(levels)
    return {
        True: [int(at) for at in times[1:][steps > 0]],
        False: [int(at) for at in times[1:][steps < 0]],
    }
