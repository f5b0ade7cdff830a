"""Where the operators of a model stand under the roof of a device.

The roof is what a device could do at some number of products for each byte moved:
the lower of its bandwidth times that number and its fastest rate (Williams et al.,
Roofline, CACM 2009). An operator stands at its own number, and at the speed that the
device model gives it, with its share of launches in it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from harness.emulation.amounts import MULTIPLYING
from harness.emulation.device_model import Rates
from harness.emulation.graph_cost import GraphCost
from harness.emulation.kernels import NodeCost


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """One operator: products a byte, products a second, and its share of the time."""

    name: str
    operator_class: str
    macs_a_byte: float
    macs_a_second: float
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Roofline:
    """The roof of a device, and the operators of a model under it. SI units."""

    peak_macs_a_second: float
    bytes_a_second: float
    spots: tuple[Spot, ...]

    @property
    def ridge(self) -> float:
        """Products a byte from which on arithmetic is the limit."""
        return self.peak_macs_a_second / self.bytes_a_second


def roofline(rates: Rates, cost: GraphCost, latency_s: float) -> Roofline:
    """Place each operator that multiplies."""
    return Roofline(
        peak_macs_a_second=max(rates[rates.rate_of(kind)] for kind in MULTIPLYING),
        bytes_a_second=rates["bandwidth.activation"],
        spots=tuple(_spots(rates, cost, latency_s)),
    )


def seconds_of(rates: Rates, node: NodeCost) -> float:
    """Give the time of one kernel by the rates: launch, products, bytes."""
    seconds = rates["per_kernel"] * node.repeats
    if node.macs:
        slowed = node.macs * (rates["wide_factor"] if node.is_wide else 1.0)
        seconds += slowed / rates[rates.rate_of(node.operator_class)]
    if rates["bandwidth.weight"]:
        seconds += node.weight_bytes / rates["bandwidth.weight"]
    return seconds + node.activation_bytes / rates["bandwidth.activation"]


def _spots(rates: Rates, cost: GraphCost, latency_s: float) -> Iterator[Spot]:
    for node in cost.nodes:
        moved = node.activation_bytes + node.weight_bytes
        seconds = seconds_of(rates, node)
        if node.macs and moved and seconds:
            yield Spot(
                name=node.name,
                operator_class=str(node.operator_class),
                macs_a_byte=node.macs / moved,
                macs_a_second=node.macs / seconds,
                share=seconds / latency_s if latency_s else 0.0,
            )
