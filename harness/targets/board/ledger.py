"""The note on the board of what was changed there, written before it is changed.

Whoever changed it puts it back and strikes it out. Where that process was killed, or
the board lost its supply, the note is still there, and the next run puts it back
before it begins. What a restart of the board undoes by itself is struck out then.
"""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from harness.targets.board.knobs import Knob, Panel


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Something that stands otherwise than it was found."""

    condition: str
    place: str
    """Name of its knob."""
    before: str
    boot: str
    """Start of the board that ends the change; empty: it outlives a restart."""


@dataclass(slots=True)
class Ledger:
    """The note of one board."""

    path: Path

    def changes(self) -> list[Change]:
        """List what is still to be put back, in the order in which it was changed.

        Raises OSError where the note cannot be read.
        """
        try:
            return [Change(**plain) for plain in json.loads(self.path.read_text())]
        except FileNotFoundError:
            return []
        except (ValueError, TypeError) as error:
            raise OSError(0, f"{self.path} is no note of ours ({error})") from error

    def add(self, change: Change) -> None:
        """Note a change that is about to be made. Raises OSError."""
        self._write([*self.changes(), change])

    def strike_out(self, change: Change) -> None:
        """Take a change off the note, since it was not made. Raises OSError."""
        self._write([one for one in self.changes() if one != change])

    def outstanding(self, panel: Panel) -> list[str]:
        """Say what is still to be put back, each with the command for it."""
        return [
            f"{one.condition}; by hand: {panel.knob_at(one.place).by_hand(one.before)}"
            for one in self.changes()
        ]

    def put_back(self, panel: Panel) -> list[str]:
        """Put back what is noted, last first; gives what could not be, with a command.

        What could not be stays noted. Raises OSError where the note cannot be kept.
        """
        boot, kept, failed = panel.kernel.boot_id(), [], []
        changes = self.changes()
        for change in reversed(changes):
            if change.boot not in {"", boot}:
                continue
            knob = panel.knob_at(change.place)
            try:
                knob.turn(change.before)
            except OSError as error:
                kept.append(change)
                failed.append(_told(change, knob, error))
        if changes:
            self._write(kept[::-1])
        return failed

    def _write(self, changes: list[Change]) -> None:
        if not changes:
            self.path.unlink(missing_ok=True)
            return
        part = self.path.with_name(f"{self.path.name}.part")
        with part.open("w") as file:
            json.dump([asdict(change) for change in changes], file)
            file.flush()
            os.fsync(file.fileno())  # the board may lose its supply at any time
        part.replace(self.path)


def _told(change: Change, knob: Knob, error: OSError) -> str:
    reason = error.strerror or str(error)
    return f"{change.condition} ({reason}); by hand: {knob.by_hand(change.before)}"
