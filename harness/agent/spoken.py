"""Prompts as text, and answers turned into text: where tokenisation is timed.

Texts are made before anything is timed, from token ids drawn from the sample seed:
each encodes to at least as many tokens as asked for, and what is more is cut off, as by
a program that keeps to its window. They come again after `POOL` prompts.
"""

from collections.abc import Callable, Sequence

import numpy as np

from harness.errors import TargetError
from harness.runtimes.base import Tokeniser

POOL = 64
_TRIES = 32


class Speech:
    """The texts of one conversation, and the streams of its users' answers."""

    def __init__(self, tokeniser: Tokeniser, seed: int, vocabulary: int) -> None:
        self._tokeniser = tokeniser
        self._seed = seed
        self._vocabulary = vocabulary
        self._texts: dict[tuple[int, int], str] = {}
        self._lengths: dict[str, int] = {}
        self._streams: dict[int, Callable[[int], str]] = {}

    def prepare(self, tokens: int) -> None:
        """Make all texts of that length."""
        for number in range(POOL):
            self.text(number, tokens)

    def text(self, number: int, tokens: int) -> str:
        """Give prompt `number` of that length; made now if it was not before."""
        place = (number % POOL, tokens)
        if place not in self._texts:
            text = self._made(*place)
            self._texts[place] = text
            self._lengths[text] = tokens
        return self._texts[place]

    def encode(self, user: int, text: str) -> list[int]:
        """Give the tokens of a prompt, and make ready for the user's answer."""
        self._streams[user] = self._tokeniser.stream()
        return self._tokeniser.encode(text)[: self._lengths[text]]

    def say(self, tokens: Sequence[int], users: Sequence[int]) -> None:
        """Turn the next token of each user into text."""
        for user, token in zip(users, tokens, strict=True):
            self._streams[user](token)

    def _made(self, number: int, tokens: int) -> str:
        generator = np.random.default_rng((self._seed, tokens, number))
        text = ""
        found: list[int] = []
        for _ in range(_TRIES):
            if len(found) >= tokens:
                return text
            missing = tokens - len(found) + 1
            drawn = generator.integers(0, self._vocabulary, missing).tolist()
            text += self._tokeniser.decode(drawn)
            found = self._tokeniser.encode(text)
            if len(found) > tokens:
                shorter = self._tokeniser.decode(found[:tokens])
                if len(self._tokeniser.encode(shorter)) >= tokens:
                    text = shorter
        raise TargetError(
            f"The tokeniser makes no text of {tokens} tokens out of drawn ones",
            remedy="Leave tokenisation out of the times: --tokenise out.",
        )
