"""The privacy checks of a plan: once each model of the device, as findings."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from harness import plugins
from harness.bench.asking import question
from harness.bench.privacy import Check, State, check_privacy
from harness.domain.finding import Finding
from harness.domain.plan import Arm, Plan, RuntimeSettings, Trial
from harness.domain.workload import ModelArtifact, Remote
from harness.errors import ExitCode, TargetError
from harness.loadgen.wire import Order, Task
from harness.planning import EMULATED, LOCAL

_ITEMS = (0, 1, 2, 3)
CODES = {State.FAILED: ExitCode.NO, State.UNCHECKED: ExitCode.NO_ANSWER}


def privacy_findings(
    plan: Plan, paths: Mapping[str, Path], samples: Mapping[str, Path]
) -> Iterator[Finding]:
    """Check every model of the device arm, on this machine.

    For an emulated device it is this machine's runtime with the device's files that is
    checked. A device that is elsewhere cannot be checked from here.
    """
    trials: dict[str, Trial] = {}
    for trial in plan.trials:
        if trial.arm is Arm.DEVICE:
            trials.setdefault(trial.model, trial)
    for name, trial in trials.items():
        if not trial.target.startswith((EMULATED, LOCAL)):
            detail = "the device is elsewhere; only this machine can be checked"
            yield _unchecked(detail).finding(name)
            continue
        services = plan.model(name).services
        if services:
            yield _sending(services).finding(name)
            continue
        order = _order(plan.model(name), trial, paths[name], samples.get(name))
        try:
            checks = check_privacy(order)
        except TargetError as error:
            checks = (_unchecked(error.what),)
        yield from (check.finding(name) for check in checks)


def exit_code(findings: tuple[Finding, ...]) -> ExitCode:
    """Give 1 where a check failed, 5 where one could not be made, 0 else."""
    states = {finding.code.removeprefix("privacy-") for finding in findings}
    for state, code in CODES.items():
        if state.value in states:
            return code
    return ExitCode.OK


def _sending(services: tuple[Remote, ...]) -> Check:
    """A pipeline that asks a service sends it what it was given: by declaration."""
    urls = ", ".join(dict.fromkeys(remote.url for remote in services))
    return Check(
        name="sends-nothing",
        state=State.FAILED,
        detail=f"its stages send their inputs to {urls}",
    )


def _unchecked(detail: str) -> Check:
    return Check(name="all", state=State.UNCHECKED, detail=detail)


def _order(
    model: ModelArtifact, trial: Trial, path: Path, samples: Path | None
) -> Order:
    is_here = trial.target.startswith(LOCAL)
    runtime = trial.settings.runtime if is_here else "onnxruntime"
    opener = plugins.find(plugins.RUNTIMES, runtime)
    asked = trial.settings if is_here else RuntimeSettings()
    return replace(
        question(
            Task.ANSWER,
            model,
            path,
            provider=asked.provider,
            options=asked.provider_options,
        ),
        runtime=f"{opener.__module__}:{opener.__qualname__}",
        samples_path=str(samples.absolute()) if samples else None,
        items=_ITEMS,
    )
