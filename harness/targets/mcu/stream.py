"""A trial of a device that listens: an interface board plays, and watches its pins.

The streaming wake word of MLPerf Tiny. The device is told to ``start``, the board
records pulses of two of its pins while it plays a recording, and the device is told to
``stop``. One pin tells of detections, the first of which is the first frame and marks
the begin of the recording; the other is high while a frame is processed. A query is a
frame; its times are the board's, in steps of 10 us.
"""

import struct
from array import array
from collections.abc import Iterator
from dataclasses import dataclass

from harness.clock import Clock
from harness.domain.origin import Origin
from harness.domain.plan import Recording, Trial
from harness.domain.query import (
    CLOCK_PAIRS,
    Noted,
    Phase,
    PhaseEntered,
    QueryBlock,
    ReadingsTaken,
    TrialEvent,
)
from harness.domain.reading import Channel, ReadingBlock
from harness.errors import LinkError, TargetError
from harness.targets.mcu.driver import Dut
from harness.targets.mcu.edges import Processing, detections_ns, processing_of
from harness.targets.mcu.interface import InterfaceBoard
from harness.targets.mcu.wire import Fact, activations, whole_numbers
from harness.units import NS_PER_S

CLOCK = "interface board"
_PLAY_SLACK_S = 10.0
_AFTERWARDS_NS = 250_000_000
"""The device may still be at its last frame, and take no command."""
_PRINT_S = 60.0
"""Times of a long recording's frames take so long at 115200 baud."""


@dataclass(slots=True, kw_only=True)
class StreamRun:
    """One trial in progress."""

    dut: Dut
    interface: InterfaceBoard
    trial: Trial
    clock: Clock
    recording: Recording
    origin: Origin
    queries: int = 0
    _since_ns: int = 0
    """When the board's clock was set to nothing, by the host's."""

    def events(self) -> Iterator[TrialEvent]:
        """Yield everything between the start and the end of the trial."""
        trial = self.trial
        self.dut.ask("stop")  # it may be listening from before
        yield Noted(trial=trial.id, key="stream.line", value=self._checked_line())
        begun_ns = self.clock.now_ns()
        self._rest(trial.baseline_ns)
        listening_ns = self.clock.now_ns()
        self.dut.ask("start")
        u_ns = self._record()
        yield self._enter(Phase.BASELINE_BEFORE, begun_ns)
        yield self._enter(Phase.LOAD, listening_ns)
        yield self._enter(Phase.MEASURED, self.clock.now_ns())
        self._play()
        self._rest(_AFTERWARDS_NS)
        stopped = self.dut.ask("stop", _PRINT_S)
        yield self._enter(Phase.BASELINE_AFTER, self.clock.now_ns())
        self._rest(trial.baseline_ns)
        yield Noted(
            trial=trial.id, key=CLOCK_PAIRS, value=f"{self._since_ns} 0 {u_ns:.0f}"
        )
        yield from self._seen(activations(stopped))

    def _checked_line(self) -> str:
        """Send bytes to the device and have them told again; say what came of it.

        No sample goes to a device that listens, so that nothing else shows whether the
        line to it is sound. Raises TargetError where bytes were changed on the way.
        """
        sent = bytes(range(0, 260, 10))
        try:
            self.dut.load(sent)
            told = whole_numbers(self.dut.ask(f"db print_i16 {len(sent) // 2}"))
            held = self.dut.ask("db getptr")
        except TargetError as error:
            return f"not checked: {error.what}"
        if (
            told != struct.unpack(f"<{len(sent) // 2}h", sent)
            or Fact("buff-ptr", str(len(sent))) not in held
        ):
            raise LinkError(
                "Bytes that were sent to the device came back changed",
                where=self.interface.where,
                remedy="Look at levels, ground and baud rate between interface board "
                "and device.",
            )
        return "sound"

    def _record(self) -> float:
        """Have the board record from now on; give u of when that was, in ns.

        It was some time between question and answer (JCGM 100, 4.3.7).
        """
        asked_ns = self.clock.now_ns()
        self.interface.ask("record_detections")
        answered_ns = self.clock.now_ns()
        self._since_ns = (asked_ns + answered_ns) // 2
        return float((answered_ns - asked_ns) / 12**0.5)

    def _play(self) -> None:
        """Play to the end. Raises TargetError where the board does not play."""
        seconds = self.recording.length_ns / NS_PER_S + _PLAY_SLACK_S
        said = self.interface.ask(f"play {self.recording.file}", seconds)
        if not any("succeeded" in line for line in said):
            raise TargetError(
                f"The interface board did not play {self.recording.file}: "
                f"{' '.join(said)[:80]}",
                where=self.interface.where,
                remedy="Is a file of that name on its card, with two channels? "
                f"It has: {self._files()}",
            )

    def _files(self) -> str:
        return ", ".join(line.strip() for line in self.interface.ask("ls"))[:200]

    def _seen(self, levels: tuple[int, ...] | None) -> Iterator[TrialEvent]:
        """Yield frames, detections, and what the device says of each frame."""
        processing = processing_of(self.interface.ask("print_dutycycle", _PRINT_S))
        detections = detections_ns(self.interface.ask("print_detections", _PRINT_S))
        if processing is None or detections is None:
            what = "processing" if processing is None else "detections"
            raise LinkError(
                f"What the interface board tells of {what} cannot be read",
                where=self.interface.where,
                remedy="Lines were lost or garbled, or no pulse was seen: look at the "
                "wires to PROCESSING and WW_DETECTED, and at the cable.",
            )
        yield self._frames(processing)
        yield self._readings("detection", detections, [1.0] * len(detections))
        if levels is None:
            return
        # the i-th number is of the i-th frame; the board may have seen fewer of them
        ends = processing.ended_ns[: len(levels)]
        yield self._readings("activation", ends, list(map(float, levels[: len(ends)])))
        yield Noted(
            trial=self.trial.id, key="stream.activations", value=str(len(levels))
        )

    def _frames(self, processing: Processing) -> QueryBlock:
        begun = array("q", processing.begun_ns)
        self.queries = len(begun)
        return QueryBlock(
            trial=self.trial.id,
            phase=Phase.MEASURED,
            samples_per_query=1,
            scheduled_ns=begun,
            issued_ns=begun[:],
            completed_ns=array("q", processing.ended_ns),
        )

    def _readings(
        self, name: str, times_ns: tuple[int, ...], values: list[float]
    ) -> ReadingsTaken:
        channel = Channel(name=name, unit="1", source=CLOCK)
        return ReadingsTaken(
            trial=self.trial.id,
            block=ReadingBlock(
                channel=channel,
                clock=CLOCK,
                origin=self.origin,
                times_ns=array("q", times_ns),
                values=array("d", values),
            ),
        )

    def _enter(self, phase: Phase, host_ns: int) -> PhaseEntered:
        return PhaseEntered(
            trial=self.trial.id, phase=phase, at_ns=host_ns - self._since_ns
        )

    def _rest(self, duration_ns: int) -> None:
        self.clock.wait_until(self.clock.now_ns() + duration_ns)
