"""A language model on an emulated device: the whole trial in virtual time."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.domain.plan import Minimum
from harness.domain.query import (
    Noted,
    Outcome,
    Phase,
    QueryBlock,
    ReadingsTaken,
    TrialEnded,
    TrialEvent,
)
from harness.domain.scenario import ColdStart, LlmDecode, LlmSustained, Scenario
from harness.domain.workload import DecoderFacts, ModelArtifact
from harness.emulation.decoding import DecoderTimes, read_decoder
from harness.plugins import Address
from harness.schema.profile import load_profile, profile_path
from harness.targets.base import Deployment, Target
from harness.targets.emulated import open_target
from harness.testing.builders import a_trial
from harness.testing.decoders import CONTEXT, VOCABULARY, decoder_bytes
from harness.units import NS_PER_S

PROFILE = load_profile(profile_path("smartphone"))
TALK = LlmDecode(prompt_tokens=(24,), output_tokens=20, users=(1, 4))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "d.onnx"
    path.write_bytes(decoder_bytes())
    return path


@contextmanager
def deployed(path: Path) -> Iterator[tuple[Target, Deployment]]:
    model = ModelArtifact(
        name="d",
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        size_bytes=path.stat().st_size,
        inputs=(),
        decoder=DecoderFacts(vocabulary=VOCABULARY, context=CONTEXT),
    )
    with (
        open_target(Address.parse("emulated@"), PROFILE) as target,
        target.deploy(model, path, None) as deployment,
    ):
        yield target, deployment


def execute(path: Path, scenario: Scenario) -> list[TrialEvent]:
    trial = replace(
        a_trial("llm", scenario), minimum=Minimum(queries=40, duration_ns=0)
    )
    with deployed(path) as (target, deployment):
        return list(target.execute(trial, deployment))


def measured(events: list[TrialEvent], segment: int) -> list[QueryBlock]:
    return [
        e
        for e in events
        if isinstance(e, QueryBlock)
        and e.phase is Phase.MEASURED
        and e.segment == segment
    ]


def test_times_are_those_that_the_device_model_gives(path: Path) -> None:
    events = execute(path, TALK)
    times = DecoderTimes(PROFILE, read_decoder(path))

    (block,) = measured(events, 0)
    inner_ns = np.asarray(block.inner_ns).reshape(-1, 20)
    first = np.median(inner_ns[:, 0] - np.asarray(block.issued_ns))
    gaps = np.median(np.diff(inner_ns, axis=1))
    assert first == pytest.approx(times.prefill_s(24) * 1e9, rel=0.1)
    assert gaps == pytest.approx(times.step_s(1, 34.0) * 1e9, rel=0.1)


def test_users_together_get_more_tokens_a_second_than_one(path: Path) -> None:
    events = execute(path, TALK)

    def rate(segment: int) -> float:
        found = measured(events, segment)
        begin, end = found[0].scheduled_ns[0], found[-1].completed_ns[-1]
        return sum(sum(b.inner_counts) for b in found) / (end - begin)

    assert rate(1) > 1.5 * rate(0)


def test_power_is_drawn_for_as_long_as_tokens_are_made(path: Path) -> None:
    events = execute(path, TALK)

    (power,) = (e.block for e in events if isinstance(e, ReadingsTaken))
    assert max(power.values) > 1.2 * min(power.values)
    notes = {e.key: e.value for e in events if isinstance(e, Noted)}
    assert int(notes["decode.cache_bytes_per_token"]) == 256
    assert isinstance(events[-1], TrialEnded)
    assert events[-1].outcome is Outcome.DONE


def test_a_cold_start_holds_process_load_and_a_first_token(path: Path) -> None:
    events = execute(path, ColdStart())

    blocks = [e for e in events if isinstance(e, QueryBlock)]
    assert sum(len(b.completed_ns) for b in blocks) == 30


def test_a_long_conversation_passes_in_virtual_time(path: Path) -> None:
    scenario = LlmSustained(
        duration_ns=120 * NS_PER_S, prompt_tokens=24, output_tokens=20
    )

    events = execute(path, scenario)

    assert isinstance(events[-1], TrialEnded)
    assert events[-1].outcome is Outcome.DONE, events[-1].reason
    blocks = measured(events, 0)
    begun = blocks[0].scheduled_ns[0]
    assert blocks[-1].completed_ns[-1] - begun >= 120 * NS_PER_S
    notes = {e.key: e.value for e in events if isinstance(e, Noted)}
    assert notes["decode.users"] == "one user"
