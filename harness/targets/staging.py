"""A pipeline on an emulated device: its models are costed, its steps are not.

What numpy takes between two models says nothing about what another device takes, so
the time of steps is left out, and the trial says so.
"""

from dataclasses import dataclass, replace
from pathlib import Path

from harness.domain.finding import Finding, Severity
from harness.domain.profile import DeviceProfile
from harness.domain.workload import ModelArtifact
from harness.emulation.graph_cost import GraphCost, cost_of_file, joined
from harness.emulation.predict import predict
from harness.emulation.prediction import Prediction


@dataclass(frozen=True, slots=True, kw_only=True)
class StageCosts:
    """The cost of each stage, in order; None of a step."""

    names: tuple[str, ...]
    by_stage: tuple[GraphCost | None, ...]
    served: tuple[str, ...] = ()
    """Stages that ask a service: costed as what the device does without it."""

    @property
    def costs(self) -> tuple[GraphCost, ...]:
        """List the costs of the models."""
        return tuple(cost for cost in self.by_stage if cost is not None)

    def predicted(self, profile: DeviceProfile) -> Prediction:
        """Predict the models together, and say which steps are left out."""
        steps = [n for n, c in zip(self.names, self.by_stage, strict=True) if c is None]
        found = predict(profile, joined(self.costs))
        beyond = {"steps": ", ".join(steps), "services": ", ".join(self.served)}
        values = {name: text for name, text in beyond.items() if text}
        if not values:
            return found
        left_out = Finding(
            code="outside-emulation-domain",
            severity=Severity.NOTE,
            subject="model",
            values=dict(values),
        )
        return replace(found, findings=(*found.findings, left_out))

    def each(self, profile: DeviceProfile) -> tuple[Prediction | None, ...]:
        """Predict each model by itself; None of a step."""
        return tuple(
            None if cost is None else predict(profile, cost) for cost in self.by_stage
        )

    def shares(self, profile: DeviceProfile) -> tuple[float, ...]:
        """Give each stage's share of the latency; 0 of a step."""
        each = [0.0 if one is None else one.latency_s for one in self.each(profile)]
        return tuple(seconds / sum(each) for seconds in each)

    def note(self, profile: DeviceProfile) -> str:
        """Write what was predicted of each stage, as `PREDICTED_STAGES` is read."""
        said = []
        for name, one in zip(self.names, self.each(profile), strict=True):
            if one is None:
                said.append(name)
                continue
            low_s, high_s = one.interval_90_s
            figures = (one.latency_s, low_s, high_s, one.relative_uncertainty)
            said.append(" ".join((name, *(f"{figure:.6g}" for figure in figures))))
        return "; ".join(said)


def stage_costs(model: ModelArtifact, folder: Path) -> StageCosts:
    """Cost the models of a pipeline whose files lie in one folder."""
    return StageCosts(
        names=tuple(built.stage.name for built in model.stages),
        served=tuple(b.stage.name for b in model.stages if b.stage.remote is not None),
        by_stage=tuple(
            cost_of_file(
                folder / built.file, {one.name: one.shape for one in built.inputs}
            )
            if built.file
            else None
            for built in model.stages
        ),
    )
