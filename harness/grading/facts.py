"""Which figures there are for a row; and where there is no answer, why."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from harness.domain.estimate import NEEDS_NO_TIME, Estimate, Withheld
from harness.domain.finding import Validity
from harness.domain.labelled import LANGUAGE
from harness.domain.origin import EvidenceClass, Origin
from harness.domain.plan import Arm, Boundary, Plan, Trial
from harness.domain.requirement import WHOLE_DEVICE_POWER, Kind, Requirement
from harness.domain.scenario import LlmSustained, Sustained
from harness.domain.workload import OWN_SUITE
from harness.grading.rule import is_too_uncertain
from harness.units import NS_PER_S

RETENTION = "accuracy_retention"
LANGUAGES = "language_ratio_min"
NETWORKED = "network_success"
PLACED: Mapping[str, bool] = MappingProxyType(
    {"network_p90_ratio": False, "local_fallback_p90": True}
)
"""Rows about models all on the device, and rows about those that ask a service."""
LARGEST_SPREAD = 0.10
"""Between-run coefficient of variation above which nothing is determined."""

_EXTERNAL = frozenset({EvidenceClass.A, EvidenceClass.B})
"""Evidence of an external meter, which a guarded tier for energy takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What there is to judge by: figures of one origin, and how they were taken."""

    plan: Plan
    estimates: tuple[Estimate, ...]
    withheld: tuple[Withheld, ...]
    validity: Validity
    origin: Origin

    @property
    def is_of_the_whole_device(self) -> bool:
        """Say whether power was measured of all that the device draws.

        A device model knows of no display and no radio, whatever is said of it.
        """
        is_measured = self.origin is Origin.MEASURED
        return is_measured and self.plan.supply.boundary is Boundary.WHOLE_DEVICE

    def trials_about(self, requirement: Requirement) -> tuple[Trial, ...]:
        """List the device's trials of the workloads that a row is about."""
        return tuple(
            trial
            for trial in self.plan.trials
            if trial.arm is Arm.DEVICE
            and (not requirement.workloads or trial.workload in requirement.workloads)
            and trial.workload not in requirement.excludes
            and (requirement.measurand != RETENTION or self.is_compared(trial))
            and (requirement.measurand != LANGUAGES or self.has_languages(trial))
            and self.is_placed(requirement, trial)
        )

    def has_languages(self, trial: Trial) -> bool:
        """Say whether a trial's labelled items are in named languages."""
        labelled = self.plan.labelled.get(trial.workload)
        return labelled is not None and labelled.grouping == LANGUAGE

    def is_placed(self, requirement: Requirement, trial: Trial) -> bool:
        """Say whether a trial's model computes where a row on networks wants it to."""
        asks = bool(self.plan.model(trial.model).services)
        return (
            requirement.measurand not in PLACED or asks is PLACED[requirement.measurand]
        )

    def is_compared(self, trial: Trial) -> bool:
        """Say whether a trial's model has labelled items and a float32 parent."""
        labelled = self.plan.labelled.get(trial.workload)
        return labelled is not None and bool(labelled.parent)

    def trials_for(self, requirement: Requirement) -> tuple[Trial, ...]:
        """List those of them whose scenario answers the row."""
        return tuple(
            trial
            for trial in self.trials_about(requirement)
            if requirement.scenario in {"", trial.scenario.kind}
        )

    def estimates_for(
        self, requirement: Requirement, workload: str
    ) -> tuple[Estimate, ...]:
        """List the figures of one workload that answer a row."""
        return tuple(
            estimate
            for estimate in self.estimates
            if estimate.measurand.name == requirement.measurand
            and estimate.workload == workload
            and requirement.scenario in {"", estimate.scenario}
            and requirement.condition in {"", estimate.condition}
        )

    def withheld_for(self, requirement: Requirement, workload: str) -> Withheld | None:
        """Give the figure of one workload that was withheld from a row, if any."""
        for one in self.withheld:
            if (
                one.measurand.name == requirement.measurand
                and one.workload == workload
                and requirement.scenario in {"", one.scenario}
                and requirement.condition in {"", one.condition}
            ):
                return one
        return None

    def spread(self, workload: str) -> float:
        """Give the largest between-run coefficient of variation of a workload."""
        return max(
            (
                estimate.value
                for estimate in self.estimates
                if estimate.measurand.name == "repeat_cv"
                and estimate.workload == workload
            ),
            default=0.0,
        )


def why_not_measured(requirement: Requirement, facts: Facts) -> str:
    """Say why a row cannot be answered by this plan; empty where it can be."""
    if not requirement.measurand:
        return f"needs-{requirement.needs}" if requirement.needs else "no-estimate"
    plan = facts.plan
    if not plan.is_timed and requirement.measurand not in NEEDS_NO_TIME:
        return "not-timed"
    if requirement.needs == WHOLE_DEVICE_POWER and not facts.is_of_the_whole_device:
        return f"needs-{requirement.needs}"
    # where a row names a size, any model of that size is what it is about
    has_reference = not requirement.least_parameters
    is_relative = requirement.kind is Kind.RELATIVE and has_reference
    if plan.suite.name == OWN_SUITE and is_relative:
        return "not-the-reference-model"
    if requirement.measurand == "memory_share" and not plan.profile.is_os_class:
        return "os-class-only"
    return _why_no_trial(requirement, facts)


def _why_no_trial(requirement: Requirement, facts: Facts) -> str:
    if not facts.trials_about(requirement):
        return _why_nothing_about(requirement, facts)
    trials = facts.trials_for(requirement)
    if not trials:
        return "scenario-not-run"
    if any(_duration_s(trial) < requirement.minimum_s for trial in trials):
        return "window-shorter-than-row"
    models = {trial.model for trial in trials}
    sizes = [facts.plan.model(name).parameters or 0 for name in models]
    if min(sizes) < requirement.least_parameters:
        return "model-too-small"
    return ""


def _why_nothing_about(requirement: Requirement, facts: Facts) -> str:
    if requirement.measurand == RETENTION:
        is_trained = any(model.is_trained for model in facts.plan.models)
        return "no-labelled-items" if is_trained else "seeded-weights"
    if requirement.measurand == LANGUAGES:
        return "no-languages"
    if requirement.measurand in PLACED:
        asks = PLACED[requirement.measurand]
        return "all-on-the-device" if asks else "asks-a-service"
    return "workload-not-in-suite"


def why_not_determined(
    requirement: Requirement, estimate: Estimate, facts: Facts
) -> str:
    """Say why a figure allows no answer; empty where it does."""
    if facts.validity is Validity.INVALID:
        return "run-invalid"
    if (
        facts.origin is Origin.MEASURED
        and requirement.family == "energy"
        and estimate.evidence_class not in _EXTERNAL
    ):
        return "evidence-class-too-low"
    if (
        requirement.measurand != "repeat_cv"
        and facts.spread(estimate.workload) > LARGEST_SPREAD
    ):
        return "spread-above-limit"
    if is_too_uncertain(requirement, estimate):
        return "uncertainty-too-large"
    return ""


def _duration_s(trial: Trial) -> float:
    if isinstance(trial.scenario, Sustained | LlmSustained):
        return trial.scenario.duration_ns / NS_PER_S
    return trial.minimum.duration_ns / NS_PER_S
