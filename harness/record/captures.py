"""Raw captures of meters: kept compressed, and given back byte for byte.

What a meter's reader leaves as ``raw/<trial>.<source>.capture.part`` while a trial is
executed is compressed (zstd) when the trial ends, and named in the journal. What the
bytes mean is their reader's business; the form is that of `harness.links.replay`.
"""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from harness.errors import DigestMismatch, Unverifiable
from harness.record.digest import digest_of, entry_at
from harness.record.layout import (
    JOURNAL,
    KEPT_CAPTURE,
    RAW,
    SPOOLED_CAPTURE,
    file_bytes,
    is_capture_name,
)
from harness.record.storage import sync_folder, unused
from harness.record.story import CaptureLine

_PIECE_BYTES = 1 << 20
_NOT_A_NAME = re.compile(r"[^a-z0-9_-]+")


def spool_path(folder: Path, trial: str, source: str) -> Path:
    """Name the file into which the reader of `source` writes during a trial."""
    name = _NOT_A_NAME.sub("-", source.lower()).strip("-") or "unnamed"
    return unused(folder, f"{trial}.{name}", SPOOLED_CAPTURE)


def keep_captures(evidence: Path, trial: str) -> Iterator[CaptureLine]:
    """Compress what readers left of a trial, durably, and say what it is now.

    Raises OSError.
    """
    folder = evidence / RAW
    for spool in sorted(folder.glob(f"*{SPOOLED_CAPTURE}")):
        if not spool.name.startswith(f"{trial}."):
            continue
        path = unused(folder, spool.name.removesuffix(SPOOLED_CAPTURE), KEPT_CAPTURE)
        raw_bytes = _compress(spool, path)
        spool.unlink()
        entry = entry_at(path)
        yield CaptureLine(
            trial=trial,
            file=f"{RAW}/{path.name}",
            sha256=entry.sha256,
            size_bytes=entry.size_bytes,
            raw_bytes=raw_bytes,
        )


def _compress(source: Path, path: Path) -> int:
    """Write a file compressed, whole or not at all; give the size of the source."""
    half = path.with_name(f"{path.name}.tmp")
    raw_bytes = 0
    with (
        source.open("rb") as file,
        pa.CompressedOutputStream(str(half), "zstd") as stream,
    ):
        while piece := file.read(_PIECE_BYTES):
            stream.write(piece)
            raw_bytes += len(piece)
    with half.open("rb") as file:
        os.fsync(file.fileno())
    half.replace(path)
    sync_folder(path.parent)
    return raw_bytes


def capture_bytes(evidence: Path, line: CaptureLine) -> bytes:
    """Give the bytes of a raw capture that the journal names.

    Raises RecordTruncated where it is missing, DigestMismatch where it is another
    file, Unverifiable where it cannot be unpacked or its name leads elsewhere.
    """
    if not is_capture_name(line.file):
        raise Unverifiable(
            f"The journal names a capture outside the bundle: {line.file!r}",
            where=str(evidence / JOURNAL),
            remedy="Do not rely on this record; ask its maker for another.",
        )
    path = evidence / line.file
    data = file_bytes(path)
    if digest_of(data) != line.sha256:
        raise DigestMismatch(
            f"{line.file} is not the file that was written: the journal says sha256 "
            f"{line.sha256}, the file has {digest_of(data)}",
            where=str(path),
            remedy="Take the bundle anew from where it was made.",
        )
    try:
        with pa.CompressedInputStream(pa.BufferReader(data), "zstd") as stream:
            # one byte more than there should be tells a file that unpacks to more
            raw = bytes(stream.read(line.raw_bytes + 1))
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _unreadable(path, str(error)) from error
    if len(raw) != line.raw_bytes:
        raise _unreadable(path, f"{len(raw)} of {line.raw_bytes} bytes came out")
    return raw


def _unreadable(path: Path, why: str) -> Unverifiable:
    return Unverifiable(
        f"This is no raw capture that can be unpacked: {why}",
        where=str(path),
        remedy="Take the bundle anew from where it was made.",
    )
