"""A microcontroller behind a port: firmware in C of our own, built here, on a pty."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.domain.origin import Origin
from harness.domain.plan import Minimum, Trial
from harness.domain.profile import Conditions
from harness.domain.query import (
    Noted,
    Outcome,
    OutputsChecked,
    OverheadMeasured,
    Phase,
    PhaseEntered,
    QueryBlock,
    TrialEnded,
    TrialEvent,
    TrialStarted,
)
from harness.domain.scenario import ColdStart
from harness.errors import LinkClosed, LinkTimeout, SchemaError, UnknownName
from harness.plugins import Address
from harness.targets.mcu.board import McuTarget
from harness.targets.mcu.target import open_target
from harness.testing.builders import a_model, a_profile, a_trial
from harness.testing.firmwarebench import build, port, unplugging
from harness.units import NS_PER_S

PEER = Path(__file__).parents[2] / "peers" / "mcu_firmware.c"
WRAP_NS = 2**32 * 1000

pytestmark = pytest.mark.skipif(
    shutil.which("gcc") is None, reason="gcc is not installed"
)

Firmware = Callable[..., AbstractContextManager[McuTarget]]


@pytest.fixture(scope="module")
def binary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(PEER, tmp_path_factory.mktemp("firmware") / "firmware")


@pytest.fixture
def firmware(binary: Path) -> Firmware:
    @contextmanager
    def opened(*options: str, query: str = "?baud=115200") -> Iterator[McuTarget]:
        with port(binary, *options) as name:
            address = Address.parse(f"mcu@serial:{name}{query}")
            with open_target(address, a_profile()) as target:
                yield target

    return opened


def a_kws_trial(queries: int = 20) -> Trial:
    return replace(
        a_trial(), minimum=Minimum(queries=queries, duration_ns=0), baseline_ns=0
    )


def executed(
    target: McuTarget, trial: Trial | None = None, samples: Path | None = None
) -> list[TrialEvent]:
    with (
        target.deploy(a_model(), Path("model.onnx"), samples) as on,
        target.prepare(Conditions()),
    ):
        return list(target.execute(trial or a_kws_trial(), on))


def ended(events: list[TrialEvent]) -> TrialEnded:
    last = events[-1]
    assert isinstance(last, TrialEnded)
    return last


def measured(events: list[TrialEvent]) -> list[QueryBlock]:
    return [
        event
        for event in events
        if isinstance(event, QueryBlock) and event.phase is Phase.MEASURED
    ]


def test_a_board_says_who_it_is(firmware: Firmware) -> None:
    with firmware() as target:
        sut = target.identify()

    assert sut.name == "duanping test board"
    assert sut.facts["firmware_model"] == "kws01"
    assert sut.facts["mode"] == "performance"
    assert sut.facts["baud"] == "115200"


def test_each_query_is_timed_by_the_board_itself(firmware: Firmware) -> None:
    with firmware() as target:
        events = executed(target)

    assert isinstance(events[0], TrialStarted)
    assert events[0].clock == "mcu"
    assert ended(events).outcome is Outcome.DONE, ended(events).reason
    block = measured(events)[0]
    assert len(block.completed_ns) == 20
    assert all(
        0 <= end - start < 50_000_000
        for start, end in zip(block.issued_ns, block.completed_ns, strict=True)
    )
    assert list(block.issued_ns) == sorted(block.issued_ns)
    assert ended(events).queries == 28  # 8 of them warm-up
    phases = [event.phase for event in events if isinstance(event, PhaseEntered)]
    assert phases[0] is Phase.BASELINE_BEFORE
    assert phases[-1] is Phase.BASELINE_AFTER


def test_outputs_of_one_sample_are_held_against_each_other(firmware: Firmware) -> None:
    with firmware("-c", "25") as target:
        events = executed(target)

    checked = next(event for event in events if isinstance(event, OutputsChecked))
    assert (checked.compared, checked.differing, checked.non_finite) == (28, 1, 0)


def test_the_record_says_that_the_model_is_the_firmware_s_own(
    firmware: Firmware,
) -> None:
    with firmware() as target:
        events = executed(target)

    notes = {event.key: event.value for event in events if isinstance(event, Noted)}
    assert notes["firmware_model"] == "kws01"


def test_sloppy_and_noisy_firmware_is_understood(firmware: Firmware) -> None:
    with firmware("-n", "-g") as target:
        events = executed(target)

    assert ended(events).outcome is Outcome.DONE, ended(events).reason
    assert len(measured(events)[0].completed_ns) == 20


def test_a_board_whose_banner_was_missed_is_asked_all_the_same(
    firmware: Firmware,
) -> None:
    with firmware("-s") as target:
        assert target.identify().name == "duanping test board"
        assert target.identify().facts["mode"] == "performance"


def test_a_clock_that_wraps_at_32_bits_goes_on(firmware: Firmware) -> None:
    just_before = 2**32 - 1_000_000  # us

    with firmware("-w", str(just_before)) as target:
        trial = a_kws_trial()
        long = replace(trial, minimum=Minimum(queries=1, duration_ns=2 * NS_PER_S))
        events = executed(target, long)

    blocks = measured(events)
    times = [t for block in blocks for t in block.completed_ns]
    assert ended(events).outcome is Outcome.DONE, ended(events).reason
    assert times == sorted(times)
    assert times[-1] > WRAP_NS > times[0]
    assert times[-1] - times[0] < 5_000_000_000


def test_a_lost_time_stamp_is_an_error_and_never_a_latency(firmware: Firmware) -> None:
    with firmware("-l", "10") as target:
        events = executed(target)

        assert ended(events).outcome is Outcome.FAILED
        assert "1 time stamps" in ended(events).reason
        assert ended(executed(target)).outcome is Outcome.DONE


def test_an_error_of_the_firmware_is_told_in_its_own_words(firmware: Firmware) -> None:
    with firmware("-x", "10") as target:
        events = executed(target)

    assert ended(events).outcome is Outcome.FAILED
    assert "Inference iterations must be >0" in ended(events).reason


def test_a_board_that_starts_again_in_the_middle_is_a_crash(firmware: Firmware) -> None:
    with firmware("-r", "12") as target:
        events = executed(target)

        assert ended(events).outcome is Outcome.CRASHED
        assert "started again" in ended(events).reason
        assert ended(executed(target)).outcome is Outcome.DONE


def test_a_board_that_hangs_is_told_from_one_that_is_slow(
    firmware: Firmware, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.targets.mcu.latency.INFER_S", 0.5)

    with firmware("-h", "12") as target:
        events = executed(target)

    assert ended(events).outcome is Outcome.HUNG
    assert "did not answer" in ended(events).reason


def test_a_port_where_nobody_speaks_the_protocol_is_said_so(
    binary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.targets.mcu.driver.BOOT_S", 0.2)
    monkeypatch.setattr("harness.targets.mcu.driver.ASK_S", 0.6)

    with (
        port(binary, "-q") as name,
        pytest.raises(LinkTimeout, match="at 115200, 9600, 921600 baud"),
        open_target(Address.parse(f"mcu@serial:{name}"), a_profile()),
    ):
        pass


def test_a_sample_that_does_not_fit_is_refused_by_the_firmware(
    firmware: Firmware,
) -> None:
    with firmware("-b", "100") as target:
        events = executed(target)

    assert ended(events).outcome is Outcome.FAILED
    assert "exceeds maximum of 100" in ended(events).reason


@pytest.mark.parametrize(
    ("options", "trial", "words"),
    [
        (("-m", "vww01"), a_kws_trial(), "has the model vww01"),
        (("-e",), a_kws_trial(), "energy mode"),
        ((), replace(a_kws_trial(), scenario=ColdStart()), "cannot be executed"),
    ],
)
def test_what_the_firmware_cannot_answer_is_refused(
    firmware: Firmware, options: tuple[str, ...], trial: Trial, words: str
) -> None:
    with firmware(*options) as target:
        events = executed(target, trial)

    assert ended(events).outcome is Outcome.REFUSED
    assert words in ended(events).reason
    assert not any(isinstance(event, QueryBlock) for event in events)


@pytest.mark.parametrize(
    ("options", "outcome", "words"),
    [
        (("-r", "2"), Outcome.CRASHED, "started again"),
        (("-h", "2"), Outcome.HUNG, "did not answer"),
        (("-x", "2"), Outcome.FAILED, "Inference iterations"),
        (("-d", "3"), Outcome.FAILED, "the end of the sample"),
    ],
)
def test_what_befalls_a_board_in_energy_mode_is_told_as_well(
    firmware: Firmware,
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, ...],
    outcome: Outcome,
    words: str,
) -> None:
    monkeypatch.setattr("harness.targets.mcu.energy._SLACK_S", 0.5)
    trial = replace(a_kws_trial(), edges="D7")

    with firmware("-e", *options) as target:
        events = executed(target, trial)

    assert ended(events).outcome is outcome
    assert words in ended(events).reason
    assert events[0] == TrialStarted(trial=trial.id, clock="monotonic")


def test_given_samples_go_to_the_board_as_they_are(
    firmware: Firmware, tmp_path: Path
) -> None:
    def digest(value: int) -> str:
        path = tmp_path / f"{value}.npz"
        np.savez(path, input=np.full((3, 490), value, np.int8))
        with firmware() as target:
            events = executed(target, samples=path)
        return next(e.sha256 for e in events if isinstance(e, OutputsChecked))

    assert digest(7) == digest(7) != digest(-100)


def test_samples_that_are_no_bytes_are_refused(
    firmware: Firmware, tmp_path: Path
) -> None:
    np.savez(tmp_path / "x.npz", input=np.zeros((1, 490), np.float32))

    with firmware() as target:
        events = executed(target, samples=tmp_path / "x.npz")

    assert ended(events).outcome is Outcome.REFUSED
    assert "samples as bytes" in ended(events).reason


def test_a_pulled_cable_leaves_the_trial_to_resume(binary: Path) -> None:
    with unplugging(binary) as board:
        address = Address.parse(f"mcu@serial:{board.name}?baud=115200")

        with open_target(address, a_profile()) as target:
            board.pull_out()
            with pytest.raises(LinkClosed, match="went away"):
                executed(target)


def test_a_sample_that_lost_a_piece_on_the_way_is_never_inferred_from(
    firmware: Firmware,
) -> None:
    with firmware("-d", "7") as target:
        events = executed(target)

    assert ended(events).outcome is Outcome.FAILED
    assert "did not confirm the end of the sample" in ended(events).reason
    assert not any(isinstance(event, QueryBlock) for event in events)


@pytest.mark.parametrize(("rate", "tried"), [(9_600, "115200"), (921_600, "115200")])
def test_a_board_at_another_rate_is_found_by_trying(
    firmware: Firmware, rate: int, tried: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.targets.mcu.driver.ASK_S", 0.6)

    with firmware("-B", str(rate), query="") as target:
        facts = target.identify().facts

    assert facts["baud"] == str(rate) != tried


def test_a_wrong_rate_is_told_by_what_comes_and_what_to_write(
    firmware: Firmware, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.targets.mcu.driver.ASK_S", 0.6)

    with (
        pytest.raises(LinkTimeout, match=r"at 115200 baud is no text.*\?baud=N"),
        firmware("-B", "9600", query="?baud=115200"),
    ):
        pass


def test_firmware_that_prints_one_as_a_tenth_is_read_as_it_means_it(
    firmware: Firmware, tmp_path: Path
) -> None:
    np.savez(tmp_path / "x.npz", input=np.zeros((1, 490), np.int8))

    with firmware("-t") as target:
        events = executed(target, samples=tmp_path / "x.npz")

    assert ended(events).outcome is Outcome.DONE, ended(events).reason
    checked = next(event for event in events if isinstance(event, OutputsChecked))
    assert checked.differing == 0


def test_the_firmware_s_network_computes_what_numpy_computes(
    firmware: Firmware,
) -> None:
    sample = np.random.default_rng(3).integers(-128, 128, 490).astype(np.int8)

    with firmware() as target:
        target.dut.load(sample.tobytes())
        results = target.dut.infer(1, 0, 5.0).results

    assert results == pytest.approx(network(sample), abs=6e-4)
    assert sum(results) == pytest.approx(1.0, abs=12 * 5e-4)


def network(sample: np.ndarray) -> np.ndarray:
    """Compute mcu_network.h's outputs: the same layers, sums and shifts."""
    state, drawn = 1, []
    for _ in range(72 + 72 + 128 + 192):
        state = (state * 1664525 + 1013904223) % 2**32
        drawn.append(state >> 24)
    weights = np.array(drawn, dtype=np.uint8).view(np.int8).astype(np.int64)
    first, depth = weights[:72].reshape(8, 9), weights[72:144].reshape(8, 9)
    point, dense = weights[144:272].reshape(16, 8), weights[272:].reshape(12, 16)
    rows = sample.astype(np.int64).reshape(-1, 10)
    windows = np.lib.stride_tricks.sliding_window_view(rows, (3, 3))[::2, ::2]
    one = _relu(windows.reshape(*windows.shape[:2], 9) @ first.T, 9)
    windows = np.lib.stride_tricks.sliding_window_view(one, (3, 3), axis=(0, 1))
    two = _relu((windows.reshape(*windows.shape[:3], 9) * depth).sum(-1), 8)
    three = _relu(two @ point.T, 7)
    means = three.sum((0, 1)) // (three.shape[0] * three.shape[1])
    out = np.exp((dense @ means) / 2048.0)
    return np.asarray(out / out.sum())


def _relu(total: np.ndarray, shift: int) -> np.ndarray:
    return np.clip(total >> shift, 0, 127)


def test_a_board_at_a_pseudo_terminal_is_a_program_and_no_measurement(
    firmware: Firmware,
) -> None:
    with firmware() as target:
        assert target.identify().origin is Origin.SIMULATED


def test_a_baud_rate_that_is_no_number_is_said_so() -> None:
    with (
        pytest.raises(SchemaError, match="no baud rate"),
        open_target(Address.parse("mcu@serial:/dev/null?baud=fast"), a_profile()),
    ):
        pass


def test_a_simulated_board_goes_the_whole_way_and_is_never_a_measurement() -> None:
    address = Address.parse("mcu@sim:kws01?ms=3&seed=1")

    with open_target(address, a_profile()) as target:
        sut = target.identify()
        events = executed(target)

    latencies = [
        end - start
        for block in measured(events)
        for start, end in zip(block.issued_ns, block.completed_ns, strict=True)
    ]
    assert sut.origin is Origin.SIMULATED
    assert ended(events).outcome is Outcome.DONE, ended(events).reason
    # the first time stamp is taken before it is written: 20 bytes at 115200 baud
    assert all(3_000_000 < latency < 5_500_000 for latency in latencies)
    overhead = next(e for e in events if isinstance(e, OverheadMeasured))
    writing_ns = len("m-lap-us-1234567\r\n") * 10 * 1e9 / 115_200
    assert overhead.latency_p50_ns == pytest.approx(writing_ns, rel=0.15)


@pytest.mark.parametrize(
    ("link", "error"),
    [("sim:kws01?ms=fast", SchemaError), ("sim:kws01?speed=1", UnknownName)],
)
def test_a_simulated_board_with_an_unknown_option_is_refused(
    link: str, error: type[Exception]
) -> None:
    with (
        pytest.raises(error),
        open_target(Address.parse(f"mcu@{link}"), a_profile()),
    ):
        pass
