"""What is set on a board for a run, and put back whatever happens to the run."""

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.clock import VirtualClock
from harness.errors import ConditionNotReached
from harness.meters.kernel import Kernel
from harness.targets.board.android import PhoneKernel
from harness.targets.board.conditions import Stand, ledger_in, standing
from harness.targets.board.job import Asked
from harness.targets.board.knobs import Panel

BOOT = "proc/sys/kernel/random/boot_id"
BACKLIGHT = "sys/class/backlight/panel0/bl_power"
RADIOS = ("sys/class/rfkill/rfkill0/soft", "sys/class/rfkill/rfkill1/soft")


def put(root: Path, name: str, text: str) -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{text}\n")
    return path


@pytest.fixture
def board(tmp_path: Path) -> Path:
    """Give the root of a board with a screen, two radios and a battery."""
    put(tmp_path, BOOT, "first-start")
    put(tmp_path, BACKLIGHT, "0")
    put(tmp_path, RADIOS[0], "0")
    put(tmp_path, RADIOS[1], "1")
    put(tmp_path, "sys/class/power_supply/battery/type", "Battery")
    put(tmp_path, "sys/class/power_supply/battery/status", "Charging")
    return tmp_path


def nothing() -> None:
    """Be a piece of work that takes no time."""


def a_stand(root: Path, kernel: Kernel | None = None) -> Stand:
    clock = VirtualClock("board")
    return Stand(kernel or Kernel(root), clock, nothing, ledger_in(root))


def text(root: Path, *names: str) -> list[str]:
    return [(root / name).read_text().strip() for name in names]


def test_screen_and_radios_are_off_for_a_trial_and_as_they_were_after_it(
    board: Path,
) -> None:
    stand = a_stand(board)

    reached = stand.reach(Asked(screen="off", radios="off"))

    assert (reached["screen"], reached["radios"]) == ("off", "off")
    assert text(board, BACKLIGHT, *RADIOS) == ["4", "1", "1"]
    set_from = {str(board / BACKLIGHT): "0", str(board / RADIOS[0]): "0"}
    assert reached["set_from"] == set_from
    assert stand.put_back() == []
    assert text(board, BACKLIGHT, *RADIOS) == ["0", "0", "1"]
    assert not ledger_in(board).path.exists()


@pytest.mark.parametrize(
    ("file", "says", "then"),
    [
        ("input_suspend", "0", "1"),
        ("charging_enabled", "1", "0"),
        (
            "charge_behaviour",
            "[auto] inhibit-charge force-discharge",
            "force-discharge",
        ),
        ("charge_behaviour", "[auto] inhibit-charge", "inhibit-charge"),
    ],
)
def test_a_charger_is_kept_off_by_whatever_the_kernel_has(
    board: Path, file: str, says: str, then: str
) -> None:
    path = put(board, f"sys/class/power_supply/battery/{file}", says)
    stand = a_stand(board)

    reached = stand.reach(Asked(charging="off"))

    assert path.read_text() == then
    assert reached["set_from"] == {str(path): "auto" if "auto" in says else says}


def test_a_charger_that_nothing_keeps_off_is_a_condition_not_reached(
    board: Path,
) -> None:
    with pytest.raises(ConditionNotReached, match="its charging can be") as told:
        a_stand(board).reach(Asked(charging="off"))

    assert "[targets.NAME.power]" in told.value.remedy


def test_a_wish_that_cannot_be_had_is_told_and_the_trial_goes_on(board: Path) -> None:
    asked = Asked(charging="off", screen="off", wished=("charging",))

    reached = a_stand(board).reach(asked)

    assert reached["screen"] == "off"
    missed = reached["missed"]
    assert isinstance(missed, dict)
    assert list(missed) == ["charging"]


def test_a_board_without_a_screen_has_none_that_could_be_on(tmp_path: Path) -> None:
    reached = a_stand(tmp_path).reach(Asked(screen="off", radios="off"))

    assert (reached["screen"], reached["radios"]) == ("none", "none")


def test_a_monitor_that_is_plugged_in_cannot_be_switched_off_from_here(
    tmp_path: Path,
) -> None:
    put(tmp_path, "sys/class/drm/card0-HDMI-A-1/status", "connected")

    with pytest.raises(ConditionNotReached, match="its screen can be"):
        a_stand(tmp_path).reach(Asked(screen="off"))


def test_radios_that_carry_the_link_stay_on(board: Path) -> None:
    with pytest.raises(ConditionNotReached, match="by radio") as told:
        a_stand(board).reach(Asked(radios="off", radio_link=True))

    assert "--detached" in told.value.remedy
    assert text(board, *RADIOS) == ["0", "1"]


def test_what_was_set_when_its_process_was_killed_is_put_back_by_the_next_run(
    board: Path,
) -> None:
    killed = a_stand(board)
    killed.reach(Asked(screen="off"))

    reached = a_stand(board).reach(Asked())

    assert text(board, BACKLIGHT) == ["0"]
    assert reached["recovered"] == [f"screen: {board / BACKLIGHT}"]
    assert reached["screen"] == "on"


def test_what_a_restart_has_undone_is_not_put_back_once_more(board: Path) -> None:
    a_stand(board).reach(Asked(screen="off"))
    put(board, BOOT, "second-start")
    put(board, BACKLIGHT, "1")

    reached = a_stand(board).reach(Asked())

    assert reached["recovered"] == []
    assert text(board, BACKLIGHT) == ["1"]
    assert ledger_in(board).changes() == []


def test_what_cannot_be_put_back_is_told_with_its_command_until_it_can(
    board: Path,
) -> None:
    a_stand(board).reach(Asked(screen="off"))
    file = board / BACKLIGHT
    file.unlink()
    file.symlink_to("/proc/self/cmdline")  # can be read, and never written

    failed = a_stand(board).put_back()
    with pytest.raises(ConditionNotReached, match="An earlier run left") as told:
        a_stand(board).reach(Asked())
    file.unlink()
    put(board, BACKLIGHT, "4")
    reached = a_stand(board).reach(Asked())

    command = f"by hand: echo 0 > {file}"
    assert command in failed[0]
    assert command in told.value.what
    assert reached["screen"] == "on"


def test_a_change_that_cannot_be_noted_is_not_made(board: Path) -> None:
    stand = a_stand(board)
    stand.ledger.path = board / "no-such-folder" / "changed.json"

    with pytest.raises(ConditionNotReached, match="cannot be set"):
        stand.reach(Asked(screen="off"))

    assert text(board, BACKLIGHT) == ["0"]


def test_a_note_that_is_none_is_told_and_nothing_is_set(board: Path) -> None:
    ledger_in(board).path.write_text("[{")

    with pytest.raises(ConditionNotReached, match="is no note of ours"):
        a_stand(board).reach(Asked(screen="off"))

    assert text(board, BACKLIGHT) == ["0"]


class Phone:
    """Android's commands, with a screen and an airplane mode behind them."""

    def __init__(self, *, obeys: bool = True) -> None:
        self.airplane = "0"
        self.wakefulness = "Awake"
        self.obeys = obeys

    def ask(self, command: str, *words: str) -> str:
        keys = {"223": "Asleep", "224": "Awake"}
        match (command, *words):
            case ("getprop", "ro.build.version.release"):
                return "14\n"
            case ("settings", "get", "global", "airplane_mode_on"):
                return f"{self.airplane}\n"
            case ("dumpsys", "power"):
                return (
                    "Power Manager State:\n  mWakefulnessChanging=false\n"
                    f"  mWakefulness={self.wakefulness}\n"
                )
            case ("cmd", "connectivity", "airplane-mode", way) if self.obeys:
                self.airplane = {"enable": "1", "disable": "0"}[way]
            case ("input", "keyevent", key) if self.obeys:
                self.wakefulness = keys[key]
        return ""


def a_phone(root: Path, phone: Phone) -> Stand:
    return a_stand(root, PhoneKernel(root=root, ask=phone.ask))


def test_a_phone_sleeps_in_airplane_mode_and_is_woken_again(tmp_path: Path) -> None:
    phone = Phone()
    stand = a_phone(tmp_path, phone)

    reached = stand.reach(Asked(screen="off", radios="off"))

    assert (reached["screen"], reached["radios"]) == ("off", "off")
    assert (phone.wakefulness, phone.airplane) == ("Asleep", "1")
    assert stand.put_back() == []
    assert (phone.wakefulness, phone.airplane) == ("Awake", "0")


def test_airplane_mode_outlives_a_restart_and_is_put_back_after_one(
    tmp_path: Path,
) -> None:
    put(tmp_path, BOOT, "first-start")
    phone = Phone()
    a_phone(tmp_path, phone).reach(Asked(screen="off", radios="off"))
    put(tmp_path, BOOT, "second-start")

    a_phone(tmp_path, phone).reach(Asked())

    assert phone.airplane == "0"
    assert phone.wakefulness == "Asleep"  # as the start itself left it


def test_a_phone_that_hides_its_airplane_mode_is_not_taken_for_one_without_radios(
    tmp_path: Path,
) -> None:
    phone = Phone()
    phone.airplane = "null"

    with pytest.raises(ConditionNotReached, match="radios cannot be read"):
        a_phone(tmp_path, phone).reach(Asked(radios="off"))


def test_a_phone_that_says_yes_and_does_nothing_is_found_out(tmp_path: Path) -> None:
    stand = a_phone(tmp_path, Phone(obeys=False))

    with pytest.raises(ConditionNotReached, match="Android says 'off' after adb shell"):
        stand.reach(Asked(radios="off"))
    assert stand.put_back() == []


def test_a_phone_that_stays_in_airplane_mode_is_told_with_the_command(
    tmp_path: Path,
) -> None:
    phone = Phone()
    stand = a_phone(tmp_path, phone)
    stand.reach(Asked(radios="off"))
    phone.obeys = False

    (failed,) = stand.put_back()

    assert "by hand: adb shell cmd connectivity airplane-mode disable" in failed


def interrupted() -> None:
    raise KeyboardInterrupt


def full() -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("happens", [interrupted, full])
def test_whatever_ends_a_trial_what_was_set_is_put_back(
    happens: Callable[[], None], board: Path
) -> None:
    def trial() -> None:
        with standing(board, Kernel(board), VirtualClock()) as stand:
            stand.reach(Asked(screen="off"))
            assert text(board, BACKLIGHT) == ["4"]
            happens()

    with pytest.raises((KeyboardInterrupt, OSError)):
        trial()

    assert text(board, BACKLIGHT) == ["0"]


def test_an_unknown_condition_is_a_mistake_of_ours(board: Path) -> None:
    with pytest.raises(ValueError, match="no such condition"):
        Panel(Kernel(board), VirtualClock()).turns("weather", "off")
