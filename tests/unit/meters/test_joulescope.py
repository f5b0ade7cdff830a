"""Joulescope over a stand-in for its maker's library: chosen, read, lost, unplugged."""

import importlib
import inspect

import numpy as np
import pytest

from harness.clock import Deadline, VirtualClock
from harness.domain.origin import Origin
from harness.errors import (
    LinkClosed,
    LinkError,
    LinkTimeout,
    MeterError,
    UnknownName,
    Unsupported,
)
from harness.meters.joulescope import opening
from harness.meters.joulescope.driver import Joulescope, Library, choose, mapped
from harness.meters.joulescope.opening import open_joulescope
from harness.meters.joulescope.sim import PATH, FakeLibrary, PumpedClock
from harness.meters.loads import parse_load
from harness.plugins import Address


class Desk:
    """A Joulescope on a desk in virtual time."""

    def __init__(self) -> None:
        self.library = FakeLibrary(parse_load("idle-10mW"))
        self.clock = PumpedClock(VirtualClock(), self.library)
        self.library.open(PATH)
        self.meter = Joulescope(
            self.library,
            self.clock,
            path=PATH,
            address="joulescope@sim:idle-10mW",
            origin=Origin.SIMULATED,
        )

    def soon(self, seconds: float = 0.5) -> Deadline:
        return Deadline.after(seconds, self.clock)


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_it_says_what_its_path_says(desk: Desk) -> None:
    who = desk.meter.identify()

    assert (who.maker, who.model, who.serial_number) == ("Jetperch", "JS220", "000042")


@pytest.mark.parametrize("rate_hz", [10.0, 1000.0, 1_000_000.0])
def test_the_library_thins_to_the_rate_asked_for(desk: Desk, rate_hz: float) -> None:
    with desk.meter.acquire(["power"], rate_hz=rate_hz) as acquisition:
        blocks = list(acquisition.blocks(desk.soon()))

    assert desk.library.values[f"{PATH}/h/fs"] == rate_hz
    count = sum(len(block.values) for block in blocks)
    assert count == pytest.approx(0.5 * rate_hz, rel=0.06, abs=2)
    steps = np.diff(np.concatenate([np.asarray(b.times_ns) for b in blocks]))
    assert set(np.unique(steps)) == {round(1e9 / rate_hz)}


def test_readings_that_are_left_out_are_counted_and_leave_a_gap(desk: Desk) -> None:
    with desk.meter.acquire(["power"], rate_hz=1000.0) as acquisition:
        first = list(acquisition.blocks(desk.soon(0.1)))
        desk.library.lose(7)
        rest = list(acquisition.blocks(desk.soon(0.1)))
        loss = acquisition.loss()

    assert loss.missing == 7
    gap = rest[0].times_ns[0] - first[-1].times_ns[-1]
    assert gap == 8_000_000


def test_an_unplugged_one_is_told_at_once_and_what_came_before_is_kept(
    desk: Desk,
) -> None:
    with desk.meter.acquire(["power"]) as acquisition:
        kept = list(acquisition.blocks(desk.soon(0.1)))
        desk.library.unplug()
        with pytest.raises(LinkClosed, match="went away"):
            list(acquisition.blocks(desk.soon()))

    assert kept


def test_a_silent_one_is_given_up_after_two_seconds(desk: Desk) -> None:
    with desk.meter.acquire(["power"]) as acquisition:
        desk.library.is_silent = True
        with pytest.raises(LinkTimeout, match="silent for 2 s"):
            list(acquisition.blocks(desk.soon(5.0)))


def test_streams_are_switched_off_afterwards(desk: Desk) -> None:
    with desk.meter.acquire(["power", "current"]):
        pass

    assert desk.library.values[f"{PATH}/s/p/ctrl"] == 0
    assert desk.library.values[f"{PATH}/s/i/ctrl"] == 0


def test_the_one_that_is_meant_is_chosen_by_path_or_number() -> None:
    two = FakeLibrary(parse_load("idle-10mW"), paths=("u/js220/1", "u/js110/2"))

    assert choose(two, "2") == "u/js110/2"
    assert choose(two, "u/js220/1") == "u/js220/1"
    with pytest.raises(MeterError, match=r"There are 2 Joulescopes.*Name one"):
        choose(two, "")
    with pytest.raises(MeterError, match="no Joulescope 3"):
        choose(two, "3")


def test_without_the_library_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def absent(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(opening.importlib, "import_module", absent)

    with (
        pytest.raises(Unsupported, match=r"pip install 'duanping\[joulescope\]'"),
        open_joulescope(Address.parse("joulescope@"), VirtualClock()),
    ):
        pass


def test_an_unknown_option_is_refused() -> None:
    with (
        pytest.raises(UnknownName, match="seed"),
        open_joulescope(
            Address.parse("joulescope@sim:idle-1mW?sneed=1"), VirtualClock()
        ),
    ):
        pass


@pytest.mark.parametrize(
    ("raised", "told"), [(TimeoutError, LinkTimeout), (RuntimeError, LinkError)]
)
def test_what_the_library_raises_becomes_a_fault_of_the_link(
    raised: type[Exception], told: type[LinkError]
) -> None:
    with pytest.raises(told), mapped("joulescope@"):
        raise raised("17: IO")


def test_the_real_library_has_the_calls_that_the_stand_in_has() -> None:
    pytest.importorskip("pyjoulescope_driver", reason="the extra is not here")
    real = importlib.import_module("pyjoulescope_driver").Driver

    for name, _ in inspect.getmembers(Library, inspect.isfunction):
        if not name.startswith("_"):
            assert callable(getattr(real, name)), name
            assert callable(getattr(FakeLibrary, name)), name
