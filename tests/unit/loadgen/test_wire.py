"""Events and orders survive the wire."""

import json
from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.domain.network import Network
from harness.domain.origin import Origin
from harness.domain.query import (
    MemoryMeasured,
    ModelLoaded,
    NetworkTried,
    Noted,
    Outcome,
    OutputsChecked,
    OverheadMeasured,
    Phase,
    PhaseEntered,
    QueryBlock,
    ReadingsTaken,
    ServiceAsked,
    TrialEnded,
    TrialEvent,
    TrialStarted,
)
from harness.domain.reading import Channel, ReadingBlock
from harness.domain.scenario import (
    ColdStart,
    MultiStream,
    Offline,
    Periodic,
    Scenario,
    Server,
    SingleStream,
    Sustained,
)
from harness.errors import LinkError
from harness.loadgen import wire
from harness.testing.builders import a_model, a_trial

EVENTS: tuple[TrialEvent, ...] = (
    TrialStarted(trial="t", clock="monotonic"),
    PhaseEntered(trial="t", phase=Phase.WARM_UP, at_ns=5),
    ModelLoaded(trial="t", sha256="0", load_ns=7, placement={"CPU": 3}),
    OverheadMeasured(
        trial="t", queries=9, latency_p50_ns=1, latency_p90_ns=2, gap_p50_ns=3
    ),
    ReadingsTaken(
        trial="t",
        block=ReadingBlock(
            channel=Channel(name="rss", unit="B", source="psutil"),
            clock="monotonic",
            origin=Origin.MEASURED,
            times_ns=array("q", [1, 2]),
            values=array("d", [0.5, 1e300]),
        ),
    ),
    MemoryMeasured(trial="t", method="VmHWM", peak_bytes=12),
    OutputsChecked(trial="t", compared=1, differing=0, non_finite=1, sha256="0"),
    Noted(trial="t", key="质", value="a\nb"),
    TrialEnded(trial="t", outcome=Outcome.OUT_OF_MEMORY, queries=3, reason="why"),
    ServiceAsked(trial="t", stage="s", fell_back_ns=(3, 5), faults={"timeout": 2}),
    NetworkTried(
        trial="t",
        network=Network(name="flapping", loss=0.1, up_ns=4, down_ns=5),
        round=2,
        method="by hand",
        seed=7,
        latencies_ns=(10, 20),
        fell_back=(1,),
        outcome=Outcome.CRASHED,
        reason="gone",
    ),
)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.kind)
def test_every_kind_of_event_comes_back_as_it_was(event: TrialEvent) -> None:
    data = wire.line(wire.encode_event(event))

    again = wire.decode_event(json.loads(data))

    assert data.count(b"\n") == 1
    assert again == event


@given(
    st.lists(st.integers(-(2**63), 2**63 - 1), max_size=20),
    st.none() | st.floats(0.1, 1e9),
)
def test_times_of_queries_come_back_to_the_last_bit(
    times: list[int], rate_hz: float | None
) -> None:
    column = array("q", times)
    block = QueryBlock(
        trial="t",
        phase=Phase.MEASURED,
        samples_per_query=2,
        scheduled_ns=column,
        issued_ns=column,
        completed_ns=column,
        segment=4,
        rate_hz=rate_hz,
    )

    again = wire.decode_event(json.loads(wire.line(wire.encode_event(block))))

    assert again == block


ALL_SCENARIOS: tuple[Scenario, ...] = (
    SingleStream(),
    MultiStream(samples_per_query=3),
    Offline(samples_per_query=5),
    Server(latency_bound_ns=5),
    Periodic(period_ns=6, deadline_ns=7),
    Sustained(duration_ns=8),
    ColdStart(),
)


@pytest.mark.parametrize("scenario", ALL_SCENARIOS, ids=lambda one: one.kind)
def test_an_order_for_every_scenario_comes_back_as_it_was(scenario: Scenario) -> None:
    order = wire.Order(
        task=wire.Task.MEASURE,
        trial=a_trial(scenario=scenario),
        runtime="harness.runtimes.onnxrt:open_runtime",
        model_path="/m/模型.onnx",
        sha256="0" * 64,
        inputs=a_model().inputs,
        spawned_ns=12,
    )

    again = wire.decode_order(wire.encode_order(order))

    assert again == order


@pytest.mark.parametrize(
    "plain",
    [
        {},
        {"kind": "Nothing"},
        {"kind": "Noted", "trial": "t"},
        {"kind": "PhaseEntered", "trial": "t", "phase": "lunch", "at_ns": 1},
    ],
)
def test_what_is_no_event_is_refused_with_a_sentence(plain: dict[str, object]) -> None:
    with pytest.raises(LinkError, match="not an event") as caught:
        wire.decode_event(plain)

    assert "same version" in caught.value.remedy


def test_what_an_older_agent_did_not_say_yet_is_as_if_it_had_nothing_to_say() -> None:
    plain = wire.encode_event(EVENTS[8])
    del plain["reason"]

    ended = wire.decode_event(plain)

    assert isinstance(ended, TrialEnded)
    assert ended.reason == ""


def test_an_array_of_another_type_is_refused() -> None:
    event = EVENTS[4]
    plain = wire.encode_event(event)
    plain["block"]["values"]["array"] = "u"

    with pytest.raises(LinkError, match="not an event"):
        wire.decode_event(plain)


def test_a_line_that_is_no_order_is_refused() -> None:
    with pytest.raises(LinkError, match="not an order"):
        wire.decode_order(b"hello\n")
