"""The process that holds a meter: ``python -m harness.meters.reader ADDRESS``.

It opens the meter with the very driver that everything else uses, keeps it open until
its standard input is closed, and during an acquisition writes every byte of the link
with its time of arrival into a capture. So no reading waits for the process that
measures, and none disturbs it; and closing the port, which cuts the supply of a device
that a PPK2 feeds, happens once.

Orders come as lines of JSON on standard input, answers go to standard output. What was
read before a fault stays in the capture.
"""

import json
import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from harness.clock import Deadline, SystemClock
from harness.errors import EquipmentError, HarnessError
from harness.links.replay import BEGUN, ENDED, FrameList, Recorder, recording
from harness.meters.base import Acquisition, Meter
from harness.meters.decoding import POWER
from harness.meters.kernel import keep_to
from harness.meters.opening import capture_facts, open_taped
from harness.plugins import Address
from harness.schema.codec import to_plain
from harness.units import NS_PER_S

_WITHOUT_END_S = 7 * 86_400.0
"""Longer than any trial. A deadline would cut questions short, and what was decoded
from the capture would then not be what was read."""
_FLUSH_NS = NS_PER_S // 2
_PIECE_BYTES = 65_536


def main() -> int:
    """Serve the meter that the command line names."""
    address, tape = Address.parse(sys.argv[1]), _Tape()
    # to spin would take from the model under test what no reading needs
    clock = SystemClock(spin_ns=0)
    _leave_the_models_cores()
    try:
        with open_taped(address, clock, tape) as meter:
            tape.end_opening()
            _say(
                opened={
                    "identity": to_plain(meter.identify()),
                    "channels": [to_plain(channel) for channel in meter.channels()],
                }
            )
            _serve(_Stand(meter, address, clock, tape), _Orders())
    except HarnessError as error:
        _say(refused=plain_error(error))
        return error.exit_code
    return 0


def _leave_the_models_cores() -> None:
    """Keep to the lowest core: a model gets its own from the highest number down."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if len(cores) > 1:
        keep_to(0, frozenset(cores[:1]))


def plain_error(error: HarnessError) -> dict[str, str]:
    """Give an error as what a line of JSON can hold."""
    return {
        "code": error.code,
        "what": error.what,
        "where": error.where,
        "remedy": error.remedy,
    }


class _Tape:
    """Takes down frames: those of the opening in memory, later ones where told."""

    def __init__(self) -> None:
        self._opening = FrameList()
        self._now: FrameList | Recorder | None = self._opening

    def append(self, kind: bytes, at_ns: int, data: bytes) -> None:
        """Take down one frame; between two acquisitions nothing is kept."""
        if self._now is not None:
            self._now.append(kind, at_ns, data)

    def end_opening(self) -> None:
        """Keep what was said up to now, to begin each capture with."""
        self._now = None

    @contextmanager
    def onto(self, recorder: Recorder) -> Iterator[None]:
        """Write to a capture, which begins with the opening."""
        for frame in self._opening.frames:
            recorder.append(*frame)
        self._now = recorder
        try:
            yield
        finally:
            self._now = None


class _Orders:
    """Lines of JSON from standard input."""

    def __init__(self) -> None:
        self._buffer = b""

    def next(self, until: Deadline | None) -> dict[str, Any] | None:
        """Give the next order; None: it was closed, or the deadline came first."""
        while b"\n" not in self._buffer:
            wait_s = None if until is None else until.remaining_s()
            if not select.select([0], [], [], wait_s)[0]:
                return None
            piece = os.read(0, _PIECE_BYTES)
            if not piece:
                raise EOFError
            self._buffer += piece
        line, _, self._buffer = self._buffer.partition(b"\n")
        order: dict[str, Any] = json.loads(line)
        return order


class _Stand:
    """An open meter, and what it is read with."""

    def __init__(
        self, meter: Meter, address: Address, clock: SystemClock, tape: _Tape
    ) -> None:
        self._meter = meter
        self._facts = capture_facts(address, clock)
        self._clock = clock
        self._tape = tape
        self._faulted_ns = 0
        self._has_begun = self._is_told = False

    def acquire(self, path: Path, orders: _Orders) -> None:
        """Read into a capture until told to stop, then say what came of it."""
        cpu_s, begun_ns = _cpu_s(), self._clock.now_ns()
        self._has_begun, self._is_told, self._faulted_ns = False, False, 0
        fault: EquipmentError | None = None
        try:
            with recording(path, self._facts) as recorder, self._tape.onto(recorder):
                self._read(recorder, orders)
        except EquipmentError as error:
            fault = error
            self._faulted_ns = self._faulted_ns or self._clock.now_ns()
            if not self._has_begun:
                _say(begun=True)
            if not self._is_told:  # it may break only as it is stopped
                orders.next(None)
        after_s = (self._faulted_ns - begun_ns) / NS_PER_S if fault else None
        elapsed_s = max(self._clock.now_ns() - begun_ns, 1) / NS_PER_S
        _say(
            ended={
                "fault": None if fault is None else plain_error(fault),
                "fault_after_s": after_s,
                "cpu_ratio": (_cpu_s() - cpu_s) / elapsed_s,
            }
        )

    def _read(self, recorder: Recorder, orders: _Orders) -> None:
        recorder.mark(BEGUN, self._clock.now_ns())
        with self._meter.acquire([POWER]) as acquisition:
            _say(begun=True)
            self._has_begun = True
            try:
                self._drain(acquisition, recorder, orders)
            except EquipmentError:
                self._faulted_ns = self._clock.now_ns()
                raise
            finally:
                recorder.mark(ENDED, self._clock.now_ns())

    def _drain(
        self, acquisition: Acquisition, recorder: Recorder, orders: _Orders
    ) -> None:
        """Let the driver read; between two blocks, look whether to stop."""
        at_once = Deadline(clock=self._clock, at_ns=0)
        flushed_ns = self._clock.now_ns()
        for _ in acquisition.blocks(Deadline.after(_WITHOUT_END_S, self._clock)):
            if orders.next(at_once) is not None:
                self._is_told = True
                return
            if self._clock.now_ns() - flushed_ns > _FLUSH_NS:
                recorder.flush()
                flushed_ns = self._clock.now_ns()


def _serve(stand: _Stand, orders: _Orders) -> None:
    try:
        while (order := orders.next(None)) is not None:
            stand.acquire(Path(order["acquire"]), orders)
    except EOFError:
        return  # whoever gave the orders is gone, or needs the meter no more


def _cpu_s() -> float:
    times = psutil.Process().cpu_times()
    return float(times.user + times.system)


def _say(**answer: object) -> None:
    os.write(1, json.dumps(answer).encode() + b"\n")


if __name__ == "__main__":
    sys.exit(main())
