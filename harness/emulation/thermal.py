"""Heat of a device that works: a resistance to the air and a capacity, one lag.

    T(t) = T_air + R · P̄(t),   P̄ the power seen through a lag of R·C

Heat is counted from 0, in balance with idling, to 1, in balance with steady work at
full speed. Beyond the onset the device slows down linearly; what it then draws less
is fed back, so that it settles where cooling and work are in balance.
"""

from dataclasses import dataclass
from math import exp

from harness.emulation.device_model import Rates
from harness.units import NS_PER_S


@dataclass(frozen=True, slots=True, kw_only=True)
class Throttling:
    """Slows the device down as heat, a first-order lag of its work, goes up."""

    time_constant_s: float
    onset: float
    """Heat (0-1) up to which nothing happens; from there it slows linearly."""
    floor: float
    """Share of the speed that is left at the heat `full`."""
    full: float = 1.0
    follows_speed: bool = False
    """A slower device heats less. False: it heats as at full speed."""


def throttling_of(rates: Rates, *, idle_w: float, active_w: float) -> Throttling | None:
    """Read the thermal model of a device; None where it never slows down.

    With a thermal resistance, heat is °C above idling; without one, the profile
    gives the onset as a share of full heat.
    """
    if not rates.throttles:
        return None
    resistance, limit = rates["thermal.resistance"], rates["thermal.limit"]
    if not resistance:
        return Throttling(
            time_constant_s=rates["throttle.time_constant"],
            onset=rates["throttle.onset"],
            floor=rates["throttle.floor"],
        )
    at_idle = rates["thermal.ambient"] + resistance * idle_w
    span = resistance * (active_w - idle_w)
    if span <= 0 or at_idle + span <= limit:
        return None
    onset = max(0.0, (limit - at_idle) / span)
    critical = max(rates["thermal.critical"], limit + 1.0)
    return Throttling(
        time_constant_s=rates["throttle.time_constant"],
        onset=onset,
        floor=rates["throttle.floor"],
        full=(critical - at_idle) / span,
        follows_speed=True,
    )


class Heat:
    """Heat of a device from 0 (idling) to 1 (in balance with steady work)."""

    def __init__(self, throttling: Throttling, now_ns: int) -> None:
        self._law = throttling
        self._heat = 0.0
        self._at_ns = now_ns

    def idle_until(self, now_ns: int) -> None:
        """Cool down up to an instant."""
        self._heat *= self._left(now_ns - self._at_ns)
        self._at_ns = now_ns

    def work_until(self, now_ns: int) -> None:
        """Warm up to an instant, working all the while."""
        towards = self.speed if self._law.follows_speed else 1.0
        self._heat = towards - (towards - self._heat) * self._left(now_ns - self._at_ns)
        self._at_ns = now_ns

    @property
    def speed(self) -> float:
        """Share of the full speed that the device has now."""
        law = self._law
        if self._heat <= law.onset:
            return 1.0
        excess = (self._heat - law.onset) / (law.full - law.onset)
        return 1.0 - (1.0 - law.floor) * min(1.0, excess)

    def _left(self, elapsed_ns: int) -> float:
        return exp(-elapsed_ns / (self._law.time_constant_s * NS_PER_S))
