"""Memory and size figures: what is taken from where, and what is missing."""

from dataclasses import replace
from math import sqrt

import pytest

from harness.domain.estimate import Estimate, Withheld
from harness.domain.origin import Origin
from harness.domain.plan import Arm
from harness.domain.query import MemoryMeasured
from harness.stats.group import Answer, Group
from harness.stats.memory import file_size, memory_answers
from harness.testing.builders import a_model, a_profile, a_trial, a_trial_record

MIB = 1024**2
RSS_STEP = 64 * 4096 / sqrt(3)


def a_group(
    *memories: MemoryMeasured | None,
    arm: Arm = Arm.DEVICE,
    is_os_class: bool = True,
    ram_bytes: int | None = 1024 * MIB,
) -> Group:
    return Group(
        arm=arm,
        workload="kws",
        scenario=a_trial().scenario,
        origin=Origin.MEASURED,
        profile=replace(a_profile(), is_os_class=is_os_class, ram_bytes=ram_bytes),
        model=a_model(),
        trials=tuple(replace(a_trial_record(), memory=memory) for memory in memories),
    )


def a_memory(peak: int, *, baseline: int = 40 * MIB) -> MemoryMeasured:
    return MemoryMeasured(
        trial="t",
        method="VmHWM",
        baseline_bytes=baseline,
        peak_bytes=peak,
        retained_bytes=45 * MIB,
    )


def by_name(group: Group) -> dict[str, Answer]:
    return {answer.measurand.name: answer for answer in memory_answers(group)}


def estimate_of(answer: Answer) -> Estimate:
    assert isinstance(answer, Estimate)
    return answer


def test_a_peak_over_runs_is_the_largest_of_them() -> None:
    group = a_group(*(a_memory(peak * MIB) for peak in (60, 64, 62)))

    peak = estimate_of(by_name(group)["peak_rss"])

    assert peak.value == 64 * MIB
    assert peak.runs == 3
    spread = 2 * MIB
    assert peak.standard_uncertainty == pytest.approx(sqrt(spread**2 + RSS_STEP**2))


def test_the_model_s_memory_is_the_peak_less_the_baseline() -> None:
    found = by_name(a_group(a_memory(60 * MIB)))

    assert estimate_of(found["model_memory"]).value == 20 * MIB
    assert estimate_of(found["retained_memory"]).value == 45 * MIB
    assert estimate_of(found["model_memory"]).standard_uncertainty == pytest.approx(
        RSS_STEP
    )


def test_the_share_of_memory_is_that_of_the_model_in_the_device() -> None:
    share = estimate_of(by_name(a_group(a_memory(60 * MIB)))["memory_share"])

    assert share.value == pytest.approx(20 / 1024)
    assert share.standard_uncertainty == pytest.approx(RSS_STEP / (1024 * MIB))


def test_a_microcontroller_needs_weights_and_arena() -> None:
    modelled = MemoryMeasured(
        trial="t", method="model", weights_bytes=54_000, arena_bytes=22_000
    )

    found = by_name(a_group(modelled, is_os_class=False))

    assert found.keys() == {"weights_and_arena"}
    arena = estimate_of(found["weights_and_arena"])
    assert (arena.value, arena.standard_uncertainty) == (76_000, 0.0)


def test_a_modelled_device_with_an_os_has_its_share_from_weights_and_arena() -> None:
    modelled = MemoryMeasured(
        trial="t", method="model", weights_bytes=50 * MIB, arena_bytes=14 * MIB
    )

    found = by_name(a_group(modelled))

    assert estimate_of(found["memory_share"]).value == pytest.approx(64 / 1024)
    assert isinstance(found["peak_rss"], Withheld)


def test_a_host_gives_no_share_of_the_device() -> None:
    found = by_name(a_group(a_memory(60 * MIB), arm=Arm.HOST))

    assert "memory_share" not in found
    assert estimate_of(found["peak_rss"]).value == 60 * MIB


@pytest.mark.parametrize(
    ("is_os_class", "ram_bytes", "missing"),
    [
        (True, 1024, ["memory_share", "model_memory", "peak_rss"]),
        (True, None, ["model_memory", "peak_rss"]),
        (False, 1024, ["weights_and_arena"]),
    ],
)
def test_what_cannot_be_read_is_said(
    is_os_class: bool,  # noqa: FBT001 - a property of the profile
    ram_bytes: int | None,
    missing: list[str],
) -> None:
    group = a_group(None, is_os_class=is_os_class, ram_bytes=ram_bytes)

    answers = list(memory_answers(group))

    assert [answer.measurand.name for answer in answers] == missing
    assert all(isinstance(a, Withheld) and a.reason == "not-readable" for a in answers)


def test_a_peak_below_the_baseline_is_no_negative_memory() -> None:
    found = by_name(a_group(a_memory(39 * MIB)))

    assert estimate_of(found["model_memory"]).value == 0


def test_the_size_of_the_file_is_exact() -> None:
    size = estimate_of(file_size(a_group(None)))

    assert size.value == 54_000
    assert size.expanded_uncertainty == 0
