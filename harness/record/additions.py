"""What is added to a finished record: dated, digested, beside evidence that stays.

``evidence/`` is written once. What another machine recorded at the same time comes
later, so it lies in ``additions/<number>-<kind>/``, with an ``addition.json`` that
says when it was added, to which record (the digest of its manifest), what every file
is, and which addition came before (ADR 0010). Nothing of the record is touched; an
addition that belongs to another record, or was changed, is refused by name.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from harness.domain.reading import ReadingBlock
from harness.domain.record import FileEntry
from harness.errors import (
    DigestMismatch,
    Unverifiable,
    UsageError,
)
from harness.record.digest import digest_of, entry_of
from harness.record.journal import utc_text
from harness.record.layout import (
    EVIDENCE,
    MANIFEST,
    TRACES,
    file_bytes,
    form_bytes,
    is_trace_name,
    load_object,
    readable,
    require_format,
)
from harness.record.storage import new_folder, storing, sync_folder, write_durably
from harness.record.story import TraceLine
from harness.record.tracefiles import trace_bytes
from harness.record.traces import ChannelUse, read_readings, readings_bytes
from harness.schema.codec import dumps, to_plain

ADDITIONS = "additions"
ADDITION = "addition.json"
ADDITION_FORMAT = "duanping/addition/1"
POWER_TRACE = "power-trace"
ORIGINAL = "original"
_FIRST = "0" * 64
_ANEW = "Take the bundle anew from where it was made."


@dataclass(frozen=True, slots=True, kw_only=True)
class AddedTrial:
    """What an addition says of one trial."""

    trial: str
    notes: dict[str, str] = field(default_factory=dict)
    traces: tuple[TraceLine, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Addition:
    """One addition as its ``addition.json`` says it."""

    kind: str
    added_at: str
    """UTC, ISO 8601, by the clock of the machine that added it."""
    harness_version: str
    manifest_sha256: str
    """Of the record's manifest: what this belongs to."""
    previous_sha256: str
    """Of the ``addition.json`` before, or zeros."""
    source_name: str
    """What the original file was called."""
    facts: dict[str, str] = field(default_factory=dict)
    trials: tuple[AddedTrial, ...] = ()
    files: dict[str, FileEntry] = field(default_factory=dict)
    """Every other file of the addition."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTrial:
    """Readings and notes for one trial, before they are written."""

    trial: str
    blocks: tuple[ReadingBlock, ...]
    notes: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAddition:
    """What is to be added: the original file, what it is, and what it says."""

    kind: str
    source_name: str
    original: bytes
    facts: Mapping[str, str]
    trials: tuple[NewTrial, ...]


def write_addition(
    bundle: Path,
    new: NewAddition,
    *,
    utc: Callable[[], datetime],
    harness_version: str,
) -> Path:
    """Add to a finished record; give the folder.

    Raises UsageError for a record that is not finished, or that holds this very file
    already; StorageError where nothing can be written.
    """
    manifest = bundle / EVIDENCE / MANIFEST
    if not manifest.is_file():
        raise UsageError(
            "The record is not finished, and only a finished one can be added to",
            where=str(bundle),
            remedy=f"Finish it first: duanping run --resume {bundle}",
        )
    before = tuple(_folders(bundle))
    _require_new(before, new)
    previous = digest_of(file_bytes(before[-1] / ADDITION)) if before else _FIRST
    with storing(
        bundle,
        survives="the record is as it was",
        remedy="Make room or gain the right to write there, and add it again.",
    ):
        (bundle / ADDITIONS).mkdir(exist_ok=True)
        name = f"{len(before) + 1:03d}-{new.kind}"
        folder = new_folder(bundle / ADDITIONS, name)
        files = dict(_files(new))
        for path, data in files.items():
            (folder / path).parent.mkdir(exist_ok=True)
            write_durably(folder / path, data)
        addition = Addition(
            kind=new.kind,
            added_at=utc_text(utc()),
            harness_version=harness_version,
            manifest_sha256=digest_of(file_bytes(manifest)),
            previous_sha256=previous,
            source_name=new.source_name,
            facts=dict(new.facts),
            trials=tuple(_added(one, files) for one in new.trials),
            files={path: entry_of(data) for path, data in files.items()},
        )
        # written last: a folder without it is one that was never finished
        write_durably(
            folder / ADDITION, form_bytes(ADDITION_FORMAT, to_plain(addition))
        )
        sync_folder(bundle / ADDITIONS)
    return folder


def read_additions(bundle: Path) -> tuple[tuple[Path, Addition], ...]:
    """Read what was added to a record, oldest first, each with its folder.

    Raises DigestMismatch for one that belongs to another record or follows another
    addition, Unverifiable for one that cannot be read.
    """
    found = []
    previous = _FIRST
    for folder in _folders(bundle):
        path = folder / ADDITION
        data = file_bytes(path)
        addition = _read(data, path)
        _require_belonging(addition, bundle, path, previous)
        found.append((folder, addition))
        previous = digest_of(data)
    return tuple(found)


def added_readings(folder: Path, added: AddedTrial) -> tuple[ReadingBlock, ...]:
    """Read the traces of one trial of an addition. Raises EvidenceError."""
    return tuple(
        read_readings(trace_bytes(folder, trace), where=str(folder / trace.file))
        for trace in added.traces
    )


def _folders(bundle: Path) -> Iterator[Path]:
    root = bundle / ADDITIONS
    if root.is_dir():
        # what was cut off while it was written has no addition.json, and is nothing
        yield from sorted(p for p in root.iterdir() if (p / ADDITION).is_file())


def _require_new(folders: tuple[Path, ...], new: NewAddition) -> None:
    digest = digest_of(new.original)
    for folder in folders:
        addition = _read(file_bytes(folder / ADDITION), folder / ADDITION)
        held = {
            entry.sha256
            for name, entry in addition.files.items()
            if name.startswith(f"{ORIGINAL}/")
        }
        if digest in held and addition.facts == dict(new.facts):
            raise UsageError(
                f"This file was added already, on {addition.added_at}",
                where=str(folder),
                remedy="Nothing is to be done.",
            )


def _files(new: NewAddition) -> Iterator[tuple[str, bytes]]:
    yield f"{ORIGINAL}/recording", new.original
    for one in new.trials:
        for block in one.blocks:
            yield _trace_name(one, block), readings_bytes(block)


def _trace_name(one: NewTrial, block: ReadingBlock) -> str:
    return f"{TRACES}/{one.trial}.{block.channel.name}.recorded.parquet"


def _added(one: NewTrial, files: Mapping[str, bytes]) -> AddedTrial:
    return AddedTrial(
        trial=one.trial,
        notes=dict(one.notes),
        traces=tuple(_line(one, block, files) for block in one.blocks),
    )


def _line(one: NewTrial, block: ReadingBlock, files: Mapping[str, bytes]) -> TraceLine:
    name = _trace_name(one, block)
    entry = entry_of(files[name])
    return TraceLine(
        trial=one.trial,
        file=name,
        sha256=entry.sha256,
        size_bytes=entry.size_bytes,
        rows=len(block.values),
        use=ChannelUse(channel=block.channel, clock=block.clock, origin=block.origin),
    )


def _read(data: bytes, path: Path) -> Addition:
    plain = load_object(data, str(path))
    require_format(plain.get("format"), ADDITION_FORMAT, where=str(path))
    if dumps(plain) != data:
        raise DigestMismatch(
            "The addition was changed: it is not in the form in which it is written",
            where=str(path),
            remedy=_ANEW,
        )
    addition = readable(Addition, plain, where=str(path))
    for added in addition.trials:
        for trace in added.traces:
            if not is_trace_name(trace.file):
                raise Unverifiable(
                    f"The addition names a trace outside itself: {trace.file!r}",
                    where=str(path),
                    remedy="Do not rely on it; ask its maker for another.",
                )
    return addition


def _require_belonging(
    addition: Addition, bundle: Path, path: Path, previous: str
) -> None:
    manifest = digest_of(file_bytes(bundle / EVIDENCE / MANIFEST))
    if addition.manifest_sha256 != manifest:
        raise DigestMismatch(
            "This was added to another record: it names the manifest "
            f"{addition.manifest_sha256}, this record has {manifest}",
            where=str(path),
            remedy="Take the folder out of additions/, or take the bundle anew.",
        )
    if addition.previous_sha256 != previous:
        raise DigestMismatch(
            "An addition before this one was changed, or is missing",
            where=str(path),
            remedy=_ANEW,
        )
