"""An Android phone, played by a real adbd in a namespace, and by texts of Android's."""

import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.clock import Deadline, SystemClock
from harness.domain.board import Board
from harness.domain.profile import Conditions
from harness.domain.query import Noted, Outcome, QueryBlock, TrialEnded, TrialEvent
from harness.errors import ConditionNotPutBack, ConditionNotReached, Unsupported
from harness.plugins import Address
from harness.targets.adb import open_target
from harness.targets.board.android import PhoneKernel, phone_facts
from harness.targets.detached import Order, collect, end, forget, leave, look
from harness.targets.remote import Patience, RemoteTarget
from harness.testing.adbdbench import running_adbd, why_not
from harness.testing.agentcontract import copying_model, long_trial, short_trial
from harness.testing.builders import a_profile
from harness.testing.sshdbench import Cable, laid_cable
from harness.units import NS_PER_S

BATTERY = """Current Battery Service state:
  AC powered: false
  USB powered: {usb}
  Wireless powered: false
  status: 3
  level: 42
  scale: 100
  voltage: 3900
  temperature: 315
"""
THERMAL = """Thermal Status: 2
Cached temperatures:
\tTemperature{mValue=90.0, mType=0, mName=CPU0, mStatus=0}
Current temperatures from HAL:
\tTemperature{mValue=41.5, mType=0, mName=CPU0, mStatus=0}
\tTemperature{mValue=43.25, mType=0, mName=CPU7, mStatus=0}
\tTemperature{mValue=36.0, mType=3, mName=skin, mStatus=0}
Current cooling devices from HAL:
"""
PROPERTIES = {
    "ro.product.manufacturer": "Duan",
    "ro.product.model": "P1",
    "ro.build.version.release": "14",
    "ro.product.cpu.abi": "arm64-v8a",
}


def phone(root: Path, *, usb: str = "true", thermal: str = THERMAL) -> PhoneKernel:
    texts = {"battery": BATTERY.format(usb=usb), "thermalservice": thermal}
    return PhoneKernel(root=root, ask=lambda _, what: texts[what])


def test_a_phone_s_services_fill_up_what_its_kernel_hides(tmp_path: Path) -> None:
    kernel = phone(tmp_path)

    assert kernel.temperature_degc() == 43.25
    assert kernel.throttle() == 2.0
    assert kernel.charge() == 0.42
    assert kernel.is_charger_on() is True
    assert phone(tmp_path, usb="false").is_charger_on() is False


def test_without_a_thermal_service_the_battery_s_heat_counts(tmp_path: Path) -> None:
    assert phone(tmp_path, thermal="").temperature_degc() == pytest.approx(31.5)
    assert phone(tmp_path, thermal="").throttle() is None


def test_the_kernel_s_own_account_comes_first(tmp_path: Path) -> None:
    zone = tmp_path / "sys/class/thermal/thermal_zone0"
    zone.mkdir(parents=True)
    (zone / "type").write_text("cpu-0\n")
    (zone / "temp").write_text("51000\n")

    assert phone(tmp_path).temperature_degc() == 51.0


def test_a_machine_that_is_no_phone_says_nothing_more(tmp_path: Path) -> None:
    def silent(*_: str) -> str:
        return ""

    kernel = PhoneKernel(root=tmp_path, ask=silent)

    assert phone_facts(silent) == {}
    assert kernel.charge() is None
    assert kernel.is_charger_on() is None
    assert kernel.temperature_degc() is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    cable: Cable
    folder: Path

    def is_awake(self) -> bool:
        return "Awake" in (self.folder / "power").read_text()

    def open_to_ask(self) -> AbstractContextManager[RemoteTarget]:
        board = Board(python=sys.executable, folder=str(self.folder / "phone"))
        address = Address.parse(f"android@adb:127.0.0.1:{self.cable.port}")
        return open_target(address, a_profile(), board=board, is_held=False)

    def open(
        self, patience: Patience | None = None, **more: str
    ) -> AbstractContextManager[RemoteTarget]:
        known = {"python": sys.executable, "folder": str(self.folder / "phone")}
        address = Address.parse(f"android@adb:127.0.0.1:{self.cable.port}")
        board = Board(**(known | more))
        return open_target(address, a_profile(), board=board, patience=patience)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    if why_not():
        pytest.skip(why_not())
    folder = tmp_path_factory.mktemp("adbd")
    (folder / "airplane").write_text("0\n")
    (folder / "power").write_text("  mWakefulness=Awake\n")
    dumps = f"[ $1 = power ] && cat {folder}/power\n"
    dumps += f"[ $1 = battery ] && cat <<E\n{BATTERY.format(usb='true')}E\n"
    for command, body in (
        (
            "getprop",
            "".join(f"[ $1 = {k} ] && echo {v}\n" for k, v in PROPERTIES.items()),
        ),
        ("dumpsys", dumps),
        ("settings", f"cat {folder}/airplane\n"),
        (
            "input",
            (
                f"[ -e {folder}/stuck ] && exit 1\ncase $2 in 223) to=Asleep;; "
                f"*) to=Awake;; esac\necho mWakefulness=$to > {folder}/power\n"
            ),
        ),
    ):
        path = folder / "bin" / command
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{body}exit 0\n")
        path.chmod(0o755)
    with (
        pytest.MonkeyPatch.context() as patch,
        running_adbd(folder) as port,
        laid_cable(port) as cable,
    ):
        patch.setenv("HOME", str(folder))  # adb makes a key of its own there
        yield Desk(cable=cable, folder=folder)


def test_a_phone_says_who_it_is_and_that_usb_feeds_it(desk: Desk) -> None:
    with desk.open() as target:
        sut = target.identify()
        with target.prepare(Conditions()) as reached:
            pass

    assert sut.name == "Duan P1"
    assert sut.facts["abi"] == "arm64-v8a"
    assert reached.is_on_battery is False
    assert reached.charge == 0.42


def test_a_phone_without_python_is_told_what_to_install(desk: Desk) -> None:
    with pytest.raises(Unsupported, match="no /nowhere/python3"):
        desk.open(python="/nowhere/python3").__enter__()


def test_a_cable_that_is_pulled_and_plugged_again_costs_no_event(
    desk: Desk, tmp_path: Path
) -> None:
    model, path = copying_model(tmp_path)
    events: list[TrialEvent] = []
    with desk.open() as target, target.deploy(model, path, None) as on:
        for event in target.execute(short_trial(), on):
            if isinstance(event, QueryBlock) and not events:
                desk.cable.cut()
                threading.Timer(0.5, desk.cable.plug).start()
                events.append(event)
            elif events:
                events.append(event)

    ended = events[-1]
    assert isinstance(ended, TrialEnded)
    assert ended.outcome is Outcome.DONE, ended.reason
    blocks = [event for event in events if isinstance(event, QueryBlock)]
    assert sum(len(block.completed_ns) for block in blocks) == ended.queries
    notes = {event.key: event.value for event in events if isinstance(event, Noted)}
    assert notes["link_lost"] == "1 times"


def test_a_phone_sleeps_through_a_trial_and_is_woken_after_it(desk: Desk) -> None:
    with desk.open() as target, target.prepare(Conditions(screen="off")) as reached:
        assert not desk.is_awake()

    assert desk.is_awake()
    assert reached.screen == "off"
    assert reached.set_from == {"android:screen": "on"}


def test_a_phone_is_woken_although_the_run_ends_in_an_interrupt(desk: Desk) -> None:
    def run() -> None:
        with desk.open() as target, target.prepare(Conditions(screen="off")):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run()

    assert desk.is_awake()


def test_a_phone_that_was_lost_in_the_middle_puts_itself_back(desk: Desk) -> None:
    with desk.open() as target, target.prepare(Conditions(screen="off")):
        desk.cable.cut()

    clock = SystemClock()
    until = Deadline.after(20.0, clock)
    while not desk.is_awake() and not until.is_over():
        clock.wait_until(clock.now_ns() + NS_PER_S // 10)
    desk.cable.plug()
    assert desk.is_awake()


def test_a_phone_that_cannot_be_put_back_is_told_with_the_command(desk: Desk) -> None:
    stuck = desk.folder / "stuck"

    def run() -> None:
        with desk.open() as target, target.prepare(Conditions(screen="off")):
            stuck.touch()

    with pytest.raises(ConditionNotPutBack, match="by hand: adb shell input keyevent"):
        run()
    stuck.unlink()
    with desk.open() as target, target.prepare(Conditions()) as reached:
        assert desk.is_awake()

    assert reached.recovered == ("screen: android:screen",)


def test_radios_of_a_phone_that_is_reached_through_the_air_stay_on(desk: Desk) -> None:
    with desk.open() as target, pytest.raises(ConditionNotReached, match="by radio"):
        target.prepare(Conditions(radios="off")).__enter__()

    wished = Conditions(radios="off", wished=("radios",))
    with desk.open() as target, target.prepare(wished) as reached:
        assert reached.radios == "on"
    assert "by radio" in reached.missed["radios"]


def test_a_phone_that_never_cools_down_is_a_condition_not_reached(desk: Desk) -> None:
    patience = Patience(cool_s=1.0)  # its battery is at 31.5 degC, and stays there

    with desk.open(patience) as target, pytest.raises(ConditionNotReached) as told:
        target.prepare(Conditions(device_max_start_degc=20.0)).__enter__()

    assert "is at 31.5 degC and did not cool down to 20 degC" in told.value.what
    assert "device_max_start" in told.value.remedy


def test_a_phone_that_was_left_and_never_cools_down_says_so_of_each_trial(
    desk: Desk, tmp_path: Path
) -> None:
    model, path = copying_model(tmp_path)
    patience = Patience(cool_s=0.5)
    with desk.open(patience) as target, target.deploy(model, path, None) as on:
        order = Order(
            work=((short_trial(), on),),
            conditions=Conditions(device_max_start_degc=20.0, screen="off"),
            wait_s=0,
            rest_s=0,
        )
        leave(target, "hot", order)
        clock = SystemClock()
        until = Deadline.after(20.0, clock)
        while not look(target, "hot").is_over and not until.is_over():
            clock.wait_until(clock.now_ns() + NS_PER_S // 5)
        one = collect(target, "hot", 0)
        forget(target, "hot")

    assert one.events == ()
    assert "did not cool down to 20 degC" in one.reason
    assert desk.is_awake()


def test_a_phone_whose_left_run_is_aborted_is_woken_and_free(
    desk: Desk, tmp_path: Path
) -> None:
    model, path = copying_model(tmp_path)
    with desk.open() as target, target.deploy(model, path, None) as on:
        order = Order(
            work=((long_trial(), on),),
            conditions=Conditions(screen="off"),
            wait_s=0,
            rest_s=0,
        )
        leave(target, "long", order)
    desk.cable.cut()
    journal = desk.folder / "phone/series/long/0/journal.ndjson"
    clock = SystemClock()
    until = Deadline.after(30.0, clock)
    while not until.is_over() and not (
        journal.is_file() and b"QueryBlock" in journal.read_bytes()
    ):
        clock.wait_until(clock.now_ns() + NS_PER_S // 5)
    assert not desk.is_awake()
    desk.cable.plug()

    with desk.open_to_ask() as target:
        standing = end(target, "long")
        one = collect(target, "long", 0)
        forget(target, "long")

    assert standing.is_over
    assert standing.not_put_back == ""
    assert desk.is_awake()
    ended = one.events[-1]
    assert isinstance(ended, TrialEnded)
    assert (ended.outcome, ended.reason) == (
        Outcome.INTERRUPTED,
        "Aborted by the operator",
    )
    assert ended.queries > 0
    with desk.open() as target:
        assert target.identify().name == "Duan P1"
