"""Are these the bytes that were written? Journal chain, manifest, additions; no more.

Each check yields what does not agree as the error that it is, worst news first.
"""

from collections.abc import Iterator
from pathlib import Path

from harness.domain.record import FileEntry, Manifest
from harness.errors import (
    DigestMismatch,
    EvidenceError,
    RecordTruncated,
    Unverifiable,
)
from harness.record.additions import ADDITION, read_additions
from harness.record.digest import entry_at, names_under
from harness.record.journal import parse
from harness.record.layout import (
    JOURNAL,
    MANIFEST,
    MANIFEST_FORMAT,
    PLAN,
    SIGNATURE,
    file_bytes,
    load_object,
    readable,
    require_format,
)
from harness.record.reader import read_journal
from harness.schema.codec import dumps

ANEW = "Take the bundle anew from where it was made."


def integrity_faults(evidence: Path) -> Iterator[EvidenceError]:
    """Yield what is missing, too much or changed under `evidence/`.

    May also raise the first EvidenceError that leaves nothing further to check.
    """
    names = names_under(evidence)
    for name in names:
        # a pipe would be waited for, a link leads anywhere
        if (evidence / name).is_symlink() or not (evidence / name).is_file():
            raise Unverifiable(
                f"{name} is no plain file, and evidence holds nothing else",
                where=str(evidence / name),
                remedy="Do not rely on this record; ask its maker for another.",
            )
    for name in (PLAN, JOURNAL):
        file_bytes(evidence / name)
    if MANIFEST in names:
        yield from _against_manifest(evidence, names)
    else:
        read_journal(evidence / JOURNAL)


def entry_fault(evidence: Path, name: str, said: FileEntry) -> EvidenceError | None:
    """Compare a file with what is said of it; None where they agree."""
    path = evidence / name
    try:
        actual = entry_at(path)
    except FileNotFoundError:
        return RecordTruncated(f"{name} is missing", where=str(path), remedy=ANEW)
    except OSError as error:
        return Unverifiable(
            f"{name} cannot be read: {error.strerror}",
            where=str(path),
            remedy="Gain the right to read it, or copy the bundle anew.",
        )
    if actual == said:
        return None
    return DigestMismatch(
        f"{name} was changed: sha256 {said.sha256} and {said.size_bytes} bytes were "
        f"written, {actual.sha256} and {actual.size_bytes} bytes are there",
        where=str(path),
        remedy=ANEW,
    )


def addition_faults(bundle: Path) -> Iterator[EvidenceError]:
    """Yield what does not agree in what was added to a record.

    May also raise the first EvidenceError that leaves nothing further to check.
    """
    for folder, addition in read_additions(bundle):
        names = set(names_under(folder)) - {ADDITION}
        for name, said in sorted(addition.files.items()):
            fault = entry_fault(folder, name, said)
            if fault is not None:
                yield fault
        for name in sorted(names - set(addition.files)):
            yield DigestMismatch(
                f"{name} is not named by the addition",
                where=str(folder / name),
                remedy="Take it out if you put it there; else " + ANEW.lower(),
            )


def _against_manifest(
    evidence: Path, names: tuple[str, ...]
) -> Iterator[EvidenceError]:
    manifest = _manifest(evidence / MANIFEST)
    journal = manifest.files.get(JOURNAL)
    if journal is None:
        raise Unverifiable(
            "The manifest does not name the journal",
            where=str(evidence / MANIFEST),
            remedy=ANEW,
        )
    if entry_fault(evidence, JOURNAL, journal) is not None:
        yield from _broken_chain(evidence / JOURNAL)
    for name, said in sorted(manifest.files.items()):
        fault = entry_fault(evidence, name, said) if name in names else _gone(name)
        if fault is not None:
            yield fault
    for name in sorted(set(names) - {*manifest.files, MANIFEST, SIGNATURE}):
        yield DigestMismatch(
            f"{name} is not in the manifest",
            where=str(evidence / name),
            remedy="Take it out of evidence/ if you put it there; else " + ANEW.lower(),
        )


def _gone(name: str) -> EvidenceError:
    return RecordTruncated(
        f"{name} is missing, though the manifest names it", where=name, remedy=ANEW
    )


def _broken_chain(path: Path) -> Iterator[EvidenceError]:
    """Say at which line a changed journal breaks, where it does."""
    fault = parse(file_bytes(path)).fault
    if fault is not None:
        yield DigestMismatch(
            f"The journal was changed: {fault.what}",
            where=f"{path}, line {fault.line}",
            remedy=ANEW,
        )


def _manifest(path: Path) -> Manifest:
    data = file_bytes(path)
    plain = load_object(data, str(path))
    require_format(plain.get("format"), MANIFEST_FORMAT, where=str(path))
    if dumps(plain) != data:
        raise DigestMismatch(
            "The manifest was changed: it is not in the form in which it is written",
            where=str(path),
            remedy=ANEW,
        )
    return readable(Manifest, plain, where=str(path))
