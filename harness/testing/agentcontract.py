"""What every place that runs agents must keep, whatever link leads to it.

Subclass `AgentContract` and give a fixture `target` of the class: an open Target. The
models are made here, so nothing has to be downloaded.
"""
# ruff: noqa: S101 - a contract asserts

import hashlib
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import pytest

from harness.domain.counting import InstructionsCounted, KernelsCompared
from harness.domain.plan import Minimum, Trial
from harness.domain.profile import Conditions
from harness.domain.query import (
    MemoryMeasured,
    ModelLoaded,
    Outcome,
    OutputsChecked,
    Phase,
    QueryBlock,
    ReadingsTaken,
    TrialEnded,
    TrialEvent,
    TrialStarted,
    says_a_time,
)
from harness.domain.scenario import ColdStart
from harness.domain.workload import InputSpec, ModelArtifact
from harness.errors import DeployMismatch
from harness.runtimes.onnxbytes import identity_model
from harness.targets.base import Target
from harness.testing.builders import a_model, a_trial
from harness.units import NS_PER_S

SIZE = 3
QUERIES = 50
STARTS = 2
LONG = Minimum(queries=1, duration_ns=600 * NS_PER_S)


def copying_model(folder: Path) -> tuple[ModelArtifact, Path]:
    """Make a model that copies its input, and its description."""
    data = identity_model([("x", "float32", (1, SIZE))])
    path = folder / "copy.onnx"
    path.write_bytes(data)
    spec = InputSpec(name="x", dtype="float32", shape=(1, SIZE), low=-1.0, high=1.0)
    model = replace(
        a_model(),
        sha256=hashlib.sha256(data).hexdigest(),
        size_bytes=len(data),
        inputs=(spec,),
    )
    return model, path


def short_trial() -> Trial:
    """Make a trial of a tenth of a second."""
    return replace(
        a_trial(),
        minimum=Minimum(queries=QUERIES, duration_ns=NS_PER_S // 10),
        baseline_ns=NS_PER_S // 20,
    )


def long_trial() -> Trial:
    """Make a trial that is over only when it is ended."""
    return replace(short_trial(), minimum=LONG)


class AgentContract:
    """Subclass it and give the fixture `target`."""

    @pytest.fixture(scope="class")
    @classmethod
    def target(cls) -> Target:
        """Give an open target."""
        raise NotImplementedError

    @pytest.fixture(scope="class")
    @classmethod
    def model(
        cls, tmp_path_factory: pytest.TempPathFactory
    ) -> tuple[ModelArtifact, Path]:
        """Give a small model."""
        return copying_model(tmp_path_factory.mktemp("model"))

    @pytest.fixture(scope="class")
    @classmethod
    def events(
        cls, target: Target, model: tuple[ModelArtifact, Path]
    ) -> list[TrialEvent]:
        """Give all events of a short trial, conditions held."""
        with target.deploy(*model, None) as on, target.prepare(Conditions()):
            return list(target.execute(short_trial(), on))

    def test_the_first_event_names_the_clock_and_the_last_the_outcome(
        self, target: Target, events: list[TrialEvent]
    ) -> None:
        """Every time of a trial is of the clock that its first event names."""
        first, last = events[0], events[-1]
        assert isinstance(first, TrialStarted)
        assert first.clock == target.identify().clock
        assert isinstance(last, TrialEnded)
        assert last.outcome is Outcome.DONE, last.reason

    def test_the_model_that_was_loaded_is_the_one_that_was_deployed(
        self, model: tuple[ModelArtifact, Path], events: list[TrialEvent]
    ) -> None:
        """The digest is of what was read beside the runtime."""
        loaded = [event for event in events if isinstance(event, ModelLoaded)]
        assert [event.sha256 for event in loaded] == [model[0].sha256]
        assert sum(loaded[0].placement.values()) == 1

    def test_every_query_is_told_and_counted(self, events: list[TrialEvent]) -> None:
        """The count of the last event is that of the queries before it."""
        blocks = [event for event in events if isinstance(event, QueryBlock)]
        ended = events[-1]
        assert isinstance(ended, TrialEnded)
        assert sum(len(block.completed_ns) for block in blocks) == ended.queries
        measured = [block for block in blocks if block.phase is Phase.MEASURED]
        assert sum(len(block.completed_ns) for block in measured) >= QUERIES

    def test_outputs_memory_and_readings_are_there(
        self, events: list[TrialEvent]
    ) -> None:
        """What is graded beside time."""
        checked = next(e for e in events if isinstance(e, OutputsChecked))
        memory = next(e for e in events if isinstance(e, MemoryMeasured))
        readings = {
            e.block.channel.name for e in events if isinstance(e, ReadingsTaken)
        }
        assert checked.differing == 0
        assert (memory.peak_bytes or 0) > 0
        assert {"rss", "cpu"} <= readings

    def test_each_cold_start_is_a_process_of_its_own(
        self, target: Target, model: tuple[ModelArtifact, Path]
    ) -> None:
        """Each query of a cold start counts from the start of its process."""
        trial = replace(
            short_trial(),
            scenario=ColdStart(),
            minimum=Minimum(queries=STARTS, duration_ns=0),
            baseline_ns=0,
        )
        with target.deploy(*model, None) as on:
            events = list(target.execute(trial, on))

        ended = events[-1]
        assert isinstance(ended, TrialEnded)
        assert ended.outcome is Outcome.DONE, ended.reason
        assert ended.queries == STARTS

    def test_another_file_than_was_planned_is_refused(
        self, target: Target, model: tuple[ModelArtifact, Path], tmp_path: Path
    ) -> None:
        """Nothing is executed that was not planned."""
        described, planned = model
        path = tmp_path / planned.name
        path.write_bytes(planned.read_bytes() + b"\x00")

        with pytest.raises(DeployMismatch), target.deploy(described, path, None):
            pass

    def test_an_unknown_provider_is_refused_and_never_the_processor_instead(
        self, target: Target, model: tuple[ModelArtifact, Path]
    ) -> None:
        """A provider that is asked for and not there is an error."""
        trial = short_trial()
        settings = replace(trial.settings, provider="NoSuchExecutionProvider")
        with target.deploy(*model, None) as on:
            events = list(target.execute(replace(trial, settings=settings), on))

        ended = events[-1]
        assert isinstance(ended, TrialEnded)
        assert ended.outcome is Outcome.REFUSED
        assert "NoSuchExecutionProvider" in ended.reason
        assert not any(isinstance(event, QueryBlock) for event in events)

    def test_a_run_that_is_left_early_leaves_the_target_free(
        self, target: Target, model: tuple[ModelArtifact, Path]
    ) -> None:
        """The next trial is executed as if nothing had been."""
        with target.deploy(*model, None) as on:
            events = target.execute(long_trial(), on)
            for event in events:
                if isinstance(event, QueryBlock):
                    break
            assert isinstance(events, Generator)
            events.close()
            ended = list(target.execute(short_trial(), on))[-1]

        assert isinstance(ended, TrialEnded)
        assert ended.outcome is Outcome.DONE, ended.reason


class CountingContract(AgentContract):
    """The same promises of a target without time, which counts and compares."""

    def test_every_query_is_told_and_counted(self, events: list[TrialEvent]) -> None:
        """The count of the last event is that of the inferences of all processes."""
        counted = [event for event in events if isinstance(event, InstructionsCounted)]
        ended = events[-1]
        assert isinstance(ended, TrialEnded)
        assert counted
        assert ended.queries == sum(
            len(one.counts_fewer) * (one.fewer + one.more) for one in counted
        )
        assert all(one.more - one.fewer == QUERIES for one in counted)

    def test_outputs_memory_and_readings_are_there(
        self, events: list[TrialEvent]
    ) -> None:
        """Outputs and memory, and no readings: nothing says a time."""
        compared = [event for event in events if isinstance(event, KernelsCompared)]
        memory = next(e for e in events if isinstance(e, MemoryMeasured))
        assert compared
        assert all(one.identical == one.items for one in compared)
        assert (memory.peak_bytes or 0) > 0
        assert not any(says_a_time(event) for event in events)

    def test_each_cold_start_is_a_process_of_its_own(
        self, target: Target, model: tuple[ModelArtifact, Path]
    ) -> None:
        """A start takes time and nothing else: it is refused, never made up."""
        trial = replace(short_trial(), scenario=ColdStart())
        with target.deploy(*model, None) as on:
            events = list(target.execute(trial, on))

        ended = events[-1]
        assert isinstance(ended, TrialEnded)
        assert ended.outcome is Outcome.REFUSED
        assert "needs a time" in ended.reason

    def test_a_run_that_is_left_early_leaves_the_target_free(
        self, target: Target, model: tuple[ModelArtifact, Path]
    ) -> None:
        """The next trial is executed as if nothing had been."""
        with target.deploy(*model, None) as on:
            events = target.execute(short_trial(), on)
            for event in events:
                if isinstance(event, InstructionsCounted):
                    break
            assert isinstance(events, Generator)
            events.close()
            ended = list(target.execute(short_trial(), on))[-1]

        assert isinstance(ended, TrialEnded)
        assert ended.outcome is Outcome.DONE, ended.reason
