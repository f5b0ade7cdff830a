"""``duanping meters``: what a person sees, with no instrument on the desk."""

import io
import json
import subprocess
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from harness.cli._meter_capture import joined, summary, trace_bytes
from harness.cli._meter_watch import line, scaled, turns_of
from harness.clock import Deadline, VirtualClock
from harness.domain.origin import Origin
from harness.domain.reading import Channel, Loss, ReadingBlock
from harness.errors import ExitCode
from harness.meters.base import InstrumentDescription
from harness.meters.loads import parse_load
from harness.meters.opening import open_meter
from harness.meters.ppk2.sim import Ppk2Simulator
from harness.plugins import Address
from harness.testing.ptybench import served_on_pty

Command = Callable[..., "subprocess.CompletedProcess[str]"]
WHO = InstrumentDescription(
    driver="toy", address="toy@sim:x", origin=Origin.SIMULATED, model="Toy 3"
)


def block(times: list[int], values: list[float]) -> ReadingBlock:
    return ReadingBlock(
        channel=Channel(name="power", unit="W", source="toy@sim:x", rate_hz=1000.0),
        clock="monotonic",
        origin=Origin.SIMULATED,
        times_ns=array("q", times),
        values=array("d", values),
    )


def test_the_list_names_every_driver_and_none_as_proven_on_hardware(
    duanping: Command,
) -> None:
    done = duanping("meters", "--json")

    facts = json.loads(done.stdout)
    names = {driver["driver"] for driver in facts["drivers"]}
    assert done.returncode == ExitCode.OK
    assert {"ppk2", "lpm01a", "pzem", "scpi", "rapl"} <= names
    assert {d["compared with hardware"] for d in facts["drivers"]} == {"no"}


def test_a_probe_names_the_instrument_and_the_address_to_use(
    duanping: Command,
) -> None:
    load = parse_load("idle-10mW")
    simulator = Ppk2Simulator(lambda seconds: load.watts(seconds) / 3.0)

    with served_on_pty(simulator) as served:
        done = duanping("meters", "--probe", served.name)

    assert done.returncode == ExitCode.OK
    assert f"answers as PPK2, hardware 9173: ppk2@serial:{served.name}" in done.stdout


def test_a_probe_of_a_port_that_is_not_there_says_so(duanping: Command) -> None:
    done = duanping("meters", "--probe", "/dev/no-such-port")

    assert done.returncode == ExitCode.EQUIPMENT
    assert "There is no such port (/dev/no-such-port)" in done.stderr


def test_watching_says_first_that_it_is_a_simulation(duanping: Command) -> None:
    done = duanping("meters", "watch", "lpm01a@sim:idle-10mW", "--seconds", "1")

    first, second, *_ = done.stdout.splitlines()
    assert done.returncode == ExitCode.OK
    assert first.startswith("SIMULATED  STMicroelectronics X-NUCLEO-LPM01A")
    assert "mW" in second


def test_a_capture_can_be_replayed_through_the_same_driver(
    duanping: Command, tmp_path: Path
) -> None:
    trace, raw, again = (tmp_path / name for name in ("a.csv", "a.cap", "b.parquet"))
    made = ["meters", "capture", "lpm01a@sim:idle-10mW", "--seconds", "0.6"]

    first = duanping(*made, "--out", trace, "--raw", raw)
    replayed = f"lpm01a@replay:{raw}"
    second = duanping("meters", "capture", replayed, "--seconds", "0.4", "--out", again)

    rows = [row for row in trace.read_text().splitlines() if not row.startswith("#")]
    table = pq.read_table(again)
    assert (first.returncode, second.returncode) == (ExitCode.OK, ExitCode.OK)
    assert "# origin: simulated" in trace.read_text()
    assert rows[0] == "time_s,power_W"
    common = min(len(rows) - 1, table.num_rows)
    assert common > 200
    assert [float(row.split(",")[1]) for row in rows[1 : common + 1]] == pytest.approx(
        table["value"].to_pylist()[:common]
    )
    assert table.schema.metadata[b"origin"] == b"simulated"


@pytest.mark.parametrize(
    ("arguments", "status", "sentence"),
    [
        (["nosuch", "--out", "a.csv"], ExitCode.USAGE, "no meter 'nosuch' (lab.toml)"),
        (
            ["ppk2@sim:idle-1W", "--out", "a.txt"],
            ExitCode.USAGE,
            "A trace is not written as '.txt'",
        ),
        (
            ["rapl@?root=/none", "--out", "a.csv", "--raw", "a.cap"],
            ExitCode.USAGE,
            "no wire whose bytes could be kept",
        ),
    ],
)
def test_what_cannot_be_captured_is_told(
    duanping: Command, arguments: list[str], status: ExitCode, sentence: str
) -> None:
    done = duanping("meters", "capture", *arguments)

    assert done.returncode == status
    assert sentence in done.stderr


def test_a_name_is_looked_up_in_the_desks_lab_file(
    duanping: Command, tmp_path: Path
) -> None:
    (tmp_path / "lab.toml").write_text(
        'format = "duanping/lab/1"\n'
        '[meters.bench]\naddress = "pzem@sim:idle-61W?seed=7"\n',
        encoding="utf-8",
    )

    done = duanping("meters", "watch", "bench", "--seconds", "1", cwd=tmp_path)

    assert done.returncode == ExitCode.OK
    assert "(pzem@sim:idle-61W?seed=7)" in done.stdout


def test_a_trace_is_never_written_over(duanping: Command, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("precious")

    done = duanping("meters", "capture", "ppk2@sim:idle-1mW", "--out", path)

    assert done.returncode == ExitCode.EQUIPMENT
    assert "There is such a file already" in done.stderr
    assert path.read_text() == "precious"


def test_a_turn_is_a_second_of_readings() -> None:
    clock = VirtualClock()

    with (
        open_meter(Address.parse("lpm01a@sim:bursts-5mW-120mW"), clock) as meter,
        meter.acquire(["power"]) as acquisition,
    ):
        turns = list(turns_of(acquisition, clock, Deadline.after(3.0, clock)))

    assert len(turns) == 3
    assert sum(turn.readings for turn in turns) == pytest.approx(3000, abs=10)
    assert turns[1].mean == pytest.approx(0.0395, rel=0.02)
    assert turns[1].least < 0.006
    assert turns[1].most > 0.117


def test_a_line_tells_losses_and_over_range() -> None:
    clock = VirtualClock()

    class Poor:
        def blocks(self, until: Deadline) -> Iterator[ReadingBlock]:
            yield block([0, 1], [0.5, 1.5])
            until.clock.wait_until(until.at_ns)

        def loss(self) -> Loss:
            return Loss(missing=3, expected=5, over_range=1)

    turn = next(turns_of(Poor(), clock, Deadline.after(1.0, clock)))

    told = line(turn, "W")
    assert told.strip() == "1 W  (500 mW … 1.5 W)  2 readings  3 lost  1 over range"


@pytest.mark.parametrize(
    ("value", "unit", "told"),
    [
        (0.0123, "W", "12.3 mW"),
        (-2e-6, "A", "-2 µA"),
        (230.04, "V", "230 V"),
        (0.0, "W", "0 W"),
        (129.0, "1", "129 1"),
    ],
)
def test_values_are_written_with_a_fitting_prefix(
    value: float, unit: str, told: str
) -> None:
    shown = scaled(value, unit)

    assert shown == told


def test_a_trace_says_whose_it_is_in_either_form() -> None:
    trace = joined([block([10, 20], [1.0, 2.0]), block([30], [3.0])])
    loss = Loss(missing=1, expected=4)

    text = trace_bytes(trace, WHO, loss, ".csv").decode()
    table = pq.read_table(io.BytesIO(trace_bytes(trace, WHO, loss, ".parquet")))

    assert "# model: Toy 3\n" in text
    assert "# readings_missing: 1\n" in text
    assert text.endswith("0.000000000,1\n0.000000010,2\n0.000000020,3\n")
    assert table["time_ns"].to_pylist() == [10, 20, 30]
    assert table.schema.metadata[b"model"] == b"Toy 3"
    assert table.schema.metadata[b"readings_missing"] == b"1"


def test_the_summary_forbids_energy_above_one_in_a_thousand_lost() -> None:
    trace = block([0, 1], [1.0, 2.0])

    much = summary(trace, Loss(missing=3, expected=1000), Path("a.csv"))
    little = summary(trace, Loss(missing=1, expected=1000), Path("a.csv"))

    assert "no energy may be told from it (limit 0.1 %)" in much
    assert "no energy" not in little


@pytest.mark.parametrize("option", ["--out", "--raw"])
def test_a_capture_with_no_folder_to_go_to_is_told_before_it_reads(
    option: str, duanping: Command, tmp_path: Path
) -> None:
    places = {"--out": tmp_path / "x.csv", "--raw": tmp_path / "x.raw"}
    places[option] = tmp_path / "no" / "x.csv"
    told = [str(each) for pair in places.items() for each in pair]

    done = duanping("meters", "capture", "ppk2@sim:idle-10mW", *told)

    assert done.returncode == ExitCode.EQUIPMENT
    assert "no such folder" in done.stderr
    assert "SIMULATED" not in done.stderr
