"""Conditions on a board, over a made-up /sys: reached, not reached, put back."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from harness.clock import VirtualClock
from harness.errors import ConditionNotReached
from harness.meters.kernel import Kernel
from harness.targets.board.conditions import Stand, ledger_in, standing
from harness.targets.board.job import Asked
from harness.units import NS_PER_S

ZONE = "sys/class/thermal/thermal_zone0/temp"
GOVERNORS = tuple(
    f"sys/devices/system/cpu/cpu{n}/cpufreq/scaling_governor" for n in (0, 1)
)
MS = 1_000_000


class CoolingClock(VirtualClock):
    """A clock under whose time the board cools by half a degree a second."""

    def __init__(self, root: Path, degc: float) -> None:
        super().__init__("board")
        self._root = root
        self.degc = degc
        self._show()

    def wait_until(self, instant_ns: int) -> None:
        self.degc -= (instant_ns - self.now_ns()) / NS_PER_S / 2
        super().wait_until(instant_ns)
        self._show()

    def _show(self) -> None:
        path = self._root / ZONE
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{round(self.degc * 1000)}\n")


@dataclass
class Anchor:
    """A piece of work that takes as long as is written here, the last for ever."""

    clock: VirtualClock
    times_ns: list[int] = field(default_factory=lambda: [MS])

    def __call__(self) -> None:
        taken = self.times_ns[0]
        if len(self.times_ns) > 1:
            self.times_ns.pop(0)
        self.clock.advance(taken)


def a_stand(root: Path, degc: float = 40.0, *anchor_ns: int) -> Stand:
    for name, text in zip(GOVERNORS, ("schedutil", "powersave"), strict=True):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    clock = CoolingClock(root, degc)
    work = Anchor(clock, list(anchor_ns) or [MS])
    return Stand(Kernel(root), clock, work, ledger_in(root))


def governors(root: Path) -> list[str]:
    return [(root / name).read_text() for name in GOVERNORS]


def test_a_governor_is_set_on_every_core_and_put_back_to_what_each_had(
    tmp_path: Path,
) -> None:
    stand = a_stand(tmp_path)

    reached = stand.reach(Asked(governor="performance"))

    assert reached["governor"] == "performance"
    assert governors(tmp_path) == ["performance", "performance"]
    assert stand.put_back() == []
    assert governors(tmp_path) == ["schedutil", "powersave"]


def test_a_governor_is_put_back_also_when_the_trial_ends_in_an_error(
    tmp_path: Path,
) -> None:
    a_stand(tmp_path)
    kernel = Kernel(tmp_path)

    def crash() -> None:
        with standing(tmp_path, kernel, VirtualClock()) as stand:
            stand.reach(Asked(governor="performance"))
            assert governors(tmp_path) == ["performance", "performance"]
            raise RuntimeError("a crash in the trial")

    with pytest.raises(RuntimeError, match="a crash in the trial"):
        crash()

    assert governors(tmp_path) == ["schedutil", "powersave"]


def test_a_governor_that_cannot_be_set_is_an_error_that_says_why(
    tmp_path: Path,
) -> None:
    stand = a_stand(tmp_path)
    refusing = tmp_path / GOVERNORS[1]
    refusing.unlink()
    refusing.symlink_to("/proc/self/cmdline")  # can be read, and never written

    with pytest.raises(ConditionNotReached, match="'performance' cannot be set"):
        stand.reach(Asked(governor="performance"))
    assert stand.put_back() == []
    assert (tmp_path / GOVERNORS[0]).read_text() == "schedutil"


def test_what_cannot_be_put_back_is_named(tmp_path: Path) -> None:
    stand = a_stand(tmp_path)
    stand.reach(Asked(governor="performance"))
    gone = tmp_path / GOVERNORS[0]
    gone.unlink()
    gone.symlink_to("/proc/self/cmdline")

    failed = stand.put_back()

    assert len(failed) == 1
    assert "by hand: echo schedutil > " in failed[0]
    assert "cpu0" in failed[0]
    assert (tmp_path / GOVERNORS[1]).read_text() == "powersave"


def test_a_hot_board_is_waited_for(tmp_path: Path) -> None:
    stand = a_stand(tmp_path, 60.0)

    reached = stand.reach(Asked(max_start_degc=45.0))

    degc = reached["device_degc"]
    assert isinstance(degc, float)
    assert degc <= 45.0
    assert 30 <= stand.clock.now_ns() / NS_PER_S < 33


def test_a_board_that_stays_hot_is_a_condition_not_reached(tmp_path: Path) -> None:
    stand = a_stand(tmp_path, 90.0)

    with pytest.raises(ConditionNotReached, match="did not cool down to 45 degC") as e:
        stand.reach(Asked(max_start_degc=45.0, patience_s=60.0))

    assert "device_max_start" in e.value.remedy


def test_the_anchor_of_the_start_is_the_shortest_of_its_rounds(tmp_path: Path) -> None:
    stand = a_stand(tmp_path, 40.0, 9 * MS, 3 * MS, 5 * MS)

    assert stand.reach(Asked())["anchor_ns"] == 3 * MS


def test_a_board_that_is_held_back_is_waited_for(tmp_path: Path) -> None:
    slow_for_two_rounds = [2 * MS] * 16 + [MS]
    stand = a_stand(tmp_path, 40.0, *slow_for_two_rounds)

    assert stand.reach(Asked(anchor_ns=MS))["anchor_ns"] == MS
    assert stand.clock.now_ns() > 2 * NS_PER_S


def test_a_board_that_stays_held_back_is_a_condition_not_reached(
    tmp_path: Path,
) -> None:
    stand = a_stand(tmp_path, 40.0, 2 * MS)

    with pytest.raises(ConditionNotReached, match=r"2\.00 times as long"):
        stand.reach(Asked(anchor_ns=MS, patience_s=5.0))
