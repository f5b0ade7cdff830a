"""Where a number comes from. It travels with the number to the last page."""

from enum import StrEnum


class Origin(StrEnum):
    """How a figure came about. Only `MEASURED` can support an application."""

    MEASURED = "measured"
    """On the device under test itself, by clock, kernel counter or instrument."""
    HOST = "host"
    """On the machine that runs the harness, in place of the device: reference only."""
    EMULATED = "emulated"
    """From a model of the device, in virtual time."""
    SIMULATED = "simulated"
    """From a simulated instrument."""
    DECLARED = "declared"
    """Said by the applicant or a datasheet."""

    @property
    def is_evidence(self) -> bool:
        """Say whether such a figure may support an application."""
        return self is Origin.MEASURED


class EvidenceClass(StrEnum):
    """How good the evidence of a power figure is (method, section 4)."""

    A = "A"
    """Calibrated external meter with an edge (GPIO or trigger) in the trace."""
    B = "B"
    """External meter, aligned by software."""
    C = "C"
    """On-chip counters: RAPL, fuel gauge, NVML, hwmon."""
    D = "D"
    """Modelled."""
