"""A process seen from outside: channels, units, and what is not readable."""

import os
import sys

import psutil
import pytest

from harness.clock import SystemClock, VirtualClock
from harness.domain.origin import Origin
from harness.domain.reading import ReadingBlock
from harness.links.pipe import spawn
from harness.meters.kernel import keep_to
from harness.meters.process import ProcessSampler, sampled


def by_name(sampler: ProcessSampler) -> dict[str, ReadingBlock]:
    return {block.channel.name: block for block in sampler.take()}


def test_memory_and_cpu_are_channels_with_units_and_origin() -> None:
    clock = VirtualClock()
    sampler = ProcessSampler(os.getpid(), clock)

    for _ in range(3):
        sampler.sample()
        clock.advance(100_000_000)

    blocks = by_name(sampler)
    assert blocks["rss"].channel.unit == "B"
    assert blocks["rss"].origin is Origin.MEASURED
    assert list(blocks["rss"].times_ns) == [0, 100_000_000, 200_000_000]
    assert len(blocks["cpu"].values) == 2
    assert blocks["rss"].values[0] == pytest.approx(
        psutil.Process().memory_info().rss, rel=0.2
    )


def test_cpu_is_the_share_of_one_core_since_the_last_reading() -> None:
    clock = VirtualClock()
    sampler = ProcessSampler(os.getpid(), clock)
    sampler.sample()
    before = sum(psutil.Process().cpu_times()[:2])

    sum(n * n for n in range(1_000_000))
    clock.advance(500_000_000)
    sampler.sample()

    spent = sum(psutil.Process().cpu_times()[:2]) - before
    assert by_name(sampler)["cpu"].values[0] == pytest.approx(spent / 0.5, abs=0.05)


def test_readings_are_given_once() -> None:
    sampler = ProcessSampler(os.getpid(), VirtualClock())
    sampler.sample()

    first, again = sampler.take(), sampler.take()

    assert first
    assert again == ()


def test_slow_channels_are_read_once_in_ten_readings() -> None:
    clock = VirtualClock()
    sampler = ProcessSampler(os.getpid(), clock)

    for _ in range(20):
        sampler.sample()
        clock.advance(1)

    blocks = by_name(sampler)
    assert len(blocks["rss"].values) == 20
    assert len(blocks["load"].values) == 2


def test_a_process_that_is_gone_ends_the_sampling() -> None:
    with spawn((sys.executable, "-c", "input()"), {}, name="child") as link:
        sampler = ProcessSampler(link.pid, VirtualClock())

    assert not sampler.sample()
    assert sampler.take() == ()


def test_sampling_goes_on_in_a_thread_and_ends_with_the_context() -> None:
    clock = SystemClock()

    with sampled(os.getpid(), clock, frozenset(), rate_hz=1000.0) as sampler:
        pass

    assert len(by_name(sampler)["rss"].values) >= 1
    assert sampler.take() == ()


def test_a_core_that_does_not_exist_binds_nothing() -> None:
    assert not keep_to(0, frozenset({100_000}))
    assert not keep_to(0, frozenset())
