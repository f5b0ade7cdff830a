"""A model that cannot fit is refused before it is sent, and the run goes on."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from onnx import TensorProto, helper, save

from harness import plugins
from harness.bench.conduct import Bench, conduct
from harness.bench.intake import Request, gather
from harness.bench.memoryguard import require_room, why_too_large
from harness.catalogue.describe import describe
from harness.clock import SystemClock
from harness.domain.origin import Origin
from harness.domain.profile import Conditions, DeviceProfile
from harness.domain.query import Outcome, TrialEvent
from harness.domain.record import RunRecord
from harness.domain.sut import ConditionsReached, SutDescription
from harness.domain.workload import ModelArtifact
from harness.errors import ModelRejected
from harness.record.reader import read_record
from harness.schema.profile import load_profile, profile_path
from harness.stats.findings import find
from harness.targets.base import Deployment
from harness.testing.builders import a_model, a_plan, a_profile, a_trial
from harness.testing.bundles import new_writer
from harness.testing.decoders import decoder_bytes, write_folder

GIB = 1024**3


def a_device(memory_bytes: int | None) -> SutDescription:
    facts = {} if memory_bytes is None else {"memory_bytes": str(memory_bytes)}
    return SutDescription(
        address="tiny@",
        name="tiny",
        origin=Origin.MEASURED,
        clock="monotonic",
        facts=facts,
    )


class TinyTarget:
    """A device of so much memory, to which nothing may be sent."""

    def __init__(self, memory_bytes: int) -> None:
        self._memory_bytes = memory_bytes

    def identify(self) -> SutDescription:
        return a_device(self._memory_bytes)

    def prepare(self, asked: Conditions) -> AbstractContextManager[ConditionsReached]:
        raise AssertionError(f"prepared for {asked}")

    def deploy(
        self, model: ModelArtifact, path: Path, samples: Path | None
    ) -> AbstractContextManager[Deployment]:
        raise AssertionError(f"{model.name} was sent: {path}, {samples}")

    def execute(self, trial: object, on: Deployment) -> Iterator[TrialEvent]:
        raise AssertionError(f"{trial} was executed on {on}")


def a_large_model(folder: Path) -> Path:
    """Write a product with 4 GiB of weights beside it, in a file without blocks."""
    rows, columns = 1024, 1 << 20
    weights = TensorProto(
        name="w",
        data_type=TensorProto.FLOAT,
        dims=[rows, columns],
        data_location=TensorProto.EXTERNAL,
    )
    size = 4 * rows * columns
    for key, value in (("location", "large.bin"), ("length", str(size))):
        weights.external_data.add(key=key, value=value)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, rows])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, columns])],
        initializer=[weights],
    )
    opset = helper.make_opsetid("", 13)
    made = helper.make_model(graph, opset_imports=[opset], ir_version=8)
    path = folder / "large.onnx"
    path.write_bytes(made.SerializeToString())
    with (folder / "large.bin").open("wb") as file:
        file.truncate(size)
    return path


class ChoosyTarget(TinyTarget):
    """A device whose agent knows no such models."""

    def why_not(self, model: ModelArtifact) -> str:
        return f"This agent knows no {model.task}"


def conducted(
    target: TinyTarget, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> RunRecord:
    """Conduct two trials of a model of 4 GB on a target."""

    @contextmanager
    def opened(
        address: plugins.Address, profile: DeviceProfile
    ) -> Iterator[TinyTarget]:
        assert (address.driver, profile.name) == ("tiny", "wearable")
        yield target

    monkeypatch.setattr(plugins, "find", lambda *_: opened)
    trials = [replace(a_trial(run=run), target="tiny@") for run in (1, 2)]
    plan = a_plan(trials)
    plan = replace(plan, models=(replace(plan.models[0], size_bytes=4 * GIB),))
    bench = Bench(
        plan=plan,
        paths={a_model().name: a_large_model(tmp_path)},
        samples={},
        clock=SystemClock(),
        report=lambda _: None,
    )

    with new_writer(tmp_path, plan) as writer:
        conduct(bench, writer)
        writer.finish()
    return read_record(writer.bundle)


def test_a_model_of_4_gb_is_not_sent_to_a_device_of_2_gb(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = conducted(TinyTarget(2 * GIB), tmp_path, monkeypatch)

    assert [trial.outcome for trial in record.trials] == [Outcome.REFUSED] * 2
    assert "at least 4.00 GiB" in record.trials[0].reason
    assert "the device has 2.00 GiB" in record.trials[0].reason
    assert "trial-failed" in {finding.code for finding in find(record, ())}


def test_a_model_that_the_device_cannot_measure_is_not_sent_and_the_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = conducted(ChoosyTarget(8 * GIB), tmp_path, monkeypatch)

    assert [trial.outcome for trial in record.trials] == [Outcome.REFUSED] * 2
    assert record.trials[0].reason == "This agent knows no keyword spotting"


def test_activations_count_beside_the_weights(tmp_path: Path) -> None:
    shape = [1, 250_000]
    graph = helper.make_graph(
        [helper.make_node("Neg", ["x"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
    )
    path = tmp_path / "model.onnx"
    opset = helper.make_opsetid("", 13)
    save(helper.make_model(graph, opset_imports=[opset], ir_version=8), path)
    model = replace(describe(path), size_bytes=1_000_000)

    # two tensors of 1 MB
    assert why_too_large(model, path, a_device(1_900_000), a_profile())
    assert not why_too_large(model, path, a_device(4_000_000), a_profile())


@pytest.mark.parametrize("memory", [None, 4 * GIB])
def test_a_model_that_fits_or_of_which_nothing_is_known_is_let_through(
    memory: int | None,
) -> None:
    device = a_device(memory)

    assert not why_too_large(a_model(), Path("none.onnx"), device, a_profile())


def of_2_gb(folder: Path) -> Path:
    """Write a profile of a computer with 2 GiB of memory."""
    text = profile_path("computer").read_text(encoding="utf-8")
    path = folder / "small.toml"
    path.write_text(text.replace('ram = "16 GiB"', 'ram = "2 GiB"'), encoding="utf-8")
    return path


@pytest.mark.parametrize("target", ["emulated@", "local@", "linux@ssh:nobody@nowhere"])
def test_a_model_of_4_gb_is_refused_by_prediction_before_it_is_read_or_sent(
    target: str, tmp_path: Path
) -> None:
    request = Request(
        device=str(of_2_gb(tmp_path)), target=target, model=a_large_model(tmp_path)
    )
    (tmp_path / "large.bin").chmod(0)  # it may be looked at, and not read

    with pytest.raises(ModelRejected) as told:
        gather(request, lambda _: None)

    sentence = told.value.sentence()
    assert "GiB at its peak, as predicted (90 %: " in sentence
    assert "at least 4.00 GiB for weights and activations" in sentence
    assert "the device has 2.00 GiB, by its profile" in sentence


def test_a_folder_of_a_language_model_is_refused_by_the_size_of_its_weights(
    tmp_path: Path,
) -> None:
    profile = load_profile(profile_path("computer"))
    path = write_folder(tmp_path / "folder", decoder_bytes()) / "genai_config.json"
    with (path.parent / "model.onnx.data").open("wb") as weights:
        weights.truncate(4 * GIB)

    require_room(path, replace(profile, ram_bytes=5 * GIB), is_emulated=False)
    with pytest.raises(ModelRejected, match=r"at least 4\.00 GiB"):
        require_room(path, replace(profile, ram_bytes=2 * GIB), is_emulated=False)


def test_a_prediction_that_may_fit_is_put_to_the_test(tmp_path: Path) -> None:
    profile = load_profile(profile_path("computer"))
    path = a_large_model(tmp_path)

    require_room(path, profile, is_emulated=True)
    tight = replace(profile, ram_bytes=5 * GIB)
    require_room(path, tight, is_emulated=False)  # its device may prove us wrong
    with pytest.raises(ModelRejected, match="as predicted"):
        require_room(path, tight, is_emulated=True)


def test_storage_of_a_microcontroller_is_its_own_matter(tmp_path: Path) -> None:
    profile = load_profile(profile_path("wearable"))

    require_room(a_large_model(tmp_path), profile, is_emulated=True)
