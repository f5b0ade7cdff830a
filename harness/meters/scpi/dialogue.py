"""Questions and answers in lines over a byte link."""

from harness.clock import Clock, Deadline
from harness.errors import MeterError
from harness.links.bytelink import ByteLink
from harness.meters.answer import Frame, Garbage, NeedMore
from harness.meters.scpi import wire

_READ_BYTES = 4096
_ANSWER_S = 2.0
_QUIET_S = 0.05
_MOST_NOISE_S = 0.5


class Dialogue:
    """The lines that go to one instrument and come from it."""

    def __init__(self, link: ByteLink, clock: Clock, *, where: str) -> None:
        self._link = link
        self._clock = clock
        self._buffer = b""
        self.where = where
        self.last_heard_ns = clock.now_ns()

    def send(self, message: str) -> None:
        """Send one message that has no answer."""
        self._link.write(wire.encode(message))

    def read_line(self, until: Deadline) -> Frame[str] | Garbage | None:
        """Give the next line; None where the deadline came first."""
        while True:
            answer = wire.cut_line(self._buffer)
            if not isinstance(answer, NeedMore):
                self._buffer = wire.rest_of(self._buffer)
                return answer
            piece = self._link.read(_READ_BYTES, until)
            if not piece:
                return None
            self.last_heard_ns = self._clock.now_ns()
            self._buffer += piece

    def ask(self, message: str) -> str:
        """Ask outside a measurement. Raises MeterError where no good answer comes."""
        self.send(message)
        answer = self.read_line(Deadline.after(_ANSWER_S, self._clock))
        if isinstance(answer, Frame):
            return answer.value
        why = "nothing came" if answer is None else answer.detail
        raise MeterError(
            f"No usable answer to '{message}': {why}",
            where=self.where,
            remedy="Look at address, line speed and the instrument's interface "
            "setting, or ask what it is: duanping meters --probe PORT",
        )

    def set(self, message: str, error_query: str) -> None:
        """Send a setting, and ask whether it was taken. Raises MeterError if not."""
        self.send(message)
        if not error_query:
            return
        answer = wire.parse_error(self.ask(error_query))
        if isinstance(answer, Garbage):
            raise MeterError(
                f"After '{message}', {answer.detail}",
                where=self.where,
                remedy="Is this the instrument that the profile is for?",
            )
        if answer.value.number != 0:
            raise MeterError(
                f"The instrument refused '{message}': "
                f"{answer.value.number} {answer.value.text}".rstrip(),
                where=self.where,
                remedy="Look at range, firmware and options of the instrument.",
            )

    def quieten(self) -> None:
        """Forget what came, and read away what is still coming."""
        self._buffer = b""
        limit = Deadline.after(_MOST_NOISE_S, self._clock)
        while not limit.is_over():
            if not self._link.read(_READ_BYTES, Deadline.after(_QUIET_S, self._clock)):
                return
