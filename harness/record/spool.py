"""The spool of one trial: what was measured so far, safe from a kill.

While a trial is executed its arrays go to ``traces/<trial>.part``, block by block,
each handed to the kernel at once and without waiting for the disk, since waiting
could disturb what is being measured. At the end of the trial the Parquet files are
made from the spool, and it is removed.

The form (`SPOOL_FORMAT`): a line that names it, then frames. A frame is four
int64 (length of the header, length of the payload, CRC-32 of both together, and
zero), a JSON header, and the payload: the block's arrays one after the other. All
numbers are little endian. A frame that is cut short, or whose CRC does not agree,
ends the spool; what is before it is good.
"""

import json
import struct
import zlib
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from harness.domain.origin import Origin
from harness.domain.query import Phase, QueryBlock, ReadingsTaken
from harness.domain.reading import Channel, ReadingBlock
from harness.errors import Unverifiable
from harness.record.layout import SPOOL_FORMAT, load_object, require_format
from harness.schema.codec import to_plain

Block = QueryBlock | ReadingsTaken

_HEAD = f"{SPOOL_FORMAT}\n".encode()
_FRAME = struct.Struct("<4q")
_ITEM = 8
_TIMES = ("scheduled_ns", "issued_ns", "completed_ns")


class SpoolWriter:
    """Appends the blocks of one trial to its spool."""

    def __init__(self, path: Path) -> None:
        """Begin a spool. Raises OSError; FileExistsError where there is one."""
        self.path = path
        self._file = path.open("xb", buffering=0)
        self._write(_HEAD)

    def append(self, block: Block) -> None:
        """Hand one block to the kernel. Raises OSError."""
        header, payload = _encode(block)
        check = zlib.crc32(payload, zlib.crc32(header))
        frame = _FRAME.pack(len(header), len(payload), check, 0)
        self._write(frame + header + payload)

    def close(self) -> None:
        """Close the file; it stays."""
        self._file.close()

    def _write(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            left = left[self._file.write(left) or 0 :]


def read_spool(data: bytes, trial: str, *, where: str = "") -> Iterator[Block]:
    """Yield the whole blocks of a spool's bytes, in order; a torn end is left out.

    Raises Unverifiable for a spool of a newer format.
    """
    head, feed, _ = data[:64].partition(b"\n")
    if not feed:
        return
    require_format(head.decode(errors="replace"), SPOOL_FORMAT, where=where)
    view, at = memoryview(data), len(head) + 1
    while at + _FRAME.size <= len(data):
        header_length, payload_length, check, _ = _FRAME.unpack_from(data, at)
        begin = at + _FRAME.size
        middle, end = begin + header_length, begin + header_length + payload_length
        if not begin < middle <= end <= len(data):
            return
        if zlib.crc32(view[begin:end]) != check:
            return
        yield _decode(data[begin:middle], data[middle:end], trial, where)
        at = end


def _encode(block: Block) -> tuple[bytes, bytes]:
    match block:
        case QueryBlock():
            plain: dict[str, Any] = {
                "kind": block.kind,
                "phase": block.phase,
                "samples_per_query": block.samples_per_query,
                "segment": block.segment,
                "rate_hz": block.rate_hz,
            }
            columns = [*_TIMES]
            if block.inner_counts:
                plain["inner"] = len(block.inner_ns)
                columns += ["inner_counts", "inner_ns"]
            payload = b"".join(little(getattr(block, name), "i8") for name in columns)
        case ReadingsTaken(block=readings):
            plain = {
                "kind": block.kind,
                "channel": to_plain(readings.channel),
                "clock": readings.clock,
                "origin": readings.origin,
            }
            payload = little(readings.times_ns, "i8") + little(readings.values, "f8")
    return json.dumps(plain, sort_keys=True).encode(), payload


def _decode(header: bytes, payload: bytes, trial: str, where: str) -> Block:
    plain = load_object(header, where)
    try:
        if plain["kind"] == "QueryBlock":
            return _queries(plain, payload, trial)
        return _readings(plain, payload, trial)
    except (KeyError, TypeError, ValueError) as error:
        raise Unverifiable(
            f"A frame of this spool holds no block: {error!r}",
            where=where,
            remedy="Take the bundle anew from where it was made.",
        ) from error


def _queries(plain: dict[str, Any], payload: bytes, trial: str) -> QueryBlock:
    # numbers of inner instants come behind the times, and these instants last
    end = len(payload) - _ITEM * int(plain.get("inner", 0))
    columns = _cut(payload[:end], 4 if "inner" in plain else 3)
    scheduled_ns, issued_ns, completed_ns, *counts = columns
    return QueryBlock(
        trial=trial,
        phase=Phase(plain["phase"]),
        samples_per_query=plain["samples_per_query"],
        segment=plain["segment"],
        rate_hz=plain["rate_hz"],
        scheduled_ns=as_array("q", scheduled_ns),
        issued_ns=as_array("q", issued_ns),
        completed_ns=as_array("q", completed_ns),
        inner_counts=as_array("q", b"".join(counts)),
        inner_ns=as_array("q", payload[end:]),
    )


def _readings(plain: dict[str, Any], payload: bytes, trial: str) -> ReadingsTaken:
    times_ns, values = _cut(payload, 2)
    return ReadingsTaken(
        trial=trial,
        block=ReadingBlock(
            channel=Channel(**plain["channel"]),
            clock=plain["clock"],
            origin=Origin(plain["origin"]),
            times_ns=as_array("q", times_ns),
            values=as_array("d", values),
        ),
    )


def little(numbers: "array[Any]", form: str) -> bytes:
    """Give the bytes of an array as little endian; `form` is ``i8`` or ``f8``."""
    return np.asarray(numbers).astype(f"<{form}").tobytes()


def as_array(typecode: str, data: bytes) -> "array[Any]":
    """Make an array('q') or array('d') from little-endian bytes."""
    form = {"q": "i8", "d": "f8"}[typecode]
    return array(typecode, np.frombuffer(data, dtype=f"<{form}").astype(form).tobytes())


def _cut(payload: bytes, parts: int) -> list[bytes]:
    length = len(payload) // parts
    return [payload[i * length : (i + 1) * length] for i in range(parts)]
