"""The host's end of a run on a board: reads its journal, over any number of links."""

import json
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.clock import Clock, Deadline
from harness.domain.query import LinkEvent, TrialEnded
from harness.errors import LinkClosed, LinkError, LinkTimeout, TargetError
from harness.links.shell import LineLink, Shell
from harness.loadgen.transcript import Done, Hello, Listener
from harness.units import NS_PER_S

BEAT_S = 2.0
"""The host is heard of at least so often."""
SILENCE_S = 15.0
"""A relay that does not even say that it is there for so long has lost its link."""
MOST_SILENCES = 3
"""A board that answers to a link so often, and then says nothing, is given up."""
_LOOK_S = 0.5
_RETRY_S = 1.0


@dataclass(slots=True, kw_only=True)
class Follower:
    """One run on a board, followed to its end."""

    shell: Shell
    clock: Clock
    come_back: Callable[[], None]
    """Opens a lost link again; raises LinkClosed where it stays away."""
    begin: Sequence[str]
    go_on: Callable[[int], Sequence[str]]
    """Command that relays the journal from that byte on."""
    job: bytes
    alone_s: float | None = None
    """How long the board is let alone; None: the link stays."""
    has_ended: bool = False
    """Whether the board said how the trial ended, and that this was all."""
    is_over: bool = False
    is_interrupted: bool = False
    times_lost: int = 0
    reason: str = ""
    """Why there is no end."""
    _listener: Listener = field(default_factory=Listener)
    _offset: int = 0
    _ended: TrialEnded | None = None

    def events(self) -> Generator[LinkEvent, None, None]:
        """Yield events; the trial's end only once ``done`` has confirmed all of them.

        Raises LinkClosed where the link stays away or nothing is ever said over it,
        TargetError where the board does not take the run. Closing the generator ends
        the run.
        """
        command, order = self.begin, self.job
        silences = 0
        if self.alone_s is not None:
            self._let_alone(self.alone_s)
            command, order = self.go_on(0), b"beat\n"
        while True:
            taken = self._offset
            try:
                with self.shell.start(command) as link:
                    link.write(order)
                    yield from self._heard_over(link)
                break
            except (LinkClosed, LinkTimeout) as error:
                is_silent = isinstance(error, LinkTimeout) and self._offset == taken
                silences = silences + 1 if is_silent else 0
                if silences == MOST_SILENCES:
                    raise self._silent() from error
                self.times_lost += 1
                self.come_back()
                command, order = self.go_on(self._offset), b"beat\n"
        if self.has_ended and self._ended is not None:
            yield self._ended

    def _silent(self) -> LinkClosed:
        return LinkClosed(
            f"The board says nothing of the run over {MOST_SILENCES} links in turn",
            where=self.shell.where,
            remedy="Look at the board: duanping devices --probe. Then go on with "
            "--resume.",
        )

    def _let_alone(self, seconds: float) -> None:
        """Have the run begun, let the link go, and come back when it should be over.

        A Ctrl-C comes back at once, to end the run.
        """
        with self.shell.start(self.begin) as link:
            link.write(self.job)
            self._require_begun(link)
        self.shell.let_go()
        try:
            self.clock.wait_until(self.clock.now_ns() + round(seconds * NS_PER_S))
        except KeyboardInterrupt:
            self.is_interrupted = True
        self.come_back()

    def _require_begun(self, link: LineLink) -> None:
        """Wait for the relay, which speaks once the run goes on by itself."""
        until = Deadline.after(SILENCE_S, self.clock)
        while True:
            match parsed(link.read_line(until)):
                case {"line": "relay"}:
                    return
                case {"line": "refused", "reason": str(reason)}:
                    raise _refused(reason, self.shell.where)
                case _:
                    pass  # a login script's greeting

    def _heard_over(self, link: LineLink) -> Iterator[LinkEvent]:
        """Yield what comes over one link; tells the board when all is taken."""
        is_followed = False
        if self.is_interrupted:
            link.write(b"stop\n")
        try:
            try:
                yield from self._answers(link)
            except KeyboardInterrupt:
                self.is_interrupted = True
                link.write(b"stop\n")
                yield from self._answers(link)
            is_followed = True
            link.write(b"taken\n")
        except GeneratorExit:
            if not is_followed:
                link.write(b"stop\n")
            raise

    def _answers(self, link: LineLink) -> Iterator[LinkEvent]:
        silence = Deadline.after(SILENCE_S, self.clock)
        beat = Deadline.after(0.0, self.clock)
        while True:
            if beat.is_over():
                link.write(b"beat\n")
                beat = Deadline.after(BEAT_S, self.clock)
            try:
                line = link.read_line(Deadline.after(_LOOK_S, self.clock))
            except LinkTimeout:
                if silence.is_over():
                    raise
                continue
            silence = Deadline.after(SILENCE_S, self.clock)
            match parsed(line):
                case {"line": "over", "reason": str(reason)}:
                    self.reason = reason
                    return
                case {"line": "refused", "reason": str(reason)}:
                    raise _refused(reason, self.shell.where)
                case {"line": "hello" | "event" | "done"}:
                    yield from self._take(line)
                    if self.is_over:
                        return
                case _:
                    pass  # the relay's beat, or a login script's greeting

    def _take(self, line: bytes) -> Iterator[LinkEvent]:
        """Take a line of the journal; the trial's end is kept until ``done``."""
        self._offset += len(line)
        match self._listener.take(line):
            case TrialEnded() as ended:
                self._ended = ended
            case Done():
                self.is_over = True
                self.has_ended = self._ended is not None
                self.reason = "The board was done without saying how it ended"
            case Hello():
                pass
            case event:
                yield event


def _refused(reason: str, where: str) -> TargetError:
    remedy = "Look at the board: duanping devices --probe"
    return TargetError(reason, where=where, remedy=remedy)


def parsed(line: bytes) -> dict[str, Any] | None:
    """Give a line of ours as JSON values; None for anything else on the link."""
    try:
        plain = json.loads(line)
    except ValueError:
        return None
    return plain if isinstance(plain, dict) and "line" in plain else None


def come_back(reconnect: Callable[[], None], clock: Clock, away_s: float) -> None:
    """Open a link again, trying for `away_s`. Raises LinkClosed where it stays away."""
    until = Deadline.after(away_s, clock)
    while True:
        try:
            reconnect()
        except LinkError as error:
            if until.is_over() or not is_passing(error):
                raise LinkClosed(
                    f"The link was lost and did not come back within {away_s:g} s: "
                    f"{error.what}",
                    where=error.where,
                    remedy="Nothing that was measured is lost: look at board and "
                    "cable, then run again with --resume.",
                ) from error
            clock.wait_until(clock.now_ns() + round(_RETRY_S * NS_PER_S))
        else:
            return


def is_passing(error: LinkError) -> bool:
    """Say whether trying again may help: never with a wrong key."""
    return error.is_transient
