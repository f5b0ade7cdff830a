"""Whether the raw captures of a bundle give the very traces that it holds.

Every trace of a meter with a wire was decoded from a capture that lies beside it. Here
it is decoded once more: another origin, other times or other values mean that one of
the two was written anew, or that a driver has changed its mind.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from harness.domain.reading import ReadingBlock
from harness.errors import EvidenceError, HarnessError, Unverifiable
from harness.links.replay import Capture, read_capture
from harness.meters.decoding import POWER, decode
from harness.record.agreement import DO_NOT_RELY, account_of
from harness.record.captures import capture_bytes
from harness.record.layout import EVIDENCE
from harness.record.reader import read_traces
from harness.record.story import Attempt

_MOST_RELATIVE = 1e-9
"""What sums of floating point may differ by from one machine to another."""


def reread(bundle: Path) -> Iterator[EvidenceError]:
    """Yield a fault for each trace that its raw capture does not give.

    For a bundle whose digests and journal are sound (`harness.record.verify`).
    """
    evidence = bundle / EVIDENCE
    for attempt in account_of(evidence).story.attempts.values():
        if attempt.captures:
            yield from _of_trial(evidence, attempt)


def _of_trial(evidence: Path, attempt: Attempt) -> Iterator[EvidenceError]:
    try:
        captures = [
            read_capture(capture_bytes(evidence, line), line.file)
            for line in attempt.captures
        ]
        _, readings = read_traces(evidence, attempt.traces)
        sources = {capture.facts.get("address", "") for capture in captures}
        for block in readings:
            if block.channel.source not in sources:
                continue
            said = [_disagreement(block, capture) for capture in captures]
            if all(said):
                yield EvidenceError(
                    f"The {block.channel.name} trace of trial {attempt.trial} is not "
                    f"what its raw capture gives: {said[-1]}",
                    where=str(evidence / attempt.captures[-1].file),
                    remedy=DO_NOT_RELY,
                )
    except EvidenceError as error:
        yield error
    except HarnessError as error:
        yield Unverifiable(
            f"The raw capture of trial {attempt.trial} cannot be decoded: {error.what}",
            where=error.where,
            remedy=DO_NOT_RELY,
        )


def _disagreement(trace: ReadingBlock, capture: Capture) -> str:
    """Say in what a trace differs from what its capture gives; empty: in nothing."""
    name = trace.channel.name
    decoded = decode(capture, trace.channel.source, edges=name != POWER)
    blocks = [block for block in decoded.blocks if block.channel.name == name]
    origins = {block.origin for block in blocks}
    if origins - {trace.origin}:
        return f"it says {trace.origin}, the capture {', '.join(sorted(origins))}"
    times, values = _joined(blocks)
    if len(times) != len(trace.times_ns):
        return f"{len(trace.times_ns)} readings, and {len(times)} in the capture"
    if not np.array_equal(times, np.asarray(trace.times_ns)):
        return "readings lie at other times"
    if not np.allclose(values, np.asarray(trace.values), rtol=_MOST_RELATIVE, atol=0.0):
        return "readings have other values"
    return ""


def _joined(
    blocks: Sequence[ReadingBlock],
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    times = [np.asarray(block.times_ns, dtype=np.int64) for block in blocks]
    values = [np.asarray(block.values, dtype=np.float64) for block in blocks]
    if not blocks:
        return np.empty(0, np.int64), np.empty(0)
    return np.concatenate(times), np.concatenate(values)
