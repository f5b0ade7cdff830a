"""Writing so that what was written stays written: fsync, rename, nothing halfway."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.errors import StorageError


def write_durably(path: Path, data: bytes) -> None:
    """Write a file that is either whole or not there, also after a loss of power.

    Raises OSError (disk full, no right to write); then no half of it stays.
    """
    half = path.with_name(f"{path.name}.tmp")
    try:
        with half.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        half.replace(path)
    except BaseException:
        half.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable: fsync(2) of a file does not do that."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def new_folder(parent: Path, name: str) -> Path:
    """Make a folder ``name``, ``name-2`` … that was not there. Raises OSError."""
    number = 1
    while True:
        path = parent / (name if number == 1 else f"{name}-{number}")
        try:
            path.mkdir()
        except FileExistsError:
            number += 1
        else:
            return path


def unused(folder: Path, stem: str, suffix: str) -> Path:
    """Give the first of ``stem.suffix``, ``stem-2.suffix`` … that is not there yet."""
    path = folder / f"{stem}{suffix}"
    number = 1
    while path.exists():
        number += 1
        path = folder / f"{stem}-{number}{suffix}"
    return path


@contextmanager
def storing(where: Path, *, survives: str, remedy: str) -> Iterator[None]:
    """Turn an OSError inside into a StorageError.

    `survives` says what is safe all the same, `remedy` what to do.
    """
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"The record cannot be written: {error.strerror or error}; {survives}",
            where=str(error.filename or where),
            remedy=remedy,
        ) from error
