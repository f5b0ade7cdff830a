"""What an agent says, line after line, so that a missing line is always noticed.

``hello`` comes first, then events numbered from 0, then ``done`` with their count and
the sha256 of every line before it. A link may close with exit status 0 in the middle
of a trial (``adb shell`` does), so only ``done`` says that all has been heard.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from harness.domain.query import LinkEvent
from harness.errors import LinkError
from harness.loadgen import wire


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """The agent is there; `facts` are its process, clock and versions."""

    facts: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """Everything that was said has been heard."""

    count: int


class Speaker:
    """The agent's end."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write
        self._count = 0
        self._digest = hashlib.sha256()

    def hello(self, facts: Mapping[str, str]) -> None:
        """Say who is there."""
        self._say({"line": "hello", "facts": dict(facts)})

    def event(self, event: LinkEvent) -> None:
        """Say what happened."""
        plain = wire.encode_event(event)
        self._say({"line": "event", "seq": self._count, "event": plain})
        self._count += 1

    def done(self) -> None:
        """Say that this was all."""
        digest = self._digest.hexdigest()
        self._say({"line": "done", "count": self._count, "sha256": digest})

    def _say(self, plain: dict[str, Any]) -> None:
        data = wire.line(plain)
        self._digest.update(data)
        self._write(data)


class Listener:
    """The host's end."""

    def __init__(self) -> None:
        self._count = 0
        self._digest = hashlib.sha256()
        self._has_hello = False

    def take(self, data: bytes) -> Hello | LinkEvent | Done:
        """Read the next line, with its end.

        Raises LinkError for a line that is not understood or out of turn, and for a
        ``done`` that does not agree with what was heard.
        """
        plain = _parsed(data)
        before = self._digest.hexdigest()
        self._digest.update(data)
        match plain:
            case {"line": "hello", "facts": dict(facts)} if not self._has_hello:
                self._has_hello = True
                return Hello(facts={str(key): str(facts[key]) for key in facts})
            case {"line": "event", "seq": self._count, "event": dict(event)} if (
                self._has_hello
            ):
                self._count += 1
                return wire.decode_event(event)
            case {"line": "done", "count": self._count, "sha256": sha256} if (
                sha256 == before
            ):
                return Done(count=self._count)
            case _:
                raise _out_of_turn(data)


def _parsed(data: bytes) -> Any:  # noqa: ANN401 - JSON values
    try:
        return json.loads(data)
    except ValueError as error:
        raise _out_of_turn(data) from error


def _out_of_turn(data: bytes) -> LinkError:
    shown = data[:80].decode(errors="replace").rstrip()
    return LinkError(
        f"The agent's line is not what comes next: {shown}",
        remedy="Lines were lost, or something else writes to the link. Run again.",
    )
