"""The LPM01A's simulator against the dialogue of a public host of the instrument.

MLPerf Tiny's runner (github.com/mlcommons/tiny, benchmark/runner) is no package. Its
session logs tell which commands it sends and what it reads out of the answers; the
client here is made of these facts alone and knows neither driver nor simulator.
"""

import re
from collections.abc import Iterator

import pytest
import serial

from harness.meters.loads import parse_load
from harness.meters.lpm01a.sim import Lpm01aSimulator
from harness.testing.ptybench import served_on_pty

PROMPT = "PowerShield > "
SET_UP = (
    "htc",
    "powershield",
    "version",
    "status",
    'lcd 1 "MLPerf Tiny"',
    'lcd 2 "     monitor    "',
    "pwr off",
    "acqtime inf",
    "trigdelay 0",
    "trigsrc sw",
    "eventsrc d7 fal",
    "output energy",
    "format ascii_dec",
    "freq 1k",
    "volt 3300m",
    'lcd 2 "           3.3V "',
    "pwr on nostatus",
)
"""From a session of 12 June 2025, in its order."""
READING = re.compile(r"\d{4}[+-]\d{2}")
EVENT = re.compile(r"event \d+ ris")
STAMP = re.compile(r"TimeStamp: (\d{3})s (\d{3})ms, buff (\d{2})%")


class Host:
    """Sends lines, and reads lines that end in CR LF, as that runner does."""

    def __init__(self, port: str) -> None:
        self._port = serial.Serial(port, 3_686_400, timeout=2.0)

    def send(self, command: str) -> None:
        self._port.write(f"{command}\r\n".encode())

    def line(self) -> str:
        raw = self._port.readline()
        assert raw.endswith(b"\r\n"), raw
        return raw[:-2].decode("ascii").lstrip("\0")

    def answer(self, command: str) -> str:
        """Send, and give what stands after the command on its acknowledgement."""
        self.send(command)
        while True:
            said = self.line().removeprefix(PROMPT).strip()
            if said.startswith("ack ") and command in said:
                return said.removeprefix("ack ").replace(command, "").strip()
            assert not said.startswith("error"), said

    def close(self) -> None:
        self._port.close()


@pytest.fixture
def simulator() -> Lpm01aSimulator:
    load = parse_load("idle-10mW", seed=7)
    return Lpm01aSimulator(
        lambda seconds: load.watts(seconds) / 3.3, events_s=(0.2, 0.9)
    )


@pytest.fixture
def host(simulator: Lpm01aSimulator) -> Iterator[Host]:
    with served_on_pty(simulator) as served:
        made = Host(served.name)
        yield made
        made.close()


def test_each_command_of_the_set_up_is_acknowledged(
    host: Host, simulator: Lpm01aSimulator
) -> None:
    told = {command: host.answer(command) for command in SET_UP}

    assert told["powershield"] == "540554545-1430736921-1900587"
    assert told["version"].split()[-1] == "1.0.7"
    assert told["status"] == "ok"
    assert simulator.is_controlled
    assert simulator.is_target_powered
    assert simulator.settings["volt"] == "3300m"


def test_a_stream_of_energies_stamps_and_events_is_read(host: Host) -> None:
    for command in SET_UP:
        host.answer(command)
    host.answer("start")

    joules: list[float] = []
    stamps, events = [], 0
    while len(joules) < 1100:
        line = host.line()
        if STAMP.fullmatch(line):
            stamps.append(line)
        elif READING.fullmatch(line):
            joules.append(float(line.replace("-", "e-").replace("+", "e+")))
        elif EVENT.fullmatch(line):
            events += 1
    host.send("stop")
    while "Acquisition completed" not in (said := host.line()):
        assert said is not None
    host.answer("pwr off")
    host.answer("hrc")

    assert sum(joules) / len(joules) == pytest.approx(10e-6, rel=0.01)
    assert stamps[:2] == [
        "TimeStamp: 000s 000ms, buff 03%",
        "TimeStamp: 001s 000ms, buff 03%",
    ]
    assert events == 2


def test_answers_have_the_line_ends_of_a_recorded_dialogue() -> None:
    simulator = Lpm01aSimulator(lambda seconds: 0.0 * seconds)

    simulator.receive(b"htc\r\n", 0)
    simulator.receive(b"echo ABC\r\n", 0)
    said = simulator.transmit(0)

    # as LPM01A-lib, another public host, expects them to the byte
    assert said == (b"\r\nPowerShield > ack htc\r\n\r\n\r\nPowerShield > echo ABC\r\n")


def test_an_error_is_followed_by_its_detail(host: Host) -> None:
    host.send("freq 3k")

    lines = [host.line() for _ in range(3)]

    assert lines[1] == "PowerShield > error freq 3k"
    assert lines[2].startswith("Error detail: ")
