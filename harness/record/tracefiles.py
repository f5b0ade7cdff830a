"""One trace file of a record, read only where it is the one that was written."""

from pathlib import Path

from harness.errors import DigestMismatch, Unverifiable
from harness.record.digest import digest_of
from harness.record.layout import JOURNAL, file_bytes, is_trace_name
from harness.record.story import TraceLine


def trace_bytes(evidence: Path, trace: TraceLine) -> bytes:
    """Read a trace file that the journal names.

    Raises RecordTruncated where it is missing, DigestMismatch where it is another
    file, Unverifiable for a name that leads out of the bundle.
    """
    if not is_trace_name(trace.file):
        raise Unverifiable(
            f"The journal names a trace outside the bundle: {trace.file!r}",
            where=str(evidence / JOURNAL),
            remedy="Do not rely on this record; ask its maker for another.",
        )
    path = evidence / trace.file
    data = file_bytes(path)
    actual = digest_of(data)
    if actual != trace.sha256:
        raise DigestMismatch(
            f"{trace.file} is not the file that was written: the journal says sha256 "
            f"{trace.sha256}, the file has {actual}",
            where=str(path),
            remedy="Take the bundle anew from where it was made.",
        )
    return data
