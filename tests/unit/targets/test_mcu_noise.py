"""Noise on the line of a microcontroller: a sentence, and never a wrong latency."""

from dataclasses import replace
from pathlib import Path

import pytest

from harness.clock import Deadline, VirtualClock
from harness.domain.origin import Origin
from harness.domain.plan import Minimum
from harness.domain.profile import Conditions
from harness.domain.query import Outcome, Phase, QueryBlock, TrialEnded, TrialEvent
from harness.errors import LinkError
from harness.links.faulty import Faults, FaultyLink
from harness.links.loop import LoopLink
from harness.targets.mcu.board import McuTarget
from harness.targets.mcu.driver import Dut
from harness.targets.mcu.sim import SimulatedBoard
from harness.testing.builders import a_model, a_trial


class Garbling:
    """A line on which one answer is put in the place of another, once."""

    def __init__(self, inner: LoopLink, was: bytes, becomes: bytes) -> None:
        self.where = inner.where
        self._inner = inner
        self._was, self._becomes = was, becomes
        self.is_on = False

    def read(self, most: int, until: Deadline) -> bytes:
        data = self._inner.read(most, until)
        if self.is_on and self._was in data:
            self.is_on = False
            data = data.replace(self._was, self._becomes, 1)
        return data

    def write(self, data: bytes) -> None:
        self._inner.write(data)


def executed(target: McuTarget) -> list[TrialEvent]:
    trial = replace(
        a_trial(), minimum=Minimum(queries=40, duration_ns=0), baseline_ns=0
    )
    with (
        target.deploy(a_model(), Path("model.onnx"), None) as on,
        target.prepare(Conditions()),
    ):
        return list(target.execute(trial, on))


@pytest.mark.parametrize("seed", range(12))
def test_noise_ends_a_trial_with_a_sentence_or_does_no_harm(seed: int) -> None:
    clock = VirtualClock()
    link = LoopLink(SimulatedBoard(inference_ms=3.0, seed=seed), clock, "sim:")
    clean = Dut(link, clock)
    firmware = clean.wake()
    noisy = FaultyLink(link, Faults(garble=3e-4, drop=1e-4, seed=seed))
    target = McuTarget(
        address="mcu@sim:",
        dut=Dut(noisy, clock),
        firmware=firmware,
        clock=clock,
        origin=Origin.SIMULATED,
    )

    events = executed(target)

    last = events[-1]
    assert isinstance(last, TrialEnded)
    assert last.outcome in {Outcome.DONE, Outcome.FAILED, Outcome.HUNG}
    assert (last.outcome is Outcome.DONE) == (last.reason == "")
    latencies = [
        end - begin
        for event in events
        if isinstance(event, QueryBlock) and event.phase is Phase.MEASURED
        for begin, end in zip(event.issued_ns, event.completed_ns, strict=True)
    ]
    # the first time stamp's writing is inside: 2 ms at most
    assert all(2_900_000 < one < 5_500_000 for one in latencies)


@pytest.mark.parametrize(
    ("was", "becomes"), [(b"m-lap-us-2", b"m-lap-us-1"), (b"m-lap-us-2", b"m-lap-us-9")]
)
def test_a_garbled_digit_is_not_taken_for_the_wrap_of_a_clock(
    was: bytes, becomes: bytes
) -> None:
    clock = VirtualClock()
    link = Garbling(LoopLink(SimulatedBoard(), clock, "sim:"), was, becomes)
    dut = Dut(link, clock)
    dut.wake()
    dut.load(bytes(490))
    while dut.now_ns() < 2_100_000_000:
        clock.advance(50_000_000)
    link.is_on = True

    with pytest.raises(LinkError, match=r"went on by|inference took"):
        dut.infer(1, 0, 10.0)

    # the next one is right again, by the same clock
    one = dut.infer(1, 0, 10.0)
    assert 28_000_000 < one.took_ns < 34_000_000
    assert one.begun_ns < 3_000_000_000
