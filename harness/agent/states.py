"""States: what a query leaves behind is what the next one starts from.

A denoiser's memory or an LSTM's cell starts at zero and is fed back between queries,
in the gap and not in a latency: on a real device the two are one buffer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from harness.domain.workload import InputSpec
from harness.runtimes.base import Feeds, Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class States:
    """The one buffer of every state, bound by all queries of a session."""

    buffers: Mapping[str, Tensor]
    outputs: Mapping[str, int]
    """State → number of the output that follows on it."""

    @property
    def is_empty(self) -> bool:
        """Say whether the model has no state."""
        return not self.buffers

    def bound_into(self, feeds: Feeds) -> Feeds:
        """Give the feeds of one query with the shared buffers in them."""
        return {**feeds, **self.buffers}

    def copies(self) -> dict[str, Tensor]:
        """Give what the states are now."""
        return {name: np.copy(buffer) for name, buffer in self.buffers.items()}

    def follow(self, outputs: Sequence[Tensor]) -> None:
        """Feed outputs back; what is not finite starts at zero again."""
        for name, buffer in self.buffers.items():
            left = outputs[self.outputs[name]]
            if left.shape != buffer.shape or not np.isfinite(left).all():
                buffer[...] = 0
            else:
                np.copyto(buffer, left)


def states_of(inputs: Sequence[InputSpec]) -> States:
    """Make the states of a model, all zero."""
    followed = {one.name: one for one in inputs if one.follows is not None}
    return States(
        buffers={
            name: np.zeros(one.shape, one.dtype) for name, one in followed.items()
        },
        outputs={
            name: one.follows
            for name, one in followed.items()
            if one.follows is not None
        },
    )
