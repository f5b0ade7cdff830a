"""How a language model of one's own is asked, from the options of the command."""

from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path

from harness.domain.scenario import LlmDecode
from harness.errors import UsageError
from harness.units import NS_PER_S, parse_quantity

_TTFT_NS = (450_000_000, 2_000_000_000)
_TPOT_NS = (40_000_000, 200_000_000)
"""What users are promised: interactive, and conversational (MLPerf Inference,
loadgen/mlperf.conf, Llama2-70B); the tier rows on users name the same."""


class Tokenise(StrEnum):
    """Whether text is turned into tokens, and tokens into text, within the times."""

    IN = "in"
    OUT = "out"


def parse_talk(
    model: Path | None,
    prompt_tokens: Sequence[int] | None,
    output_tokens: int | None,
    users: Sequence[int] | None,
    tokenise: Tokenise = Tokenise.OUT,
) -> LlmDecode | None:
    """Make the scenario that the options ask for; None where none of them is given.

    Raises UsageError for counts that make no scenario, and for options without a
    model of one's own, whose scenario a suite does not fix.
    """
    is_timed = tokenise is Tokenise.IN
    if not (prompt_tokens or output_tokens or users or is_timed):
        return None
    if model is None:
        raise UsageError(
            "A suite says itself how its language models are asked",
            where="--prompt-tokens, --output-tokens, --users, --tokenise",
            remedy="Give a model of your own with --model, or a suite with --suite.",
        )
    usual = LlmDecode()
    try:
        return LlmDecode(
            prompt_tokens=tuple(prompt_tokens or usual.prompt_tokens),
            output_tokens=output_tokens or usual.output_tokens,
            users=tuple(sorted({1, *(users or ())})),
            ttft_bounds_ns=_TTFT_NS if users else (),
            tpot_bounds_ns=_TPOT_NS if users else (),
            tokenises=is_timed,
        )
    except ValueError as error:
        raise UsageError(
            f"This makes no load: {error}",
            where="--prompt-tokens, --output-tokens, --users",
            remedy="Give whole numbers from 1, each once.",
        ) from error


def parse_sustain(model: Path | None, text: str | None) -> int | None:
    """Read how long a language model is asked again and again, in ns; None: not.

    Raises SchemaError for what is no time, UsageError without a model of one's own.
    """
    if text is None:
        return None
    if model is None:
        raise UsageError(
            "A suite says itself how long its language models are asked",
            where="--sustain",
            remedy="Give a model of your own with --model, or a suite with --suite.",
        )
    seconds = parse_quantity(text, "s")
    if seconds <= 0:
        raise UsageError(
            f"'{text}' is no time to ask for", where="--sustain", remedy='Say "10 min".'
        )
    return round(seconds * NS_PER_S)
