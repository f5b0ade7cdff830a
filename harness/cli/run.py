"""``duanping run``: plan → bench → record → estimates → grade → report."""

import tempfile
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from harness import __version__
from harness.bench.conduct import Bench, conduct
from harness.bench.intake import (
    Intake,
    Request,
    gather,
    gather_again,
    parse_claim,
    supply_of,
)
from harness.bench.metering import Metering, metered
from harness.bench.privacychecks import exit_code, privacy_findings
from harness.bench.provider import Wish, parse_options
from harness.bench.trying import network_code
from harness.catalogue.bindings import parse_bindings
from harness.cli._derive import derive, gate_code, print_result
from harness.cli._detached import (
    LATER,
    abort_run,
    collect_run,
    leave_run,
    require_no_host,
    require_one_way,
)
from harness.cli._interrupt import resumable
from harness.cli._items import wanted_items, with_items
from harness.cli._offline import OfflineCheck
from harness.cli._progress import RunProgress, announced
from harness.cli._talk import Tokenise, parse_sustain, parse_talk
from harness.cli.power import add_recording, placed
from harness.clock import SystemClock
from harness.domain.labelled import Metric
from harness.domain.plan import Arm, Boundary, Plan
from harness.domain.record import RunRecord
from harness.domain.requirement import Tier
from harness.errors import ExitCode, HarnessError, UsageError
from harness.links.bytelink import KINDS
from harness.links.hardware import may_be_hardware
from harness.meters.exports.reading import TraceFile
from harness.planning import RECORDED, expected_seconds, is_virtual
from harness.plugins import Address
from harness.record.bundle import RecordWriter
from harness.record.reader import read_record
from harness.report.page import Language
from harness.schema.lab import find_lab

app = typer.Typer(add_completion=False)


@app.command()
def run(
    device: Annotated[
        str, typer.Option(help="A device class or a path to a profile.")
    ] = "wearable",
    *,
    preset: Annotated[
        str, typer.Option(help="How much: rapid, quick, standard, official.")
    ] = "quick",
    target: Annotated[
        str | None,
        typer.Option(
            help="Where the model runs: emulated@ (a model of the device; the default "
            "without a lab file), local@ (this machine is the device), a board, such "
            "as linux@ssh:root@192.168.7.2 or android@adb:SERIAL, or an emulated arm64 "
            "processor, arm64@qemu:cortex-a76, that counts instructions."
        ),
    ] = None,
    meter: Annotated[
        str | None,
        typer.Option(
            help="What reads the device's power, such as rapl@, "
            "ppk2@serial:/dev/ttyACM0?voltage=3V or ppk2@sim:idle-10mW."
        ),
    ] = None,
    pin: Annotated[
        str,
        typer.Option(
            help="File on the device that moves a pin which the meter watches, such as "
            "/sys/class/gpio/gpio17/value: the best means of relating clocks. For a "
            "microcontroller in energy mode, the meter's input, such as D7."
        ),
    ] = "",
    power_trace: Annotated[
        str | None,
        typer.Option(
            help="What another recorder measures meanwhile: the file that its export "
            "is saved to before this run ends, with options as in duanping power."
        ),
    ] = None,
    boundary: Annotated[
        Boundary | None,
        typer.Option(help="What the meter's power is the power of."),
    ] = None,
    single_supply: Annotated[
        bool | None,
        typer.Option(
            "--single-supply/--several-supplies",
            help="Whether nothing but the metered supply feeds the device.",
        ),
    ] = None,
    claim: Annotated[
        str | None,
        typer.Option(
            "--energy-claim",
            help="Uncertainty of energy to reach, at the power expected: 5%@20mW.",
        ),
    ] = None,
    suite: Annotated[
        str | None, typer.Option(help="Another suite than the profile's.")
    ] = None,
    model: Annotated[
        Path | None, typer.Option(help="A model of your own, instead of the suite.")
    ] = None,
    role: Annotated[
        str | None,
        typer.Option(
            "--as", help="Workload that your model stands for, such as kws or det."
        ),
    ] = None,
    shape: Annotated[
        list[str] | None,
        typer.Option(help="input=1,3,224,224 or symbol=224; may be repeated."),
    ] = None,
    ranges: Annotated[
        list[str] | None,
        typer.Option("--range", help="input=low:high; may be repeated."),
    ] = None,
    samples: Annotated[
        Path | None,
        typer.Option("--input", help="Input samples: an .npz, one array an input."),
    ] = None,
    prompt_tokens: Annotated[
        list[int] | None,
        typer.Option(help="Length of a language model's prompt; may be repeated."),
    ] = None,
    output_tokens: Annotated[
        int | None, typer.Option(help="Tokens of each answer of a language model.")
    ] = None,
    users: Annotated[
        list[int] | None,
        typer.Option(help="Users at once of a language model; may be repeated."),
    ] = None,
    stream: Annotated[
        Path | None,
        typer.Option(
            help="What an interface board plays to a wake-word device: MLPerf Tiny's "
            "truth file (.json), with the times at which the word is spoken."
        ),
    ] = None,
    tokenise: Annotated[
        Tokenise,
        typer.Option(
            help="Whether a language model's tokenisation is in its times; in needs "
            "a folder for onnxruntime-genai."
        ),
    ] = Tokenise.OUT,
    sustain: Annotated[
        str | None,
        typer.Option(
            help='Also ask a language model again and again for so long: "10 min".'
        ),
    ] = None,
    dataset: Annotated[
        Path | None,
        typer.Option(
            help="Labelled items for your model: a folder, .npz or .csv; or MLPerf "
            "Tiny's folder of .bin files."
        ),
    ] = None,
    metric: Annotated[
        Metric, typer.Option(help="How answers to labelled items are scored.")
    ] = Metric.TOP1,
    parent: Annotated[
        Path | None,
        typer.Option(help="Float32 parent of your model: gives accuracy retention."),
    ] = None,
    skip_broken: Annotated[
        bool,
        typer.Option("--skip-broken", help="Leave broken items out, and name them."),
    ] = False,
    check_network: Annotated[
        bool,
        typer.Option(
            "--check-network",
            help="Check that data stay here: exit 1 if they do not, 5 if unknown.",
        ),
    ] = False,
    check_offline: Annotated[
        bool,
        typer.Option(
            "--check-offline",
            help="Try each workload on networks that fail: exit 1 if it does not go "
            "on as on a good one, 5 if unknown.",
        ),
    ] = False,
    out: Annotated[
        Path, typer.Option(help="Folder in which the bundle is made.")
    ] = Path("reports"),
    lab: Annotated[
        Path | None, typer.Option(help="lab.toml; found in this folder if there.")
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(help="Go on with a bundle that was cut short.")
    ] = None,
    detached: Annotated[
        bool,
        typer.Option(
            "--detached",
            help="Leave the run on the board, which executes it without its link.",
        ),
    ] = False,
    wait: Annotated[
        float,
        typer.Option(help="With --detached: seconds until the board begins."),
    ] = 60.0,
    collect: Annotated[
        Path | None, typer.Option(help="Collect the run of this bundle from its board.")
    ] = None,
    abort: Annotated[
        Path | None,
        typer.Option(
            help="End the run of this bundle on its board; what it measured is kept."
        ),
    ] = None,
    gate: Annotated[
        Tier | None,
        typer.Option(help="Exit 0 if this tier is met, 1 if missed, 5 if unknown."),
    ] = None,
    lang: Annotated[
        Language, typer.Option(help="Language of the report.")
    ] = Language.BOTH,
    seed: Annotated[int, typer.Option(help="Seed of arrivals, samples, order.")] = 0,
    provider: Annotated[
        str | None,
        typer.Option(
            help="Execution provider of the runtime, instead of the profile's."
        ),
    ] = None,
    provider_option: Annotated[
        list[str] | None,
        typer.Option(
            help="key=value that the provider takes, such as "
            "backend_path=libQnnHtp.so; may be repeated."
        ),
    ] = None,
    no_report: Annotated[
        bool, typer.Option("--no-report", help="Leave the report for later.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the result as JSON.")
    ] = False,
) -> int:
    """Measure a device, or a model of one, and write a bundle with a graded report.

    With no lab file the device is emulated, and every page says so; each model is
    also executed on this machine, for reference.
    """
    console = Console(stderr=True)
    request = Request(
        device=device,
        preset=preset,
        target=target,
        meter=power_source(meter, power_trace),
        pin=pin,
        supply=supply_of(boundary, is_single=single_supply),
        claim=parse_claim(claim) if claim else None,
        suite=suite,
        model=model,
        role=role,
        bindings=parse_bindings(shape or (), ranges or (), samples),
        lab=lab or find_lab(Path.cwd()),
        seed=seed,
        provider=Wish(provider=provider, options=parse_options(provider_option or [])),
        talk=parse_talk(model, prompt_tokens, output_tokens, users, tokenise),
        sustain_ns=parse_sustain(model, sustain),
        stream=stream,
        checks_network=check_network,
        checks_offline=check_offline,
    )
    require_one_way(
        resume=resume is not None,
        collect=collect is not None,
        abort=abort is not None,
        detached=detached,
    )
    if detached:
        require_no_host(request)
    wanted = wanted_items(dataset, metric, parent, goes_on=skip_broken)
    with tempfile.TemporaryDirectory(prefix="duanping-") as scratch:
        request = with_items(request, wanted, Path(scratch), console)
        if detached:
            leave_run(replace(request, meter=LATER), out, wait, console)
            return ExitCode.OK
        if collect is not None:
            collect_run(collect, request, console)
            bundle = collect
        elif abort is not None:
            abort_run(abort, request, console)
            bundle = abort
        elif resume is not None:
            bundle = _go_on(resume, request, console)
        else:
            bundle = _start(request, out, console)
    fault = _add_power(bundle, power_trace, console)
    derived = derive(bundle, language=None if no_report else lang, tiers=None)
    print_result(derived, as_json=as_json)
    if fault is not None:
        raise fault
    if power_trace is None and derived.record.plan.meter.startswith(RECORDED):
        console.print(
            f"Its power is recorded elsewhere: duanping power {bundle} --trace FILE",
            markup=False,
            soft_wrap=True,
        )
    gated = gate_code(derived.assessment.grade, gate)
    codes = {
        gated,
        exit_code(derived.record.findings),
        network_code(derived.assessment.findings),
    }
    return next((c for c in (ExitCode.NO, ExitCode.NO_ANSWER) if c in codes), 0)


def power_source(meter: str | None, power_trace: str | None) -> str | None:
    """Name what measures power; the options of a recording fail before the run."""
    if power_trace is None:
        return meter
    if meter is not None:
        raise UsageError(
            "Power comes from a meter or from a recording, not from both",
            where=f"--meter {meter} --power-trace {power_trace}",
            remedy="Leave one out; a recording can be added later with duanping power.",
        )
    return f"{RECORDED}{TraceFile.parse(power_trace).path.name}"


def _live(plan: Plan) -> str:
    """Give the address of the meter to open now.

    A recorder is not ours to open, and one that reads a model is opened with it.
    """
    is_later = plan.meter.startswith(RECORDED) or any(
        trial.arm is Arm.DEVICE and is_virtual(trial.target) for trial in plan.trials
    )
    return "" if is_later else plan.meter


def _add_power(
    bundle: Path, power_trace: str | None, console: Console
) -> HarnessError | None:
    """Add what the recorder saved; give the fault that the user is told of last."""
    if power_trace is None:
        return None
    try:
        laid = add_recording(bundle, TraceFile.parse(power_trace))
    except HarnessError as error:
        console.print(
            "The run is whole; its power trace is not there yet. When it is: "
            f"duanping power {bundle} --trace '{power_trace}'",
            markup=False,
            soft_wrap=True,
        )
        return error
    console.print(placed(laid), markup=False)
    return None


def _start(request: Request, out: Path, console: Console) -> Path:
    with announced(console, "Preparing models …"):
        intake = gather(request, lambda _: None)
    _say_what_is_coming(intake, console)
    clock = SystemClock()
    with (
        _open_meter(intake, clock) as metering,
        RecordWriter.create(
            out,
            intake.plan,
            utc=clock.utc_now,
            harness_version=__version__,
            lab=intake.lab.info,
        ) as writer,
    ):
        _execute(intake, writer, metering, console)
    return writer.bundle


def _go_on(bundle: Path, request: Request, console: Console) -> Path:
    record = read_record(bundle)
    with announced(console, "Preparing models …"):
        intake = gather_again(record, request, lambda _: None)
    clock = SystemClock()
    with (
        _open_meter(intake, clock) as metering,
        RecordWriter.resume(
            bundle, utc=clock.utc_now, harness_version=__version__
        ) as writer,
    ):
        _execute(intake, writer, metering, console, record)
    return bundle


def _open_meter(
    intake: Intake, clock: SystemClock
) -> AbstractContextManager[Metering | None]:
    plan = intake.plan
    has_pin = any(
        trial.edges or (trial.pulses and trial.pulses.pin) for trial in plan.trials
    )
    return metered(_live(plan), clock, intake.calibration, edges=has_pin)


def _execute(
    intake: Intake,
    writer: RecordWriter,
    metering: Metering | None,
    console: Console,
    before: RunRecord | None = None,
) -> None:
    plan = intake.plan
    offline = OfflineCheck(intake, before)
    if offline.trying is not None:
        seconds = offline.trying.expected_seconds
        console.print(
            f"Failing networks take about {seconds:.0f} s more.", highlight=False
        )
    with resumable(writer.bundle), RunProgress(console) as progress:
        conduct(
            Bench(
                plan=plan,
                paths=intake.paths,
                samples=intake.samples,
                clock=SystemClock(),
                report=progress.show,
                ambient_degc=intake.lab.ambient_degc,
                metering=metering,
                trying=offline.trying,
                boards=intake.lab.boards,
            ),
            writer,
        )
        if intake.checks_network:
            console.print("Checking that data stay here …", highlight=False)
            for found in privacy_findings(plan, intake.paths, intake.samples):
                writer.find(found)
        offline.conclude(writer)
        writer.finish()


def _how(target: str) -> str:
    """Say what an address alone tells of what is to come; the record says the rest."""
    kind, _, place = Address.parse(target).link.partition(":")
    if kind == "qemu":
        return "EMULATED, in instruction time, by"
    is_program = kind in KINDS and not may_be_hardware(kind, place.partition("?")[0])
    return "SIMULATED by" if kind == "sim" or is_program else "measured on"


def _say_what_is_coming(intake: Intake, console: Console) -> None:
    plan = intake.plan
    seconds = sum(expected_seconds(trial) for trial in plan.trials)
    target = plan.trials[-1].target
    device = "EMULATED (a model of the device, in virtual time)"
    if not plan.is_timed:
        device = f"EMULATED by {target} (instructions are counted, nothing is timed)"
    elif not plan.is_emulated:
        target = plan.trials[0].target
        device = f"{_how(target)} {target}"
    console.print(
        f"{plan.profile.title_en}: {device}; {len(plan.trials)} trials, "
        f"about {seconds:.0f} s.",
        highlight=False,
    )
