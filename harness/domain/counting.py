"""What a target without time tells of a model: instructions, and agreeing kernels."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class InstructionsCounted:
    """Instructions that an emulated processor executed, process by process.

    Each process starts, loads the model, computes `fewer` or `more` inferences and
    ends; its count is of all of that, so what a start and a load cost cancels in the
    difference of two counts. A count is no time, and no time follows from it: how long
    an instruction takes depends on what an emulator does not have (pipeline, caches,
    clock).
    """

    trial: str
    model: str
    """Name of the model among the plan's: the trial's own, or its float32 parent."""
    processor: str
    """The processor that is emulated, as the emulator names it: ``cortex-a76``."""
    fewer: int
    more: int
    counts_fewer: tuple[int, ...]
    counts_more: tuple[int, ...]
    """As many as `counts_fewer`: each round is a process of either kind."""
    kind: Literal["InstructionsCounted"] = "InstructionsCounted"

    def __post_init__(self) -> None:
        if not 0 < self.fewer < self.more:
            raise ValueError("a difference needs two numbers of inferences")
        if not self.counts_fewer or len(self.counts_fewer) != len(self.counts_more):
            raise ValueError("each round has two counts, and there is at least one")
        pairs = zip(self.counts_fewer, self.counts_more, strict=True)
        if any(not 0 < fewer < more for fewer, more in pairs):
            raise ValueError("more inferences take more instructions")


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelsCompared:
    """Outputs of one model by an emulated processor's kernels and by this machine's.

    The same file on the same inputs. `identical` of `items` inputs have the same
    outputs bit by bit. `largest_difference` is that of any two values of the outputs,
    `largest_value` the largest magnitude among this machine's.
    """

    trial: str
    model: str
    processor: str
    items: int
    identical: int
    largest_difference: float
    largest_value: float
    kind: Literal["KernelsCompared"] = "KernelsCompared"

    def __post_init__(self) -> None:
        if not 0 <= self.identical <= self.items or self.items < 1:
            raise ValueError("as many inputs at most are identical as there are")
