"""What is read of a meter beside one trial, whoever reads it."""

from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from harness.domain.reading import Channel, Loss, ReadingBlock
from harness.errors import EquipmentError, Unsupported
from harness.meters.base import InstrumentDescription


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """Readings of power of one trial, and what became of the others."""

    blocks: tuple[ReadingBlock, ...] = ()
    """At most a thousand readings a second."""
    loss: Loss = field(default_factory=lambda: Loss(missing=0, expected=0))
    tally: dict[str, float] = field(default_factory=dict)
    """What became of the stream, as the driver counts it."""
    fault: EquipmentError | None = None
    """What ended the readings before the trial ended."""
    fault_after_s: float = 0.0
    reader_cpu_ratio: float | None = None
    """Of one core, that the reader's process took; None: it was a thread."""
    openings: int = 1
    """How often the meter has been opened in this run."""


@dataclass(slots=True, kw_only=True)
class Taking:
    """Under way; `taken` is there once its context is left."""

    taken: Taken = field(default_factory=Taken)


class Source(Protocol):
    """A meter that stays open for a run, and is read beside its trials."""

    @property
    def identity(self) -> InstrumentDescription:
        """Who the instrument says it is."""
        ...

    @property
    def channels(self) -> tuple[Channel, ...]:
        """What it can measure."""
        ...

    def keep_captures_in(self, folder: Path) -> None:
        """Have raw bytes written there from now on, where there are any."""
        ...

    def taking(self, trial: str) -> AbstractContextManager[Taking]:
        """Read power while the context is open; a fault ends that, not the trial."""
        ...


def no_power(address: str) -> Unsupported:
    """Say that a meter cannot do what it is wanted for."""
    return Unsupported(
        "This meter gives no power",
        where=address,
        remedy="Use a meter with a channel 'power'.",
    )
