"""A language model for the pump: its prompts, its answers, and what they took.

Prompts are token ids drawn from the sample seed, none of them twice in a trial, so
that a device which remembers prompts gains nothing by it. No tokeniser is timed.
"""

import hashlib
from array import array
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np

from harness.agent.pin import Pin
from harness.agent.telemetry import MemoryWatch, resident_bytes
from harness.agent.workbench import burn_until, read_model
from harness.clock import Clock
from harness.domain.query import ModelLoaded, OutputsChecked, Phase
from harness.domain.scenario import LlmDecode
from harness.domain.workload import DecoderFacts
from harness.errors import UsageError
from harness.loadgen.pump import Query
from harness.loadgen.wire import Order
from harness.runtimes.base import DecodingSession, Runtime

COLD_PROMPT_TOKENS = 32
"""Of a cold start, which ends with the first token of an answer."""
_SHARES_OF_CONTEXT = (4, 2, 1)
"""Parts of the longest context at which the memory is read, shortest first."""
_ANSWERS_KEPT = 2


@dataclass(frozen=True, slots=True)
class _Kept:
    """A prompt of a single user and what was answered."""

    prompt: Sequence[int]
    answer: tuple[int, ...]
    may_end: bool


class Listener:
    """A session as the loop of a conversation knows it (`loadgen.converse.Decoder`)."""

    def __init__(
        self, session: DecodingSession, facts: DecoderFacts, seed: int
    ) -> None:
        self.step = session.step
        self.prefill = session.prefill
        self.kept: deque[_Kept] = deque(maxlen=_ANSWERS_KEPT)
        """The last prompts of a single user, and their answers."""
        self._open = session.open
        self._facts = facts
        self._seed = seed
        self._opened = 0
        self._users = 0
        self._tokens = 0
        self._may_end = False

    def open(self, users: int, tokens: int, *, may_end: bool = False) -> None:
        """Make room, and begin new prompts."""
        self._opened += 1
        self._users = users
        self._may_end = may_end
        self._open(users, tokens, may_end=may_end)

    def prompt(self, number: int, tokens: int) -> list[int]:
        """Draw a prompt; token ids that end an answer are not in it."""
        self._tokens = tokens
        generator = np.random.default_rng((self._seed, self._opened, number))
        drawn = generator.integers(0, self._facts.vocabulary, tokens)
        for end in self._facts.end_tokens:
            drawn[drawn == end] = (end + 1) % self._facts.vocabulary
        prompt: list[int] = drawn.tolist()
        return prompt

    def is_end(self, token: int) -> bool:
        """Say whether the token completes an answer."""
        return token in self._facts.end_tokens

    def answered(self, number: int, tokens: Sequence[int]) -> None:
        """Keep the answer for `TalkBench.check_outputs`."""
        if self._users == 1:
            prompt = self.prompt(number, self._tokens)
            self.kept.append(_Kept(prompt, tuple(tokens), self._may_end))


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextMemory:
    """Resident bytes with one user's context of so many tokens."""

    tokens: int
    resident_bytes: int


class TalkBench:
    """The executor of a language model (`loadgen.pump.DecodingExecutor`)."""

    def __init__(
        self,
        order: Order,
        runtime: Runtime,
        clock: Clock,
        enter: Callable[[AbstractContextManager[DecodingSession]], DecodingSession],
    ) -> None:
        if order.decoder is None:
            raise UsageError(
                f"The model '{order.trial.model}' is no language model",
                remedy="Take LlmDecode out of this workload's scenarios.",
            )
        self.memory = MemoryWatch()
        self.context: list[ContextMemory] = []
        self._facts = order.decoder
        self._order = order
        self._runtime = runtime
        self._clock = clock
        self._enter = enter
        self._session: DecodingSession | None = None
        self._listener: Listener | None = None
        pulses = order.trial.pulses
        self._pin = Pin(pulses.pin if pulses else "")
        require_context(order)

    @property
    def cache_bytes_per_token(self) -> int | None:
        """Give what one token of context takes, where the runtime says it."""
        return None if self._session is None else self._session.cache_bytes_per_token

    def load(self) -> ModelLoaded:
        """Have the model ready; then, untimed, see what context takes of memory."""
        trial = self._order.trial
        self.memory.before_load()
        begun_ns = self._clock.now_ns()
        model = read_model(self._order)
        session = self._enter(self._runtime.load_decoder(model, trial.settings))
        load_ns = self._clock.now_ns() - begun_ns
        self.memory.after_load()
        self._session = session
        self._listener = Listener(session, self._facts, trial.seeds.sample)
        if isinstance(trial.scenario, LlmDecode):
            self.context = list(self._fill(trial.scenario.longest))
        return ModelLoaded(trial=trial.id, sha256=self._order.sha256, load_ns=load_ns)

    def decoder(self) -> Listener:
        """Give what answers."""
        if self._listener is None:
            raise ValueError("a prompt before the model was loaded")
        return self._listener

    def queries(self, phase: Phase, samples_per_query: int) -> Iterator[Query]:
        """Give first tokens of short prompts: what a cold start ends with."""
        del phase, samples_per_query
        listener = self.decoder()
        length = min(COLD_PROMPT_TOKENS, self._facts.context)
        listener.open(1, length)
        number = 0
        while True:
            prompt = listener.prompt(number, length)
            yield lambda prompt=prompt: listener.prefill(0, prompt)  # type: ignore[misc]
            number += 1

    def work_until(self, instant_ns: int) -> None:
        """Keep a core busy until the instant, as `Workbench.work_until`."""
        burn_until(instant_ns, self._clock, self._pin)

    def check_outputs(self) -> OutputsChecked | None:
        """Answer the last prompts of a single user again, untimed, and compare."""
        listener = self.decoder()
        kept = list(listener.kept)
        if not kept:
            return None
        differing = 0
        for one in kept:
            room = len(one.prompt) + len(one.answer)
            listener.open(1, room, may_end=one.may_end)
            again = [listener.prefill(0, one.prompt)]
            again += [listener.step()[0] for _ in one.answer[1:]]
            differing += tuple(again) != one.answer
        digest = hashlib.sha256(array("q", kept[0].answer).tobytes()).hexdigest()
        return OutputsChecked(
            trial=self._order.trial.id,
            compared=len(kept),
            differing=differing,
            non_finite=0,
            sha256=digest,
        )

    def dispose(self) -> None:
        """Let go of the session, so that it can be freed."""
        self._session = self._listener = None

    def _fill(self, longest: int) -> Iterator[ContextMemory]:
        listener = self.decoder()
        for share in _SHARES_OF_CONTEXT:
            tokens = max(1, longest // share)
            listener.open(1, tokens)
            listener.prefill(0, listener.prompt(0, tokens))
            resident = resident_bytes()
            if resident is not None:
                yield ContextMemory(tokens=tokens, resident_bytes=resident)


def require_context(order: Order) -> None:
    """Raise UsageError for a prompt that does not fit the context with its answer."""
    scenario = order.trial.scenario
    if order.decoder is None or not isinstance(scenario, LlmDecode):
        return
    if scenario.longest > order.decoder.context:
        raise UsageError(
            f"A prompt of {max(scenario.prompt_tokens)} tokens and an answer of "
            f"{scenario.output_tokens} do not fit the context of "
            f"{order.decoder.context}",
            where=order.trial.model,
            remedy="Shorten prompt_tokens or output_tokens.",
        )
