"""``duanping quantise``: a model in fewer bits, and what became of its answers."""

import tempfile
from dataclasses import replace
from math import inf, isfinite
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from harness.bench.intake import host_scheme
from harness.bench.quantisation import (
    DESTROYED_DB,
    DESTROYED_RETENTION,
    Comparison,
    Wish,
    has_vnni,
)
from harness.bench.quantisation import (
    quantise as quantised,
)
from harness.catalogue.bindings import InputBindings, parse_bindings
from harness.catalogue.datasets import OwnData, Wanted, open_dataset
from harness.catalogue.language import one_call
from harness.cli._frame import print_json
from harness.cli._output import console
from harness.cli._progress import announced
from harness.domain.labelled import Metric
from harness.domain.profile import Scheme
from harness.errors import ExitCode, UsageError
from harness.quantising.order import LEAST_BLOCK, Blocks, Mode, Ranges
from harness.schema.codec import to_plain
from harness.stats.accuracy import Compared
from harness.targets.host import cpu_flags

app = typer.Typer(add_completion=False)


@app.command()
def quantise(
    model: Annotated[Path, typer.Argument(help="A float32 ONNX file.")],
    *,
    calibrate: Annotated[
        Path | None,
        typer.Option(help="Samples to find ranges on: an .npz, one array an input."),
    ] = None,
    dataset: Annotated[
        Path | None,
        typer.Option(help="Labelled items to compare accuracy on; not the former."),
    ] = None,
    metric: Annotated[
        Metric, typer.Option(help="How answers to labelled items are scored.")
    ] = Metric.TOP1,
    out: Annotated[
        Path | None,
        typer.Option(
            help="File to write; MODEL-SCHEME.onnx, of weights alone MODEL-int4.onnx, "
            "if not given."
        ),
    ] = None,
    mode: Annotated[
        Mode,
        typer.Option(
            help="When ranges are found: before (static), every time (dynamic), or "
            "never, since weights alone are quantised."
        ),
    ] = Mode.STATIC,
    bits: Annotated[
        int, typer.Option(help="With --mode weights: bits of a weight, 4 or 8.")
    ] = 4,
    block: Annotated[
        int,
        typer.Option(help="With --mode weights: weights that share a scale; 16, 32 …"),
    ] = 32,
    symmetric: Annotated[
        bool,
        typer.Option(
            "--symmetric/--asymmetric",
            help="With --mode weights: no zero points beside the scales, or with them.",
        ),
    ] = True,
    lookups: Annotated[
        bool,
        typer.Option(help="With --mode weights: embeddings too, in 4 bits."),
    ] = True,
    scheme: Annotated[
        Scheme | None,
        typer.Option(
            help="Activations and weights: u8s8 for x86, s8s8 for Arm and most NPUs; "
            "this machine's if not given."
        ),
    ] = None,
    per_channel: Annotated[
        bool, typer.Option(help="A scale for each channel of the weights.")
    ] = True,
    reduce_range: Annotated[
        bool | None,
        typer.Option(
            help="7-bit weights: for u8s8 on x86 without VNNI, where sums saturate; "
            "decided by this machine's processor if not given."
        ),
    ] = None,
    ranges_by: Annotated[
        Ranges, typer.Option(help="How a range is read off calibration values.")
    ] = Ranges.MINMAX,
    samples: Annotated[
        int, typer.Option(min=1, help="Calibration samples used at most.")
    ] = 200,
    shape: Annotated[
        list[str] | None,
        typer.Option(help="input=1,3,224,224 or symbol=224; may be repeated."),
    ] = None,
    ranges: Annotated[
        list[str] | None,
        typer.Option(
            "--range", help="input=low:high, for outputs compared; may be repeated."
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the comparison as JSON.")
    ] = False,
) -> int:
    """Quantise a model to int8, or its weights to int4; compare it with what it was.

    Exit 0 if the quantised model still does its task, 1 if quantisation destroyed it;
    the file is written either way.
    """
    if mode is Mode.STATIC and calibrate is None:
        raise UsageError(
            "Static quantisation finds ranges on samples, and none are given",
            where="--calibrate",
            remedy="Give them: --calibrate FILE.npz, or use --mode dynamic or weights.",
        )
    chosen = scheme or host_scheme()
    blocks = Blocks(bits=bits, size=block, is_symmetric=symmetric, lookups=lookups)
    _require_blocks(blocks)
    bindings = one_call(model, parse_bindings(shape or (), ranges or (), calibrate))
    ending = f"int{bits}" if mode is Mode.WEIGHTS else str(chosen)
    wish = Wish(
        model=model,
        out=out or Path(f"{model.stem}-{ending}.onnx"),
        bindings=bindings,
        scheme=chosen,
        mode=mode,
        per_channel=per_channel,
        reduce_range=_saturates_here(scheme, chosen)
        if reduce_range is None
        else reduce_range,
        ranges=ranges_by,
        samples_at_most=samples,
        blocks=blocks,
    )
    with (
        tempfile.TemporaryDirectory(prefix="duanping-") as scratch,
        announced(Console(stderr=True), "Quantising, and comparing answers …"),
    ):
        labelled = _labelled(dataset, metric, model, bindings, Path(scratch))
        found = quantised(replace(wish, labelled=labelled))
    if as_json:
        print_json(_facts(wish, found))
    else:
        _print(wish, found)
    return ExitCode.NO if found.is_destroyed else ExitCode.OK


def _require_blocks(blocks: Blocks) -> None:
    """Refuse blocks that no kernel knows. Raises UsageError."""
    if blocks.bits not in {4, 8}:
        raise UsageError(
            f"Weights are kept in 4 or in 8 bits, not in {blocks.bits}",
            where="--bits",
            remedy="Write --bits 4.",
        )
    if blocks.size < LEAST_BLOCK or blocks.size & (blocks.size - 1):
        raise UsageError(
            f"A block of {blocks.size} weights is no power of two from {LEAST_BLOCK} "
            "on",
            where="--block",
            remedy="Write --block 32, 64 or 128.",
        )


def _saturates_here(named: Scheme | None, scheme: Scheme) -> bool:
    """Say whether sums of 8 bits saturate, where the scheme is this machine's own."""
    is_for_here = named is None and scheme is Scheme.U8S8
    flags = cpu_flags()
    return is_for_here and bool(flags) and not has_vnni(tuple(flags))


def _labelled(
    dataset: Path | None,
    metric: Metric,
    model: Path,
    bindings: InputBindings,
    scratch: Path,
) -> OwnData | None:
    if dataset is None:
        return None
    wanted = Wanted(path=dataset, metric=metric)
    return open_dataset(wanted, model, bindings, scratch)


def _facts(wish: Wish, found: Comparison) -> dict[str, Any]:
    accuracy = found.accuracy
    return {
        "file": str(wish.out),
        "sha256": found.after.sha256,
        "quantisation": found.after.quantisation,
        "size_bytes": {
            "before": found.before.size_bytes,
            "after": found.after.size_bytes,
        },
        "settings": _settings(wish),
        "made": to_plain(found.made),
        "placement": to_plain(found.placement),
        "sqnr_db": found.sqnr_db if isfinite(found.sqnr_db) else None,
        "samples": found.samples,
        "accuracy": None if accuracy is None else _accuracy_facts(accuracy),
        "broken": found.broken,
        "is_destroyed": found.is_destroyed,
    }


def _settings(wish: Wish) -> dict[str, Any]:
    if wish.mode is Mode.WEIGHTS:
        return {"mode": wish.mode, **to_plain(wish.blocks)}
    return {
        "mode": wish.mode,
        "scheme": wish.scheme,
        "per_channel": wish.per_channel,
        "reduce_range": wish.reduce_range,
        "ranges": wish.ranges,
    }


def _said(wish: Wish) -> str:
    """Give the settings in words."""
    if wish.mode is Mode.WEIGHTS:
        blocks = wish.blocks
        form = "symmetric" if blocks.is_symmetric else "with zero points"
        tail = "" if blocks.lookups else ", look-ups in reals"
        return f"weights, {blocks.bits} bits, blocks of {blocks.size}, {form}{tail}"
    reduced = "7-bit weights" if wish.reduce_range else "8-bit weights"
    return f"{wish.mode}, {wish.scheme}, {reduced}, {wish.ranges}"


def _accuracy_facts(accuracy: Compared) -> dict[str, Any]:
    """Give the comparison as JSON, which has no NaN."""
    return {
        key: None if isinstance(value, float) and not isfinite(value) else value
        for key, value in to_plain(accuracy).items()
    }


def _print(wish: Wish, found: Comparison) -> None:
    table = Table(title=escape(str(wish.out)), title_justify="left")
    for column in ("", "float32", "quantised"):
        table.add_column(column, overflow="fold")
    sizes = (found.before.size_bytes, found.after.size_bytes)
    table.add_row("bytes", *(f"{size:,}" for size in sizes))
    table.add_row("quantisation", "none", found.after.quantisation)
    table.add_row("settings", "", _said(wish))
    if found.made.calibrated_on:
        table.add_row("calibrated on", "", f"{found.made.calibrated_on} samples")
    if found.made.weights:
        table.add_row("operators in blocks", "", str(found.made.weights))
    placed = found.placement
    kernels = placed.reason or f"{placed.quantised_nodes} of {placed.quantisable_nodes}"
    kind = "packed weights" if wish.mode is Mode.WEIGHTS else "integer kernels"
    table.add_row(f"{kind} here", "", escape(kernels))
    noise = f"{found.sqnr_db:.1f} dB on {found.samples} samples"
    if found.sqnr_db == inf:
        noise = "no output differs"
    table.add_row("signal over noise", "", noise)
    accuracy = found.accuracy
    if accuracy is not None:
        name = f"{accuracy.metric} on {accuracy.items} items"
        values = (accuracy.parent_value, accuracy.value)
        table.add_row(name, *(f"{value:.4g}" for value in values))
        bounds = f"{accuracy.retention_lower:.4f} … {accuracy.retention_upper:.4f}"
        table.add_row("accuracy kept", "", f"{accuracy.retention:.4f} ({bounds})")
    out = console()
    out.print(table)
    if found.is_destroyed:
        out.print(_verdict(wish, found), style="bold red")


def _verdict(wish: Wish, found: Comparison) -> str:
    if found.broken:
        return f"Quantisation destroyed this model: {escape(found.broken)}"
    cause = f"its outputs are within {DESTROYED_DB:g} dB of noise"
    if found.accuracy is not None:
        cause = f"it keeps less than {DESTROYED_RETENTION:.0%} of its accuracy"
    advice = "Calibrate on other, real samples, or try --ranges-by entropy"
    if wish.mode is Mode.WEIGHTS:
        advice = "Try smaller blocks (--block 16), --asymmetric, or --bits 8"
    return f"Quantisation destroyed this model: {cause}. {advice}."
