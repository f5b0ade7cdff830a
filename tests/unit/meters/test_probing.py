"""Who answers on a port: each simulator is found by its protocol, and only by it."""

from collections.abc import Callable

import pytest

from harness.clock import SystemClock, VirtualClock
from harness.errors import LinkError
from harness.links.loop import Instrument, LoopLink
from harness.meters.drivers import DRIVERS, Options
from harness.meters.loads import parse_load
from harness.meters.ppk2.sim import Ppk2Simulator
from harness.meters.probing import PROBES, ask, probe
from harness.testing.ptybench import served_on_pty

LEVELS = {"ppk2": "10mW", "lpm01a": "10mW", "ina": "600mW"}


def simulated(driver: str) -> Instrument:
    level = LEVELS.get(driver, "6W")
    options = Options(values={}, where="a test")
    return DRIVERS[driver].simulate(parse_load(f"idle-{level}"), options)


def found(instrument: Callable[[], Instrument]) -> list[tuple[str, str]]:
    """Ask a fresh instrument every question; give who was recognised in which."""
    seen = []
    for one in PROBES:
        clock = VirtualClock()
        link = LoopLink(instrument(), clock, "loop")
        sighting = ask(link, clock, one)
        if sighting.identity:
            seen.append((one.driver, sighting.identity))
    return seen


@pytest.mark.parametrize(
    ("driver", "identity"),
    [
        ("ppk2", "PPK2, hardware 9173"),
        ("lpm01a", "X-NUCLEO-LPM01A 540554545-1430736921-1900587"),
        ("scpi", "YOKOGAWA WT310E C2TA01234V"),
        ("ina", "INA226 board"),
        ("um25c", "UM25C"),
        ("pzem", "PZEM, unit 1, 230 V"),
        ("dlt645", "meter 202301018888"),
    ],
)
def test_each_instrument_is_recognised_by_its_own_question_only(
    driver: str, identity: str
) -> None:
    seen = found(lambda: simulated(driver))

    assert {name for name, _ in seen} == {driver}
    assert seen[0][1] == identity


@pytest.mark.parametrize("driver", ["dlt645", "pzem", "um25c", "scpi"])
def test_an_instrument_is_recognised_after_questions_that_it_does_not_know(
    driver: str,
) -> None:
    clock = VirtualClock()
    link = LoopLink(simulated(driver), clock, "loop")

    seen = [ask(link, clock, one) for one in PROBES]

    assert driver in {one.driver for one in seen if one.identity}


def test_a_tc66c_is_recognised_though_its_reply_is_encrypted() -> None:
    pytest.importorskip("cryptography", reason="install the extra tc66c")

    seen = found(lambda: simulated("tc66c"))

    assert [name for name, _ in seen] == ["tc66c"]


@pytest.mark.parametrize("driver", ["ppk2", "lpm01a"])
def test_probing_changes_nothing_on_a_meter_that_feeds_a_device(driver: str) -> None:
    clock = VirtualClock()
    instrument = simulated(driver)
    link = LoopLink(instrument, clock, "loop")

    for one in PROBES:
        ask(link, clock, one)

    is_powered = getattr(instrument, "is_dut_powered", False) or getattr(
        instrument, "is_target_powered", False
    )
    assert not is_powered
    assert instrument.next_ns(clock.now_ns()) is None


def test_every_meter_on_a_wire_can_be_asked_for() -> None:
    drivers = {one.driver for one in PROBES}

    assert drivers == set(DRIVERS)


def test_a_port_is_asked_until_somebody_answers() -> None:
    load = parse_load("idle-10mW")
    simulator = Ppk2Simulator(lambda seconds: load.watts(seconds) / 3.0)

    with served_on_pty(simulator) as served:
        seen = list(probe(f"serial:{served.name}", SystemClock()))

    assert [(one.driver, one.identity) for one in seen] == [
        ("ppk2", "PPK2, hardware 9173")
    ]


def test_a_port_that_is_not_there_is_told() -> None:
    with pytest.raises(LinkError, match="There is no such port"):
        list(probe("serial:/dev/no-such-port", SystemClock()))
