"""What a meter asks of a plan, from its data sheet: marks, rests, and long windows."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from harness.domain.plan import INPUTS, Supply
from harness.errors import NotCalibrated, Unsupported
from harness.loadgen.pulses import plan_pulses
from harness.meters.accuracy import accuracy_of
from harness.meters.datasheet import Datasheet, datasheet_of
from harness.meters.drivers import DRIVERS
from harness.planning import RECORDED, MeterUse
from harness.plugins import Address
from harness.stats.budget import (
    Accuracy,
    Energy,
    Use,
    floor_ratio,
    planned_window_s,
)
from harness.stats.relation import Refused
from harness.units import NS_PER_S, parse_quantity

RECORDED_HZ = 1000.0
"""Readings enter the record at most this often; faster ones are averaged to it."""
_RECORDER_STEP_NS, _RECORDER_MARK_NS = NS_PER_S // 10, NS_PER_S // 100
"""A recorder whose file comes later may be of any rate: idle lasts long enough for ten
readings a second, and marks are made for a hundred."""
_OUTSIDE = (*DRIVERS, "joulescope")
"""Instruments with a clock of their own; counters of the machine have the machine's."""
_INPUTS = {"lpm01a": INPUTS[7:], "ppk2": INPUTS}
"""Driver → its inputs: the LPM01A tells of falls at its D7 only (ST UM2269)."""
_MARKED_FROM_HZ = 100.0
"""Slower meters would need minutes of marks; guards do without (docs: energy)."""


def edge_inputs(driver: str) -> tuple[str, ...]:
    """Name the logic inputs at which a meter sees a pin fall; empty: it has none."""
    return _INPUTS.get(driver, ())


def meter_use(address: str, supply: Supply) -> MeterUse:
    """Say what a meter asks of the trials that it reads.

    A recorder whose file comes later gets marks that a hundred readings a second show.
    A driver without a data sheet, as a stranger's may be, is taken for one that gives
    a reading a second and needs no marks: its energies are refused later for want of
    limits of error.
    """
    if address.startswith(RECORDED):
        return MeterUse(
            address=address,
            step_ns=_RECORDER_STEP_NS,
            pulses=plan_pulses(_RECORDER_MARK_NS, seed=0).planned(),
            supply=supply,
        )
    driver = Address.parse(address).driver
    try:
        sheet = datasheet_of(driver)
    except NotCalibrated:
        return MeterUse(address=address, step_ns=NS_PER_S, supply=supply)
    step_ns = round(NS_PER_S / min(sheet.readings_hz, RECORDED_HZ))
    is_marked = driver in _OUTSIDE and sheet.readings_hz >= _MARKED_FROM_HZ
    return MeterUse(
        address=address,
        step_ns=step_ns,
        latency_ns=round(sheet.latency_s * NS_PER_S),
        pulses=plan_pulses(step_ns, seed=0).planned() if is_marked else None,
        supply=supply,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """What a meter can claim of gross energy at one power."""

    power_w: float
    floor_ratio: float
    """Expanded uncertainty over the value of an endless window."""
    windows_s: Mapping[float, float | None]
    """Relative U → the window that it takes; None: no window does."""


def reach_of(
    address: str, powers_w: Iterable[float], claims: Iterable[float]
) -> tuple[Reach, ...]:
    """Say what a meter can claim at each power that its data sheet speaks of."""
    claims = tuple(claims)
    found = []
    for power_w in powers_w:
        try:
            accuracy, use = _at(address, power_w)
        except NotCalibrated:
            continue
        windows = {one: planned_window_s(accuracy, use, one) for one in claims}
        found.append(
            Reach(
                power_w=power_w,
                floor_ratio=floor_ratio(accuracy, power_w),
                windows_s={
                    one: None if isinstance(window, Refused) else window
                    for one, window in windows.items()
                },
            )
        )
    return tuple(found)


def require_claim(address: str, power_w: float, claim_ratio: float) -> int:
    """Give the window in ns for a claim. Raises Unsupported for one below the floor."""
    accuracy, use = _at(address, power_w)
    found = planned_window_s(accuracy, use, claim_ratio)
    if isinstance(found, Refused):
        floor = found.values["floor"]
        raise Unsupported(
            f"This meter cannot support an energy within ±{claim_ratio:.2%}: its floor "
            f"at {power_w:.3g} W is ±{floor:.2%}, however long the window",
            where=address,
            remedy="Claim no less than the floor, calibrate the meter (duanping "
            "calibrate), or take another one.",
        )
    return round(found * NS_PER_S)


def _at(address: str, power_w: float) -> tuple[Accuracy, Use]:
    where = Address.parse(address)
    sheet = datasheet_of(where.driver)
    limits = accuracy_of(
        where.driver, least_w=power_w, most_w=power_w, volts=_volts(where)
    )
    accuracy = Accuracy(
        gain_ratio=limits.gain_ratio,
        offset_w=limits.offset_w,
        resolution_w=limits.resolution_w,
        is_dithered=True,  # what a live device draws is never steady to the last digit
        time_base_ratio=limits.timebase_ratio,
    )
    return accuracy, _use(sheet, power_w)


def _use(sheet: Datasheet, power_w: float) -> Use:
    """Take the worst case of edges: power falls to nothing, stamps are the host's."""
    step_s = 1.0 / min(sheet.readings_hz, RECORDED_HZ)
    return Use(
        energy=Energy.GROSS,
        duration_s=1.0,
        step_s=step_s,
        active_w=power_w,
        u_edge_s=(step_s + sheet.latency_s) / 12**0.5,
    )


_STATED_V = 3.0
"""Supply in the simulators of meters of current, and in examples."""


def _volts(where: Address) -> float:
    """Give the voltage that the address states; current-only meters need one."""
    _, _, query = where.link.partition("?")
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        if name == "voltage" and value:
            return parse_quantity(value, "V")
    return _STATED_V
