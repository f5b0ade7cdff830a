"""Rates and amounts → the summands of a latency.

    t = fixed + per_kernel · kernels + Σ products of a class / rate of the class
        + weight bytes / weight bandwidth + activation bytes / activation bandwidth
        + bytes beyond the on-chip memory / spill bandwidth

Such a sum predicted published latencies as well as or better than trees, forests
and Gaussian processes (compare nn-Meter, MobiSys 2021, which adds times per kernel
too).
"""

from collections.abc import Iterator

from harness.emulation.amounts import BY_BYTES, MULTIPLYING, Amounts
from harness.emulation.device_model import Rates
from harness.emulation.operators import OperatorClass
from harness.emulation.prediction import Bound, Term


def terms_of(rates: Rates, amounts: Amounts) -> tuple[Term, ...]:
    """Give all summands of the time of one inference."""
    if rates["prunes_dead_channels"]:
        amounts = amounts.pruned()
    return (
        Term(
            name="fixed",
            seconds=rates["fixed"],
            parameter="fixed",
            bound=Bound.LAUNCH,
        ),
        Term(
            name="kernels",
            seconds=rates["per_kernel"] * amounts.kernels,
            parameter="per_kernel",
            bound=Bound.LAUNCH,
        ),
        *(_products(rates, amounts, kind) for kind in MULTIPLYING),
        *_moved(rates, amounts),
    )


def _products(rates: Rates, amounts: Amounts, kind: OperatorClass) -> Term:
    macs = amounts.macs.get(kind, 0.0)
    wide = amounts.wide_macs.get(kind, 0.0)
    name = rates.rate_of(kind)
    slowed = max(0.0, macs - wide) + min(wide, macs) * rates["wide_factor"]
    return Term(
        name=str(kind),
        seconds=slowed / rates[name],
        parameter=name,
        bound=Bound.COMPUTE,
    )


def _moved(rates: Rates, amounts: Amounts) -> Iterator[Term]:
    """Cost what is moved by bytes; some classes may have their own bandwidth."""
    own = {
        kind: amounts.bytes_of.get(kind, 0.0)
        for kind in BY_BYTES
        if rates[f"bandwidth.{kind}"] > 0
    }
    if rates["bandwidth.weight"]:
        yield _bytes("weights", amounts.weight_bytes, "bandwidth.weight", rates)
    rest = amounts.activation_bytes - sum(own.values())
    yield _bytes("activations", rest, "bandwidth.activation", rates)
    for kind, size in own.items():
        yield _bytes(str(kind), size, f"bandwidth.{kind}", rates)
    if rates["bandwidth.spill"]:
        beyond = amounts.beyond(rates["memory.onchip"])
        yield _bytes("spill", beyond, "bandwidth.spill", rates)


def _bytes(name: str, size: float, parameter: str, rates: Rates) -> Term:
    return Term(
        name=name,
        seconds=size / rates[parameter],
        parameter=parameter,
        bound=Bound.MEMORY,
    )
