"""A SCPI power meter while it is measuring."""

from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness.clock import Clock, Deadline
from harness.domain.origin import Origin
from harness.domain.reading import Channel, Loss, ReadingBlock
from harness.errors import LinkTimeout, MeterError
from harness.meters.answer import Garbage
from harness.meters.scpi import wire
from harness.meters.scpi.dialogue import Dialogue
from harness.meters.scpi.profiles import Item, Profile
from harness.units import NS_PER_S

MOST_BAD_IN_A_ROW = 5
"""After so many unreadable answers without a good one, the wire is not usable."""
_GRACE_S = 1.0
"""Beyond its update interval, the instrument is given this long to answer."""
_LEAST_SILENCE_S = 2.0


def joined(items: Sequence[Item]) -> str:
    """Give the items' own names, apart by commas."""
    return ",".join(item.item for item in items)


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What one acquisition measures, and how."""

    profile: Profile
    items: tuple[Item, ...]
    channels: tuple[Channel, ...]
    period_s: float
    origin: Origin

    def questions(self) -> tuple[str, ...]:
        """The queries for one reading of all items, in order."""
        if not self.profile.fetch:
            return tuple(item.query for item in self.items)
        fetch = self.profile.fetch.format(items=joined(self.items))
        if self.profile.wait_query:
            return (self.profile.wait_query, fetch)
        return (fetch,)

    def values(self, lines: Sequence[str]) -> tuple[wire.Value, ...] | Garbage:
        """Read the answers to `questions`."""
        form = self.profile.form
        if not self.profile.fetch:
            each = [wire.parse_values(line, form, ["value"]) for line in lines]
            bad = [answer for answer in each if isinstance(answer, Garbage)]
            if bad:
                return bad[0]
            return tuple(a.value[0] for a in each if not isinstance(a, Garbage))
        if self.profile.wait_query:
            event = wire.parse_values(lines[0], wire.Form.LIST, ["event register"])
            if isinstance(event, Garbage):
                return event
        names = [item.label or item.item for item in self.items]
        answer = wire.parse_values(lines[-1], form, names)
        return answer if isinstance(answer, Garbage) else answer.value


class ScpiAcquisition:
    """A SCPI power meter while it is measuring."""

    def __init__(self, dialogue: Dialogue, clock: Clock, *, course: Course) -> None:
        self._dialogue = dialogue
        self._clock = clock
        self._course = course
        self._questions = course.questions()
        self._lines: list[str] = []
        self._is_asked = False
        self._due_ns = clock.now_ns()
        self._stamp_ns = 0
        self._last_ns: int | None = None
        self._good = self._missing = self._over_range = self._bad_in_a_row = 0
        dialogue.last_heard_ns = clock.now_ns()
        if course.profile.wait_query:
            # events from before the acquisition are none of its readings
            dialogue.ask(course.profile.wait_query)

    def blocks(self, until: Deadline) -> Iterator[ReadingBlock]:
        """Yield readings, one at a time, as the instrument renews them.

        Raises LinkTimeout for a silent instrument, MeterError for one whose answers
        cannot be read, LinkClosed where it went away.
        """
        while not until.is_over():
            values = self._next(until)
            if values is not None:
                yield from self._stamped(values)

    def loss(self) -> Loss:
        """Updates that were missed, and those without a number for what was asked."""
        return Loss(
            missing=self._missing,
            expected=self._good + self._missing,
            over_range=self._over_range,
        )

    def abandon(self) -> None:
        """Wait for an answer that is still owed, so that none is taken for another."""
        if self._is_asked:
            self._is_asked = False
            self._lines = []
            limit = self._course.period_s + _GRACE_S
            self._dialogue.read_line(Deadline.after(limit, self._clock))
            self._dialogue.quieten()

    def _next(self, until: Deadline) -> tuple[wire.Value, ...] | None:
        """Get one reading; None: the deadline came, or the answer was unreadable."""
        while len(self._lines) < len(self._questions):
            if not self._is_asked and not self._ask(until):
                return None
            answer = self._dialogue.read_line(self._limit(until))
            if answer is None:
                self._judge_silence(until)
                return None
            self._is_asked = False
            if isinstance(answer, Garbage):
                self._discard(answer)
                return None
            if not self._lines:
                self._stamp_ns = self._clock.now_ns()
            self._lines.append(answer.value)
        values = self._course.values(self._lines)
        if isinstance(values, Garbage):
            self._discard(values)
            return None
        self._lines = []
        self._bad_in_a_row = 0
        return values

    def _ask(self, until: Deadline) -> bool:
        """Send the next question when it is due; False: the deadline came first."""
        profile = self._course.profile
        if not self._lines:
            if profile.wait:
                self._dialogue.send(profile.wait)
            elif not self._reach_due(until):
                return False
        self._dialogue.send(self._questions[len(self._lines)])
        self._is_asked = True
        return True

    def _reach_due(self, until: Deadline) -> bool:
        """Wait for the next time of the grid; False: the deadline came first."""
        if self._due_ns >= until.at_ns:
            self._clock.wait_until(until.at_ns)
            return False
        self._clock.wait_until(self._due_ns)
        period_ns = round(self._course.period_s * NS_PER_S)
        late = (self._clock.now_ns() - self._due_ns) // period_ns
        self._due_ns += (late + 1) * period_ns
        return True

    def _limit(self, until: Deadline) -> Deadline:
        patience = Deadline.after(self._course.period_s + _GRACE_S, self._clock)
        return until if until.at_ns < patience.at_ns else patience

    def _judge_silence(self, until: Deadline) -> None:
        silent_ns = self._clock.now_ns() - self._dialogue.last_heard_ns
        longest_s = max(5 * self._course.period_s, _LEAST_SILENCE_S)
        if silent_ns >= longest_s * NS_PER_S:
            raise LinkTimeout(
                f"The meter has been silent for {silent_ns / NS_PER_S:.1f} s",
                where=self._dialogue.where,
                remedy="What came before is kept. Look at the meter and its cable.",
            )
        if not until.is_over():
            # the end of the answer was lost: ask again
            self._dialogue.quieten()
            self._is_asked = False
            self._lines = []

    def _discard(self, garbage: Garbage) -> None:
        """Drop an unreadable answer; the gap that it leaves is counted later."""
        self._lines = []
        self._bad_in_a_row += 1
        if self._bad_in_a_row >= MOST_BAD_IN_A_ROW:
            raise MeterError(
                f"{self._bad_in_a_row} answers in a row could not be read; "
                f"the last: {garbage.detail}",
                where=self._dialogue.where,
                remedy="Check line speed, cable and ground, and that nobody else "
                "talks to the instrument.",
            )
        self._dialogue.quieten()

    def _stamped(self, values: tuple[wire.Value, ...]) -> Iterator[ReadingBlock]:
        self._count(values)
        for item, channel, value in zip(
            self._course.items, self._course.channels, values, strict=True
        ):
            if isinstance(value, float):
                yield ReadingBlock(
                    channel=channel,
                    clock=self._clock.name,
                    origin=self._course.origin,
                    times_ns=array("q", [self._stamp_ns]),
                    values=array("d", [value * item.scale]),
                )

    def _count(self, values: tuple[wire.Value, ...]) -> None:
        if self._last_ns is not None:
            gap = (self._stamp_ns - self._last_ns) / (self._course.period_s * NS_PER_S)
            self._missing += max(0, round(gap) - 1)
        self._last_ns = self._stamp_ns
        self._over_range += wire.Missing.OVER_RANGE in values
        if all(isinstance(value, float) for value in values):
            self._good += 1
        else:
            self._missing += 1
