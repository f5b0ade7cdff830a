"""Memory that a loaded model takes on a device, and whether it fits."""

from dataclasses import dataclass
from math import ceil

from harness.emulation.device_model import Rates
from harness.emulation.graph_cost import GraphCost


@dataclass(frozen=True, slots=True, kw_only=True)
class Footprint:
    """Bytes that a loaded model takes on the device."""

    weights: int
    arena: int
    base: int
    session: int

    @property
    def peak(self) -> int:
        """All of it together."""
        return self.base + self.session + self.weights + self.arena


def footprint_of(rates: Rates, cost: GraphCost) -> Footprint:
    """Give what a model takes: weights and live activations, with their factors."""
    return Footprint(
        weights=ceil(cost.weight_bytes * rates["memory.weight_factor"]),
        arena=ceil(cost.arena_bytes * rates["memory.arena_factor"]),
        base=ceil(rates["memory.base"]),
        session=ceil(rates["memory.session"]),
    )


def refusal(rates: Rates, ram_bytes: int | None, memory: Footprint) -> str:
    """Say what does not fit: weights in their store, the rest in the memory."""
    flash = rates["memory.flash"]
    if flash and memory.weights > flash:
        return f"{memory.weights} bytes of weights do not fit {flash:.0f} of flash"
    in_memory = memory.peak - (memory.weights if flash else 0)
    if ram_bytes is not None and in_memory > ram_bytes:
        return f"{in_memory} bytes do not fit the memory of {ram_bytes}"
    return ""
