"""How much memory a sequence of kernels needs at once for what flows between them."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Protocol

from harness.emulation.tensors import Tensors


class Step(Protocol):
    """A kernel, as far as memory goes. Names are of stored tensors."""

    @property
    def outputs(self) -> Sequence[str]:
        """What the kernel gives."""
        ...

    @property
    def overwritable(self) -> Sequence[str]:
        """Operands in whose place the output may be written."""
        ...

    @property
    def scratch_bytes(self) -> int:
        """Bytes needed only while the kernel runs."""
        ...

    def activations(self, tensors: Tensors) -> AbstractSet[str]:
        """Name what the kernel reads besides constants."""
        ...


def peak_live(steps: Sequence[Step], tensors: Tensors) -> int:
    """Give the most bytes alive at once, kernel after kernel.

    A tensor lives from the kernel that gives it to the last that reads it. What is
    done element by element may write over an operand that dies with it.
    """
    last_use = {tensors.root(name): len(steps) for name in tensors.outputs}
    for index, step in enumerate(steps):
        for root in step.activations(tensors):
            last_use[root] = max(index, last_use.get(root, index))
    alive = {name: tensors.bytes_of(name) for name in tensors.inputs}
    held = peak = sum(alive.values())
    for index, step in enumerate(steps):
        dying = {r for r in step.activations(tensors) if last_use[r] == index}
        given = {
            name: tensors.bytes_of(name) for name in step.outputs if name not in alive
        }
        overwritable = dying & set(map(tensors.root, step.overwritable))
        needed = held + sum(given.values()) - _reused(overwritable, given, alive)
        peak = max(peak, needed + step.scratch_bytes)
        kept = {name: size for name, size in given.items() if name in last_use}
        alive |= kept
        held += sum(kept.values())
        for root in dying:
            held -= alive.pop(root, 0)
    return peak


def _reused(
    overwritable: AbstractSet[str], given: Mapping[str, int], alive: Mapping[str, int]
) -> int:
    """Give the bytes of its output that a kernel writes over a dying operand."""
    freed = max((alive.get(root, 0) for root in overwritable), default=0)
    return min(freed, max(given.values(), default=0))
