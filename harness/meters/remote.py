"""A meter that a process of its own reads (`harness.meters.reader`), from outside."""

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import errors
from harness.clock import Deadline, SystemClock
from harness.domain.reading import Channel
from harness.errors import (
    EquipmentError,
    HarnessError,
    LinkClosed,
    LinkTimeout,
    MeterError,
    ReaderDied,
    UsageError,
)
from harness.links.pipe import ChildLink, spawn
from harness.meters.base import InstrumentDescription
from harness.plugins import Address
from harness.schema.codec import from_plain

COMMAND = (sys.executable, "-P", "-m", "harness.meters.reader")
_OPENING_S = 60.0
"""A board that is reset by opening its port answers after seconds, and a process takes
its own to start."""
_ANSWER_S = 20.0
"""Longer than any driver takes to stop its meter and to read away what is under way."""
_ONE_THREAD = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
"""Beside a model under test, the reader takes one core at most."""
_REVIVED: dict[str, type[HarnessError]] = {
    form.code: form
    for form in (
        errors.LinkError,
        errors.LinkTimeout,
        errors.LinkClosed,
        errors.MeterError,
        errors.OverRange,
        errors.ReadingsLost,
        errors.NotCalibrated,
        errors.SupplyChanged,
        errors.StorageError,
        errors.SchemaError,
        errors.Unsupported,
    )
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """What came of an acquisition, as the reader says."""

    cpu_ratio: float
    """Of one core, that the reader took meanwhile."""
    fault: EquipmentError | None = None
    fault_after_s: float = 0.0


class RemoteMeter:
    """A meter in another process, open for as long as that lives."""

    def __init__(
        self,
        link: ChildLink,
        identity: InstrumentDescription,
        channels: tuple[Channel, ...],
    ) -> None:
        self._link = link
        self.identity = identity
        self.channels = channels

    def begin(self, path: Path) -> None:
        """Have it read into a capture at `path`; returns once it does.

        Raises ReaderDied where the reader is gone.
        """
        # absolute: the reader may have started elsewhere
        self._order({"acquire": str(path.absolute())})
        _answer(self._link, _ANSWER_S)

    def end(self) -> Ended:
        """Have it stop; all that was read is in the capture. Raises ReaderDied."""
        self._order({"stop": True})
        told = _answer(self._link, _ANSWER_S)["ended"]
        fault = told["fault"]
        return Ended(
            cpu_ratio=float(told["cpu_ratio"]),
            fault=None if fault is None else _as_equipment(_revived(fault)),
            fault_after_s=float(told["fault_after_s"] or 0.0),
        )

    def _order(self, order: dict[str, object]) -> None:
        try:
            self._link.write(json.dumps(order).encode() + b"\n")
        except LinkClosed as error:
            raise _died(self._link) from error


@contextmanager
def open_remote(address: Address) -> Iterator[RemoteMeter]:
    """Start a reader and open a meter in it; leaving the context closes both.

    Raises what the driver raises at opening, and ReaderDied where the process ends.
    """
    environment = {**os.environ, **dict.fromkeys(_ONE_THREAD, "1")}
    with spawn(
        (*COMMAND, str(address)), environment, name="the meter's reader"
    ) as link:
        opened = _answer(link, _OPENING_S)["opened"]
        yield RemoteMeter(
            link,
            from_plain(InstrumentDescription, opened["identity"], where=link.where),
            tuple(
                from_plain(Channel, channel, where=link.where)
                for channel in opened["channels"]
            ),
        )


def _answer(link: ChildLink, seconds: float) -> dict[str, Any]:
    try:
        line = link.read_line(Deadline.after(seconds, SystemClock()))
    except (LinkClosed, LinkTimeout) as error:
        raise _died(link) from error
    told: dict[str, Any] = json.loads(line)
    if "refused" in told:
        raise _revived(told["refused"])
    return told


def _died(link: ChildLink) -> ReaderDied:
    words = link.last_words()
    reason = f": {words}" if words else ""
    return ReaderDied(
        f"The process that reads the meter ended or hangs{reason}",
        where=link.where,
        remedy="What it had read is kept. If it comes back, report it.",
    )


def _revived(plain: dict[str, str]) -> HarnessError:
    """Make the error again that the reader met."""
    form = _REVIVED.get(plain["code"])
    if form is None:
        form = UsageError if plain["code"] == "unknown-name" else EquipmentError
    return form(plain["what"], where=plain["where"], remedy=plain["remedy"])


def _as_equipment(error: HarnessError) -> EquipmentError:
    if isinstance(error, EquipmentError):
        return error
    return MeterError(error.what, where=error.where, remedy=error.remedy)
