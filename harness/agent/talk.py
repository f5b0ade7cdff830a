"""A language model for the pump: its prompts, its answers, and what they took.

Prompts are token ids drawn from the sample seed, none of them twice in a trial, so
that a device which remembers prompts gains nothing by it. No tokeniser is timed, but
where the scenario says so: then prompts are text (`harness.agent.spoken`).
"""

import hashlib
from array import array
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial

import numpy as np

from harness.agent.pin import Pin
from harness.agent.spoken import Speech
from harness.agent.telemetry import MemoryWatch, resident_bytes
from harness.agent.workbench import burn_until, read_model
from harness.clock import Clock
from harness.domain.query import ModelLoaded, OutputsChecked, Phase, Serving
from harness.domain.scenario import Talking, talk_of
from harness.domain.workload import DecoderFacts
from harness.errors import UsageError
from harness.loadgen.converse import Prompt
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

    prompt: Prompt
    answer: tuple[int, ...]
    may_end: bool


class Listener:
    """A session as the loop of a conversation knows it (`loadgen.converse.Decoder`)."""

    def __init__(
        self,
        session: DecodingSession,
        facts: DecoderFacts,
        seed: int,
        *,
        tokenises: bool = False,
    ) -> None:
        self._session = session
        self._speech = (
            Speech(session.tokeniser(), seed, facts.vocabulary) if tokenises else None
        )
        # without a tokeniser the shortest way there is
        self.step: Callable[[], Sequence[int]] = session.step
        if self._speech is not None:
            self.step = partial(self._step_and_say, self._speech)
        self.kept: deque[_Kept] = deque(maxlen=_ANSWERS_KEPT)
        """The last prompts of a single user, and their answers."""
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
        self._session.open(users, tokens, may_end=may_end)

    @property
    def takes_together(self) -> bool:
        """Say whether the users that there is room for are one batch."""
        return self._session.takes_together

    def ready(self, tokens: int) -> None:
        """Make the texts of prompts of that length, where they are text."""
        if self._speech is not None:
            self._speech.prepare(tokens)

    def prefill(self, user: int, prompt: Prompt) -> int:
        """Take a user's prompt; gives the first token."""
        if isinstance(prompt, str):
            speech = self._spoken()
            token = self._session.prefill(user, speech.encode(user, prompt))
            speech.say((token,), (user,))
            return token
        return self._session.prefill(user, prompt)

    def prefill_all(self, prompts: Sequence[Prompt]) -> Sequence[int]:
        """Take the prompts of all users at once; gives the first token of each."""
        ids = [
            self._spoken().encode(user, prompt) if isinstance(prompt, str) else prompt
            for user, prompt in enumerate(prompts)
        ]
        tokens = self._session.prefill_all(ids)
        if self._speech is not None:
            self._speech.say(tokens, range(len(tokens)))
        return tokens

    def _step_and_say(self, speech: Speech) -> Sequence[int]:
        tokens = self._session.step()
        speech.say(tokens, range(len(tokens)))
        return tokens

    def _spoken(self) -> Speech:
        if self._speech is None:
            raise ValueError("a text for a model whose tokenisation is not timed")
        return self._speech

    def prompt(self, number: int, tokens: int) -> Prompt:
        """Draw a prompt; token ids that end an answer are not in it."""
        self._tokens = tokens
        if self._speech is not None:
            return self._speech.text(number, tokens)
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
        self.users = Serving.ALONE
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
        talk = talk_of(trial.scenario) if isinstance(trial.scenario, Talking) else None
        self._listener = Listener(
            session,
            self._facts,
            trial.seeds.sample,
            tokenises=talk is not None and talk.tokenises,
        )
        if talk is not None:
            self.context = list(self._fill(talk.longest))
            self.users = self._served(max(talk.users), may_end=talk.stops_at_end)
            for tokens in talk.prompt_tokens:
                self._listener.ready(tokens)
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

    def _served(self, users: int, *, may_end: bool) -> Serving:
        """Find how so many users are served."""
        session = self._session
        if users == 1 or session is None:
            return Serving.ALONE
        session.open(users, 2, may_end=may_end)
        if session.takes_together:
            return Serving.FIXED
        return Serving.CONTINUOUS if session.steps_together else Serving.IN_TURN

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
    if order.decoder is None or not isinstance(order.trial.scenario, Talking):
        return
    scenario = talk_of(order.trial.scenario)
    if scenario.longest > order.decoder.context:
        raise UsageError(
            f"A prompt of {max(scenario.prompt_tokens)} tokens and an answer of "
            f"{scenario.output_tokens} do not fit the context of "
            f"{order.decoder.context}",
            where=order.trial.model,
            remedy="Shorten prompt_tokens or output_tokens.",
        )
