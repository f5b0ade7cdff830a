"""Gates: decided from findings and figures; a missed one makes the grade D."""

from dataclasses import replace

import pytest

from harness.domain.estimate import MEASURANDS, Estimate
from harness.domain.finding import Finding, Severity
from harness.domain.origin import Origin
from harness.domain.plan import Plan
from harness.domain.requirement import Gate, GateStatus
from harness.domain.scenario import SingleStream
from harness.domain.workload import OWN_SUITE
from harness.grading.gates import GateFacts, decide_gates
from harness.testing.builders import a_plan, a_trial

NO_CRASH = Gate(id="no_crash", rule="", source="")
ON_DEVICE = Gate(id="on_device", rule="", source="")
QUALITY = Gate(id="quality_target", rule="", source="", targets={"kws": 0.9})


def plan_of() -> Plan:
    return a_plan([replace(a_trial(), workload="kws", scenario=SingleStream())])


def an_estimate(
    name: str = "latency_p50", lower: float | None = None, upper: float | None = None
) -> Estimate:
    return Estimate(
        measurand=MEASURANDS[name],
        workload="kws",
        scenario="SingleStream",
        value=0.9,
        standard_uncertainty=0.0,
        lower_bound=lower,
        upper_bound=upper,
        method="",
        origin=Origin.MEASURED,
    )


def decided(
    gate: Gate,
    *findings: Finding,
    plan: Plan | None = None,
    estimates: tuple[Estimate, ...] = (an_estimate(),),
) -> tuple[GateStatus, tuple[str, ...]]:
    facts = GateFacts(plan=plan or plan_of(), estimates=estimates, findings=findings)
    (result,) = decide_gates([gate], facts)
    return result.status, result.subjects


def checked(state: str, condition: str, model: str) -> Finding:
    return Finding(
        code=f"privacy-{state}",
        severity=Severity.NOTE,
        subject=model,
        values={"condition": condition, "detail": ""},
    )


def test_a_run_without_a_crash_meets_the_gate() -> None:
    assert decided(NO_CRASH) == (GateStatus.MET, ())


@pytest.mark.parametrize("code", ["trial-crashed", "trial-out-of-memory", "trial-hung"])
def test_a_trial_that_the_device_broke_off_misses_it(code: str) -> None:
    broken = Finding(code=code, severity=Severity.CONDITIONAL, subject="kws.r1")

    assert decided(NO_CRASH, broken) == (GateStatus.MISSED, ("kws.r1",))


def test_what_befalls_the_host_that_stands_beside_is_not_the_device_s() -> None:
    beside = Finding(code="trial-crashed", severity=Severity.NOTE, subject="kws.host")

    assert decided(NO_CRASH, beside)[0] is GateStatus.MET


def test_a_run_that_gave_no_figure_shows_nothing() -> None:
    assert decided(NO_CRASH, estimates=())[0] is GateStatus.UNCHECKED


def test_every_model_that_sends_nothing_meets_the_network_gate() -> None:
    plan = plan_of()
    model = plan.trials[0].model
    both = [checked("passed", name, model) for name in ("isolated", "sends-nothing")]

    assert decided(ON_DEVICE, *both, plan=plan)[0] is GateStatus.MET
    assert decided(ON_DEVICE, both[0], plan=plan)[0] is GateStatus.UNCHECKED
    assert decided(ON_DEVICE, plan=plan)[0] is GateStatus.UNCHECKED


def test_one_model_that_sends_something_misses_it() -> None:
    plan = plan_of()
    model = plan.trials[0].model
    sent = checked("failed", "sends-nothing", model)

    assert decided(ON_DEVICE, sent, plan=plan) == (GateStatus.MISSED, (model,))


@pytest.mark.parametrize(
    ("lower", "upper", "status"),
    [
        (0.91, 0.95, GateStatus.MET),
        (0.80, 0.89, GateStatus.MISSED),
        (0.88, 0.92, GateStatus.OPEN),
        (None, None, GateStatus.OPEN),
    ],
)
def test_own_items_decide_the_quality_gate_by_their_bounds(
    lower: float | None, upper: float | None, status: GateStatus
) -> None:
    plan = plan_of()
    own = replace(plan, suite=replace(plan.suite, name=OWN_SUITE))
    metric = an_estimate("task_metric", lower, upper)

    assert decided(QUALITY, plan=own, estimates=(metric,))[0] is status


def test_items_that_the_harness_ships_are_not_the_benchmark_s() -> None:
    metric = an_estimate("task_metric", 0.2, 0.3)

    assert decided(QUALITY, estimates=(metric,))[0] is GateStatus.UNCHECKED


def test_a_gate_that_is_not_known_is_unchecked() -> None:
    gate = Gate(id="new", rule="", source="")

    assert decided(gate)[0] is GateStatus.UNCHECKED
