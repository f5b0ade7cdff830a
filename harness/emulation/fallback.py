"""Operators that an accelerator does not take, and what they cost elsewhere."""

from dataclasses import replace
from itertools import groupby

from harness.emulation.device_model import Rates
from harness.emulation.graph_cost import GraphCost
from harness.emulation.prediction import Bound, Fallback, Term


def split(
    cost: GraphCost, operators: tuple[str, ...], rates: Rates
) -> tuple[GraphCost, Fallback | None]:
    """Part a graph into what the accelerator takes and what another unit does.

    Each run of kernels on the other unit costs one change there and back.
    """
    if not operators:
        return cost, None
    elsewhere = [node for node in cost.nodes if node.operator in operators]
    if not elsewhere:
        return cost, None
    runs = groupby(cost.nodes, key=lambda node: node.operator in operators)
    switches = sum(is_elsewhere for is_elsewhere, _ in runs)
    macs = sum(node.macs for node in elsewhere)
    size = sum(node.activation_bytes + node.weight_bytes for node in elsewhere)
    seconds = (
        _over(macs, rates["fallback.mac_rate"] or rates["mac_rate.matmul"])
        + _over(size, rates["fallback.bandwidth"] or rates["bandwidth.activation"])
        + switches * rates["fallback.per_switch"]
    )
    kept = tuple(node for node in cost.nodes if node.operator not in operators)
    moved = sum(node.weight_bytes for node in elsewhere)
    taken = replace(cost, nodes=kept, weight_bytes=max(0, cost.weight_bytes - moved))
    return taken, Fallback(
        operators=tuple(sorted({node.operator for node in elsewhere})),
        kernels=sum(node.repeats for node in elsewhere),
        switches=switches,
        seconds=seconds,
    )


def term_of(fallback: Fallback) -> Term:
    """Give the summand of a latency that fallback makes."""
    return Term(
        name="fallback",
        seconds=fallback.seconds,
        parameter="fallback.mac_rate",
        bound=Bound.FALLBACK,
    )


def _over(amount: float, rate: float) -> float:
    return amount / rate
