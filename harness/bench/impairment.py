"""What a network does to each packet: lets it pass, later, or not at all. No I/O.

Every packet is treated by itself, as netem(8) does without a correlation: a delayed
one may be overtaken. Draws come from a seed, so that a network can be had again.
"""

from heapq import heappop, heappush
from itertools import count

import numpy as np

from harness.domain.network import Network


class Impairment:
    """A network, from the instant at which it was switched on."""

    def __init__(self, network: Network, seed: int, begun_ns: int) -> None:
        self._network = network
        self._begun_ns = begun_ns
        self._generator = np.random.default_rng(seed)

    def arrival_ns(self, now_ns: int, *, is_outbound: bool) -> int | None:
        """Say when a packet that was sent now arrives; None: never."""
        network = self._network
        if network.period_ns:
            since_ns = (now_ns - self._begun_ns) % network.period_ns
            if since_ns >= network.up_ns:
                return None
        if network.loss and self._generator.random() < network.loss:
            return None
        if not is_outbound or not network.delay_ns:
            return now_ns
        spread = self._generator.uniform(-network.jitter_ns, network.jitter_ns)
        return now_ns + network.delay_ns + round(spread)


class Line:
    """Packets on their way, the next to arrive first."""

    def __init__(self) -> None:
        self._queue: list[tuple[int, int, int, bytes]] = []
        self._order = count()

    def put(self, arrival_ns: int, end: int, packet: bytes) -> None:
        """Send a packet on its way to an end."""
        heappush(self._queue, (arrival_ns, next(self._order), end, packet))

    def next_ns(self) -> int | None:
        """Say when the next one arrives; None: none is on its way."""
        return self._queue[0][0] if self._queue else None

    def arrived(self, now_ns: int) -> list[tuple[int, bytes]]:
        """Take those that have arrived, each with its end."""
        found = []
        while self._queue and self._queue[0][0] <= now_ns:
            _, _, end, packet = heappop(self._queue)
            found.append((end, packet))
        return found
