"""Networks that fail: how each treats the packets of a device that is on it.

The profiles are those that an unsteady infrastructure is tried with: none at all, one
that loses packets, one that is slow, one that comes and goes. Each is held against a
good network, on which every packet passes at once.
"""

from dataclasses import dataclass

from harness.units import NS_PER_S

_MS = NS_PER_S // 1000
GOOD = "good"
"""Name of the network that the others are held against."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """How a network treats packets, in the words of netem(8)."""

    name: str
    loss: float = 0.0
    """Share of packets that are lost, each way."""
    delay_ns: int = 0
    """Added to each packet that leaves the device."""
    jitter_ns: int = 0
    """Half-width of the even spread of that delay."""
    up_ns: int = 0
    """With `down_ns`: how long packets pass before none does; 0: always."""
    down_ns: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.loss <= 1:
            raise ValueError("a share of packets lies between 0 and 1")
        times = (self.delay_ns, self.jitter_ns, self.up_ns, self.down_ns)
        if min(times) < 0 or self.jitter_ns > self.delay_ns:
            raise ValueError("a network adds no negative delay")
        if bool(self.up_ns) != bool(self.down_ns):
            raise ValueError("a network that goes comes again")

    @property
    def period_ns(self) -> int:
        """Give how long it is up and down together; 0: it is always the same."""
        return self.up_ns + self.down_ns


NETWORKS: tuple[Network, ...] = (
    Network(name=GOOD),
    Network(name="none", loss=1.0),
    Network(name="lossy", loss=0.05),
    Network(name="slow", delay_ns=300 * _MS, jitter_ns=100 * _MS),
    Network(name="flapping", up_ns=10 * NS_PER_S, down_ns=10 * NS_PER_S),
)
"""The good network, and those that are held against it."""
