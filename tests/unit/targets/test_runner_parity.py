"""The C runner against the agent in Python: the same trial, on the same machine."""

import hashlib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.catalogue.bindings import InputBindings
from harness.catalogue.describe import describe
from harness.domain.labelled import LabelledData, Metric, Source
from harness.domain.plan import Minimum, Trial
from harness.domain.query import (
    ItemsScored,
    ModelLoaded,
    Noted,
    Outcome,
    OutputsChecked,
    Phase,
    PhaseEntered,
    PulsesMade,
    QueryBlock,
    RepeatsProbed,
    TrialEnded,
    TrialEvent,
)
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
from harness.domain.workload import Fill, ModelArtifact
from harness.loadgen.arrivals import poisson
from harness.loadgen.earlystop import needed_queries
from harness.loadgen.pulses import PulsePlan, plan_pulses
from harness.plugins import Address
from harness.scoring.rows import unpack
from harness.targets.base import Deployment, Target
from harness.targets.local import open_target
from harness.targets.runner.bundle import Bundle
from harness.testing.agentcontract import short_trial
from harness.testing.builders import a_profile
from harness.testing.runnerbench import runner_target

MODELS = Path(__file__).parents[3] / "models"
MS = 1_000_000
Described = tuple[ModelArtifact, Path]


@pytest.fixture(scope="module")
def int8(tmp_path_factory: pytest.TempPathFactory) -> Described:
    """The quantised reference model for keywords."""
    folder = tmp_path_factory.mktemp("int8")
    command = [sys.executable, MODELS / "build.py", "--out", folder]
    command += ["--scheme", "u8s8", "dscnn-kws"]
    subprocess.run(command, check=True, capture_output=True)
    path = folder / "dscnn-kws-u8s8.onnx"
    return describe(path, InputBindings()), path


@pytest.fixture(scope="class")
def agents(runner: Bundle) -> Iterator[tuple[Target, Target]]:
    """The agent in Python and the one in C."""
    with (
        open_target(Address.parse("local@"), a_profile()) as python,
        runner_target(runner.start()) as c,
    ):
        yield python, c


def executed(target: Target, trial: Trial, on: Deployment) -> list[TrialEvent]:
    events = list(target.execute(trial, on))
    ended = events[-1]
    assert isinstance(ended, TrialEnded)
    assert ended.outcome is Outcome.DONE, ended.reason
    return events


def both(
    agents: tuple[Target, Target], trial: Trial, on: Deployment
) -> tuple[list[TrialEvent], list[TrialEvent]]:
    python, c = agents
    return executed(python, trial, on), executed(c, trial, on)


def a_short(scenario: Scenario, *, queries: int = 40, run: int = 2) -> Trial:
    return replace(
        short_trial(),
        scenario=scenario,
        run=run,
        warm_up=Minimum(queries=5, duration_ns=0),
        minimum=Minimum(queries=queries, duration_ns=0),
        baseline_ns=MS,
    )


def of(kind: type, events: list[TrialEvent]) -> list[TrialEvent]:
    return [event for event in events if isinstance(event, kind)]


def measured(events: list[TrialEvent]) -> list[QueryBlock]:
    blocks = (event for event in events if isinstance(event, QueryBlock))
    return [block for block in blocks if block.phase is Phase.MEASURED]


def rows_of(events: list[TrialEvent], source: Source) -> dict[int, list[float]]:
    """Rows by item."""
    found: dict[int, list[float]] = {}
    for event in events:
        if isinstance(event, ItemsScored) and event.source is source:
            for row in unpack(event.packed, event.width):
                found[int(row[0])] = list(row[1:])
    return found


SCENARIOS = [
    SingleStream(),
    MultiStream(samples_per_query=3),
    Offline(samples_per_query=8),
    Periodic(period_ns=2 * MS, deadline_ns=2 * MS),
    Sustained(duration_ns=50 * MS),
]


class TestScenarios:
    @pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda one: one.kind)
    def test_a_trial_has_the_same_parts_and_the_same_outputs(
        self, agents: tuple[Target, Target], int8: Described, scenario: Scenario
    ) -> None:
        model, path = int8
        python, c = both(agents, a_short(scenario), Deployment(model=model, path=path))

        for kind in (PhaseEntered, Noted):
            names = "phase" if kind is PhaseEntered else "key"
            known = {getattr(e, names) for e in of(kind, python)}
            assert known <= {getattr(e, names) for e in of(kind, c)}
        phases = [e.phase for e in of(PhaseEntered, c)]
        assert phases == [e.phase for e in of(PhaseEntered, python)]
        ((checked,), (theirs,)) = of(OutputsChecked, c), of(OutputsChecked, python)
        assert checked.sha256 == theirs.sha256
        assert checked.differing == 0
        assert checked.compared > 0
        for own, other in zip(of(ModelLoaded, c), of(ModelLoaded, python), strict=True):
            assert own.placement == other.placement
            assert own.quantised_nodes == other.quantised_nodes > 0
            assert own.quantisable_nodes == other.quantisable_nodes
        sizes = {block.samples_per_query for block in measured(c)}
        assert sizes == {block.samples_per_query for block in measured(python)}
        rows, others = rows_of(c, Source.WINDOW), rows_of(python, Source.WINDOW)
        assert rows.keys() & others.keys()
        for item in rows.keys() & others.keys():
            assert rows[item] == others[item]

    def test_a_cold_start_is_the_same(
        self, agents: tuple[Target, Target], int8: Described
    ) -> None:
        model, path = int8
        trial = a_short(ColdStart(), queries=2)
        python, c = both(agents, trial, Deployment(model=model, path=path))

        ((checked,), (theirs,)) = of(OutputsChecked, c), of(OutputsChecked, python)
        assert checked.sha256 == theirs.sha256
        assert checked.compared == theirs.compared == 2
        for block in measured(c):
            assert block.scheduled_ns[0] < block.issued_ns[0] < block.completed_ns[0]

    def test_a_repeated_input_is_probed_in_the_first_run(
        self, agents: tuple[Target, Target], int8: Described
    ) -> None:
        model, path = int8
        trial = a_short(SingleStream(), run=1)
        on = Deployment(model=model, path=path)
        (probed,) = of(RepeatsProbed, executed(agents[1], trial, on))

        counts = {len(probed.repeated_ns), len(probed.rotated_ns), len(probed.fresh_ns)}
        assert counts == {8 * 16}

    def test_the_schedule_of_a_server_is_the_one_that_numpy_draws(
        self, agents: tuple[Target, Target], int8: Described
    ) -> None:
        model, path = int8
        server = Server(latency_bound_ns=5 * MS, percentile=0.9, rate_tolerance=0.5)
        trial = replace(
            a_short(server), minimum=Minimum(queries=80, duration_ns=50 * MS)
        )
        blocks = measured(
            executed(agents[1], trial, Deployment(model=model, path=path))
        )

        probes = {block.segment: block.rate_hz for block in blocks}
        assert len(probes) > 1
        for probe, rate_hz in probes.items():
            assert rate_hz is not None
            due = [t for b in blocks if b.segment == probe for t in b.scheduled_ns]
            enough = replace(trial.minimum, queries=max(80, needed_queries(1, 0.9)))
            generator = np.random.default_rng((trial.seeds.arrival, probe))
            drawn = poisson(rate_hz, enough, generator)[: len(due)]
            assert np.abs(np.diff(due) - np.diff(drawn)).max() <= 1

    def test_marks_are_made_before_and_after(
        self, agents: tuple[Target, Target], int8: Described, tmp_path: Path
    ) -> None:
        model, path = int8
        pin = tmp_path / "pin"
        pin.touch()
        pulses = replace(plan_pulses(MS, seed=3).planned(), pin=str(pin))
        trial = replace(a_short(SingleStream()), pulses=pulses)
        events = executed(agents[1], trial, Deployment(model=model, path=path))

        before, after = of(PulsesMade, events)
        assert (before.phase, after.phase) == (Phase.PREAMBLE, Phase.POSTAMBLE)
        planned = PulsePlan.of(pulses).preamble(0)
        assert len(before.rises_ns) == len(after.falls_ns) == len(planned.rises_ns)
        for mark in (before, after):
            edges = zip(mark.rises_ns, mark.falls_ns, strict=True)
            assert all(rise <= fall for rise, fall in edges)
        assert pin.read_text() == "10" * len(before.rises_ns) * 2


class TestSamples:
    def test_labelled_items_are_scored_as_by_the_agent_in_python(
        self, agents: tuple[Target, Target], int8: Described, tmp_path: Path
    ) -> None:
        model, path = int8
        spec = replace(model.inputs[0], fill=Fill.FILE)
        items = np.random.default_rng(1).normal(size=(20, *spec.shape[1:]))
        file = tmp_path / "items.npz"
        labels = np.arange(20) % 12
        np.savez(file, **{spec.name: items.astype("float32"), "labels": labels})
        data = LabelledData(
            name="items",
            metric=Metric.TOP1,
            sha256=hashlib.sha256(file.read_bytes()).hexdigest(),
            items=20,
        )
        on = Deployment(
            model=replace(model, inputs=(spec,)),
            path=path,
            samples=file,
            labelled=data,
        )
        trial = replace(a_short(SingleStream()), is_scored=True)
        python, c = both(agents, trial, on)

        assert len(rows_of(c, Source.SESSION)) == 20
        assert rows_of(c, Source.SESSION) == rows_of(python, Source.SESSION)
