"""A meter that a process of its own holds: for a whole run, and again after a loss."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil
import pytest
from numpy.typing import NDArray

from harness.bench.metering import Metering, metered
from harness.bench.rereading import reread
from harness.bench.taking import Taken
from harness.clock import SystemClock
from harness.domain.origin import Origin
from harness.domain.query import TrialEvent
from harness.domain.sut import ConditionsReached
from harness.errors import LinkError, MeterError, UnknownName, UsageError
from harness.links.replay import load_capture
from harness.meters.ppk2.sim import Ppk2Simulator
from harness.meters.ruideng.sim import UmSimulator
from harness.record.bundle import RecordWriter
from harness.testing.builders import a_plan, a_trial, a_trial_record
from harness.testing.bundles import events_of, new_writer
from harness.testing.ptybench import served_on_pty

CLOCK = SystemClock()


def rest(seconds: float) -> None:
    CLOCK.wait_until(CLOCK.now_ns() + round(seconds * 1e9))


def power(seconds: NDArray[np.float64]) -> NDArray[np.float64]:
    return 5.0 + np.sin(seconds)


@contextmanager
def opened(address: str, folder: Path) -> Iterator[Metering]:
    with metered(address, CLOCK) as metering:
        assert metering is not None
        metering.keep_captures_in(folder)
        yield metering


def taken_in(metering: Metering, trial: str, seconds: float) -> Taken:
    with metering.recording(trial) as recording:
        rest(seconds)
    return recording.taken


def test_one_session_serves_a_whole_run_and_each_trial_has_its_capture(
    tmp_path: Path,
) -> None:
    simulator = Ppk2Simulator(lambda seconds: 3e-3 + 0 * seconds)

    with served_on_pty(simulator) as served:
        with opened(f"ppk2@serial:{served.name}?voltage=3V", tmp_path) as metering:
            first = taken_in(metering, "a.r1", 0.4)
            was_powered_between = simulator.is_dut_powered
            second = taken_in(metering, "a.r2", 0.4)
        rest(0.1)

    # the port was opened once, so that the device was fed all the time
    assert was_powered_between
    assert (first.openings, second.openings) == (1, 1)
    assert simulator.sessions == 2
    for taken in (first, second):
        assert taken.fault is None
        assert taken.loss.missing == 0
        assert sum(len(block.values) for block in taken.blocks) > 300
        assert {block.origin for block in taken.blocks} == {Origin.SIMULATED}
    assert [p.name.split(".ppk2")[0] for p in sorted(tmp_path.iterdir())] == [
        "a.r1",
        "a.r2",
    ]


def test_a_capture_can_be_read_alone(tmp_path: Path) -> None:
    with opened("ppk2@sim:idle-10mW", tmp_path) as metering:
        taken_in(metering, "a.r1", 0.2)
        taken_in(metering, "a.r2", 0.2)
    path = next(tmp_path.glob("a.r2.*"))

    with metered(f"ppk2@replay:{path}", CLOCK) as metering:
        assert metering is not None
        notes = {note.key: note.value for note in metering.notes("a.r2")}

    assert notes["meter.origin"] == "simulated"
    assert set(load_capture(path).marks) == {"begun", "ended"}


def test_a_lost_meter_costs_one_trial_and_is_opened_again_for_the_next(
    tmp_path: Path,
) -> None:
    port = tmp_path / "ttyUSB0"
    captures = tmp_path / "raw"
    captures.mkdir()

    with served_on_pty(UmSimulator(power)) as served:
        port.symlink_to(served.name)
        with opened(f"um25c@serial:{port}", captures) as metering:
            with metering.recording("a.r1") as recording:
                rest(1.2)
                served.unplug()
                rest(0.5)
            lost = recording.taken
            port.unlink()
            nobody = taken_in(metering, "a.r2", 0.1)
            with served_on_pty(UmSimulator(power)) as again:
                port.symlink_to(again.name)
                found = taken_in(metering, "a.r3", 1.2)

    assert lost.fault is not None
    assert "The device went away" in lost.fault.sentence()
    assert lost.fault_after_s == pytest.approx(1.2, abs=0.5)
    assert sum(len(block.values) for block in lost.blocks) >= 3
    assert nobody.fault is not None
    assert "in 3 tries: There is no such port" in nobody.fault.sentence()
    assert nobody.blocks == ()
    assert found.fault is None
    assert found.openings == 2
    assert len(found.blocks) >= 3


def test_a_reader_that_was_killed_costs_one_trial_and_keeps_what_it_had(
    tmp_path: Path,
) -> None:
    with opened("um25c@sim:idle-6W", tmp_path) as metering:
        with metering.recording("a.r1") as recording:
            rest(1.5)
            for child in psutil.Process().children():
                if "harness.meters.reader" in child.cmdline():
                    child.kill()
        killed = recording.taken
        after = taken_in(metering, "a.r2", 0.7)

    assert isinstance(killed.fault, MeterError)
    assert "process that reads the meter ended" in killed.fault.sentence()
    assert killed.blocks
    assert after.fault is None
    assert after.openings == 2


def test_another_instrument_in_its_place_is_not_taken_for_it(tmp_path: Path) -> None:
    port = tmp_path / "ttyACM0"
    other = UmSimulator(power)
    other.model = "UM34C"

    with served_on_pty(UmSimulator(power)) as served:
        port.symlink_to(served.name)
        with opened(f"um25c@serial:{port}", tmp_path) as metering:
            with metering.recording("a.r1"):
                served.unplug()
                rest(0.6)
            port.unlink()
            with served_on_pty(other) as found:
                port.symlink_to(found.name)
                taken = taken_in(metering, "a.r2", 0.1)

    assert taken.fault is not None
    assert "Another instrument answers now" in taken.fault.sentence()
    assert "UM34C" in taken.fault.sentence()
    assert taken.blocks == ()


def test_a_reader_that_died_between_two_trials_costs_none(tmp_path: Path) -> None:
    with opened("um25c@sim:idle-6W", tmp_path) as metering:
        taken_in(metering, "a.r1", 0.1)
        for child in psutil.Process().children():
            if "harness.meters.reader" in child.cmdline():
                child.kill()
                child.wait()
        after = taken_in(metering, "a.r2", 0.7)

    assert after.fault is None
    assert after.openings == 2


@pytest.mark.parametrize(
    ("address", "error", "words"),
    [
        ("um25c@serial:/dev/ttyNOPE", LinkError, "There is no such port"),
        ("ppk2@sim:idle-10mW?colour=red", UnknownName, "'colour'"),
        ("ppk2@sim:idle-10mW?fault=explode:1s", UsageError, "no fault 'explode'"),
        ("ppk2@sim:idle-10furlongs", UsageError, "furlongs"),
    ],
)
def test_what_cannot_be_opened_is_told_before_the_run(
    address: str, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words), metered(address, CLOCK):
        pass


def test_the_wrong_device_on_the_port_is_told_before_the_run() -> None:
    with (
        served_on_pty(UmSimulator(power)) as served,
        pytest.raises(MeterError, match="does not answer as"),
        metered(f"ppk2@serial:{served.name}?voltage=3V", CLOCK),
    ):
        pass


def recorded(writer: RecordWriter, change: float) -> None:
    """Record one trial with a meter; what it read is multiplied by `change`."""
    trial = writer.plan.trials[0]
    told = list(events_of(a_trial_record(trial)))
    with opened("ppk2@sim:idle-10mW", writer.raw_folder()) as metering:
        with metering.recording(trial.id) as recording:
            rest(0.3)
        power_events: list[TrialEvent] = list(recording.events())
    writer.begin(trial, ConditionsReached())
    for event in [*told[:-1], *power_events, told[-1]]:
        block = getattr(event, "block", None)
        if block is not None and block.channel.source.startswith("ppk2"):
            for place in range(len(block.values)):
                block.values[place] *= change
        writer.add(event)
    writer.finish()


@pytest.mark.parametrize("change", [1.0, 1.001])
def test_a_trace_that_its_raw_capture_does_not_give_is_found(
    tmp_path: Path, change: float
) -> None:
    with new_writer(tmp_path, a_plan([a_trial()])) as writer:
        recorded(writer, change)

    faults = [fault.what for fault in reread(writer.bundle)]

    evidence = writer.bundle / "evidence"
    files = json.loads((evidence / "manifest.json").read_text())["files"]
    assert [name for name in files if name.startswith("raw/")]
    assert not list((evidence / "raw").glob("*.part"))
    if change == 1.0:
        assert faults == []
    else:
        assert len(faults) == 1
        assert "is not what its raw capture gives" in faults[0]
        assert "readings have other values" in faults[0]
