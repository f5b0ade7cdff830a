"""Does energy grow in proportion to work? Runs of several lengths must lie on a line.

With a meter the windows of runs differ in length. Where their net energies bend away
from a line through inferences, something other than inferences took energy, or the
meter did not see all of it: dead time, throttling, aliasing. Energy per inference is
then not one number.
"""

from collections.abc import Iterator

from harness.domain.finding import Finding
from harness.domain.record import TrialRecord
from harness.stats.energy import Reading, RunEnergy, placement_ratio, run_energy
from harness.stats.group import Group
from harness.stats.guarded import Length, slope
from harness.stats.power import is_metered, power_trace
from harness.stats.relation import Reason, Refused
from harness.stats.series import is_measured, window_of
from harness.stats.severity import finding
from harness.stats.uncertainty import TWO_SIDED, student

_NORMAL = student(float("inf"), TWO_SIDED)


def check_linear(group: Group) -> Iterator[Finding]:
    """Give a finding where the net energies of a group's runs do not lie on a line."""
    lengths = [one for trial in group.trials if (one := _length(trial)) is not None]
    found = slope(lengths)
    if isinstance(found, Refused) and found.reason is Reason.NOT_LINEAR:
        yield finding(
            "energy-not-linear",
            group.workload,
            group.arm,
            scenario=group.scenario.kind,
            runs=len(lengths),
            bend_over_u=found.values["bend_over_u"],
        )


def _length(trial: TrialRecord) -> Length | None:
    """Give a metered run as a length; None where it has no net energy.

    A window of its length strays from the mean of minutes by the published amount, so
    that much of a bend is nothing to wonder at.
    """
    trace, window, queries = power_trace(trial), window_of(trial), trial.queries
    if trace is None or window is None or queries is None or not is_metered(trace):
        return None
    run = run_energy(trial)
    if not isinstance(run, RunEnergy) or not isinstance(run.net_j, Reading):
        return None
    inferences = float(is_measured(queries).sum() * queries.samples_per_query)
    strays = placement_ratio(window.duration_s) / _NORMAL * abs(run.net_j.value)
    u_j = max(run.net_j.own.u, strays)
    if u_j == 0:
        return None
    return Length(
        inferences=round(inferences),
        energy_j=run.net_j.value * inferences,
        u_j=u_j * inferences,
    )
