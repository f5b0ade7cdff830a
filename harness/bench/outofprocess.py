"""Read a meter by a process of its own, and open it again after it was lost.

The capture of each trial holds the raw bytes from the opening on; what is decoded from
it after the trial is what the record holds. A meter that was lost costs the trial in
which that happened its energy. The next one opens it again, in at most three tries; it
has to be the same instrument, and if it is not there the trial goes on without power.
"""

import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

from harness.bench.taking import Taken, Taking
from harness.clock import Clock
from harness.domain.reading import Channel
from harness.errors import (
    EquipmentError,
    HarnessError,
    LinkClosed,
    LinkError,
    MeterError,
    ReaderDied,
)
from harness.links.replay import load_capture
from harness.meters.base import InstrumentDescription
from harness.meters.decoding import decode
from harness.meters.remote import Ended, RemoteMeter, open_remote
from harness.plugins import Address
from harness.record.captures import spool_path
from harness.units import NS_PER_S

TRIES = 3
PAUSE_NS = NS_PER_S
"""Between two tries; a port that was plugged in again takes about so long."""


class OutOfProcess:
    """A meter that a reader holds. A `Source`. Made by `opened`."""

    def __init__(
        self, address: Address, clock: Clock, folder: Path, *, edges: bool = False
    ) -> None:
        self._address = address
        self._edges = edges
        self._clock = clock
        self._folder = folder
        self._stack = ExitStack()
        self._remote: RemoteMeter | None = self._open()
        self._openings = 1
        self.identity: InstrumentDescription = self._remote.identity
        self.channels: tuple[Channel, ...] = self._remote.channels

    @classmethod
    @contextmanager
    def opened(
        cls, address: Address, clock: Clock, *, edges: bool = False
    ) -> Iterator["OutOfProcess"]:
        """Start a reader with the meter open; leaving the context ends it.

        With `edges`, what its logic inputs saw is taken as well.

        Raises what the driver raises at opening.
        """
        with tempfile.TemporaryDirectory(prefix="duanping-") as folder:
            source = cls(address, clock, Path(folder), edges=edges)
            try:
                yield source
            finally:
                source.close()

    def close(self) -> None:
        """Let go of the meter."""
        self._remote = None
        self._stack.close()

    def keep_captures_in(self, folder: Path) -> None:
        """Have the raw bytes of later trials written there."""
        self._folder = folder

    @contextmanager
    def taking(self, trial: str) -> Iterator[Taking]:
        """Have the reader read for as long as the context is open."""
        taking = Taking()
        begun = self._begun(trial)
        try:
            yield taking
        finally:
            taking.taken = self._finished(begun)

    def _begun(self, trial: str) -> Path | EquipmentError:
        """Begin to read into a capture, opening the meter again where it was lost.

        A port that is not there may come back; something else that answers stays.
        """
        fault: HarnessError | None = None
        for attempt in range(TRIES):
            if attempt:
                self._clock.wait_until(self._clock.now_ns() + PAUSE_NS)
            path = spool_path(self._folder, trial, str(self._address))
            try:
                if self._remote is None:
                    self._remote = self._reopened()
                self._remote.begin(path)
            except (LinkError, ReaderDied) as error:
                fault = error
                self.close()
            except HarnessError as error:
                self.close()
                return _not_there(error)
            else:
                return path
        return LinkClosed(
            f"The meter could not be opened again in {TRIES} tries: "
            f"{fault.what if fault else ''}",
            where=str(self._address),
            remedy="Plug it in again; the next trial tries once more.",
        )

    def _finished(self, begun: Path | EquipmentError) -> Taken:
        if isinstance(begun, EquipmentError) or self._remote is None:
            fault = begun if isinstance(begun, EquipmentError) else None
            return Taken(fault=fault, openings=self._openings)
        try:
            ended = self._remote.end()
        except ReaderDied as error:
            ended = Ended(cpu_ratio=0.0, fault=error)
        if ended.fault is not None:
            self.close()
        return self._decoded(begun, ended)

    def _decoded(self, path: Path, ended: Ended) -> Taken:
        try:
            decoded = decode(load_capture(path), str(path), edges=self._edges)
        except HarnessError as error:
            fault = ended.fault or _not_there(error)
            return Taken(fault=fault, openings=self._openings)
        return Taken(
            blocks=decoded.blocks,
            loss=decoded.loss,
            tally=decoded.tally,
            fault=ended.fault or decoded.fault,
            fault_after_s=ended.fault_after_s,
            reader_cpu_ratio=ended.cpu_ratio,
            openings=self._openings,
        )

    def _open(self) -> RemoteMeter:
        opening: AbstractContextManager[RemoteMeter] = open_remote(self._address)
        return self._stack.enter_context(opening)

    def _reopened(self) -> RemoteMeter:
        """Open the meter once more. Raises MeterError for another instrument."""
        remote = self._open()
        self._openings += 1
        was, now = _who(self.identity), _who(remote.identity)
        if was != now:
            raise MeterError(
                f"Another instrument answers now: {' '.join(filter(None, now))}, and "
                f"before {' '.join(filter(None, was))}",
                where=str(self._address),
                remedy="Plug in the one that the run was begun with.",
            )
        return remote


def _who(one: InstrumentDescription) -> tuple[str, str, str]:
    return (one.maker, one.model, one.serial_number)


def _not_there(error: HarnessError) -> EquipmentError:
    """Give the error as one of the bench: the run goes on without power."""
    if isinstance(error, EquipmentError):
        return error
    return MeterError(error.what, where=error.where, remedy=error.remedy)
