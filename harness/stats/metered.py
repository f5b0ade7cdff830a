"""What a meter's data sheet promises, as each metered trial noted it.

Repeats say nothing about a meter's gain: it is the same in every run. Each trial that
was metered notes limits of error of the ranges that its trace touched
(``meter.gain_ratio``, ``meter.timebase_ratio``, ``meter.offset_w``,
``meter.resolution_w``, ``meter.voltage_ratio``), how long a reading takes to arrive
(``meter.latency_s``), and, once clocks are related, how well (``alignment.u_s``).
"""

from harness.domain.record import TrialRecord
from harness.stats.budget import Accuracy

MEANS = "alignment.means"
REFUSED = "alignment.refused"
VALUES = "alignment.values"
U_CLOCK = "alignment.u_s"


def accuracy_noted(trial: TrialRecord) -> Accuracy | None:
    """Give the limits of error of a trial's meter; None where no meter noted any."""
    if "meter.gain_ratio" not in trial.notes:
        return None
    return Accuracy(
        gain_ratio=_noted(trial, "meter.gain_ratio"),
        offset_w=_noted(trial, "meter.offset_w"),
        resolution_w=_noted(trial, "meter.resolution_w"),
        time_base_ratio=_noted(trial, "meter.timebase_ratio"),
        voltage_ratio=_noted(trial, "meter.voltage_ratio"),
    )


def u_clock_s(trial: TrialRecord) -> float:
    """Give the standard uncertainty in s of the trace's times on the trial's clock."""
    return _noted(trial, U_CLOCK)


def latency_s(trial: TrialRecord) -> float:
    """Give how long after its interval a reading may arrive, in s."""
    return _noted(trial, "meter.latency_s")


def _noted(trial: TrialRecord, key: str) -> float:
    return float(trial.notes.get(key, "0"))
