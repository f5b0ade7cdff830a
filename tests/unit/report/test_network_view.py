"""Failing networks on the page: what was done to packets, and what came of it."""

from dataclasses import replace

import pytest

from harness.assessment import assess
from harness.domain.network import NETWORKS, Network
from harness.domain.query import NetworkTried, Outcome, ServiceAsked
from harness.domain.record import RunRecord
from harness.domain.workload import BuiltStage, Remote, Stage
from harness.report.networkview import networks_view, treatment
from harness.report.page import Language, render
from harness.schema.tiers import load_tier_set, tier_set_path
from harness.testing.builders import a_record

TIERS = load_tier_set(tier_set_path("2026.1"))
_MS = 1_000_000
BY_NAME = {network.name: network for network in NETWORKS}


def tried(network: Network, number: int, fell_back: tuple[int, ...]) -> NetworkTried:
    slow_ms = 280 if fell_back else 20
    return NetworkTried(
        trial="kws.singlestream.device.r1",
        network=network,
        round=number,
        method="<by hand>",
        seed=1,
        latencies_ns=tuple((slow_ms + n % 3) * _MS for n in range(40)),
        fell_back=fell_back,
        outcome=Outcome.DONE,
    )


def a_tried_record(*, is_hybrid: bool) -> RunRecord:
    record = a_record(["kws"], runs=1)
    everything = tuple(range(40)) if is_hybrid else ()
    networks = tuple(
        tried(BY_NAME[name], number, everything if name == "none" else ())
        for number in (1, 2, 3)
        for name in ("good", "none")
    )
    services = (
        (ServiceAsked(trial="t", stage="s", fell_back_ns=(), faults={}),)
        if is_hybrid
        else ()
    )
    trials = tuple(
        replace(t, networks=networks, services=services)
        if t.trial.id == "kws.singlestream.device.r1"
        else t
        for t in record.trials
    )
    plan = record.plan
    if is_hybrid:
        remote = Remote(url="http://a/b", timeout_ns=1)
        stage = BuiltStage(stage=Stage(name="s", model="m", remote=remote))
        plan = replace(
            plan, models=tuple(replace(m, stages=(stage,)) for m in plan.models)
        )
    return replace(record, plan=plan, trials=trials)


def test_each_network_has_a_line_with_what_it_does_to_packets() -> None:
    record = a_tried_record(is_hybrid=True)
    assessment = assess(record, TIERS)

    view = networks_view(assessment, "kws", record.trials)

    assert view is not None
    assert view.is_hybrid
    assert view.rounds == 3
    good, none = view.lines
    assert (good.name, good.treatment, good.answer) == ("good", "", "")
    assert (none.name, none.treatment, none.answer) == ("none", "100 %", "kept")
    assert none.longest_fallback_s == pytest.approx(0.282)
    assert none.fallback is not None
    assert none.slowdown is None


@pytest.mark.parametrize("is_hybrid", [True, False])
def test_the_page_says_it_in_both_languages_and_escapes_the_record(
    *, is_hybrid: bool
) -> None:
    record = a_tried_record(is_hybrid=is_hybrid)

    page = render(record, assess(record, TIERS), TIERS, language=Language.BOTH).decode()

    assert "不良网络" in page
    assert "Networks that fail" in page
    assert "&lt;by hand&gt;" in page
    assert "<by hand>" not in page
    assert ("device by itself" in page) is is_hybrid


def test_a_run_that_tried_no_network_has_no_such_table() -> None:
    record = a_record(["kws"], runs=1)

    page = render(record, assess(record, TIERS), TIERS, language=Language.EN).decode()

    assert "Networks that fail" not in page


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("good", ""),
        ("lossy", "5 %"),
        ("slow", "300 ± 100 ms"),
        ("flapping", "10 s / 10 s"),
    ],
)
def test_what_is_done_to_packets_is_said_in_numbers(name: str, said: str) -> None:
    assert treatment(BY_NAME[name]) == said
