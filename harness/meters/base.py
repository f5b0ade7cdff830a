"""What every meter promises. A meter gives readings; it never integrates or judges.

An opener of the entry-point group ``harness.meters`` has the signature
``open_meter(address: Address, clock: Clock) -> AbstractContextManager[Meter]``.
"""

from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from harness.clock import Deadline
from harness.domain.origin import Origin
from harness.domain.reading import Channel, Loss, ReadingBlock


@dataclass(frozen=True, slots=True, kw_only=True)
class InstrumentDescription:
    """Who the instrument says it is. Unknown things are left out, never guessed."""

    driver: str
    address: str
    origin: Origin
    """MEASURED for real hardware, SIMULATED for a simulated wire."""
    maker: str = ""
    model: str = ""
    serial_number: str = ""
    firmware: str = ""
    calibration: str = ""
    facts: dict[str, str] = field(default_factory=dict)


class Acquisition(Protocol):
    """A meter while it is measuring. It exists only inside `Meter.acquire`."""

    def blocks(self, until: Deadline) -> Iterator[ReadingBlock]:
        """Yield readings as they arrive, oldest first, and stop at `until`.

        Raises LinkClosed where the instrument goes away, LinkTimeout where it falls
        silent; what was yielded before stays good.
        """
        ...

    def loss(self) -> Loss:
        """Readings known to be missing so far. Never guessed, never filled in."""
        ...


@runtime_checkable
class Meter(Protocol):
    """An instrument that gives time-stamped readings of physical quantities.

    There is no `start` and no `stop`: readings can be had only inside `acquire`, so
    a meter cannot be read too early or left running.
    """

    def identify(self) -> InstrumentDescription:
        """Maker, model, serial number, firmware and calibration, as it tells them."""
        ...

    def channels(self) -> tuple[Channel, ...]:
        """What it can measure, each with unit and rate."""
        ...

    def acquire(
        self, channels: Collection[str], *, rate_hz: float | None = None
    ) -> AbstractContextManager[Acquisition]:
        """Measure the named channels for as long as the context is open."""
        ...
