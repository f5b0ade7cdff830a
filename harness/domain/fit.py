"""Whether a model can be asked what a workload's scenarios ask of it."""

from harness.domain.scenario import ColdStart, LlmDecode, Talking, talk_of
from harness.domain.workload import ModelArtifact, Workload
from harness.errors import UsageError


def require_fit(workload: Workload, model: ModelArtifact) -> None:
    """Raise UsageError unless a language model is asked to talk, and nothing else is.

    A prompt must fit the context together with its answer.
    """
    for scenario in workload.scenarios:
        is_talk = isinstance(scenario, Talking)
        if isinstance(scenario, ColdStart) or is_talk == (model.decoder is not None):
            continue
        what = "is a language model" if model.decoder else "is no language model"
        raise UsageError(
            f"The model '{model.name}' {what}, so {scenario.kind} cannot be measured",
            where=f"workload '{workload.id}'",
            remedy="A language model has LlmDecode, LlmSustained and ColdStart, any "
            "other model everything but the first two.",
        )
    for scenario in workload.scenarios:
        if isinstance(scenario, Talking) and model.decoder is not None:
            _require_context(workload, talk_of(scenario), model.decoder.context)


def _require_context(workload: Workload, scenario: LlmDecode, context: int) -> None:
    if scenario.longest > context:
        raise UsageError(
            f"A prompt of {max(scenario.prompt_tokens)} tokens and an answer of "
            f"{scenario.output_tokens} do not fit the model's context of {context}",
            where=f"workload '{workload.id}'",
            remedy="Shorten prompt_tokens or output_tokens.",
        )
