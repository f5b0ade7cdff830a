"""Rows to a grade: which rows are core, what each says, why some say nothing."""

from collections.abc import Iterable
from dataclasses import replace

import pytest

from harness.domain.estimate import MEASURANDS, Estimate, Withheld
from harness.domain.finding import Finding, Severity, Validity
from harness.domain.labelled import LabelledData, Metric
from harness.domain.origin import EvidenceClass, Origin
from harness.domain.plan import Boundary, Plan, Supply
from harness.domain.profile import DeviceClass
from harness.domain.requirement import (
    REASONS,
    ClassTiers,
    Gate,
    Grade,
    Kind,
    Requirement,
    RowResult,
    RowStatus,
    Sense,
    Tier,
    TierSet,
)
from harness.domain.scenario import Periodic, Scenario, SingleStream, Sustained
from harness.domain.workload import OWN_SUITE
from harness.errors import UnknownName
from harness.grading import award, core_rows, meets
from harness.schema.tiers import load_tier_set, tier_set_path
from harness.testing.builders import a_plan, a_trial
from harness.units import NS_PER_S

ALWAYS_ON = Periodic(period_ns=32_000_000, deadline_ns=32_000_000)


def a_row(  # noqa: PLR0913 - a row has many fields, and tests vary each of them
    row_id: str,
    measurand: str,
    *,
    workloads: tuple[str, ...] = ("kws",),
    scenario: str = "SingleStream",
    family: str = "latency",
    kind: Kind = Kind.DEADLINE,
    is_core: bool = True,
    needs: str = "",
    minimum_s: float = 0.0,
) -> Requirement:
    return Requirement(
        id=row_id,
        measurand=measurand,
        workloads=workloads,
        scenario=scenario,
        statement="",
        sense=Sense.AT_MOST,
        limits={Tier.A: 1.0, Tier.B: 2.0, Tier.C: 4.0},
        unit="s",
        is_core=is_core,
        kind=kind,
        family=family,
        evidence="M",
        source="",
        needs=needs,
        minimum_s=minimum_s,
    )


LATENCY = a_row("lat", "latency_p99")
ENERGY = a_row("energy", "energy_per_inference_net", family="energy")
MEMORY = a_row(
    "mem",
    "weights_and_arena",
    workloads=(),
    scenario="",
    family="memory",
    is_core=False,
)
WEIGHTS = {"latency": 0.5, "energy": 0.3, "memory": 0.2}


def tiers_of(*rows: Requirement, **applies: tuple[str, ...]) -> TierSet:
    found = ClassTiers(
        device_class=DeviceClass.WEARABLE,
        title_zh="可穿戴设备",
        rows=rows,
        applies=applies,
        weights=WEIGHTS,
    )
    return TierSet(
        version="t",
        status="proposal",
        tier_titles_zh={},
        classes={DeviceClass.WEARABLE: found},
    )


def plan_of(
    *what: tuple[str, Scenario], subtypes: tuple[str, ...] = (), suite: str = "wearable"
) -> Plan:
    plan = a_plan([a_trial(workload, scenario) for workload, scenario in what])
    return replace(
        plan,
        profile=replace(plan.profile, subtypes=subtypes),
        suite=replace(plan.suite, name=suite),
    )


KWS = plan_of(("kws", SingleStream()))


def a_figure(  # noqa: PLR0913 - tests vary each of them, by name
    measurand: str,
    value: float,
    *,
    workload: str = "kws",
    scenario: str = "SingleStream",
    u: float = 0.0,
    origin: Origin = Origin.EMULATED,
) -> Estimate:
    return Estimate(
        measurand=MEASURANDS[measurand],
        workload=workload,
        scenario=scenario,
        origin=origin,
        value=value,
        standard_uncertainty=u,
    )


def graded(
    tier_set: TierSet,
    plan: Plan,
    *estimates: Estimate,
    withheld: Iterable[Withheld] = (),
    origin: Origin = Origin.EMULATED,
) -> Grade:
    return award(
        tier_set,
        plan,
        estimates=estimates,
        withheld=withheld,
        validity=Validity.VALID,
        origin=origin,
    )


def only_row(grade: Grade) -> RowResult:
    (row,) = grade.rows
    assert row.reason in REASONS | {""}
    return row


def test_the_class_grade_is_that_of_the_worst_core_row() -> None:
    grade = graded(
        tiers_of(LATENCY, ENERGY, MEMORY),
        KWS,
        a_figure("latency_p99", 0.5),
        a_figure("energy_per_inference_net", 3.0),
        a_figure("weights_and_arena", 9.0),
    )

    assert grade.tier is Tier.C
    assert grade.worst_row == "energy"
    assert grade.missing == ()
    assert [row.guarded for row in grade.rows] == [Tier.A, Tier.C, Tier.D]


def test_a_core_row_without_an_answer_leaves_the_grade_not_determined() -> None:
    grade = graded(tiers_of(LATENCY, ENERGY), KWS, a_figure("latency_p99", 1.5))

    assert grade.tier is None
    assert grade.partial is Tier.B
    assert grade.missing == ("energy",)


def test_without_any_core_row_there_is_no_grade() -> None:
    grade = graded(tiers_of(MEMORY), KWS, a_figure("weights_and_arena", 1.0))

    assert (grade.tier, grade.partial, grade.worst_row) == (None, None, None)


def test_guarded_and_simple_tiers_stand_side_by_side() -> None:
    grade = graded(tiers_of(LATENCY), KWS, a_figure("latency_p99", 0.95, u=0.1))

    row = only_row(grade)

    assert (row.guarded, row.simple) == (Tier.B, Tier.A)
    assert row.conformance[Tier.A] == pytest.approx(0.691, abs=1e-3)


def test_the_plan_s_guard_ratio_is_used() -> None:
    plan = replace(KWS, guard_ratio=0.0)

    grade = graded(tiers_of(LATENCY), plan, a_figure("latency_p99", 0.95, u=0.1))

    assert only_row(grade).guarded is Tier.A


def test_figures_of_another_origin_are_never_graded() -> None:
    grade = graded(
        tiers_of(LATENCY),
        KWS,
        a_figure("latency_p99", 0.1, origin=Origin.HOST),
        a_figure("latency_p99", 0.2, origin=Origin.MEASURED),
        a_figure("latency_p99", 3.0, origin=Origin.EMULATED),
    )

    assert grade.tier is Tier.C
    assert grade.origin is Origin.EMULATED
    assert not grade.is_evidence


def test_the_host_is_never_graded() -> None:
    with pytest.raises(ValueError, match="never graded"):
        graded(tiers_of(LATENCY), KWS, origin=Origin.HOST)


def test_the_worst_workload_decides_a_row_about_several() -> None:
    plan = plan_of(("kws", SingleStream()), ("vww", SingleStream()))

    grade = graded(
        tiers_of(MEMORY),
        plan,
        a_figure("weights_and_arena", 0.5, workload="kws"),
        a_figure("weights_and_arena", 3.5, workload="vww"),
    )

    row = only_row(grade)
    assert row.guarded is Tier.C
    assert row.estimate is not None
    assert row.estimate.workload == "vww"


def test_a_figure_of_an_unnamed_workload_says_nothing_to_a_row() -> None:
    plan = plan_of(("kws", SingleStream()), ("vww", SingleStream()))

    grade = graded(
        tiers_of(LATENCY),
        plan,
        a_figure("latency_p99", 9.0, workload="vww"),
        a_figure("latency_p99", 0.5),
    )

    assert only_row(grade).guarded is Tier.A


def test_a_row_about_several_workloads_wants_every_one_of_them() -> None:
    plan = plan_of(("kws", SingleStream()), ("vww", SingleStream()))

    grade = graded(tiers_of(MEMORY), plan, a_figure("weights_and_arena", 0.5))

    assert only_row(grade).reason == "no-estimate"


def test_a_row_takes_figures_of_its_own_scenario_alone() -> None:
    plan = plan_of(("kws", SingleStream()), ("kws", ALWAYS_ON))

    grade = graded(
        tiers_of(LATENCY),
        plan,
        a_figure("latency_p99", 9.0, scenario="Periodic"),
        a_figure("latency_p99", 0.5),
    )

    assert only_row(grade).guarded is Tier.A


def test_what_was_withheld_says_how_many_queries_it_needs() -> None:
    other, withheld = (
        Withheld(
            measurand=MEASURANDS[name],
            workload="kws",
            scenario="SingleStream",
            origin=Origin.EMULATED,
            reason="too-few-queries",
            needed_queries=needed,
            observed_queries=128,
        )
        for name, needed in (("latency_p999", 2995), ("latency_p99", 299))
    )

    row = only_row(graded(tiers_of(LATENCY), KWS, withheld=[other, withheld]))

    assert row.status is RowStatus.NOT_MEASURED
    assert row.reason == "too-few-queries"
    assert row.withheld is withheld


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (replace(LATENCY, workloads=("ocr",)), "workload-not-in-suite"),
        (replace(LATENCY, scenario="Periodic"), "scenario-not-run"),
        (replace(LATENCY, measurand="", needs="optical-rig"), "needs-optical-rig"),
        (replace(LATENCY, measurand="", needs=""), "no-estimate"),
        (a_row("share", "memory_share", workloads=()), "os-class-only"),
        (a_row("acc", "accuracy_retention", workloads=()), "seeded-weights"),
        (ENERGY, "needs-meter"),
        (LATENCY, "no-estimate"),
    ],
)
def test_a_row_without_a_figure_says_why(row: Requirement, reason: str) -> None:
    result = only_row(graded(tiers_of(row), KWS))

    assert result.status is RowStatus.NOT_MEASURED
    assert result.reason == reason
    assert (result.guarded, result.simple, result.score) == (None, None, None)


def test_a_missed_gate_makes_the_grade_d_whatever_the_rows_say() -> None:
    tiers = replace(tiers_of(LATENCY), gates=(Gate(id="no_crash", rule="", source=""),))
    crash = Finding(
        code="trial-crashed", severity=Severity.CONDITIONAL, subject="kws.r1"
    )
    good = a_figure("latency_p99", 0.5)

    missed, met = (
        award(
            tiers,
            KWS,
            estimates=[good],
            withheld=(),
            validity=Validity.CONDITIONAL,
            origin=Origin.EMULATED,
            findings=found,
        )
        for found in ([crash], [])
    )

    assert (missed.tier, missed.missed_gates) == (Tier.D, ("no_crash",))
    assert (met.tier, met.missed_gates) == (Tier.A, ())
    assert meets(missed, Tier.C) is False


DRAIN = a_row("drain", "battery_drain", family="energy", needs="whole-device-power")


def fed_through(boundary: Boundary) -> Plan:
    return replace(KWS, supply=Supply(boundary=boundary, is_single=True))


def test_a_row_about_the_whole_device_takes_power_of_the_whole_device() -> None:
    figure = a_figure("battery_drain", 0.5, origin=Origin.MEASURED)
    figure = replace(figure, evidence_class=EvidenceClass.B)

    of_all, of_a_rail = (
        only_row(
            graded(tiers_of(DRAIN), fed_through(where), figure, origin=Origin.MEASURED)
        )
        for where in (Boundary.WHOLE_DEVICE, Boundary.SOC_RAIL)
    )

    assert of_all.guarded is Tier.A
    assert of_a_rail.reason == "needs-whole-device-power"


def test_a_device_model_knows_nothing_of_the_whole_device() -> None:
    plan = fed_through(Boundary.WHOLE_DEVICE)

    grade = graded(tiers_of(DRAIN), plan, a_figure("battery_drain", 0.5))

    assert only_row(grade).reason == "needs-whole-device-power"


def test_seeded_weights_say_nothing_about_accuracy_even_with_a_figure() -> None:
    row = a_row("acc", "accuracy_retention", workloads=())

    grade = graded(tiers_of(row), KWS, a_figure("accuracy_retention", 1.0))

    assert only_row(grade).reason == "seeded-weights"


def with_labelled_items(plan: Plan) -> Plan:
    models = tuple(replace(model, is_trained=True) for model in plan.models)
    data = LabelledData(
        name="kws.npz",
        sha256="0" * 64,
        items=1000,
        metric=Metric.TOP1,
        parent=models[0].name,
    )
    return replace(plan, models=models, labelled={"kws": data})


def test_trained_weights_without_labelled_items_are_not_graded_on_accuracy() -> None:
    row = a_row("acc", "accuracy_retention", workloads=())
    plan = replace(with_labelled_items(KWS), labelled={})

    grade = graded(tiers_of(row), plan, a_figure("accuracy_retention", 0.99))

    assert only_row(grade).reason == "no-labelled-items"


def test_trained_weights_are_graded_on_accuracy() -> None:
    row = a_row("acc", "accuracy_retention", workloads=())
    plan = with_labelled_items(KWS)

    grade = graded(tiers_of(row), plan, a_figure("accuracy_retention", 0.99))

    assert only_row(grade).guarded is Tier.A


@pytest.mark.parametrize(
    ("minutes", "status"), [(10, RowStatus.NOT_MEASURED), (30, RowStatus.JUDGED)]
)
def test_a_sustained_run_must_be_as_long_as_the_row_asks(
    minutes: int, status: RowStatus
) -> None:
    row = a_row("sust30", "sustained_ratio", scenario="Sustained", minimum_s=1800)
    plan = plan_of(("kws", Sustained(duration_ns=minutes * 60 * NS_PER_S)))

    grade = graded(
        tiers_of(row), plan, a_figure("sustained_ratio", 0.9, scenario="Sustained")
    )

    assert only_row(grade).status is status


def test_a_model_of_one_s_own_is_graded_on_deadline_rows_only() -> None:
    relative = replace(LATENCY, id="relative", kind=Kind.RELATIVE)
    plan = plan_of(("kws", SingleStream()), suite=OWN_SUITE)

    grade = graded(tiers_of(LATENCY, relative), plan, a_figure("latency_p99", 0.5))

    assert [row.guarded for row in grade.rows] == [Tier.A, None]
    assert grade.rows[1].reason == "not-the-reference-model"


@pytest.mark.parametrize(
    ("evidence_class", "guarded", "reason"),
    [
        (EvidenceClass.A, Tier.A, ""),
        (EvidenceClass.B, Tier.A, ""),
        (EvidenceClass.C, None, "evidence-class-too-low"),
        (EvidenceClass.D, None, "evidence-class-too-low"),
        (None, None, "evidence-class-too-low"),
    ],
)
def test_measured_energy_takes_an_external_meter(
    evidence_class: EvidenceClass | None, guarded: Tier | None, reason: str
) -> None:
    figure = a_figure("energy_per_inference_net", 0.5, origin=Origin.MEASURED)
    figure = replace(figure, evidence_class=evidence_class)

    row = only_row(graded(tiers_of(ENERGY), KWS, figure, origin=Origin.MEASURED))

    assert (row.guarded, row.reason) == (guarded, reason)


def test_emulated_energy_is_graded_as_emulated() -> None:
    figure = a_figure("energy_per_inference_net", 0.5)
    figure = replace(figure, evidence_class=EvidenceClass.D)

    assert graded(tiers_of(ENERGY), KWS, figure).tier is Tier.A


@pytest.mark.parametrize(("spread", "guarded"), [(0.10, Tier.A), (0.11, None)])
def test_runs_that_differ_by_more_than_a_tenth_determine_nothing(
    spread: float, guarded: Tier | None
) -> None:
    grade = graded(
        tiers_of(LATENCY),
        KWS,
        a_figure("latency_p99", 0.5),
        a_figure("repeat_cv", spread),
    )

    row = only_row(grade)
    assert row.guarded is guarded
    assert row.reason == ("" if guarded else "spread-above-limit")


def test_the_spread_of_one_workload_leaves_the_others_alone() -> None:
    plan = plan_of(("kws", SingleStream()), ("vww", SingleStream()))

    grade = graded(
        tiers_of(LATENCY),
        plan,
        a_figure("latency_p99", 0.5),
        a_figure("repeat_cv", 0.5, workload="vww"),
    )

    assert grade.tier is Tier.A


def test_the_row_about_the_spread_itself_is_judged() -> None:
    row = a_row("repeat_cv", "repeat_cv", family="unscored")

    grade = graded(tiers_of(row), KWS, a_figure("repeat_cv", 0.5))

    assert only_row(grade).status is RowStatus.JUDGED


def test_too_much_uncertainty_is_not_determined_but_keeps_its_verdicts() -> None:
    grade = graded(tiers_of(LATENCY), KWS, a_figure("latency_p99", 1.5, u=0.5))

    row = only_row(grade)
    assert row.status is RowStatus.NOT_DETERMINED
    assert row.reason == "uncertainty-too-large"
    assert set(row.verdicts) == set(row.conformance) == {Tier.A, Tier.B, Tier.C}


def test_a_certain_miss_outweighs_a_figure_that_is_not_determined() -> None:
    plan = plan_of(("kws", SingleStream()), ("vww", SingleStream()))

    grade = graded(
        tiers_of(MEMORY),
        plan,
        a_figure("weights_and_arena", 1.5, u=0.5, workload="kws"),
        a_figure("weights_and_arena", 9.0, workload="vww"),
    )

    assert only_row(grade).guarded is Tier.D


def test_an_undetermined_workload_is_not_hidden_by_a_good_one() -> None:
    plan = plan_of(("kws", SingleStream()), ("vww", SingleStream()))

    grade = graded(
        tiers_of(MEMORY),
        plan,
        a_figure("weights_and_arena", 1.5, u=0.5, workload="kws"),
        a_figure("weights_and_arena", 3.0, workload="vww"),
    )

    assert only_row(grade).reason == "uncertainty-too-large"


def test_an_invalid_run_has_no_tier_at_all() -> None:
    grade = award(
        tiers_of(LATENCY, MEMORY),
        KWS,
        estimates=[a_figure("latency_p99", 0.5), a_figure("weights_and_arena", 9.0)],
        withheld=[],
        validity=Validity.INVALID,
        origin=Origin.EMULATED,
    )

    assert (grade.tier, grade.partial, grade.score) == (None, None, None)
    assert {(row.guarded, row.simple, row.reason) for row in grade.rows} == {
        (None, None, "run-invalid")
    }
    assert meets(grade, Tier.D) is None


def test_sub_types_decide_which_rows_are_core() -> None:
    tier_set = tiers_of(LATENCY, ENERGY, MEMORY, watch=("lat",), band=("mem",))
    tiers = tier_set.classes[DeviceClass.WEARABLE]

    assert core_rows(tiers, ()) == {"lat", "energy"}
    assert core_rows(tiers, ("watch",)) == {"lat"}
    assert core_rows(tiers, ("watch", "band")) == {"lat", "mem"}


def test_the_declared_sub_type_s_rows_make_the_grade() -> None:
    tier_set = tiers_of(LATENCY, ENERGY, watch=("lat",))
    plan = plan_of(("kws", SingleStream()), subtypes=("watch",))

    grade = graded(tier_set, plan, a_figure("latency_p99", 0.5))

    assert grade.tier is Tier.A
    assert [row.is_core for row in grade.rows] == [True, False]


def test_an_unknown_sub_type_lists_the_near_ones() -> None:
    plan = plan_of(("kws", SingleStream()), subtypes=("watches",))

    with pytest.raises(UnknownName, match="Did you mean 'watch'"):
        graded(tiers_of(LATENCY, watch=("lat",)), plan)


def test_a_class_that_the_tier_set_lacks_is_refused() -> None:
    plan = replace(KWS, profile=replace(KWS.profile, device_class=DeviceClass.COMPUTER))

    with pytest.raises(UnknownName, match="device class in tier set t 'computer'"):
        graded(tiers_of(LATENCY), plan)


@pytest.mark.parametrize(
    ("value", "gate", "answer"),
    [
        (0.5, Tier.A, True),
        (1.5, Tier.A, False),
        (1.5, Tier.B, True),
        (1.5, Tier.C, True),
        (9.0, Tier.C, False),
        (9.0, Tier.D, True),
    ],
)
def test_a_gate_is_met_by_its_tier_or_a_better_one(
    value: float, gate: Tier, *, answer: bool
) -> None:
    grade = graded(tiers_of(LATENCY), KWS, a_figure("latency_p99", value))

    assert meets(grade, gate) is answer


@pytest.mark.parametrize(
    ("value", "gate", "answer"),
    [(0.5, Tier.B, None), (1.5, Tier.B, None), (3.0, Tier.B, False)],
)
def test_a_missing_core_row_can_only_be_outdone_by_a_certain_miss(
    value: float, gate: Tier, *, answer: bool | None
) -> None:
    grade = graded(tiers_of(LATENCY, ENERGY), KWS, a_figure("latency_p99", value))

    assert meets(grade, gate) is answer


def test_the_score_weighs_families_and_names_those_it_lacks() -> None:
    grade = graded(
        tiers_of(LATENCY, replace(LATENCY, id="lat2"), ENERGY),
        KWS,
        a_figure("latency_p99", 8**0.5),  # 50 points
        a_figure("energy_per_inference_net", 0.5),  # 100 points
    )

    assert grade.score == pytest.approx((0.5 * 50 + 0.3 * 100) / 0.8)
    assert grade.unscored_families == ("memory",)


def test_without_a_judged_row_there_is_no_score() -> None:
    grade = graded(tiers_of(LATENCY), KWS)

    assert grade.score is None
    assert grade.unscored_families == ("latency", "energy", "memory")


def test_unscored_rows_do_not_enter_the_score() -> None:
    row = replace(LATENCY, family="unscored")

    grade = graded(tiers_of(row), KWS, a_figure("latency_p99", 0.5))

    assert only_row(grade).score == 100.0
    assert grade.score is None


def test_the_shipped_wearable_rows_are_answered_by_a_wearable_s_figures() -> None:
    plan = plan_of(("kws", SingleStream()), ("sww", ALWAYS_ON), subtypes=("earbud",))
    estimates = (
        a_figure("energy_per_inference_net", 245.3e-6, u=2e-6),
        replace(a_figure("latency_p99", 0.010), upper_bound=0.0101),
        a_figure("always_on_power", 3.975e-3, workload="sww", scenario="Periodic"),
        a_figure("weights_and_arena", 100e3),
        a_figure("weights_and_arena", 120e3, workload="sww", scenario="Periodic"),
    )

    grade = graded(load_tier_set(tier_set_path("2026.1")), plan, *estimates)

    reached = {r.requirement.id: r.guarded for r in grade.rows if r.guarded}
    assert reached == {
        "kws_e": Tier.B,
        "kws_lat": Tier.B,
        "p_on": Tier.B,
        "mem": Tier.A,
    }
    assert grade.tier is None
    assert grade.partial is Tier.B
    assert set(grade.missing) == {"acc_ret", "dns_hop"}
    assert {row.reason for row in grade.rows} <= REASONS | {""}
