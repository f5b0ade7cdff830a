"""Meters that answer when asked: one question, one reply, one reading.

Such an instrument gives no time. A reading is stamped with the middle of the interval
from request to reply, on the host's clock; that interval is the channel
``round_trip``, so that half of it bounds the error of the stamp. What the instrument
adds by its own averaging is in its data sheet, not here.

A reply that fails its check is asked for again, at most three times, after the line
has been silent for 3.5 characters (Modbus over Serial Line V1.02, section 2.5.1.1).
Then the reading is missing, and is counted as such; nothing is put in its place.
"""

from array import array
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from harness.clock import Clock, Deadline
from harness.domain.origin import Origin
from harness.domain.reading import Channel, Loss, ReadingBlock
from harness.errors import LinkTimeout, MeterError, Unsupported
from harness.links.bytelink import ByteLink
from harness.meters.answer import Decoded, Fault, Frame, Garbage
from harness.units import NS_PER_S

ROUND_TRIP = "round_trip"
"""Name of the channel that holds, in s, how long each reading took to get."""
RETRIES = 3
LEAST_DAMAGED = 5
"""Fewer damaged replies than this may be chance, whatever their share."""
MOST_DAMAGED = 0.05
_DRAIN_S = 0.5
"""A line that never falls silent is not waited for any longer than this."""
_READ_BYTES = 4096

RS485_WIRING = (
    "Check wiring and termination: A and B, ground, 120 Ω at both ends of RS-485, "
    "one master only, the right speed."
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How fast a meter may be asked; all in seconds."""

    period_s: float
    timeout_s: float
    """From request to the last byte of the reply, at the longest."""
    gap_s: float
    """3.5 characters of silence at the line's speed."""

    @property
    def silence_s(self) -> float:
        """Without any byte for so long, the meter is said to be silent."""
        return max(5 * self.period_s, 2.0)


def gap_s(baud: int, *, bits_per_character: int = 11) -> float:
    """Give the duration of 3.5 characters at a line speed, in s."""
    return 3.5 * bits_per_character / baud


@dataclass(frozen=True, slots=True, kw_only=True)
class Question(Generic[T]):
    """What is sent, and how the reply to it is read."""

    request: bytes
    decode: Callable[[bytes], Decoded[T]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply(Generic[T]):
    """A decoded reply and the host's time at request and at its last byte, in ns."""

    value: T
    asked_ns: int
    answered_ns: int


@dataclass(slots=True, kw_only=True)
class Tally:
    """What became of the questions asked so far."""

    sent: int = 0
    """Requests, repeated ones included."""
    answered: int = 0
    repeated: int = 0
    """Readings that came only when asked for again."""
    damaged: int = 0
    """Replies that failed their check or were no reply."""
    mute: int = 0
    """Requests to which not a byte came."""
    missing: int = 0
    """Readings that never came."""
    below_threshold: int = 0
    """Readings that say only: less than this meter can measure."""
    last_fault: str = field(default="")


class Interrogator:
    """Asks questions over a link, again where the reply was damaged, and counts."""

    def __init__(
        self, link: ByteLink, clock: Clock, timing: Timing, *, where: str
    ) -> None:
        self._link = link
        self._clock = clock
        self._timing = timing
        self.where = where
        self.tally = Tally()
        self.last_heard_ns = clock.now_ns()

    def ask(self, question: Question[T], until: Deadline) -> Reply[T] | None:
        """Ask, and repeat after damage, at most `RETRIES` times; None: no reply.

        Raises LinkClosed where the meter went away. A question that `until` cuts
        short counts as not asked.
        """
        for attempt in range(1 + RETRIES):
            self._quieten()
            if until.is_over():
                return None
            self.tally.sent += 1
            reply = self._attempt(question, until)
            if reply is not None:
                self.tally.answered += 1
                self.tally.repeated += attempt > 0
                return reply
        if not until.is_over():
            self.tally.missing += 1
        return None

    def _attempt(self, question: Question[T], until: Deadline) -> Reply[T] | None:
        asked_ns = self._clock.now_ns()
        self._link.write(question.request)
        limit = Deadline.after(self._timing.timeout_s, self._clock)
        if until.at_ns < limit.at_ns:
            limit = until
        buffer = b""
        while piece := self._link.read(_READ_BYTES, limit):
            answered_ns = self._clock.now_ns()
            self.last_heard_ns = answered_ns
            buffer += piece
            decoded = question.decode(buffer)
            if isinstance(decoded, Frame):
                return Reply(
                    value=decoded.value, asked_ns=asked_ns, answered_ns=answered_ns
                )
            if isinstance(decoded, Garbage):
                self._note(decoded)
                return None
        self._note_silence(buffer, until)
        return None

    def _note(self, garbage: Garbage) -> None:
        self.tally.last_fault = garbage.detail
        if garbage.fault is not Fault.REFUSED:
            self.tally.damaged += 1

    def _note_silence(self, buffer: bytes, until: Deadline) -> None:
        if until.is_over():
            self.tally.sent -= 1
        elif buffer:
            self.tally.damaged += 1
            self.tally.last_fault = f"{len(buffer)} bytes came that are no whole reply"
        else:
            self.tally.mute += 1
            self.tally.last_fault = "nothing came"

    def _quieten(self) -> None:
        """Read away late bytes until the line is silent for 3.5 characters."""
        limit = Deadline.after(_DRAIN_S, self._clock)
        while not limit.is_over():
            gap = Deadline.after(self._timing.gap_s, self._clock)
            if not self._link.read(_READ_BYTES, gap):
                return


def ask_once(
    interrogator: Interrogator, question: Question[T], clock: Clock, *, stranger: str
) -> T:
    """Ask outside a measurement, such as who is there.

    `stranger` says what it would have been: "This does not answer as a …". Raises
    MeterError where no good reply comes.
    """
    until = Deadline.after(10.0, clock)
    reply = interrogator.ask(question, until)
    if reply is None:
        raise MeterError(
            f"{stranger}: {interrogator.tally.last_fault or 'nothing came'}",
            where=interrogator.where,
            remedy="Look at address, speed and wiring, or ask what it is: "
            "duanping meters --probe PORT",
        )
    return reply.value


@dataclass(frozen=True, slots=True, kw_only=True)
class Indication:
    """What one reply says, in SI units, by channel name.

    A quantity that the meter cannot tell is absent from `values`.
    """

    values: Mapping[str, float]
    is_below_threshold: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What is asked at each time of the grid, and which channels are wanted of it."""

    timing: Timing
    questions: Sequence[Question[Indication]]
    channels: Sequence[Channel]
    origin: Origin
    wiring: str = RS485_WIRING
    """What to look at where many replies are damaged."""


class PollingAcquisition:
    """A polled meter while it is measuring: a fixed grid of times, a poll at each."""

    def __init__(
        self, interrogator: Interrogator, clock: Clock, survey: Survey
    ) -> None:
        self._interrogator = interrogator
        self._clock = clock
        self._survey = survey
        self._next_ns = clock.now_ns()
        interrogator.last_heard_ns = self._next_ns

    def blocks(self, until: Deadline) -> Iterator[ReadingBlock]:
        """Yield each reply's readings as it comes.

        Raises LinkTimeout for a silent meter, MeterError where more than 5 % of the
        replies are damaged, LinkClosed where the meter went away.
        """
        while self._next_ns < until.at_ns:
            self._clock.wait_until(self._next_ns)
            for question in self._survey.questions:
                reply = self._interrogator.ask(question, until)
                if reply is not None:
                    yield from self._stamped(reply)
                self._judge(until)
                if until.is_over():
                    return
            self._skip_to_next()
        self._clock.wait_until(until.at_ns)

    def loss(self) -> Loss:
        """Readings that never came, of those that were due."""
        tally = self._interrogator.tally
        return Loss(missing=tally.missing, expected=tally.answered + tally.missing)

    def tally(self) -> Tally:
        """Tell what became of the requests so far."""
        return self._interrogator.tally

    def _stamped(self, reply: Reply[Indication]) -> Iterator[ReadingBlock]:
        indication = reply.value
        self._interrogator.tally.below_threshold += indication.is_below_threshold
        round_trip_s = (reply.answered_ns - reply.asked_ns) / NS_PER_S
        values = {**indication.values, ROUND_TRIP: round_trip_s}
        middle_ns = (reply.asked_ns + reply.answered_ns) // 2
        for channel in self._survey.channels:
            if channel.name in values:
                yield ReadingBlock(
                    channel=channel,
                    clock=self._clock.name,
                    origin=self._survey.origin,
                    times_ns=array("q", [middle_ns]),
                    values=array("d", [values[channel.name]]),
                )

    def _skip_to_next(self) -> None:
        """Go to the next time of the grid; those that retries ran over are missing."""
        period_ns = round(self._survey.timing.period_s * NS_PER_S)
        self._next_ns += period_ns
        late = (self._clock.now_ns() - self._next_ns) // period_ns
        if late > 0:
            self._interrogator.tally.missing += late * len(self._survey.questions)
            self._next_ns += late * period_ns

    def _judge(self, until: Deadline) -> None:
        tally = self._interrogator.tally
        silent_ns = self._clock.now_ns() - self._interrogator.last_heard_ns
        if (
            silent_ns >= self._survey.timing.silence_s * NS_PER_S
            and not until.is_over()
        ):
            raise LinkTimeout(
                f"The meter has been silent for {silent_ns / NS_PER_S:.1f} s",
                where=self._interrogator.where,
                remedy="What came before is kept. Look at the meter and its cable.",
            )
        most = max(LEAST_DAMAGED - 1, MOST_DAMAGED * tally.sent)
        if tally.damaged > most:
            share = 100 * tally.damaged / tally.sent
            raise MeterError(
                f"{tally.damaged} of {tally.sent} replies were damaged "
                f"({share:.0f} %, limit 5 %; the last: {tally.last_fault})",
                where=self._interrogator.where,
                remedy=self._survey.wiring,
            )


def chosen(
    known: Sequence[Channel], names: Collection[str], *, where: str
) -> tuple[Channel, ...]:
    """Give the channels of these names. Raises Unsupported for an unknown one."""
    unknown = set(names) - {channel.name for channel in known}
    if unknown:
        raise Unsupported(
            f"This meter does not measure {', '.join(sorted(unknown))}",
            where=where,
            remedy="It measures " + ", ".join(channel.name for channel in known) + ".",
        )
    return tuple(channel for channel in known if channel.name in names)
