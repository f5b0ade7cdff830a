"""What a user's own model is asked, and whether it can be asked that."""

from harness.catalogue.language import GENAI
from harness.domain.scenario import (
    ColdStart,
    LlmDecode,
    LlmSustained,
    Scenario,
    SingleStream,
)
from harness.domain.workload import ModelArtifact, Suite
from harness.errors import Unsupported


def own_scenarios(
    model: ModelArtifact, talk: LlmDecode | None, sustain_ns: int | None
) -> tuple[Scenario, ...]:
    """Say in what scenarios a model is measured that no suite knows.

    `talk` is how a language model is asked (None: as usual), `sustain_ns` how long it
    is asked without a rest (None: not at all).
    """
    if model.decoder is None:
        return (SingleStream(), ColdStart())
    asked = talk or LlmDecode()
    if sustain_ns is None:
        return (asked, ColdStart())
    sustained = LlmSustained(
        duration_ns=sustain_ns,
        prompt_tokens=asked.prompt_tokens[0],
        output_tokens=asked.output_tokens,
    )
    return (asked, sustained, ColdStart())


def require_tokeniser(suite: Suite, runtime: str, *, is_emulated: bool) -> None:
    """Raise Unsupported where tokenisation is to be timed and there is none."""
    scenarios = (one for workload in suite.workloads for one in workload.scenarios)
    if not any(isinstance(one, LlmDecode) and one.tokenises for one in scenarios):
        return
    if runtime != GENAI:
        raise Unsupported(
            "A plain ONNX decoder has no tokeniser, so tokenisation cannot be timed",
            where="--tokenise in",
            remedy="Give a folder for onnxruntime-genai, or --tokenise out.",
        )
    if is_emulated:
        raise Unsupported(
            "An emulated device has no tokeniser",
            where="--tokenise in",
            remedy="Measure on local@ or on a board, or --tokenise out.",
        )
