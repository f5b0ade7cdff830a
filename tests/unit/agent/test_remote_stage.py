"""A stage that asks a service first: answers, faults, the fallback on the device."""

from array import array
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from test_pipeline import STAGES, an_order, blocks, carry_out, ended

from harness.agent.pipeline import PipelineSession, open_stages
from harness.agent.remote import Service as Asked
from harness.clock import SystemClock
from harness.domain.query import Outcome, OutputsChecked, ServiceAsked
from harness.domain.workload import BuiltStage, Remote
from harness.loadgen.wire import Order
from harness.runtimes.base import Tensor
from harness.runtimes.onnxrt import open_runtime
from harness.testing.servicebench import Arrays, Service, serving
from harness.units import NS_PER_S

TURNED = np.array([[-1.0, -2.0, -3.0, -4.0]], np.float32)
GIVEN = {"x": -TURNED}
WANTED = {"y": np.zeros((1, 4), np.float32)}
TIMEOUT_S = 0.25


def hundredfold(given: Arrays) -> Arrays:
    """Answer so that nobody takes it for what the device answers."""
    return {"y": 100 * given["x"]}


@pytest.fixture
def service() -> Iterator[Service]:
    with serving(hundredfold) as one:
        yield one


@pytest.fixture
def asked(service: Service) -> Iterator[Asked]:
    with closing(Asked(remote_at(service.url), SystemClock())) as one:
        yield one


def remote_at(url: str, timeout_s: float = TIMEOUT_S) -> Remote:
    return Remote(url=url, timeout_ns=round(timeout_s * NS_PER_S))


def stages_asking(url: str) -> tuple[BuiltStage, ...]:
    first, *others = STAGES
    return (
        replace(first, stage=replace(first.stage, remote=remote_at(url))),
        *others,
    )


def test_a_service_gives_the_tensors_that_are_wanted(asked: Asked) -> None:
    found = asked.ask(GIVEN, WANTED)

    assert found is not None
    np.testing.assert_array_equal(found["y"], 100 * GIVEN["x"])


def test_a_connection_is_kept_and_made_anew_when_the_service_has_closed_it(
    service: Service, asked: Asked
) -> None:
    service.hangs_up = True

    answers = [asked.ask(GIVEN, WANTED) for _ in range(3)]

    assert all(answer is not None for answer in answers)
    assert not asked.faults


def test_a_service_that_stalls_is_given_up_at_the_timeout(
    service: Service, asked: Asked
) -> None:
    service.is_stalling = True

    assert asked.ask(GIVEN, WANTED) is None
    assert asked.faults == {"timeout": 1}


def test_a_service_that_drips_does_not_stretch_the_timeout(
    service: Service, asked: Asked
) -> None:
    service.is_dripping = True
    clock = SystemClock()

    begun_ns = clock.now_ns()
    assert asked.ask(GIVEN, WANTED) is None

    # byte by byte the answer would take over five seconds
    assert clock.now_ns() - begun_ns < 4 * NS_PER_S
    assert asked.faults == {"timeout": 1}


@pytest.mark.parametrize(
    ("set_up", "fault"),
    [
        ({"status": 503}, "status 503"),
        ({"garbage": b"<html>"}, "no .npz"),
        ({"garbage": b"x" * 200_000}, "too long"),
        ({"answer": lambda given: {"z": given["x"]}}, "no y"),
        (
            {"answer": lambda _: {"y": np.zeros((1, 5), np.float32)}},
            "another form of y",
        ),
        ({"answer": lambda _: {"y": np.zeros((1, 4))}}, "another form of y"),
    ],
)
def test_what_cannot_be_used_is_a_fault_with_its_reason(
    service: Service, asked: Asked, set_up: dict[str, object], fault: str
) -> None:
    for name, value in set_up.items():
        setattr(service, name, value)

    assert asked.ask(GIVEN, WANTED) is None
    assert asked.faults == {fault: 1}


def test_nobody_there_and_a_name_that_nobody_knows_are_faults() -> None:
    refused = Asked(remote_at("http://127.0.0.1:9/"), SystemClock())
    unknown = Asked(remote_at("http://nowhere.invalid/"), SystemClock())

    assert refused.ask(GIVEN, WANTED) is None
    assert unknown.ask(GIVEN, WANTED) is None
    assert refused.faults == {"ConnectionRefusedError": 1}
    assert unknown.faults == {"name not resolved": 1}


def test_the_service_is_named_as_the_url_names_it_whatever_way_leads_to_it(
    service: Service,
) -> None:
    way = f"127.0.0.1:{service.server_address[1]}"
    remote = replace(remote_at("http://vision.example:81/x"), via=way)

    with closing(Asked(remote, SystemClock())) as asked:
        assert asked.ask(GIVEN, WANTED) is not None
    assert service.hosts == {"vision.example:81"}


def outputs_of(order: Order, given: Tensor) -> tuple[Tensor, ...]:
    with open_runtime() as runtime, ExitStack() as stack:
        stages = open_stages(order, runtime, stack.enter_context)
        session = PipelineSession(stages[:1], SystemClock(), array("q"))
        query = session.bind({"x": given})
        query.call()
        found = tuple(np.copy(tensor) for tensor in query.outputs())
        session.close()
        return found


def test_the_stage_gives_what_the_service_gave(
    service: Service, tmp_path: Path
) -> None:
    order = an_order(tmp_path, stages=stages_asking(service.url))

    (found,) = outputs_of(order, GIVEN["x"])

    np.testing.assert_array_equal(found, 100 * GIVEN["x"])


def test_without_the_service_the_stage_gives_what_the_device_computes(
    service: Service, tmp_path: Path
) -> None:
    order = an_order(tmp_path, stages=stages_asking(service.url))
    service.status = 500

    (found,) = outputs_of(order, GIVEN["x"])

    np.testing.assert_array_equal(found, TURNED)


def test_a_trial_says_which_queries_the_device_answered_by_itself(
    service: Service, tmp_path: Path
) -> None:
    service.status = 500

    events = carry_out(an_order(tmp_path, stages=stages_asking(service.url)))

    assert ended(events).outcome is Outcome.DONE, ended(events).reason
    (said,) = (event for event in events if isinstance(event, ServiceAsked))
    assert said.stage == "turn"
    assert said.faults == {"status 500": len(said.fell_back_ns)}
    issued = [at for block in blocks(events) for at in block.issued_ns]
    assert len(said.fell_back_ns) == len(issued)


def test_outputs_of_a_service_are_not_held_against_the_devices_own(
    service: Service, tmp_path: Path
) -> None:
    events = carry_out(an_order(tmp_path, stages=stages_asking(service.url)))

    assert service.asked > 0
    assert not any(isinstance(event, OutputsChecked) for event in events)
    (said,) = (event for event in events if isinstance(event, ServiceAsked))
    assert said.fell_back_ns == ()


@pytest.mark.parametrize(
    ("url", "timeout_ns"), [("https://a/b", 1), ("a/b", 1), ("http://a/b", 0)]
)
def test_a_remote_that_makes_no_sense_is_refused(url: str, timeout_ns: int) -> None:
    with pytest.raises(ValueError, match=r"http://host/path|some time"):
        Remote(url=url, timeout_ns=timeout_ns)
