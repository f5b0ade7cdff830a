"""Firmware of our own behind a pseudo terminal, from the command to the report."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.meters.lpm01a.sim import Lpm01aSimulator
from harness.testing.firmwarebench import build, port, unplugging
from harness.testing.ptybench import served_on_pty
from harness.units import NS_PER_S

Command = Callable[..., "subprocess.CompletedProcess[str]"]

PEER = Path(__file__).parents[1] / "peers" / "mcu_firmware.c"
SUITE = """
format = "duanping/suite/1"
name = "one"

[[workload]]
id = "kws"
model = "dscnn-kws"
title_zh = "关键词识别"
title_en = "Keyword spotting"
[[workload.scenario]]
kind = "SingleStream"
"""
IDLE_W, BUSY_W, VOLTS = 2e-3, 20e-3, 3.0
LATE_NS = 30_000_000
"""The simulated meter sends what it measured this much later: by then the firmware's
file has told of it."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed"),
]


@pytest.fixture(scope="module")
def binary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(PEER, tmp_path_factory.mktemp("firmware") / "firmware")


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    path = tmp_path / "one.toml"
    path.write_text(SUITE, encoding="utf-8")
    return path


class World:
    """What the firmware's file says of its pin and its power; one clock for both."""

    def __init__(self, path: Path) -> None:
        self.falls_ns: list[int] = []
        self.changes: list[tuple[int, bool]] = []
        self._path = path
        self._read = 0

    def look(self) -> None:
        told = self._path.read_text()
        whole = told[self._read : told.rfind("\n") + 1]
        self._read += len(whole)
        for line in whole.splitlines():
            what, at_ns = line.split()
            if what == "F":
                self.falls_ns.append(int(at_ns))
            else:
                self.changes.append((int(at_ns), what == "B"))

    def watts(self, times_ns: NDArray[np.float64]) -> NDArray[np.float64]:
        at = np.array([at_ns for at_ns, _ in self.changes], dtype=np.float64)
        levels = np.array([IDLE_W, *(BUSY_W if b else IDLE_W for _, b in self.changes)])
        found: NDArray[np.float64] = levels[np.searchsorted(at, times_ns)]
        return found


class Meter:
    """A simulated LPM01A that measures the firmware's world, a little late."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._noise = np.random.default_rng(1)
        self._started_ns = 0
        self._inner = Lpm01aSimulator(self._amperes, events_s=self)  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[float]:
        falls = self._world.falls_ns
        return iter([(fall - self._started_ns) / NS_PER_S for fall in falls])

    def _amperes(self, seconds: NDArray[np.float64]) -> NDArray[np.float64]:
        noise = 1 + 0.01 * self._noise.standard_normal(np.shape(seconds))
        return self._world.watts(self._started_ns + seconds * NS_PER_S) / VOLTS * noise

    def receive(self, data: bytes, now_ns: int) -> None:
        if b"start" in data:
            self._started_ns = now_ns - LATE_NS
        self._inner.receive(data, now_ns - LATE_NS)

    def transmit(self, now_ns: int) -> bytes:
        self._world.look()
        return self._inner.transmit(now_ns - LATE_NS)

    def next_ns(self, now_ns: int) -> int | None:
        due = self._inner.next_ns(now_ns - LATE_NS)
        return None if due is None else due + LATE_NS


@pytest.mark.long
def test_energy_lies_between_the_edges_that_the_meter_saw(
    duanping: Command, binary: Path, suite: Path, tmp_path: Path
) -> None:
    pin = tmp_path / "pin"
    pin.touch()
    with (
        port(binary, "-e", "-B", "9600", "-u", "3000", "-p", str(pin)) as board,
        served_on_pty(Meter(world := World(pin))) as lpm,
    ):
        result = duanping(
            "run", "--device", "wearable", "--suite", suite, "--preset", "rapid",
            "--target", f"mcu@serial:{board}",
            "--meter", f"lpm01a@serial:{lpm.name}?voltage={VOLTS:g}V", "--pin", "D7",
            "--out", tmp_path / "reports", "--json",
        )  # fmt: skip

    assert result.returncode == 0, result.stderr
    told = json.loads(result.stdout)
    derived = Path(told["bundle"]) / "derived" / "estimates.json"
    estimates = json.loads(derived.read_text(encoding="utf-8"))["estimates"]
    found = {one["measurand"]["name"]: one for one in estimates}
    gross = found["energy_per_inference_gross"]
    assert gross["value"] == pytest.approx(true_energy_j(world, pin), rel=2e-3)
    assert "falls of a pin" in gross["method"]
    assert gross["origin"] == "simulated"  # both ports lead to programs
    assert "latency_p90" not in found
    assert "edges-not-seen" not in {one["code"] for one in told["findings"]}


def true_energy_j(world: World, pin: Path) -> float:
    """Give the energy of one inference by the firmware's own account."""
    journal = next(pin.parent.glob("reports/*/evidence/journal.jsonl"))
    text = journal.read_text(encoding="utf-8")
    counts = re.search(r'"inferences":\s*\[(\d+)', text)
    assert counts is not None
    count = int(counts[1])
    windows = np.diff(world.falls_ns).reshape(-1)[::2][-5:] / NS_PER_S
    return float(np.median(windows)) * BUSY_W / count


@pytest.mark.long
def test_a_board_that_is_pulled_out_loses_nothing_and_the_run_goes_on(
    binary: Path, suite: Path, tmp_path: Path
) -> None:
    place = tmp_path / "ttyBOARD"
    command = [
        sys.executable, "-m", "harness", "run", "--device", "wearable",
        "--suite", suite, "--preset", "quick", "--target", f"mcu@serial:{place}",
        "--out", tmp_path / "reports", "--json",
    ]  # fmt: skip
    with unplugging(binary) as board:
        place.symlink_to(board.name)
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert process.stderr is not None
        said = ""
        for line in process.stderr:
            said += line
            if "[2/3]" in line:
                board.pull_out()
        process.wait()
        process.stdout.close()  # type: ignore[union-attr]
        process.stderr.close()
        (bundle,) = (tmp_path / "reports").iterdir()
        first = bundle / "evidence/traces/kws.singlestream.device.r1.queries.parquet"
        kept = first.read_bytes()

        assert process.returncode == 3, said
        assert "went away" in said

        place.unlink()
        board.put_back()
        place.symlink_to(board.name)
        again = subprocess.run(
            [*command, "--resume", bundle], capture_output=True, text=True, check=False
        )

    assert again.returncode == 0, again.stderr
    told = json.loads(again.stdout)
    assert first.read_bytes() == kept
    journal = (bundle / "evidence/journal.jsonl").read_text(encoding="utf-8")
    ends = [line for line in journal.splitlines() if '"trial-ended"' in line]
    assert len(ends) == 3
    assert not told["partial"]
    rows = {row["id"]: row for row in told["rows"]}
    assert rows["kws_lat"]["origin"] == "simulated"


def simulated(
    duanping: Command, suite: Path, out: Path, target: str, *more: str | Path
) -> "subprocess.CompletedProcess[str]":
    return duanping(
        "run", "--device", "wearable", "--suite", suite, "--preset", "rapid",
        "--target", target, "--out", out, "--json", *more,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("meter", "pin"), [("lpm01a@sim:", "D7"), ("ppk2@sim:?voltage=3V", "D3")]
)
def test_a_simulated_meter_sees_the_edges_of_a_simulated_board(
    duanping: Command, suite: Path, tmp_path: Path, meter: str, pin: str
) -> None:
    target = "mcu@sim:kws01?ms=3&mode=energy&power=20mW&idle=2mW&via=interface"
    result = simulated(
        duanping, suite, tmp_path, f"{target}&dutbaud=9600",
        "--meter", meter, "--pin", pin,
    )  # fmt: skip

    assert result.returncode == 0, result.stderr
    found = figures(result)
    # 20 mW for 3 ms, and 18 mW of it over idle
    assert found["energy_per_inference_gross"]["value"] == pytest.approx(
        60e-6, rel=3e-3
    )
    assert found["energy_per_inference_net"]["value"] == pytest.approx(54e-6, rel=3e-3)
    assert found["energy_per_inference_gross"]["origin"] == "simulated"
    told = json.loads(result.stdout)
    assert not told["is_evidence"]
    assert "median of windows" in found["energy_per_inference_gross"]["method"]
    report = Path(told["report"]).read_text(encoding="utf-8")
    assert "能耗模式下开发板不给出时间戳" in report
    assert "In energy mode the board tells no time" in report
    again = duanping("verify", told["bundle"])
    assert again.returncode == 0, again.stderr


def figures(result: "subprocess.CompletedProcess[str]") -> dict[str, dict[str, object]]:
    bundle = Path(json.loads(result.stdout)["bundle"])
    text = (bundle / "derived" / "estimates.json").read_text(encoding="utf-8")
    return {one["measurand"]["name"]: one for one in json.loads(text)["estimates"]}


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--meter", "lpm01a@sim:", "--pin", "D3"), "Did you mean 'D7'"),
        (("--meter", "pzem@sim:", "--pin", "D7"), "no logic input"),
        (("--meter", "lpm01a@serial:/dev/null?voltage=3V"), "A real meter cannot read"),
        (("--pin", "D7"), "There is no meter for this"),
        (("--stream", "/nowhere/truth.json"), "cannot be read"),
    ],
)
def test_what_cannot_be_measured_is_refused_before_anything_runs(
    duanping: Command, suite: Path, tmp_path: Path, more: tuple[str, ...], words: str
) -> None:
    result = simulated(
        duanping, suite, tmp_path / "reports", "mcu@sim:kws01?mode=energy", *more
    )

    assert result.returncode == 2
    assert words in " ".join(result.stderr.split())
    assert not (tmp_path / "reports").exists()


def test_an_emulated_processor_has_no_power_to_measure(
    duanping: Command, suite: Path, tmp_path: Path
) -> None:
    result = simulated(
        duanping, suite, tmp_path / "reports", "mcu@qemu:firmware.elf",
        "--meter", "lpm01a@serial:/dev/ttyACM9?voltage=3V",
    )  # fmt: skip

    assert result.returncode == 2
    assert "draws no power" in result.stderr
    assert not (tmp_path / "reports").exists()


LISTENING = SUITE.replace('id = "kws"', 'id = "sww"').replace(
    'kind = "SingleStream"',
    'kind = "Periodic"\nperiod = "32 ms"\ndeadline = "32 ms"',
)
TRUTH = [
    {
        "wav_file": "words-10s-1.0-4.0-7.0.wav",
        "length_sec": 10.0,
        "detection_windows": [[1.0, 1.64], [4.0, 4.76], [7.0, 7.36]],
    }
]


def test_a_wake_word_device_is_held_against_what_was_said(
    duanping: Command, tmp_path: Path
) -> None:
    suite, truth = tmp_path / "listening.toml", tmp_path / "truth.json"
    suite.write_text(LISTENING, encoding="utf-8")
    truth.write_text(json.dumps(TRUTH), encoding="utf-8")

    result = simulated(
        duanping, suite, tmp_path / "reports",
        "mcu@sim:strww01?ms=12&via=interface&misses=2&alarm=9.2",
        "--stream", truth, "--meter", "lpm01a@sim:",
    )  # fmt: skip

    assert result.returncode == 0, result.stderr
    found = figures(result)
    counts = ("true_positives", "false_negatives", "false_positives")
    assert [found[name]["value"] for name in counts] == [2.0, 1.0, 1.0]
    assert found["duty_cycle"]["value"] == pytest.approx(12 / 32, rel=5e-3)
    assert found["frame_period"]["value"] == pytest.approx(0.032, rel=1e-3)
    mean_w = 2e-3 + 18e-3 * 12 / 32
    assert found["average_power"]["value"] == pytest.approx(mean_w, rel=0.02)
    told = json.loads(result.stdout)
    report = Path(told["report"]).read_text(encoding="utf-8")
    assert "missed (false negative)" in report
    assert "误唤醒（假阳性）" in report
    assert "7.500 s" in report


def test_a_recording_that_nobody_listens_to_is_refused(
    duanping: Command, suite: Path, tmp_path: Path
) -> None:
    truth = tmp_path / "truth.json"
    truth.write_text(json.dumps(TRUTH), encoding="utf-8")

    result = simulated(
        duanping, suite, tmp_path / "reports", "mcu@sim:kws01", "--stream", truth
    )

    assert result.returncode == 2
    assert "Nothing in this run listens" in result.stderr
