"""Tables with which numpy draws from the exponential distribution, made anew.

`numpy.random.Generator.exponential` uses a ziggurat of 256 layers of equal area
(G. Marsaglia and W. W. Tsang, The Ziggurat Method for Generating Random Variables,
Journal of Statistical Software 5 (8), 2000). An agent without numpy draws the same
numbers from the same generator with these tables. They are made with more digits than
a double holds, so that they are rounded as numpy's are.
"""

from array import array
from dataclasses import dataclass
from decimal import Decimal, localcontext
from functools import cache

LAYERS = 256
_DIGITS = 40
_EDGE = Decimal("7.69711747013104971404462804811408952334296818528283253278834867283")
"""Where the tail begins for 256 layers (Marsaglia and Tsang, table of r)."""
_SCALE = Decimal(2**53)
"""A place in a layer is drawn with 53 bits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ziggurat:
    """The tables, layer by layer; array('q'), array('d'), array('d')."""

    bounds: "array[int]"
    """Places below are under the curve without asking."""
    widths: "array[float]"
    """Of one place."""
    heights: "array[float]"
    """exp(-x) at the layer's edge."""


@cache
def exponential_ziggurat() -> Ziggurat:
    """Make the tables."""
    with localcontext() as context:
        context.prec = _DIGITS
        area = (_EDGE + 1) * (-_EDGE).exp()
        edges = [_EDGE]
        while len(edges) < LAYERS - 1:
            edges.append(-(area / edges[-1] + (-edges[-1]).exp()).ln())
        # layer 0 is the base strip with the tail, as wide as its area at its height
        edges = [area / (-_EDGE).exp(), *reversed(edges)]
        inner = [_EDGE, Decimal(0), *edges[1:-1]]
        pairs = zip(inner, edges, strict=True)
        heights = [Decimal(1), *((-edge).exp() for edge in edges[1:])]
        return Ziggurat(
            bounds=array("q", [int(a / b * _SCALE) for a, b in pairs]),
            widths=array("d", [float(edge / _SCALE) for edge in edges]),
            heights=array("d", [float(height) for height in heights]),
        )
