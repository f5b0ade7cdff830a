"""What a workload does where the network fails, as figures, findings and rows."""

from dataclasses import replace

import numpy as np
import pytest

from harness.domain.estimate import Estimate, Withheld
from harness.domain.finding import Finding
from harness.domain.network import GOOD, Network
from harness.domain.query import NetworkTried, Outcome, ServiceAsked
from harness.domain.record import RunRecord
from harness.domain.workload import BuiltStage, Remote, Stage
from harness.stats.estimating import estimate
from harness.stats.findings import find
from harness.testing.builders import a_record
from harness.units import NS_PER_S

_MS = NS_PER_S // 1000


def tried(
    network: str,
    number: int,
    latencies_ms: list[float],
    fell_back: tuple[int, ...] = (),
    **others: object,
) -> NetworkTried:
    one = NetworkTried(
        trial="kws.singlestream.device.r1",
        network=Network(name=network, loss=0.0 if network == GOOD else 1.0),
        round=number,
        method="by hand",
        seed=1,
        latencies_ns=tuple(round(ms * _MS) for ms in latencies_ms),
        fell_back=fell_back,
        outcome=Outcome.DONE,
        outputs_sha256="a",
    )
    return replace(one, **others)  # type: ignore[arg-type]


def spread_about(ms: float, seed: int, queries: int = 100) -> list[float]:
    drawn = np.random.default_rng(seed).normal(1.0, 0.01, queries)
    return [float(ms * one) for one in drawn]


def a_tried_record(*networks: NetworkTried, is_hybrid: bool = False) -> RunRecord:
    record = a_record()
    first, *others = record.trials
    trials = (replace(first, networks=networks), *others)
    plan = record.plan
    if is_hybrid:
        remote = Remote(url="http://a/b", timeout_ns=100)
        stage = BuiltStage(stage=Stage(name="s", model="m", remote=remote))
        models = tuple(replace(model, stages=(stage,)) for model in plan.models)
        plan = replace(plan, models=models)
    return replace(record, plan=plan, trials=trials)


def rounds(network: str, ms: float, **others: object) -> list[NetworkTried]:
    return [
        tried(
            network, n, spread_about(ms, seed=10 * n + sum(map(ord, network))), **others
        )  # type: ignore[arg-type]
        for n in (1, 2, 3)
    ]


def figures(record: RunRecord) -> dict[str, Estimate]:
    estimates, _ = estimate(record)
    return {one.measurand.name: one for one in estimates if "network=" in one.condition}


def withheld(record: RunRecord) -> dict[str, Withheld]:
    _, found = estimate(record)
    return {one.measurand.name: one for one in found}


def said(record: RunRecord) -> list[Finding]:
    estimates, _ = estimate(record)
    return [f for f in find(record, estimates) if f.code.startswith("network-")]


def test_a_record_that_was_tried_on_no_network_says_nothing_of_them() -> None:
    record = a_record()

    assert not figures(record)
    assert not said(record)


def test_a_model_that_goes_on_is_as_fast_and_right_as_on_a_good_network() -> None:
    record = a_tried_record(*rounds(GOOD, 5.0), *rounds("none", 5.0))

    found = figures(record)
    assert found["network_success"].value == 1.0
    ratio = found["network_p90_ratio"]
    assert ratio.value == pytest.approx(1.0, abs=0.02)
    assert ratio.runs == 3
    assert ratio.upper_bound is not None
    assert ratio.value < ratio.upper_bound < 1.1
    (one,) = said(record)
    assert one.code == "network-kept"
    assert one.values["condition"] == "none"
    assert one.values["means"] == "by hand"


def test_a_model_that_is_slower_without_a_network_is_found() -> None:
    record = a_tried_record(*rounds(GOOD, 5.0), *rounds("none", 7.5))

    assert figures(record)["network_p90_ratio"].value == pytest.approx(1.5, abs=0.03)
    assert [one.code for one in said(record)] == ["network-broken"]


def test_what_scatters_too_much_is_not_settled() -> None:
    good = rounds(GOOD, 5.0)
    scattered = [
        tried("none", n, spread_about(ms, seed=n))
        for n, ms in ((1, 4.0), (2, 5.0), (3, 6.5))
    ]

    assert [one.code for one in said(a_tried_record(*good, *scattered))] == [
        "network-unsettled"
    ]


@pytest.mark.parametrize(
    "fault",
    [
        {"outputs_sha256": "b"},
        {"differing": 1},
        {"outcome": Outcome.CRASHED, "reason": "gone"},
    ],
)
def test_an_answer_that_is_wrong_or_missing_is_no_success(
    fault: dict[str, object],
) -> None:
    ours = rounds("none", 5.0)
    ours[1] = replace(ours[1], **fault)  # type: ignore[arg-type]
    record = a_tried_record(*rounds(GOOD, 5.0), *ours)

    assert figures(record)["network_success"].value < 1.0
    assert [one.code for one in said(record)] == ["network-broken"]


def test_a_service_that_is_taken_over_in_time_gives_the_time_that_this_takes() -> None:
    everything = tuple(range(100))
    record = a_tried_record(
        *rounds(GOOD, 20.0, outputs_sha256=""),
        *rounds("none", 250.0, fell_back=everything, outputs_sha256=""),
        is_hybrid=True,
    )

    found = figures(record)
    assert "network_p90_ratio" not in found
    assert found["local_share"].value == 1.0
    fallback = found["local_fallback_p90"]
    assert fallback.value == pytest.approx(0.25, rel=0.03)
    assert fallback.upper_bound is not None
    assert fallback.upper_bound < 0.3
    assert [one.code for one in said(record)] == ["network-kept"]


def test_a_fallback_that_takes_longer_than_a_second_is_found() -> None:
    record = a_tried_record(
        *rounds(GOOD, 20.0),
        *rounds("none", 1500.0, fell_back=tuple(range(100))),
        is_hybrid=True,
    )

    assert [one.code for one in said(record)] == ["network-broken"]


def test_too_few_fallbacks_give_no_percentile_and_settle_nothing() -> None:
    record = a_tried_record(
        *rounds(GOOD, 20.0), *rounds("lossy", 20.0, fell_back=(3,)), is_hybrid=True
    )

    gap = withheld(record)["local_fallback_p90"]
    assert gap.needed_queries is not None
    assert gap.needed_queries >= 29
    assert [one.code for one in said(record)] == ["network-unsettled"]


def test_a_service_that_never_answers_leaves_everything_unchecked() -> None:
    everything = tuple(range(100))
    record = a_tried_record(
        *rounds(GOOD, 250.0, fell_back=everything),
        *rounds("none", 250.0, fell_back=everything),
        is_hybrid=True,
    )

    assert withheld(record)["local_fallback_p90"].reason == "service-not-there"
    (one,) = said(record)
    assert one.code == "network-unchecked"
    assert "good network" in str(one.values["detail"])


def test_a_run_whose_service_was_asked_in_vain_says_how_often_and_why() -> None:
    record = a_record()
    asked = ServiceAsked(
        trial="t", stage="turn", fell_back_ns=(1, 2), faults={"timeout": 2}
    )
    first, *others = record.trials
    trials = (replace(first, services=(asked,)), *others)

    found = find(replace(record, trials=trials), ())

    (one,) = (f for f in found if f.code == "service-fell-back")
    assert one.values["queries"] == 2
    assert one.values["detail"] == "timeout: 2"
