"""From what a user asks for to a plan with its files: the way into the bench."""

import hashlib
import os
import platform
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from harness.bench.inspecting import require_provider
from harness.bench.labelling import (
    Labelled,
    own_items,
    require_scorable,
    shipped_items,
)
from harness.bench.memoryguard import require_room
from harness.bench.meteruse import edge_inputs, meter_use, require_claim
from harness.bench.ownmodel import own_scenarios, require_tokeniser
from harness.bench.provider import Wish
from harness.bench.virtualmeter import require_readable
from harness.catalogue.bindings import InputBindings
from harness.catalogue.build import ensure_built
from harness.catalogue.datasets import OwnData
from harness.catalogue.index import check_models, load_index
from harness.catalogue.language import (
    ONNXRUNTIME,
    describe_model,
    file_of,
    runtime_of,
    title_of,
)
from harness.catalogue.pipeline import pipeline_artifact
from harness.domain.calibration import Calibration
from harness.domain.plan import Boundary, Plan, Recording, Supply, is_timed
from harness.domain.profile import DeviceProfile, Scheme
from harness.domain.record import RunRecord
from harness.domain.scenario import LlmDecode, Periodic
from harness.domain.workload import OWN_SUITE, ModelArtifact, Suite, Workload
from harness.errors import SchemaError, UnknownName, Unsupported, UsageError
from harness.links.filedigest import digest_of, model_files
from harness.meters.opening import is_simulated
from harness.planning import (
    EMULATED,
    EMULATED_MCU,
    LOCAL,
    MCU,
    STREAMED,
    Ingredients,
    MeterUse,
    is_virtual,
    make_plan,
    preset_named,
)
from harness.plugins import Address
from harness.schema.calibration import load_calibration
from harness.schema.codec import dump_bytes
from harness.schema.lab import Lab, load_lab
from harness.schema.profile import load_profile, profile_path
from harness.schema.recording import load_recording
from harness.schema.suite import load_suite, suite_path
from harness.schema.tiers import tier_set_path
from harness.targets.arm64.target import processors_in
from harness.targets.emulated import require_no_link
from harness.units import parse_quantity


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A relative expanded uncertainty of energy, wanted at a power in W."""

    ratio: float
    power_w: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the user asked for, as words and paths."""

    device: str
    preset: str = "quick"
    target: str | None = None
    meter: str | None = None
    supply: Supply | None = None
    """What the meter's power is the power of; None: as the lab file says."""
    claim: Claim | None = None
    pin: str = ""
    """File on the device that moves a pin which the meter watches."""
    suite: str | None = None
    model: Path | None = None
    role: str | None = None
    """Workload id that a model of one's own stands for, such as ``kws``."""
    bindings: InputBindings = field(default_factory=InputBindings)
    lab: Path | None = None
    seed: int = 0
    provider: Wish = field(default_factory=Wish)
    talk: LlmDecode | None = None
    """How a language model of one's own is asked; None: as its workload says."""
    stream: Path | None = None
    """What is played to a device that listens for a wake word: a truth file."""
    sustain_ns: int | None = None
    """How long a language model of one's own is asked without a rest; None: not."""
    own_data: OwnData | None = None
    """Labelled items for a model of one's own."""
    checks_network: bool = False
    checks_offline: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """A plan and the files that it names."""

    plan: Plan
    paths: dict[str, Path]
    samples: dict[str, Path]
    lab: Lab
    calibration: Calibration | None = None
    """Of the meter, where the lab file names one for it."""
    checks_network: bool = False
    """Whether the privacy checks are made after the trials."""
    checks_offline: bool = False
    """Whether each workload is tried on networks that fail."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Models:
    """Model files by workload id, and where they lie."""

    artifacts: dict[str, ModelArtifact]
    paths: dict[str, Path]
    runtime: str = ONNXRUNTIME


def host_scheme() -> Scheme:
    """Say which quantisation this machine's integer kernels want."""
    is_x86 = platform.machine().lower() in {"x86_64", "amd64", "i686"}
    return Scheme.U8S8 if is_x86 else Scheme.S8S8


def _device_scheme(target: str, profile: DeviceProfile) -> Scheme:
    """Say which quantisation the integer kernels want where the device's model runs."""
    if target.startswith(LOCAL):
        return host_scheme()
    return profile.scheme if is_timed(target) else Scheme.S8S8


def gather(request: Request, on_progress: Callable[[str], None]) -> Intake:
    """Read profile, suite and lab, build or vet the models, and lay out the plan.

    Raises UsageError for whatever the user can put right.
    """
    preset = preset_named(request.preset)
    where = profile_path(request.device)
    profile = load_profile(where)
    lab = load_lab(request.lab) if request.lab else Lab()
    target = request.target or lab.target_for(profile.name) or EMULATED
    is_emulated = target.startswith(EMULATED)
    if is_emulated:
        require_no_link(Address.parse(target))
    provider, options = request.provider.chosen(profile, is_emulated=is_emulated)
    if request.model is not None:
        require_room(file_of(request.model), profile, is_emulated=is_emulated)

    if not is_timed(target):
        processors_in(Address.parse(target))
    suite, suite_sha256 = _suite(request, profile)
    device_scheme = _device_scheme(target, profile)
    device = _models(request, suite, device_scheme, on_progress)
    one = next(iter(device.artifacts.values()))
    require_tokeniser(suite, device.runtime, is_emulated=is_emulated)
    if target.startswith(LOCAL):
        require_provider(provider, one, device.paths[one.name])
    host = (
        _models(request, suite, host_scheme(), on_progress)
        if is_emulated
        else _Models(artifacts={}, paths={})
    )
    labelled = _labelled(request, suite)
    if request.own_data is not None:
        require_scorable(request.own_data, one, device.paths[one.name])
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
            provider=provider,
            provider_options=options,
            runtime=device.runtime,
            meter=_meter(request, lab, profile, target),
            labelled=labelled.data,
            parents=labelled.parents,
            stream=_stream(request, suite, target),
        )
    )
    return Intake(
        plan=plan,
        paths={**device.paths, **host.paths, **labelled.paths},
        samples=labelled.samples_of(plan, request.bindings.samples),
        lab=lab,
        calibration=_calibration(plan, lab),
        checks_network=request.checks_network,
        checks_offline=request.checks_offline,
    )


def parse_claim(text: str) -> Claim:
    """Read a claim such as ``5%@20mW``. Raises SchemaError for what is none."""
    ratio, at, power = text.partition("@")
    if not at:
        raise SchemaError(
            f"'{text}' names no power at which to claim",
            where="--energy-claim",
            remedy="Write the uncertainty and the power expected, such as 5%@20mW.",
        )
    claim = Claim(
        ratio=parse_quantity(ratio, "ratio"), power_w=parse_quantity(power, "W")
    )
    if not 0 < claim.ratio < 1 or claim.power_w <= 0:
        raise SchemaError(
            f"'{text}' is no uncertainty at a power",
            where="--energy-claim",
            remedy="Write a share above 0 % and below 100 % at a power above 0 W.",
        )
    return claim


def supply_of(boundary: Boundary | None, *, is_single: bool | None) -> Supply | None:
    """Put together what was said of the supply; None where nothing was."""
    if boundary is None and is_single is None:
        return None
    return Supply(boundary=boundary or Boundary.NOT_STATED, is_single=is_single)


def _meter(
    request: Request, lab: Lab, profile: DeviceProfile, target: str
) -> MeterUse | None:
    """Say what reads the device's power; only a simulated meter can read a model."""
    address = request.meter or lab.meters.get(profile.name, "")
    if not is_timed(target):
        if request.meter:
            raise Unsupported(
                "No meter can read an emulated processor: power is of this machine, "
                "which emulates it",
                where=request.meter,
                remedy="Leave --meter out, or measure a real board.",
            )
        address = ""
    if target.startswith(EMULATED_MCU):
        _require_no_power(request)
        return None
    if is_virtual(target) and not is_simulated(address):
        if request.meter:
            what = "an emulated device" if target.startswith(EMULATED) else target
            raise Unsupported(
                f"A real meter cannot read {what}",
                where=request.meter,
                remedy="Say where the device is, such as --target local@, or let a "
                "simulated meter read the model, such as --meter ppk2@sim:",
            )
        address = ""
    if not address:
        _require_no_claim(request)
        return None
    if is_virtual(target):
        require_readable(address)
    supply = request.supply or lab.supplies.get(profile.name, Supply())
    use = meter_use(address, supply)
    pin = request.pin or lab.pins.get(profile.name, "")
    use = _pinned(use, pin, target)
    if request.claim is None:
        return use
    claim = request.claim
    return replace(use, window_ns=require_claim(address, claim.power_w, claim.ratio))


def _stream(request: Request, suite: Suite, target: str) -> Recording | None:
    """Read what is played; refuse it where nobody would listen. Raises UsageError."""
    if request.stream is None:
        return None
    recording = load_recording(request.stream)
    listens = any(
        isinstance(scenario, Periodic)
        for workload in suite.workloads
        if workload.id == STREAMED
        for scenario in workload.scenarios
    )
    if not listens or not target.startswith(MCU):
        raise UsageError(
            "Nothing in this run listens to a recording",
            where=f"--stream {request.stream}",
            remedy=f"Use a suite with the workload {STREAMED} and its scenario "
            "Periodic, on a target mcu@…?via=interface.",
        )
    return recording


def _require_no_power(request: Request) -> None:
    """Refuse power of an emulated processor, which draws none. Raises Unsupported."""
    if request.meter:
        raise Unsupported(
            "An emulated processor draws no power that could be measured",
            where=request.meter,
            remedy="Leave --meter out, or measure a board.",
        )
    _require_no_claim(request)


def _pinned(use: MeterUse, pin: str, target: str) -> MeterUse:
    """Say which pin marks a trial: a file that moves it, or the meter's input.

    A microcontroller makes no pulses of load; its own time stamps are the marks.
    """
    if target.startswith(MCU):
        if pin:
            _require_input(pin, use.address)
        return replace(use, pulses=None, edges=pin)
    if pin:
        _require_pin(pin, target)
    if pin and use.pulses is not None:
        return replace(use, pulses=replace(use.pulses, pin=pin))
    return use


def _require_input(pin: str, meter: str) -> None:
    """Refuse what is no logic input of the meter. Raises UsageError."""
    inputs = edge_inputs(Address.parse(meter).driver)
    if pin in inputs:
        return
    if not inputs:
        raise Unsupported(
            "This meter has no logic input that could see a microcontroller's pin",
            where=meter,
            remedy="Use an LPM01A (D7) or a PPK2 (D0 to D7).",
        )
    raise UnknownName("logic input of this meter", pin, inputs, where="--pin")


def _require_no_claim(request: Request) -> None:
    """Refuse what only a meter can bear. Raises UsageError."""
    asked = {"--energy-claim": request.claim, "--pin": request.pin}
    for option, value in asked.items():
        if value:
            raise UsageError(
                "There is no meter for this",
                where=option,
                remedy=f"Name one with --meter, or leave {option} out.",
            )


def _require_pin(path: str, target: str) -> None:
    """Refuse a pin of this machine that is not there. Raises UsageError."""
    if target.startswith(LOCAL) and not os.access(path, os.W_OK):
        raise UsageError(
            "There is no such pin, or this user may not write to it",
            where=path,
            remedy="Export it, set its direction to out, and let this user write to "
            "it; or leave --pin out.",
        )


def _calibration(plan: Plan, lab: Lab) -> Calibration | None:
    """Read the calibration of the run's meter, where the lab file has it with one."""
    name = plan.profile.name
    if name not in lab.calibrations or lab.meters.get(name) != plan.meter:
        return None
    return load_calibration(lab.calibrations[name])


def _suite(request: Request, profile: DeviceProfile) -> tuple[Suite, str]:
    where = suite_path(request.suite or profile.suite)
    suite = load_suite(where)
    if request.model is None:
        check_models(suite, load_index())
        return suite, _digest(where.read_bytes())
    artifact = describe_model(request.model, request.bindings)
    workload = _own_workload(request, artifact, suite)
    own = Suite(name=OWN_SUITE, workloads=(workload,))
    return own, _digest(dump_bytes(own))


def _own_workload(request: Request, model: ModelArtifact, suite: Suite) -> Workload:
    """Give a user's model the scenarios of the workload that it stands for.

    A language model is asked as the request says, if it says so.
    """
    title = title_of(request.model) if request.model else model.name
    own = own_scenarios(model, request.talk, request.sustain_ns)
    for workload in suite.workloads:
        if workload.id == request.role and (
            model.decoder is None or (request.talk or request.sustain_ns) is None
        ):
            return replace(workload, model=title, stages=(), inputs=())
    return Workload(
        id=request.role or model.name,
        model=title,
        title_zh=title,
        title_en=title,
        scenarios=own,
    )


def _models(
    request: Request, suite: Suite, scheme: Scheme, on_progress: Callable[[str], None]
) -> _Models:
    if request.model is not None:
        return _own_model(request, suite, request.model)
    index = load_index()
    names = sorted({name for workload in suite.workloads for name in workload.models})
    built = ensure_built(names, scheme, on_progress)
    artifacts = {
        workload.id: pipeline_artifact(workload, scheme, index, built)
        if workload.stages
        else index.entry(workload.model).artifact(scheme, built[workload.model])
        for workload in suite.workloads
    }
    return _Models(
        artifacts=artifacts,
        paths={artifacts[w.id].name: built[w.models[0]] for w in suite.workloads},
    )


def _labelled(request: Request, suite: Suite) -> Labelled:
    """Find the labelled items of a suite's trained models, or of the user's own."""
    if request.model is None:
        return shipped_items(suite)
    return own_items(request.own_data, request.bindings, suite)


def _own_model(request: Request, suite: Suite, model: Path) -> _Models:
    artifact = describe_model(model, request.bindings)
    return _Models(
        artifacts={workload.id: artifact for workload in suite.workloads},
        paths={artifact.name: file_of(model)},
        runtime=runtime_of(model),
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
    labelled.require_same(plan, record.name)
    lab = load_lab(request.lab) if request.lab else Lab()
    return Intake(
        plan=plan,
        paths=paths,
        samples=labelled.samples_of(plan, request.bindings.samples),
        lab=lab,
        calibration=_calibration(plan, lab),
        checks_network=request.checks_network,
        checks_offline=request.checks_offline,
    )


def _given(request: Request, record: RunRecord) -> Path:
    if request.model is None:
        raise UsageError(
            "This run was begun with a model of your own",
            where=record.name,
            remedy="Say where it is: --resume BUNDLE --model FILE",
        )
    return file_of(request.model)


def _built_again(plan: Plan, on_progress: Callable[[str], None]) -> dict[str, Path]:
    paths: dict[str, Path] = {}
    wanted = {model.name for model in plan.models}
    for scheme in Scheme:
        ours = [w for w in plan.suite.workloads if f"{w.model}-{scheme}" in wanted]
        names = sorted({name for workload in ours for name in workload.models})
        built = ensure_built(names, scheme, on_progress)
        for workload in ours:
            paths[f"{workload.model}-{scheme}"] = built[workload.models[0]]
    return paths


def _require_same(model: ModelArtifact, path: Path) -> None:
    files = model_files(path, model.external)
    is_whole = all(file.is_file() for file in files)
    if not is_whole or digest_of(files) != model.sha256:
        raise UsageError(
            f"This is not the model '{model.name}' that the run was begun with",
            where=str(path),
            remedy="Give the same file, or start a new run.",
        )


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
