"""The residual block that several vision networks share."""

from graph import Graph, Tensor


def blocks(g: Graph, x: Tensor, repeats: int) -> Tensor:
    """Repeat a bottleneck: half the channels pointwise, then 3x3, added, rectified."""
    filters = x.shape[0]
    for _ in range(repeats):
        branch = g.conv(x, filters // 2, 1)
        branch = g.linear_conv(branch, filters, scale=0.5)
        x = g.relu(g.add(x, branch))
    return x
