"""Everything that a record shows about whether its figures may be believed.

Findings made while the run was carried out are kept; those that can be derived from
the record are derived anew each time. The severities stand in `severity`.
"""

from collections.abc import Iterator
from dataclasses import replace

from harness.domain.estimate import Estimate
from harness.domain.finding import Finding
from harness.domain.origin import Origin
from harness.domain.plan import Arm, Boundary
from harness.domain.record import RunRecord
from harness.stats.answers import check_answers
from harness.stats.group import groups_of, origin_of
from harness.stats.linearity import check_linear
from harness.stats.networks import check_networks, check_services
from harness.stats.patterns import check_group
from harness.stats.severity import SEVERITIES, finding
from harness.stats.trialchecks import check_trial

SPREAD_LIMIT = 0.10
"""Coefficient of variation between runs (method, section 7)."""
SPECIMENS_ASKED = 3
"""Specimens that an official run records (method, section 1)."""
_NOTED = "finding."


def find(record: RunRecord, estimates: tuple[Estimate, ...]) -> tuple[Finding, ...]:
    """Give the findings of a record, each thing once: the run's, then the trials'.

    `estimates` are those of the same record (`estimating.estimate`).
    """
    timed = [group for group in groups_of(record) if group.is_timed]
    found = [
        *record.findings,
        *_about_run(record),
        *_noted(record),
        *_spreads(estimates),
        *(one for trial in record.trials for one in check_trial(record, trial)),
        *_not_executed(record),
        *(one for group in timed for one in check_group(group)),
        *check_answers(record, estimates),
        *(one for group in timed for one in check_linear(group)),
        *(one for group in timed for one in check_networks(group)),
        *check_services(record),
    ]
    unique: dict[tuple[str, ...], Finding] = {}
    for one in found:
        unique.setdefault(_identity(one), one)
    return tuple(unique.values())


def _identity(one: Finding) -> tuple[str, ...]:
    """Say by what two findings are the same: code, subject, and which part of it."""
    parts = ("scenario", "arm", "condition")
    return (
        one.code,
        one.subject,
        *(str(one.values.get(part, "")) for part in parts),
    )


def _about_run(record: RunRecord) -> Iterator[Finding]:
    plan = record.plan
    device = [trial for trial in plan.trials if trial.arm is Arm.DEVICE]
    origins = {origin_of(record, trial) for trial in device}
    if Origin.EMULATED in origins and not plan.is_timed:
        processors = {c.processor for t in record.trials for c in t.counted}
        yield finding(
            "emulated-processor",
            "run",
            profile=plan.profile.name,
            processors=", ".join(sorted(processors)) or "–",
        )
    elif Origin.EMULATED in origins and not plan.is_emulated:
        told = finding("instruction-time", "run")
        yield replace(told, values=dict(_emulators(record)))
    elif Origin.EMULATED in origins:
        form = plan.profile.emulation.form if plan.profile.emulation else ""
        yield finding("emulated", "run", profile=plan.profile.name, model=form)
    seeded = sorted(model.name for model in plan.models if not model.is_trained)
    if seeded:
        yield finding("seeded-weights", "run", models=", ".join(seeded))
    simulated = sorted(name for name, one in plan.labelled.items() if one.is_simulated)
    if simulated:
        yield finding("simulated-items", "run", workloads=", ".join(simulated))
    if not plan.preset.is_evidential:
        yield finding("preset-not-evidential", "run", preset=plan.preset.name)
    elif Origin.MEASURED in origins:
        yield from _official(record)


def _emulators(record: RunRecord) -> dict[str, str]:
    """Say what the emulators are that executed a device's own machine code."""
    suts = [sut for sut in record.suts.values() if sut.origin is Origin.EMULATED]
    return {
        key: ", ".join(sorted({sut.facts[key] for sut in suts if key in sut.facts}))
        for key in ("machine", "time")
    }


def _noted(record: RunRecord) -> Iterator[Finding]:
    """Take up what a device model said of itself in the notes of its trials.

    A note with the key ``finding.CODE`` is one; it is about the workload, whichever of
    its trials said it.
    """
    for trial in record.trials:
        for key, detail in trial.notes.items():
            code = key.removeprefix(_NOTED)
            if key.startswith(_NOTED) and code in SEVERITIES:
                yield finding(
                    code, trial.trial.workload, trial.trial.arm, detail=detail
                )


def _official(record: RunRecord) -> Iterator[Finding]:
    """Check what only a run that supports an application has to hold."""
    ambients = [
        trial.conditions.ambient_degc
        for trial in record.trials
        if trial.conditions is not None and trial.trial.arm is Arm.DEVICE
    ]
    if not ambients or None in ambients:
        yield finding("temperature-missing", "run")
    supply = record.plan.supply
    is_stated = supply.boundary is not Boundary.NOT_STATED and supply.is_single
    if record.plan.meter and not is_stated:
        yield finding(
            "boundary-not-stated",
            "run",
            boundary=supply.boundary.value or "–",
            single_supply=str(supply.is_single),
        )
    units = record.lab.fields.get("sampling.units", "")
    if not units.isdecimal():
        yield finding("specimens-not-recorded", "run", asked=SPECIMENS_ASKED)
    elif int(units) < SPECIMENS_ASKED:
        yield finding(
            "fewer-specimens-than-asked",
            "run",
            asked=SPECIMENS_ASKED,
            recorded=int(units),
        )


def _spreads(estimates: tuple[Estimate, ...]) -> Iterator[Finding]:
    for one in estimates:
        if one.measurand.name == "repeat_cv" and one.value > SPREAD_LIMIT:
            arm = Arm.HOST if one.origin is Origin.HOST else Arm.DEVICE
            yield finding(
                "spread-above-limit",
                one.workload,
                arm,
                scenario=one.scenario,
                arm=arm.value,
                runs=one.runs,
                spread=one.value,
                limit=SPREAD_LIMIT,
            )


def _not_executed(record: RunRecord) -> Iterator[Finding]:
    started = {trial.trial.id for trial in record.trials}
    for trial in record.plan.trials:
        if trial.id not in started:
            yield finding("trial-not-executed", trial.id, trial.arm)
