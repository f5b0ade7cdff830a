"""A language model on an emulated device: the loop is the real one, time passes."""

from collections.abc import Callable, Iterator, Sequence

from harness.domain.plan import Trial
from harness.domain.query import Noted
from harness.domain.scenario import LlmDecode
from harness.emulation.decoding import DecoderTimes

COLD_PROMPT_TOKENS = 32
"""As the agent gives a real model that is started cold."""


class VirtualDecoder:
    """A language model that says nothing and takes its time (`converse.Decoder`)."""

    def __init__(self, times: DecoderTimes, pass_time: Callable[[float], None]) -> None:
        self._times = times
        self._pass_time = pass_time
        self._contexts: list[int] = []

    def open(self, users: int, tokens: int, *, may_end: bool = False) -> None:
        """Have so many users; how much memory they take is the prediction's matter."""
        del tokens, may_end
        self._contexts = [0] * users

    def prompt(self, number: int, tokens: int) -> Sequence[int]:
        """Give a prompt of that length."""
        del number
        return range(tokens)

    def prefill(self, user: int, prompt: Sequence[int]) -> int:
        """Let the prompt pass."""
        self._contexts[user] = len(prompt)
        self._pass_time(self._times.prefill_s(len(prompt)))
        return 0

    def step(self) -> Sequence[int]:
        """Let one token for each user pass."""
        users = len(self._contexts)
        self._pass_time(self._times.step_s(users, sum(self._contexts) / users))
        self._contexts = [context + 1 for context in self._contexts]
        return [0] * users

    def is_end(self, token: int) -> bool:
        """Say that no answer ends before its length."""
        del token
        return False

    def answered(self, number: int, tokens: Sequence[int]) -> None:
        """Nothing was said that could be kept."""


def context_of(trial: Trial) -> int:
    """Give the context that the memory is predicted at: the largest of the trial."""
    scenario = trial.scenario
    if not isinstance(scenario, LlmDecode):
        return COLD_PROMPT_TOKENS
    return scenario.longest * max(scenario.users)


def decode_notes(trial: Trial, decoder: DecoderTimes) -> Iterator[Noted]:
    """Give what is known of the cache and of tokenisation, as a real agent does."""
    facts = {
        "decode.tokenisation": "out",
        "decode.cache_bytes_per_token": str(decoder.cache_bytes_per_token),
    }
    for key, value in facts.items():
        yield Noted(trial=trial.id, key=key, value=value)
