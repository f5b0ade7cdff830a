"""A device that listens for a wake word, behind an interface board that plays."""

from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from harness.domain.plan import Recording, Trial
from harness.domain.profile import Conditions
from harness.domain.query import (
    Noted,
    Outcome,
    PhaseEntered,
    QueryBlock,
    ReadingsTaken,
    TrialEnded,
    TrialEvent,
)
from harness.domain.scenario import Periodic
from harness.plugins import Address
from harness.targets.mcu.board import McuTarget
from harness.targets.mcu.edges import detections_ns, processing_of
from harness.targets.mcu.interface import InterfaceBoard
from harness.targets.mcu.target import open_target
from harness.targets.mcu.wire import Other, activations, whole_numbers
from harness.testing.builders import a_model, a_profile, a_trial
from harness.units import NS_PER_S

WORDS = Recording(
    file="words-10s-1.0-4.0-7.0.wav",
    length_ns=10 * NS_PER_S,
    spoken_ns=tuple(
        (round(begin * NS_PER_S), round((begin + 0.6) * NS_PER_S))
        for begin in (1.0, 4.0, 7.0)
    ),
)
PERIODIC = Periodic(period_ns=32_000_000, deadline_ns=32_000_000)


@contextmanager
def opened(link: str) -> Iterator[McuTarget]:
    with open_target(Address.parse(f"mcu@{link}"), a_profile()) as target:
        yield target


def a_stream(recording: Recording = WORDS) -> Trial:
    return replace(a_trial("sww", PERIODIC), stream=recording)


def executed(target: McuTarget, trial: Trial | None = None) -> list[TrialEvent]:
    with (
        target.deploy(a_model(), Path("model.onnx"), None) as on,
        target.prepare(Conditions()),
    ):
        return list(target.execute(trial or a_stream(), on))


def ended(events: list[TrialEvent]) -> TrialEnded:
    last = events[-1]
    assert isinstance(last, TrialEnded)
    return last


def readings(events: list[TrialEvent], name: str) -> "array[int]":
    return next(
        e.block.times_ns
        for e in events
        if isinstance(e, ReadingsTaken) and e.block.channel.name == name
    )


def test_frames_detections_and_activations_are_in_the_record() -> None:
    with opened("sim:strww01?ms=12&via=interface") as target:
        events = executed(target)

    assert ended(events).outcome is Outcome.DONE, ended(events).reason
    (frames,) = (event for event in events if isinstance(event, QueryBlock))
    assert len(frames.issued_ns) == 313  # of 32 ms each in ten seconds
    assert ended(events).queries == 313
    took = [
        end - start
        for start, end in zip(frames.issued_ns, frames.completed_ns, strict=True)
    ]
    assert all(11_800_000 < one < 12_200_000 for one in took)
    detections = readings(events, "detection")
    heard = [(at - detections[0]) / NS_PER_S for at in detections]
    assert heard == pytest.approx([0.0, 1.5, 4.5, 7.5], abs=0.05)
    assert len(readings(events, "activation")) == 313
    notes = {event.key: event.value for event in events if isinstance(event, Noted)}
    assert notes["stream.line"] == "sound"
    assert notes["stream.activations"] == "313"
    assert notes["clock.pairs"].split()[1] == "0"


def test_the_recording_lies_in_the_window_by_the_interface_board_s_clock() -> None:
    with opened("sim:strww01?ms=12&via=interface") as target:
        events = executed(target)

    phases = {e.phase.value: e.at_ns for e in events if isinstance(e, PhaseEntered)}
    (frames,) = (event for event in events if isinstance(event, QueryBlock))
    assert phases["baseline_before"] < phases["load"] < phases["measured"]
    assert phases["measured"] <= frames.issued_ns[0] + 30_000_000
    assert frames.completed_ns[-1] < phases["baseline_after"]


def test_a_file_that_is_not_on_the_card_is_told_with_those_that_are() -> None:
    with opened("sim:strww01?via=interface") as target:
        events = executed(target, a_stream(replace(WORDS, file="other.wav")))

    assert ended(events).outcome is Outcome.FAILED
    assert "did not play other.wav: " in ended(events).reason
    assert "words-10s-1.0-4.0-7.0.wav" in ended(events).reason


def test_pins_that_are_not_wired_are_told_and_never_a_duty_cycle_of_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        "harness.targets.mcu.sim.SimulatedBoard.hear", lambda *_: ([], [])
    )

    with opened("sim:strww01?via=interface") as target:
        events = executed(target)

    assert ended(events).outcome is Outcome.FAILED
    assert "wires to PROCESSING and WW_DETECTED" in ended(events).reason
    assert not any(isinstance(event, QueryBlock) for event in events)


def test_bytes_that_come_back_changed_fail_the_trial(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    honest = InterfaceBoard.write

    def garbling(self: InterfaceBoard, data: bytes) -> None:
        honest(self, data.replace(b"db 000a", b"db 000b"))

    monkeypatch.setattr(InterfaceBoard, "write", garbling)

    with opened("sim:strww01?via=interface") as target:
        events = executed(target)

    assert ended(events).outcome is Outcome.FAILED
    assert "came back changed" in ended(events).reason


@pytest.mark.parametrize(
    ("link", "trial", "words"),
    [
        ("sim:strww01", a_stream(), "via=interface"),
        ("sim:kws01?via=interface", a_stream(), "has the model kws01"),
        ("sim:strww01?via=interface", a_trial("sww", PERIODIC), "--stream FILE.json"),
    ],
)
def test_what_cannot_be_played_to_is_refused(
    link: str, trial: Trial, words: str
) -> None:
    link = link.replace("kws01?", "kws01?dutbaud=115200&")
    with opened(link) as target:
        events = executed(target, trial)

    assert ended(events).outcome is Outcome.REFUSED
    assert words in ended(events).reason


def test_activations_are_read_over_as_many_lines_as_they_take() -> None:
    said = [
        Other("Streaming stopped."),
        Other("target activations:"),
        Other("[-128, -127, 3,"),
        Other("127, 0"),
        Other("]"),
    ]

    assert activations(said) == (-128, -127, 3, 127, 0)
    assert activations([Other("target activations:"), Other("["), Other("]")]) == ()
    assert activations([Other("Streaming stopped.")]) is None


@pytest.mark.parametrize("line", ["[1, x, 3]", "[1, 2", "1, 2]", "[1 2]", "[1,,2]"])
def test_damaged_numbers_are_none_at_all(line: str) -> None:
    assert whole_numbers([Other(line)]) is None


def test_times_of_pins_are_read_line_by_line() -> None:
    begins = ["Duty cycle start times (s)", "100, 3300, ", "6500, "]
    ends = ["Duty cycle stop times (s)", "50, 1300, 4500, 7700, "]

    found = processing_of([*begins, *ends])

    assert found is not None
    assert found.begun_ns == (1_000_000, 33_000_000, 65_000_000)
    assert found.ended_ns == (13_000_000, 45_000_000, 77_000_000)
    assert detections_ns(["Detection Timestamps (ms)", "12,", "1512,"]) == (
        12_000_000,
        1_512_000_000,
    )


def test_a_frame_that_was_not_seen_to_its_end_is_left_out() -> None:
    lines = ["Duty cycle start times (s)", "100, 3300, ", "Duty cycle stop times (s)"]

    found = processing_of([*lines, "1300, "])

    assert found is not None
    assert found.begun_ns == (1_000_000,)


@pytest.mark.parametrize(
    "lines",
    [
        [],
        ["Duty cycle start times (s)", "1, "],
        ["Duty cycle start times (s)", "Duty cycle stop times (s)"],
        ["Duty cycle start times (s)", "1x0, ", "Duty cycle stop times (s)", "200, "],
        # an end is lost in the middle: pairs would be of two frames
        [
            *["Duty cycle start times (s)", "100, 300, 500, "],
            *["Duty cycle stop times (s)", "400, 600, "],
        ],
    ],
)
def test_what_cannot_be_paired_is_no_processing(lines: list[str]) -> None:
    assert processing_of(lines) is None
