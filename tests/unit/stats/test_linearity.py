"""Net energies of runs of several lengths lie on a line, or it is said."""

from dataclasses import replace

import numpy as np
import pytest

from harness.domain.finding import Severity
from harness.domain.origin import Origin
from harness.domain.plan import Arm
from harness.domain.record import TrialRecord
from harness.domain.scenario import SingleStream
from harness.stats.group import Group
from harness.stats.linearity import check_linear
from harness.testing.builders import a_model, a_profile, a_trial, a_trial_record

LENGTHS = (400, 600, 800)


def a_run(number: int, queries: int, power_w: float) -> TrialRecord:
    found = a_trial_record(
        a_trial(run=number),
        latencies_ns=np.full(queries, 20_000_000, dtype=np.int64),
        power_w=power_w,
    )
    block = replace(
        found.readings[0],
        origin=Origin.MEASURED,
        channel=replace(found.readings[0].channel, source="ppk2@serial:/dev/ttyACM0"),
    )
    return replace(found, readings=(block,))


def a_group(*powers_w: float) -> Group:
    pairs = zip(LENGTHS, powers_w, strict=True)
    return Group(
        arm=Arm.DEVICE,
        workload="kws",
        scenario=SingleStream(),
        origin=Origin.MEASURED,
        profile=a_profile(),
        model=a_model(),
        trials=tuple(a_run(k, n, watts) for k, (n, watts) in enumerate(pairs, 1)),
    )


def test_energy_in_proportion_to_work_is_no_finding() -> None:
    assert list(check_linear(a_group(0.03, 0.03, 0.03))) == []


def test_a_device_that_throttles_in_the_long_run_is_found() -> None:
    (found,) = check_linear(a_group(0.03, 0.03, 0.02))

    assert found.code == "energy-not-linear"
    assert found.severity is Severity.CONDITIONAL
    assert found.values["bend_over_u"] > 3


@pytest.mark.parametrize("origin", [Origin.EMULATED, Origin.HOST])
def test_a_model_of_power_is_not_held_to_a_line(origin: Origin) -> None:
    group = a_group(0.03, 0.03, 0.02)
    modelled = tuple(
        replace(run, readings=(replace(run.readings[0], origin=origin),))
        for run in group.trials
    )

    assert list(check_linear(replace(group, trials=modelled))) == []
