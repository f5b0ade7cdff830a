"""``duanping meters capture``: what a meter reads, as a file."""

import csv
import io
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import numpy as np
import pyarrow.parquet as pq
import typer
from rich.console import Console

from harness.cli._meter_address import (
    corrected_as_named,
    meter_address,
    opened_meter,
)
from harness.cli._meter_watch import headline, scaled
from harness.clock import Deadline, SystemClock
from harness.domain.reading import Loss, ReadingBlock
from harness.errors import EquipmentError, SchemaError, StorageError, Unsupported
from harness.meters.base import InstrumentDescription, Meter
from harness.meters.drivers import DRIVERS
from harness.meters.kernel import Kernel
from harness.meters.opening import open_recorded
from harness.record.traces import readings_bytes
from harness.units import NS_PER_S

_SUFFIXES = (".parquet", ".csv")
_LOSS_LIMIT = 1e-3


def capture(
    meter: Annotated[str, typer.Argument(help="driver@link, or a name in lab.toml.")],
    *,
    out: Annotated[
        Path, typer.Option("--out", help="The trace: a .parquet or .csv file.")
    ],
    seconds: Annotated[float, typer.Option(help="How long.", min=0.1)] = 10.0,
    channel: Annotated[str, typer.Option(help="Which quantity.")] = "power",
    rate: Annotated[
        float | None, typer.Option(help="Readings a second, where it has a choice.")
    ] = None,
    raw: Annotated[
        Path | None,
        typer.Option(help="Also keep all bytes of the wire, for driver@replay:FILE."),
    ] = None,
) -> None:
    """Read one channel for a while and write a trace with its metadata."""
    for each in filter(None, (out, raw)):
        _require_folder(each)
    _require_new(out)
    clock = SystemClock()
    with _opened(meter, clock, raw) as opened:
        who = opened.identify()
        say = Console(stderr=True)
        say.print(headline(who), markup=False)
        blocks: list[ReadingBlock] = []
        fault = None
        with opened.acquire([channel], rate_hz=rate) as acquisition:
            until = Deadline.after(seconds, clock)
            try:
                blocks.extend(acquisition.blocks(until))
            except EquipmentError as error:
                fault = error  # what came before is written first
            loss = acquisition.loss()
    if blocks:
        trace = joined(blocks)
        _write(out, trace_bytes(trace, who, loss, out.suffix))
        say.print(summary(trace, loss, out), markup=False)
    if fault is not None:
        raise fault


@contextmanager
def _opened(text: str, clock: SystemClock, raw: Path | None) -> Iterator[Meter]:
    if raw is None:
        with opened_meter(text, clock) as opened:
            yield opened
        return
    address = meter_address(text)
    if address.driver not in DRIVERS:
        raise Unsupported(
            "This meter has no wire whose bytes could be kept",
            where=str(address),
            remedy="Leave --raw out.",
        )
    with open_recorded(address, clock, raw) as opened:
        yield corrected_as_named(text, opened, clock)


def joined(blocks: list[ReadingBlock]) -> ReadingBlock:
    """Put blocks of one channel together, in their order."""
    times, values = array("q"), array("d")
    for block in blocks:
        times.extend(block.times_ns)
        values.extend(block.values)
    first = blocks[0]
    return ReadingBlock(
        channel=first.channel,
        clock=first.clock,
        origin=first.origin,
        times_ns=times,
        values=values,
    )


def trace_bytes(
    trace: ReadingBlock, who: InstrumentDescription, loss: Loss, suffix: str
) -> bytes:
    """Write a trace: Parquet as in a bundle, or CSV with ``# key: value`` before it."""
    facts = dict(_metadata(trace, who, loss))
    if suffix == ".parquet":
        return _described(readings_bytes(trace), facts)
    text = io.StringIO()
    for key, value in facts.items():
        text.write(f"# {key}: {value}\n")
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["time_s", f"{trace.channel.name}_{trace.channel.unit}"])
    begin_ns = trace.times_ns[0]
    rows.writerows(
        (f"{(at - begin_ns) / NS_PER_S:.9f}", f"{value:.9g}")
        for at, value in zip(trace.times_ns, trace.values, strict=True)
    )
    return text.getvalue().encode()


def _described(data: bytes, facts: dict[str, str]) -> bytes:
    """Add facts to the metadata of a Parquet file; its own stay as they are."""
    table = pq.read_table(io.BytesIO(data))
    own = table.schema.metadata
    more = {key.encode(): value.encode() for key, value in facts.items()}
    made = io.BytesIO()
    pq.write_table(table.replace_schema_metadata({**more, **own}), made)
    return made.getvalue()


def _metadata(
    trace: ReadingBlock, who: InstrumentDescription, loss: Loss
) -> Iterator[tuple[str, str]]:
    yield "origin", trace.origin.value
    yield "address", who.address
    for name in (
        "driver",
        "maker",
        "model",
        "serial_number",
        "firmware",
        "calibration",
    ):
        if text := getattr(who, name):
            yield name, text
    yield from who.facts.items()
    yield "clock", trace.clock
    yield "host_boot", Kernel().boot_id()
    yield "begin_ns", str(trace.times_ns[0])
    yield "rate_hz", f"{trace.channel.rate_hz or 0:g}"
    yield "readings_missing", str(loss.missing)
    yield "readings_over_range", str(loss.over_range)


def summary(trace: ReadingBlock, loss: Loss, out: Path) -> str:
    """Say what was captured, and what of it is missing."""
    values = np.asarray(trace.values)
    unit = trace.channel.unit
    told = (
        f"{len(values)} readings, mean {scaled(float(values.mean()), unit)}, "
        f"most {scaled(float(values.max()), unit)} → {out}"
    )
    if loss.missing:
        share = 100 * loss.missing / loss.expected
        told += (
            f"\n{loss.missing} of {loss.expected} readings are missing ({share:.2g} %)"
        )
        if loss.missing > _LOSS_LIMIT * loss.expected:
            told += "; no energy may be told from it (limit 0.1 %)."
    if loss.over_range:
        told += f"\n{loss.over_range} readings are over range: a lower bound only."
    return told


def _require_new(path: Path) -> None:
    if path.suffix not in _SUFFIXES:
        raise SchemaError(
            f"A trace is not written as '{path.suffix}'",
            where=str(path),
            remedy=f"Name a file that ends in {' or '.join(_SUFFIXES)}.",
        )
    if path.exists():
        raise StorageError(
            "There is such a file already",
            where=str(path),
            remedy="Name another; captures are never written over.",
        )


def _require_folder(path: Path) -> None:
    if not path.parent.is_dir():
        raise StorageError(
            "There is no such folder",
            where=str(path.parent),
            remedy="Make it first: what is read must have a place to go.",
        )


def _write(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        raise StorageError(
            f"The trace cannot be written: {error.strerror}",
            where=str(path),
            remedy="Look at the folder, its rights and its space.",
        ) from error
