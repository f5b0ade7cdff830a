"""Records of an emulated processor with made-up counts, for tests."""

from dataclasses import replace

from harness.domain.counting import InstructionsCounted, KernelsCompared
from harness.domain.origin import Origin
from harness.domain.plan import Minimum, Trial
from harness.domain.query import UNTIMED, MemoryMeasured, ModelLoaded, Outcome
from harness.domain.record import RunRecord, TrialRecord
from harness.domain.sut import ConditionsReached, SutDescription
from harness.testing.builders import SHA, a_model, a_plan, a_record, a_trial

TARGET = "arm64@qemu:cortex-a76"
PARENT = "kws-dscnn-fp32"
_START, _EACH, _JITTER = 90_000_000, 919_255, 400


def a_counted_record(
    workloads: tuple[str, ...] = ("kws", "vww"), *, has_parent: bool = True
) -> RunRecord:
    """Make a record of models that were counted on an emulated Cortex-A76."""
    trials = [
        replace(
            a_trial(workload),
            target=TARGET,
            warm_up=Minimum(queries=2, duration_ns=0),
            minimum=Minimum(queries=20, duration_ns=0),
            baseline_ns=0,
        )
        for workload in workloads
    ]
    plan = a_plan(trials)
    if has_parent:
        plan = replace(plan, models=(*plan.models, a_model(PARENT)))
    sut = SutDescription(
        address=TARGET,
        name="cortex-a76, emulated",
        origin=Origin.EMULATED,
        clock=UNTIMED,
        facts={"emulator": "qemu-aarch64 7.2.22"},
    )
    return replace(
        a_record(workloads),
        plan=plan,
        suts={TARGET: sut},
        trials=tuple(_counted(trial, has_parent=has_parent) for trial in plan.trials),
    )


def counts(trial: str, model: str, each: int, processor: str) -> InstructionsCounted:
    """Make counts of three rounds of a model that takes `each` an inference."""
    return InstructionsCounted(
        trial=trial,
        model=model,
        processor=processor,
        fewer=2,
        more=22,
        counts_fewer=tuple(_START + 2 * each + n * _JITTER for n in range(3)),
        counts_more=tuple(_START + 22 * each - n * _JITTER for n in range(3)),
    )


def _counted(trial: Trial, *, has_parent: bool) -> TrialRecord:
    own, processor = trial.model, "cortex-a76"
    models = (own, PARENT) if has_parent else (own,)
    return TrialRecord(
        trial=trial,
        outcome=Outcome.DONE,
        clock=UNTIMED,
        loaded=ModelLoaded(trial=trial.id, sha256=SHA, load_ns=None),
        memory=MemoryMeasured(trial=trial.id, method="smaps", peak_bytes=31_000_000),
        counted=tuple(
            counts(trial.id, model, _EACH * (1 if model == own else 3), processor)
            for model in models
        ),
        compared=tuple(
            KernelsCompared(
                trial=trial.id,
                model=model,
                processor=processor,
                items=16,
                identical=16 if model == own else 3,
                largest_difference=0.0 if model == own else 2e-8,
                largest_value=0.7,
            )
            for model in models
        ),
        started_at="2026-01-02T03:04:05Z",
        ended_at="2026-01-02T03:04:25Z",
        conditions=ConditionsReached(),
    )
