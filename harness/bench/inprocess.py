"""Read a meter in a thread of this process: counters of this machine, and captures.

They cost a few reads of small files a second. A meter with a wire is read elsewhere
(`outofprocess`).
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.bench.taking import Taken, Taking
from harness.clock import Clock, Deadline
from harness.domain.reading import Channel, ReadingBlock
from harness.errors import EquipmentError
from harness.meters.base import Acquisition, InstrumentDescription, Meter
from harness.meters.decoding import POWER, tally_of, thinned, with_changes
from harness.meters.edges import edge_channels
from harness.units import NS_PER_S

_TURN_S = 0.5
"""How long the meter is read before the thread looks whether it should go on."""


class InProcess:
    """A meter that was opened here. A `Source`."""

    def __init__(self, meter: Meter, clock: Clock, *, edges: bool = False) -> None:
        self._meter = meter
        self._clock = clock
        self._wanted = (POWER, *(edge_channels(meter.channels()) if edges else ()))
        self.identity: InstrumentDescription = meter.identify()
        self.channels: tuple[Channel, ...] = meter.channels()

    def keep_captures_in(self, folder: Path) -> None:
        """Do nothing: these meters have no wire whose bytes could be kept."""

    @contextmanager
    def taking(self, trial: str) -> Iterator[Taking]:  # noqa: ARG002 - of the protocol
        """Read power in a thread for as long as the context is open."""
        taking, turn = Taking(), _Turns(self._meter, self._clock, self._wanted)
        thread = threading.Thread(target=turn.read, name="meter", daemon=True)
        thread.start()
        try:
            yield taking
        finally:
            turn.stopped.set()
            thread.join()
            taking.taken = turn.taken()

    def taken_until(self, until_ns: int) -> Taken:
        """Read power here and now until the clock says so: for virtual time."""
        turns = _Turns(self._meter, self._clock, self._wanted)
        turns.read(until_ns)
        return turns.taken()


class _Turns:
    """Turns of reading, until told to stop or until the meter fails."""

    def __init__(self, meter: Meter, clock: Clock, wanted: tuple[str, ...]) -> None:
        self.stopped = threading.Event()
        self._meter = meter
        self._wanted = wanted
        self._clock = clock
        self._begun_ns = clock.now_ns()
        self._blocks: list[ReadingBlock] = []
        self._acquisition: Acquisition | None = None
        self._fault: EquipmentError | None = None
        self._fault_after_s = 0.0

    def read(self, until_ns: int | None = None) -> None:
        """Read until stopped, or until a time of the clock.

        A meter that fails ends this, not the trial.
        """
        try:
            with self._meter.acquire(self._wanted) as acquisition:
                self._acquisition = acquisition
                while not self.stopped.is_set():
                    until = Deadline.after(_TURN_S, self._clock)
                    for block in acquisition.blocks(until):
                        is_power = block.channel.name == POWER
                        self._blocks.append(thinned(block) if is_power else block)
                    if until_ns is not None and self._clock.now_ns() >= until_ns:
                        break
        except EquipmentError as error:
            self._fault = error
            self._fault_after_s = (self._clock.now_ns() - self._begun_ns) / NS_PER_S

    def taken(self) -> Taken:
        """Give what was read, once the thread has ended."""
        if self._acquisition is None:
            return Taken(fault=self._fault)
        return Taken(
            blocks=with_changes([one for one in self._blocks if len(one.values)]),
            loss=self._acquisition.loss(),
            tally=tally_of(self._acquisition),
            fault=self._fault,
            fault_after_s=self._fault_after_s,
        )
