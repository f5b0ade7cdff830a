"""How much of each thing that a device model has a rate for, one inference needs.

The same amounts serve predicting and fitting: a time is their sum, each over its
rate or times its cost. Counted from a graph's cost, or read off a published table.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import sqrt

from harness.emulation.graph_cost import GraphCost
from harness.emulation.operators import OperatorClass

MULTIPLYING = (
    OperatorClass.DENSE,
    OperatorClass.POINTWISE,
    OperatorClass.DEPTHWISE,
    OperatorClass.MATMUL,
    OperatorClass.ATTENTION,
)
"""Classes of work that are costed by their products, besides their bytes."""

BY_BYTES = (OperatorClass.NORMALISATION, OperatorClass.RESIZE)
"""Classes whose bytes may have a bandwidth of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Amounts:
    """Amounts of one inference of one sample: products, bytes, calls.

    `macs` and `bytes_of` go by class of operators; `bytes_of` holds only those of
    `BY_BYTES`, which `activation_bytes` holds too.
    """

    macs: Mapping[OperatorClass, float]
    kernels: float
    weight_bytes: float
    activation_bytes: float
    live_bytes: float
    """Most bytes of activations that are alive at once."""
    dead_macs: Mapping[OperatorClass, float] = field(default_factory=dict)
    """Those of `macs` of channels whose filters are zero."""
    wide_macs: Mapping[OperatorClass, float] = field(default_factory=dict)
    """Those of `macs` in numbers of more than 8 bits."""
    bytes_of: Mapping[OperatorClass, float] = field(default_factory=dict)
    unknown_bytes: float = 0.0
    """Bytes that operators of unknown class touch."""

    @property
    def all_macs(self) -> float:
        """Products of all classes together."""
        return sum(self.macs.values())

    def pruned(self) -> "Amounts":
        """Leave out dead channels, as some stacks do.

        Products go with the channels on both sides of a layer, bytes with those on
        one: of a share s of products alive, √s of the bytes are.
        """
        dead = sum(self.dead_macs.values())
        if not dead:
            return self
        alive = sqrt(1 - dead / self.all_macs)
        return replace(
            self,
            macs={k: n - self.dead_macs.get(k, 0.0) for k, n in self.macs.items()},
            dead_macs={},
            activation_bytes=self.activation_bytes * alive,
            bytes_of={k: size * alive for k, size in self.bytes_of.items()},
        )

    def beyond(self, onchip_bytes: float) -> float:
        """Give the bytes moved that miss a fast memory of some size.

        Where at most L bytes are alive at once, a memory of C bytes holds the share
        C/L of what is moved.
        """
        if not onchip_bytes or self.live_bytes <= onchip_bytes:
            return 0.0
        return self.activation_bytes * (1 - onchip_bytes / self.live_bytes)


def amounts_of(cost: GraphCost) -> Amounts:
    """Read the amounts off a graph's cost."""
    by_class = {kind: cost.of_class(kind) for kind in MULTIPLYING}
    return Amounts(
        macs={k: float(sum(n.macs for n in ns)) for k, ns in by_class.items()},
        dead_macs={
            k: float(sum(n.dead_macs for n in ns)) for k, ns in by_class.items()
        },
        wide_macs={
            k: float(sum(n.macs for n in ns if n.is_wide)) for k, ns in by_class.items()
        },
        kernels=cost.kernels,
        weight_bytes=cost.weight_bytes,
        activation_bytes=cost.activation_bytes,
        live_bytes=cost.arena_bytes,
        bytes_of={
            kind: float(sum(node.activation_bytes for node in cost.of_class(kind)))
            for kind in BY_BYTES
        },
        unknown_bytes=sum(
            node.activation_bytes for node in cost.of_class(OperatorClass.UNKNOWN)
        ),
    )
