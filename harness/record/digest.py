"""Digests of file bytes. Nothing here knows what the bytes mean."""

import hashlib
from pathlib import Path

from harness.domain.record import FileEntry


def digest_of(data: bytes) -> str:
    """Give the sha256 of bytes, in lower-case hex."""
    return hashlib.sha256(data).hexdigest()


def entry_of(data: bytes) -> FileEntry:
    """Give digest and size of the bytes of a file."""
    return FileEntry(sha256=digest_of(data), size_bytes=len(data))


def entry_at(path: Path) -> FileEntry:
    """Give digest and size of a file, read piece by piece. Raises OSError."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return FileEntry(sha256=digest, size_bytes=file.tell())


def names_under(folder: Path) -> tuple[str, ...]:
    """List what lies under a folder and is no folder, as relative POSIX paths, sorted.

    A link counts as a name of its own and is not followed. Raises OSError.
    """
    found = (p for p in folder.rglob("*") if p.is_symlink() or not p.is_dir())
    return tuple(sorted(p.relative_to(folder).as_posix() for p in found))
