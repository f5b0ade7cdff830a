"""A calibration of one specimen of a meter: by when, against what, how well."""

from dataclasses import dataclass

from harness.domain.origin import Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibratedRange:
    """A straight line for one range: true value = offset + gain · indication.

    Raises ValueError for a gain that is not positive or a range without extent.
    """

    channel: str
    unit: str
    least: float
    most: float
    """The indications, without their sign, for which the line holds."""
    gain: float
    offset: float
    u_gain_ratio: float
    """Standard uncertainty of the gain, relative."""
    u_offset: float
    """Standard uncertainty of the offset, in the channel's unit."""
    freedom: float
    """Degrees of freedom of both; infinite where the reference decides."""
    pairs: int

    def __post_init__(self) -> None:
        if self.gain <= 0:
            raise ValueError("a gain is above zero")
        if not 0 <= self.least < self.most:
            raise ValueError("a range reaches from its least to its most")


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """What a calibration says of a meter, and of itself."""

    driver: str
    model: str
    serial_number: str
    origin: Origin
    """SIMULATED where the meter or its reference was."""
    taken_on: str
    """ISO 8601 date."""
    valid_until: str
    reference: str
    """What it was compared with, in words."""
    reference_serial_number: str = ""
    ambient_degc: float | None = None
    conditions: str = ""
    ranges: tuple[CalibratedRange, ...] = ()

    @property
    def title(self) -> str:
        """Say in a few words what this is, first of all whether it is one."""
        simulated = "" if self.origin.is_evidence else f"{self.origin.value.upper()} "
        return f"{simulated}calibration of {self.taken_on} against {self.reference}"
