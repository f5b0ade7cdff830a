"""From what a user asks for to a plan with its files: the way into the bench."""

import hashlib
import platform
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness import shipped
from harness.catalogue.bindings import InputBindings
from harness.catalogue.build import ensure_built, shipped_file
from harness.catalogue.datasets import OwnData
from harness.catalogue.describe import describe, model_name
from harness.catalogue.index import check_models, load_index
from harness.domain.labelled import LabelledData
from harness.domain.plan import Plan
from harness.domain.profile import DeviceProfile, Scheme
from harness.domain.record import RunRecord
from harness.domain.scenario import ColdStart, SingleStream
from harness.domain.workload import OWN_SUITE, ModelArtifact, Suite, Workload
from harness.errors import Unsupported, UsageError
from harness.links.filedigest import digest_of, model_files
from harness.planning import EMULATED, LOCAL, Ingredients, make_plan, preset_named
from harness.schema.codec import dump_bytes
from harness.schema.lab import Lab, load_lab
from harness.schema.profile import load_profile, profile_path
from harness.schema.suite import load_suite, suite_path
from harness.schema.tiers import tier_set_path


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the user asked for, as words and paths."""

    device: str
    preset: str = "quick"
    target: str | None = None
    meter: str | None = None
    suite: str | None = None
    model: Path | None = None
    role: str | None = None
    """Workload id that a model of one's own stands for, such as ``kws``."""
    bindings: InputBindings = field(default_factory=InputBindings)
    lab: Path | None = None
    seed: int = 0
    provider: str = "CPUExecutionProvider"
    own_data: OwnData | None = None
    """Labelled items for a model of one's own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """A plan and the files that it names."""

    plan: Plan
    paths: dict[str, Path]
    samples: dict[str, Path]
    lab: Lab


@dataclass(frozen=True, slots=True, kw_only=True)
class _Models:
    """Model files by workload id, and where they lie."""

    artifacts: dict[str, ModelArtifact]
    paths: dict[str, Path]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Labelled:
    """Labelled items by workload id, the parents that they name, and the files."""

    data: dict[str, LabelledData]
    parents: tuple[ModelArtifact, ...]
    paths: dict[str, Path]
    """Parent's name → its file."""
    samples: dict[str, Path]
    """Workload id → file of the items."""


def host_scheme() -> Scheme:
    """Say which quantisation this machine's integer kernels want."""
    is_x86 = platform.machine().lower() in {"x86_64", "amd64", "i686"}
    return Scheme.U8S8 if is_x86 else Scheme.S8S8


def gather(request: Request, on_progress: Callable[[str], None]) -> Intake:
    """Read profile, suite and lab, build or vet the models, and lay out the plan.

    Raises UsageError for whatever the user can put right.
    """
    preset = preset_named(request.preset)
    where = profile_path(request.device)
    profile = load_profile(where)
    lab = load_lab(request.lab) if request.lab else Lab()
    target = request.target or lab.targets.get(profile.name) or EMULATED
    is_emulated = target.startswith(EMULATED)

    suite, suite_sha256 = _suite(request, profile)
    device_scheme = host_scheme() if target.startswith(LOCAL) else profile.scheme
    device = _models(request, suite, device_scheme, on_progress)
    host = (
        _models(request, suite, host_scheme(), on_progress)
        if is_emulated
        else _Models(artifacts={}, paths={})
    )
    labelled = _labelled(request, suite)
    tiers = tier_set_path(profile.tier_set)
    plan = make_plan(
        Ingredients(
            profile=profile,
            profile_sha256=_digest(where.read_bytes()),
            suite=suite,
            suite_sha256=suite_sha256,
            tier_set=profile.tier_set,
            tier_set_sha256=_digest(tiers.read_bytes()),
            preset=preset,
            target=target,
            device_models=device.artifacts,
            host_models=host.artifacts,
            seed=request.seed,
            provider=request.provider,
            meter=_meter(request, lab, profile, target),
            labelled=labelled.data,
            parents=labelled.parents,
        )
    )
    return Intake(
        plan=plan,
        paths={**device.paths, **host.paths, **labelled.paths},
        samples=_samples(request, plan, labelled),
        lab=lab,
    )


def _samples(request: Request, plan: Plan, labelled: _Labelled) -> dict[str, Path]:
    """Give model name → file of its samples: labelled items, or the user's own."""
    given = request.bindings.samples
    found = {model.name: given for model in plan.models} if given else {}
    for trial in plan.trials:
        if trial.workload in labelled.samples:
            found[trial.model] = labelled.samples[trial.workload]
    for workload, data in plan.labelled.items():
        if data.parent:
            found[data.parent] = labelled.samples[workload]
    return found


def _labelled(request: Request, suite: Suite) -> _Labelled:
    """Find the labelled items of a suite's trained models, or of the user's own."""
    if request.model is not None:
        return _own_labelled(request, suite)
    index, folder = load_index(), shipped.folder("models")
    data: dict[str, LabelledData] = {}
    parents: dict[str, ModelArtifact] = {}
    paths: dict[str, Path] = {}
    samples: dict[str, Path] = {}
    for workload in suite.workloads:
        entry = index.entry(workload.model)
        labelled = entry.labelled()
        if labelled is None:
            continue
        data[workload.id] = labelled
        samples[workload.id] = shipped_file(folder, labelled.name, labelled.sha256)
        if entry.parent is not None:
            path = shipped_file(folder, entry.parent.file, entry.parent.sha256)
            parents[labelled.parent] = entry.parent_artifact(path)
            paths[labelled.parent] = path
    return _Labelled(
        data=data, parents=tuple(parents.values()), paths=paths, samples=samples
    )


def _own_labelled(request: Request, suite: Suite) -> _Labelled:
    own = request.own_data
    if own is None:
        return _Labelled(data={}, parents=(), paths={}, samples={})
    parents: tuple[ModelArtifact, ...] = ()
    paths: dict[str, Path] = {}
    if own.parent is not None:
        described = describe(own.parent, request.bindings)
        parents = (replace(described, name=f"{described.name}-parent"),)
        paths = {parents[0].name: own.parent}
    data = own.labelled(parents[0].name if parents else "")
    return _Labelled(
        data={workload.id: data for workload in suite.workloads},
        parents=parents,
        paths=paths,
        samples={workload.id: own.file for workload in suite.workloads},
    )


def _meter(request: Request, lab: Lab, profile: DeviceProfile, target: str) -> str:
    """Name the meter of the device; an emulated device has a power model instead."""
    meter = request.meter or lab.meters.get(profile.name, "")
    if target.startswith(EMULATED):
        if request.meter:
            raise Unsupported(
                "A meter cannot read an emulated device",
                where=request.meter,
                remedy="Say where the device is, such as --target local@.",
            )
        return ""
    return meter


def _suite(request: Request, profile: DeviceProfile) -> tuple[Suite, str]:
    where = suite_path(request.suite or profile.suite)
    suite = load_suite(where)
    if request.model is None:
        check_models(suite, load_index())
        return suite, _digest(where.read_bytes())
    workload = _own_workload(request, request.model, suite)
    own = Suite(name=OWN_SUITE, workloads=(workload,))
    return own, _digest(dump_bytes(own))


def _own_workload(request: Request, model: Path, suite: Suite) -> Workload:
    """Give a user's model the scenarios of the workload that it stands for."""
    for workload in suite.workloads:
        if workload.id == request.role:
            return replace(workload, model=model.stem)
    return Workload(
        id=request.role or model_name(model),
        model=model.stem,
        title_zh=model.stem,
        title_en=model.stem,
        scenarios=(SingleStream(), ColdStart()),
    )


def _models(
    request: Request, suite: Suite, scheme: Scheme, on_progress: Callable[[str], None]
) -> _Models:
    if request.model is not None:
        return _own_model(request, suite, request.model)
    index = load_index()
    names = sorted({workload.model for workload in suite.workloads})
    built = ensure_built(names, scheme, on_progress)
    artifacts = {
        name: index.entry(name).artifact(scheme, built[name]) for name in names
    }
    return _Models(
        artifacts={w.id: artifacts[w.model] for w in suite.workloads},
        paths={artifacts[name].name: built[name] for name in names},
    )


def _own_model(request: Request, suite: Suite, model: Path) -> _Models:
    artifact = describe(model, request.bindings)
    return _Models(
        artifacts={workload.id: artifact for workload in suite.workloads},
        paths={artifact.name: model},
    )


def gather_again(
    record: RunRecord, request: Request, on_progress: Callable[[str], None]
) -> Intake:
    """Find the files of a plan that was begun before, to go on with it.

    Raises UsageError where a model is not the file that the plan names.
    """
    plan = record.plan
    labelled = _labelled(request, plan.suite)
    if plan.suite.name == OWN_SUITE:
        names = [m.name for m in plan.models if m.name not in labelled.paths]
        paths = {name: _given(request, record) for name in names}
    else:
        paths = _built_again(plan, on_progress)
    paths |= labelled.paths
    for model in plan.models:
        _require_same(model, paths[model.name])
    _require_same_data(plan, labelled, record)
    return Intake(
        plan=plan,
        paths=paths,
        samples=_samples(request, plan, labelled),
        lab=load_lab(request.lab) if request.lab else Lab(),
    )


def _require_same_data(plan: Plan, labelled: _Labelled, record: RunRecord) -> None:
    for workload, data in plan.labelled.items():
        given = labelled.data.get(workload)
        if given is None or given.sha256 != data.sha256:
            raise UsageError(
                f"The labelled items of '{workload}' are not those that this run was "
                "begun with",
                where=record.name,
                remedy="Give the same: --dataset FILE, and --parent FILE if there was "
                "one.",
            )


def _given(request: Request, record: RunRecord) -> Path:
    if request.model is None:
        raise UsageError(
            "This run was begun with a model of your own",
            where=record.name,
            remedy="Say where it is: --resume BUNDLE --model FILE",
        )
    return request.model


def _built_again(plan: Plan, on_progress: Callable[[str], None]) -> dict[str, Path]:
    paths: dict[str, Path] = {}
    names = sorted({workload.model for workload in plan.suite.workloads})
    wanted = {model.name for model in plan.models}
    for scheme in Scheme:
        ours = [name for name in names if f"{name}-{scheme}" in wanted]
        for name, path in ensure_built(ours, scheme, on_progress).items():
            paths[f"{name}-{scheme}"] = path
    return paths


def _require_same(model: ModelArtifact, path: Path) -> None:
    if digest_of(model_files(path, model.external)) != model.sha256:
        raise UsageError(
            f"This is not the model '{model.name}' that the run was begun with",
            where=str(path),
            remedy="Give the same file, or start a new run.",
        )


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
