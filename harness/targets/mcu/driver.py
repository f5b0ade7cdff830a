"""A device under test behind a byte link: one command at a time, each to its end."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from harness.clock import Clock, Deadline
from harness.errors import AgentDied, LinkError, LinkTimeout, TargetError
from harness.links.bytelink import ByteLink
from harness.targets.mcu.wire import (
    CHUNK_BYTES,
    LAP_WRAP,
    Banner,
    Expecting,
    Fact,
    Lap,
    Mode,
    Other,
    Ready,
    Refused,
    Results,
    Said,
    Step,
    encode,
    is_text,
    load_commands,
    read_line,
    split,
)

BOOT_S = 3.0
"""A board that opening its port has reset is there again by then."""
ASK_S = 5.0
_NAME_TRIES = 3
_LISTEN_S = 0.3
"""A board that is there has said its banner by then, or long before."""
_QUIET_S = 0.1
_CLOCKS_AGREE = 1.05
"""No board's clock is off by more: RC oscillators are good for 1 to 3 %."""
_SLACK_NS = 1_000_000
_STEP_SLACK_NS = 1_000_000_000
"""A time stamp may have waited in a buffer for longer than the one after it."""
_READ_BYTES = 4096
_NS_PER_US = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Firmware:
    """What a device says of itself."""

    name: str
    profile: str
    model: str
    mode: Mode
    """By whether it gives time stamps: a banner may be over before the port is open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inference:
    """One ``infer``: its time on the device's clock, and the last outputs."""

    begun_ns: int
    ended_ns: int
    results: tuple[float, ...]

    @property
    def took_ns(self) -> int:
        """The time between its two time stamps."""
        return self.ended_ns - self.begun_ns


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Many inferences at one go, and when the host heard of their begin and end."""

    count: int
    begun_ns: int
    ended_ns: int
    results: tuple[float, ...]


@dataclass(slots=True)
class Dut:
    """A device behind a link. Use from one thread."""

    link: ByteLink
    clock: Clock
    chunk_bytes: int = CHUNK_BYTES
    """Bytes of a sample in one command."""
    keeps_time: bool = True
    """Whether its clock goes as the host's does; one that counts instructions does
    not."""
    is_garbled: bool = False
    """Whether bytes came that are no text: at another baud rate they are not."""
    _buffer: bytes = b""
    _last_us: int = 0
    _wraps: int = 0
    _last_heard_ns: int | None = None
    """When the last lap was heard, by the host's clock; None: none yet."""
    _heard: list[Said] = field(default_factory=list)

    def wake(self) -> Firmware:
        """Wait until a board that was reset is there, and ask who it is.

        Raises LinkTimeout where nobody speaks the protocol.
        """
        self._last_us = self._wraps = 0
        self._last_heard_ns = None
        self._settle(_LISTEN_S)
        name = self._name()
        self._settle(_QUIET_S)  # answers to questions that were asked twice
        facts = self.ask("profile")
        mode = Mode.PERFORMANCE if self._tells_time() else Mode.ENERGY
        return Firmware(
            name=name,
            profile=_fact(facts, "profile"),
            model=_fact(facts, "model"),
            mode=mode,
        )

    def ask(self, command: str, seconds: float = ASK_S) -> list[Said]:
        """Give all lines of the answer up to ``m-ready``.

        Raises TargetError for the firmware's own error, AgentDied where it started
        again in the middle, LinkTimeout where ``m-ready`` does not come.
        """
        heard = list(self._answer(command, seconds))
        return _without_refusal(heard, command, self.link.where)

    def _answer(self, command: str, seconds: float) -> Iterator[Said]:
        """Yield the lines of an answer as they come, ``m-ready`` left out."""
        self.link.write(encode(command))
        for said in self._lines(Deadline.after(seconds, self.clock)):
            match said:
                case Ready():
                    return
                case Banner():
                    raise AgentDied(
                        f"The board started again in the middle of '{command}'",
                        where=self.link.where,
                        remedy="Look at its supply and its watchdog.",
                    )
                case _:
                    yield said
        raise LinkTimeout(
            f"The board did not answer '{command[:20]}' within {seconds:g} s",
            where=self.link.where,
            remedy="Is the firmware stuck? Reset the board and run again.",
        )

    def load(self, data: bytes) -> None:
        """Put a sample into the device. Raises TargetError where it is not taken."""
        first, *chunks = load_commands(data, self.chunk_bytes)
        said = self.ask(first)
        if not any(isinstance(s, Expecting) and s.count == len(data) for s in said):
            raise self._untold(f"the length of a sample of {len(data)} bytes")
        last: list[Said] = []
        for chunk in chunks:
            last = self.ask(chunk)
        if Step("load-done") not in last:
            raise self._untold("the end of the sample")

    def infer(self, count: int, warm_up: int, seconds: float) -> Inference:
        """Execute the model `count` times after `warm_up` times that are not timed.

        Raises LinkError where one of the two time stamps is missing or doubled.
        """
        asked_ns = self.clock.now_ns()
        said = self.ask(f"infer {count} {warm_up}", seconds)
        waited_ns = self.clock.now_ns() - asked_ns
        laps = [s.us for s in said if isinstance(s, Lap)]
        results = [s.values for s in said if isinstance(s, Results)]
        if len(laps) != 2 or Step("infer-done") not in said or len(results) != 1:  # noqa: PLR2004
            raise LinkError(
                f"An inference has {len(laps)} time stamps and {len(results)} results, "
                "not two and one",
                where=self.link.where,
                remedy="Lines were lost or garbled: look at cable and baud rate. "
                "In energy mode time stamps are edges on a pin.",
            )
        begun, ended = (self._unwrapped(us) for us in laps)
        most_ns = waited_ns * _CLOCKS_AGREE + _SLACK_NS
        if self.keeps_time and (ended - begun) * _NS_PER_US > most_ns:
            raise LinkError(
                f"The board says that an inference took {ended - begun} us, and the "
                f"answer came after {waited_ns // _NS_PER_US} us",
                where=self.link.where,
                remedy="A time stamp was garbled on the line, or its clock is wrong.",
            )
        return Inference(
            begun_ns=begun * _NS_PER_US,
            ended_ns=ended * _NS_PER_US,
            results=results[0],
        )

    def run_batch(self, count: int, seconds: float) -> Batch:
        """Execute the model `count` times, in energy mode: time stamps are edges.

        Raises LinkError where the begin, the end or the outputs were not told.
        """
        heard: list[Said] = []
        stamps: dict[Said, int] = {}
        command = f"infer {count} 0"
        for said in self._answer(command, seconds):
            heard.append(said)
            if isinstance(said, Step):
                stamps[said] = self.clock.now_ns()
        _without_refusal(heard, command, self.link.where)
        begun, ended = Step(f"infer-start-{count}"), Step("infer-done")
        results = [said.values for said in heard if isinstance(said, Results)]
        if begun not in stamps or ended not in stamps or len(results) != 1:
            raise LinkError(
                "A batch of inferences has no begin, no end or no results",
                where=self.link.where,
                remedy="Lines were lost or garbled: look at cable and baud rate.",
            )
        return Batch(
            count=count,
            begun_ns=stamps[begun],
            ended_ns=stamps[ended],
            results=results[0],
        )

    def _tells_time(self) -> bool:
        return any(isinstance(said, Lap) for said in self.ask("timestamp"))

    def now_ns(self) -> int:
        """Read the device's clock, in ns since it started. Raises LinkError."""
        laps = [said for said in self.ask("timestamp") if isinstance(said, Lap)]
        if len(laps) != 1:
            raise self._untold("the time")
        return self._unwrapped(laps[0].us) * _NS_PER_US

    def _unwrapped(self, us: int) -> int:
        """Go on counting where 32 bits begin again; laps come in order.

        Raises LinkError for a step that is longer than what has passed here: a digit
        was garbled, and would be taken for 71 minutes.
        """
        now_ns, is_first = self.clock.now_ns(), self._last_heard_ns is None
        passed_ns = now_ns - (self._last_heard_ns or 0)
        step_us = (us - self._last_us) % LAP_WRAP
        most_ns = passed_ns * _CLOCKS_AGREE + _STEP_SLACK_NS
        if self.keeps_time and not is_first and step_us * _NS_PER_US > most_ns:
            raise LinkError(
                f"The board's clock went on by {step_us} us while {passed_ns // 1000} "
                "us passed here",
                where=self.link.where,
                remedy="A time stamp was garbled on the line, or its clock is wrong.",
            )
        if us < self._last_us:
            self._wraps += 1
        self._last_us, self._last_heard_ns = us, now_ns
        return us + self._wraps * LAP_WRAP

    def _name(self) -> str:
        """Ask the name; the first question may find half a line, or a reset."""
        error: TargetError | LinkTimeout | None = None
        for _ in range(_NAME_TRIES):
            try:
                return _fact(self.ask("name", ASK_S / _NAME_TRIES), "name")
            except AgentDied as started:
                error = started
                self._settle(BOOT_S)
            except (LinkTimeout, TargetError) as unheard:
                error = unheard
        raise error or LinkTimeout("The board has no name", where=self.link.where)

    def _settle(self, seconds: float) -> None:
        """Take what comes by itself, up to the end of a banner."""
        for said in self._lines(Deadline.after(seconds, self.clock)):
            if isinstance(said, Ready):
                return

    def _lines(self, until: Deadline) -> Iterator[Said]:
        """Yield lines until the deadline."""
        while True:
            while self._heard:
                yield self._heard.pop(0)
            data = self.link.read(_READ_BYTES, until)
            if not data:
                return
            self.is_garbled |= not is_text(data)
            lines, self._buffer = split(self._buffer + data)
            self._heard += [read_line(line) for line in lines if line]

    def _untold(self, what: str) -> TargetError:
        return TargetError(
            f"The board did not confirm {what}",
            where=self.link.where,
            remedy="Lines were lost or garbled: look at cable and baud rate.",
        )


def _without_refusal(heard: list[Said], command: str, where: str) -> list[Said]:
    for said in heard:
        if isinstance(said, Refused):
            raise TargetError(
                f"The firmware refused '{command[:20]}': {said.words}",
                where=where,
                remedy="Is it the firmware for this model?",
            )
    return heard


def _fact(said: list[Said], key: str) -> str:
    for one in said:
        if isinstance(one, Fact) and one.key == key:
            return one.value
    words = "; ".join(one.text for one in said if isinstance(one, Other))
    raise TargetError(
        f"The board did not say its {key}" + (f", but: {words[:80]}" if words else ""),
        remedy="Does it run firmware of the MLPerf Tiny protocol? An interface board "
        "needs ?via=interface in the address.",
    )
