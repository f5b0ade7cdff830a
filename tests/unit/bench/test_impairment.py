"""Packets on networks that fail: each profile does what it is called."""

import numpy as np
import pytest

from harness.bench.impairment import Impairment, Line
from harness.domain.network import GOOD, NETWORKS, Network
from harness.units import NS_PER_S

BY_NAME = {network.name: network for network in NETWORKS}
MS = NS_PER_S // 1000


def arrivals(
    network: Network, *, is_outbound: bool = True, packets: int = 2000, seed: int = 1
) -> list[int | None]:
    one = Impairment(network, seed, begun_ns=0)
    return [one.arrival_ns(n, is_outbound=is_outbound) for n in range(packets)]


def test_a_good_network_passes_every_packet_at_once() -> None:
    assert arrivals(BY_NAME[GOOD], packets=50) == list(range(50))


def test_no_network_passes_none() -> None:
    assert set(arrivals(BY_NAME["none"])) == {None}
    assert set(arrivals(BY_NAME["none"], is_outbound=False)) == {None}


@pytest.mark.parametrize("is_outbound", [True, False])
def test_a_lossy_network_loses_its_share_either_way(*, is_outbound: bool) -> None:
    found = arrivals(BY_NAME["lossy"], is_outbound=is_outbound, packets=10_000)

    lost = sum(one is None for one in found) / len(found)
    assert lost == pytest.approx(0.05, abs=0.01)
    assert all(one == n for n, one in enumerate(found) if one is not None)


def test_a_slow_network_delays_what_leaves_the_device_evenly_about_its_mean() -> None:
    found = arrivals(BY_NAME["slow"])

    delays = np.array([one - n for n, one in enumerate(found) if one is not None])
    assert len(delays) == len(found)
    assert delays.min() >= 200 * MS
    assert delays.max() <= 400 * MS
    assert delays.mean() == pytest.approx(300 * MS, rel=0.03)
    assert delays.std() == pytest.approx(200 * MS / 12**0.5, rel=0.05)
    assert arrivals(BY_NAME["slow"], is_outbound=False, packets=9) == list(range(9))


def test_a_flapping_network_passes_for_ten_seconds_and_then_for_ten_does_not() -> None:
    one = Impairment(BY_NAME["flapping"], 1, begun_ns=5 * NS_PER_S)

    passes = [
        one.arrival_ns((5 + second) * NS_PER_S, is_outbound=True) is not None
        for second in (0, 9, 10, 19, 20, 29, 30)
    ]
    assert passes == [True, True, False, False, True, True, False]


def test_the_same_seed_gives_the_same_network_again() -> None:
    lossy = BY_NAME["lossy"]

    assert arrivals(lossy, seed=4) == arrivals(lossy, seed=4)
    assert arrivals(lossy, seed=4) != arrivals(lossy, seed=5)


def test_a_packet_may_overtake_another_and_none_comes_before_its_time() -> None:
    line = Line()
    line.put(30, 1, b"late")
    line.put(10, 2, b"early")
    line.put(10, 1, b"next")

    assert line.next_ns() == 10
    assert line.arrived(9) == []
    assert line.arrived(20) == [(2, b"early"), (1, b"next")]
    assert line.arrived(30) == [(1, b"late")]
    assert line.next_ns() is None


@pytest.mark.parametrize(
    "wrong",
    [{"loss": 1.5}, {"delay_ns": 1, "jitter_ns": 2}, {"up_ns": 5}, {"delay_ns": -1}],
)
def test_a_network_that_makes_no_sense_is_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"network|share"):
        Network(name="odd", **wrong)
