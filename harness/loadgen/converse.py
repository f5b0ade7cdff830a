"""Users who talk to a language model: the loop that times every token.

A closed loop: each user asks anew as soon as the last answer is complete. Who waits
for a first token comes before those who wait for the next one, one prompt after the
other; then all users get a token together. So TTFT holds the wait behind other
prompts, and the gaps between tokens hold the prompts of others, as in a server that
batches continuously (Yu et al., Orca, OSDI 2022). A decoder whose users are one fixed
batch takes all prompts at once, and all users are answered at once.

An instant is taken as soon as a token is known to the caller. Between two instants
there is the decoder's call and the bookkeeping of one list entry.
"""

from array import array
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from harness.clock import Clock
from harness.domain.query import QueryBlock
from harness.loadgen.instructions import Converse

Prompt = Sequence[int] | str
"""Token ids, or text where tokenisation is timed."""


class Decoder(Protocol):
    """A language model with room for the context of some users. Always greedy."""

    @property
    def takes_together(self) -> bool:
        """Say whether all users' prompts come at once, and their answers end so."""
        ...

    def open(self, users: int, tokens: int, *, may_end: bool = False) -> None:
        """Make room for so many users with so many tokens each; all are empty then.

        `may_end`: answers may end at an end token.
        """
        ...

    def prompt(self, number: int, tokens: int) -> Prompt:
        """Give prompt `number` of that many tokens; the same each time it is asked."""
        ...

    def prefill(self, user: int, prompt: Prompt) -> int:
        """Forget what a user said before, take the prompt, give the first token."""
        ...

    def prefill_all(self, prompts: Sequence[Prompt]) -> Sequence[int]:
        """Do the same for all users at once; gives the first token of each."""
        ...

    def step(self) -> Sequence[int]:
        """Give the next token of each user; all of them have been prefilled."""
        ...

    def is_end(self, token: int) -> bool:
        """Say whether the token completes an answer."""
        ...

    def answered(self, number: int, tokens: Sequence[int]) -> None:
        """Take note of what was generated in answer to prompt `number`."""
        ...


@dataclass(slots=True, eq=False)
class _Answer:
    """One generation in progress."""

    number: int
    scheduled_ns: int
    issued_ns: int
    tokens: list[int] = field(default_factory=list)
    at_ns: "array[int]" = field(default_factory=lambda: array("q"))

    def take(self, token: int, at_ns: int) -> None:
        """Keep a token and the instant at which it was there."""
        self.tokens.append(token)
        self.at_ns.append(at_ns)


class Talk:
    """The generations of one instruction, from its first prompt to its last token."""

    def __init__(
        self,
        do: Converse,
        decoder: Decoder,
        clock: Clock,
        draws: np.random.Generator,
    ) -> None:
        self.done = 0
        """Generations that are complete."""
        self._do = do
        self._decoder = decoder
        self._now_ns = clock.now_ns
        self._draws = draws
        self._last_ns = 0
        self._asked = 0
        self._active: dict[int, _Answer] = {}
        self._complete: list[_Answer] = []

    def blocks(self, trial: str, every_ns: int) -> Iterator[QueryBlock]:
        """Talk, and give what was timed now and then, in order of issue.

        Answers that are not complete when enough others are have no place in it.
        """
        do = self._do
        self._decoder.open(
            do.users, do.prompt_tokens + do.output_tokens, may_end=do.stops_at_end
        )
        begun_ns = handed_ns = self._last_ns = self._now_ns()
        waiting = deque((user, begun_ns) for user in self._by_lot(range(do.users)))
        while self.done < do.generations or self._last_ns - begun_ns < do.duration_ns:
            waiting.extend(self._next(waiting))
            if self._last_ns - handed_ns >= every_ns:
                handed_ns = self._last_ns
                first = min((a.number for a in self._active.values()), default=None)
                yield from self._hand_on(trial, before=first)
        yield from self._hand_on(trial, before=None)

    def _next(self, waiting: deque[tuple[int, int]]) -> list[tuple[int, int]]:
        """Answer a prompt, or all where they come at once; else give tokens."""
        if not waiting:
            return self._step()
        if not self._decoder.takes_together:
            return self._prefill(*waiting.popleft())
        asked = sorted(waiting)
        waiting.clear()
        return self._prefill_all(asked)

    def _prefill_all(self, asked: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
        """Answer the prompts of all users by their first tokens; as `_step`."""
        numbers = range(self._asked, self._asked + len(asked))
        prompts = [self._decoder.prompt(n, self._do.prompt_tokens) for n in numbers]
        issued_ns = self._now_ns()
        tokens = self._decoder.prefill_all(prompts)
        at_ns = self._now_ns()
        for number, (user, asked_ns), token in zip(numbers, asked, tokens, strict=True):
            answer = _Answer(number, asked_ns, issued_ns)
            answer.take(token, at_ns)
            self._active[user] = answer
        self._asked += len(asked)
        return self._completed(self._by_lot(self._active), at_ns)

    def _prefill(self, user: int, asked_ns: int) -> list[tuple[int, int]]:
        """Answer a prompt by its first token; as `_step`."""
        now_ns = self._now_ns
        prompt = self._decoder.prompt(self._asked, self._do.prompt_tokens)
        issued_ns = now_ns()
        token = self._decoder.prefill(user, prompt)
        at_ns = now_ns()
        answer = _Answer(self._asked, asked_ns, issued_ns)
        answer.take(token, at_ns)
        self._asked += 1
        self._active[user] = answer
        return self._completed([user], at_ns)

    def _step(self) -> list[tuple[int, int]]:
        """Give each user a token; lists who will ask again, and since when."""
        tokens = self._decoder.step()
        at_ns = self._now_ns()
        for user, answer in self._active.items():
            answer.take(tokens[user], at_ns)
        return self._completed(self._by_lot(self._active), at_ns)

    def _by_lot(self, users: Iterable[int]) -> list[int]:
        """Give users an order by lot.

        Those who are answered by one step ask at one instant. A fixed order would
        have the same user wait longest every time, and TTFT repeat like a clock.
        """
        drawn: list[int] = self._draws.permutation(list(users)).tolist()
        return drawn

    def _completed(self, users: Sequence[int], at_ns: int) -> list[tuple[int, int]]:
        finished = []
        for user in users:
            answer = self._active[user]
            if self._is_whole(answer):
                finished.append((user, at_ns))
                self._complete.append(self._active.pop(user))
                self._decoder.answered(answer.number, answer.tokens)
                self.done += 1
                self._last_ns = at_ns
        return finished

    def _is_whole(self, answer: _Answer) -> bool:
        do = self._do
        if len(answer.tokens) >= do.output_tokens:
            return True
        return do.stops_at_end and self._decoder.is_end(answer.tokens[-1])

    def _hand_on(self, trial: str, *, before: int | None) -> Iterator[QueryBlock]:
        """Give the complete answers whose number is below `before`; None: all."""
        ready = [a for a in self._complete if before is None or a.number < before]
        if not ready:
            return
        self._complete = [a for a in self._complete if a not in ready]
        ready.sort(key=lambda answer: answer.number)
        inner_ns = array("q")
        for answer in ready:
            inner_ns.extend(answer.at_ns)
        yield QueryBlock(
            trial=trial,
            phase=self._do.phase,
            samples_per_query=1,
            scheduled_ns=array("q", [a.scheduled_ns for a in ready]),
            issued_ns=array("q", [a.issued_ns for a in ready]),
            completed_ns=array("q", [a.at_ns[-1] for a in ready]),
            segment=self._do.segment,
            inner_counts=array("q", [len(a.tokens) for a in ready]),
            inner_ns=inner_ns,
        )
