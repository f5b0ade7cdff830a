"""A language model on an emulated device: the loop is the real one, time passes."""

from collections.abc import Callable, Iterator, Sequence

from harness.domain.plan import Trial
from harness.domain.query import SERVED, TOKENISATION, Noted, Serving
from harness.domain.scenario import Talking, talk_of
from harness.emulation.decoding import DecoderTimes
from harness.loadgen.converse import Prompt

COLD_PROMPT_TOKENS = 32
"""As the agent gives a real model that is started cold."""


class VirtualDecoder:
    """A language model that says nothing and takes its time (`converse.Decoder`)."""

    def __init__(self, times: DecoderTimes, pass_time: Callable[[float], None]) -> None:
        self._times = times
        self._pass_time = pass_time
        self._contexts: list[int] = []

    takes_together: bool = False
    """Users are predicted as served by a loop that batches continuously."""

    def open(self, users: int, tokens: int, *, may_end: bool = False) -> None:
        """Have so many users; how much memory they take is the prediction's matter."""
        del tokens, may_end
        self._contexts = [0] * users

    def prompt(self, number: int, tokens: int) -> Sequence[int]:
        """Give a prompt of that length."""
        del number
        return range(tokens)

    def prefill(self, user: int, prompt: Prompt) -> int:
        """Let the prompt pass."""
        self._contexts[user] = len(prompt)
        self._pass_time(self._times.prefill_s(len(prompt)))
        return 0

    def prefill_all(self, prompts: Sequence[Prompt]) -> Sequence[int]:
        """Let the prompts of all users pass."""
        return [self.prefill(user, prompt) for user, prompt in enumerate(prompts)]

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
    if not isinstance(trial.scenario, Talking):
        return COLD_PROMPT_TOKENS
    talk = talk_of(trial.scenario)
    return talk.longest * max(talk.users)


def decode_notes(trial: Trial, decoder: DecoderTimes) -> Iterator[Noted]:
    """Give what is known of the cache and of tokenisation, as a real agent does."""
    scenario = trial.scenario
    has_several = isinstance(scenario, Talking) and max(talk_of(scenario).users) > 1
    facts = {
        TOKENISATION: "out",
        SERVED: Serving.CONTINUOUS if has_several else Serving.ALONE,
        "decode.cache_bytes_per_token": str(decoder.cache_bytes_per_token),
    }
    for key, value in facts.items():
        yield Noted(trial=trial.id, key=key, value=value)
