"""What every runtime promises, and nothing about any one of them."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from harness.domain.plan import RuntimeSettings

Tensor = NDArray[Any]
Feeds = Mapping[str, Tensor]
"""Input name → tensor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFile:
    """A model as bytes, and the folder that its external data may lie in."""

    data: bytes
    folder: Path
    """Where the model lies; of a model that is a folder, the folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What a runtime made of a model, after its own optimisation.

    `quantised_nodes` of `quantisable_nodes` (convolutions, matrix products) are
    integer kernels; `placement` counts nodes per execution provider. None and empty:
    the runtime does not say.
    """

    quantised_nodes: int | None = None
    quantisable_nodes: int | None = None
    placement: dict[str, int] = field(default_factory=dict)


class BoundQuery(Protocol):
    """Inputs bound to a session, with the outputs that they will give."""

    @property
    def call(self) -> Callable[[], object]:
        """Execute the model on these inputs; the shortest way there is, blocking."""
        ...

    def outputs(self) -> tuple[Tensor, ...]:
        """Give the outputs of the last call, valid until the session's next one.

        The queries of a session may share the memory of their outputs.
        """
        ...


class Session(Protocol):
    """A model that is ready."""

    def bind(self, feeds: Feeds) -> BoundQuery:
        """Prepare a query on these inputs, with outputs allocated where they can be."""
        ...

    def compute(self, feeds: Feeds) -> tuple[Tensor, ...]:
        """Give the outputs for these inputs by the runtime's plain call, untimed."""
        ...


class Tokeniser(Protocol):
    """Text to token ids and back, as the model was made with."""

    def encode(self, text: str) -> list[int]:
        """Give the ids of a text."""
        ...

    def decode(self, tokens: Sequence[int]) -> str:
        """Give the text of ids."""
        ...

    def stream(self) -> Callable[[int], str]:
        """Give what turns the tokens of one answer into text, one after the other."""
        ...


class DecodingSession(Protocol):
    """A language model that is ready: greedy, with room for the context of users."""

    @property
    def takes_together(self) -> bool:
        """Say whether the prompts of all users have to come at once (`prefill_all`).

        Known once `open` was called.
        """
        ...

    @property
    def steps_together(self) -> bool:
        """Say whether several users get their next tokens by one computation."""
        ...

    def tokeniser(self) -> Tokeniser:
        """Give the model's own tokeniser. Raises Unsupported where it has none."""
        ...

    @property
    def cache_bytes_per_token(self) -> int | None:
        """Give what one token of context takes, of one user; None: not known."""
        ...

    def open(self, users: int, tokens: int, *, may_end: bool = False) -> None:
        """Make room for so many users with so many tokens each; all are empty then.

        `may_end`: an end token is a token like any other; else the session may mask
        it, so that answers go on. Raises Unsupported for more users than can take a
        step together.
        """
        ...

    def prefill(self, user: int, prompt: Sequence[int]) -> int:
        """Take a prompt in the place of what a user had; gives the first token.

        Raises TargetError where the logits are no numbers, as does `step`.
        """
        ...

    def prefill_all(self, prompts: Sequence[Sequence[int]]) -> Sequence[int]:
        """Take a prompt for each user, all as long; gives the first token of each."""
        ...

    def step(self) -> Sequence[int]:
        """Give the next token of each user; all of them have been prefilled."""
        ...


class Runtime(Protocol):
    """A library that executes models.

    An opener of the entry-point group ``harness.runtimes`` has the signature
    ``open_runtime() -> AbstractContextManager[Runtime]``.
    """

    def identify(self) -> dict[str, str]:
        """Give name, version and build of the library, as strings key by key."""
        ...

    def load(
        self, model: ModelFile, settings: RuntimeSettings
    ) -> AbstractContextManager[Session]:
        """Have the model ready, exactly as the settings say.

        Raises ModelRejected for a model that the runtime refuses, Unsupported for
        settings that it cannot keep, MemoryError where memory does not suffice.
        """
        ...

    def load_decoder(
        self, model: ModelFile, settings: RuntimeSettings
    ) -> AbstractContextManager[DecodingSession]:
        """Have a language model ready to answer token by token; raises as `load`."""
        ...

    def inspect(self, model: ModelFile, settings: RuntimeSettings) -> Inspection:
        """Say what the runtime makes of the model; costs a load of its own."""
        ...

    def explained(self, where: str) -> AbstractContextManager[None]:
        """Turn the library's own errors into the harness's while this is open.

        They become TargetError, or MemoryError where memory did not suffice.
        """
        ...
