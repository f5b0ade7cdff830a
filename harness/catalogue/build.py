"""Build reference models when they are first needed.

The builder is a script of its own (``models/build.py``) and is executed in a process
of its own: it imports onnxruntime, and this process does not. Two harnesses that
start together do not build together: the second waits and finds the files there.
What was finished before a failure or an interruption is kept.
"""

import fcntl
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from harness import shipped
from harness.catalogue.index import load_index
from harness.catalogue.store import (
    VARIABLE,
    builder_stamp,
    is_current,
    mark_built,
    model_path,
    models_root,
)
from harness.domain.profile import Scheme
from harness.errors import DigestMismatch, StorageError, TargetError
from harness.links.filedigest import digest_of

_QUIET = {
    "ORT_DISABLE_TELEMETRY": "1",
    "ORT_TELEMETRY_DISABLED": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
}
"""The last keeps an installation's folders as they are."""
_TAIL_LINES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Builder:
    """A build script, and the folder that its files are kept in."""

    script: Path
    root: Path


def ensure_built(
    names: Sequence[str], scheme: Scheme, on_progress: Callable[[str], None]
) -> dict[str, Path]:
    """Build those reference models that are missing or stale; give the file of each.

    Files that are shipped are only looked up. `on_progress` is called with the name of
    each model that has just been built. Raises UnknownName for a name that the index
    lacks, and what `build_missing` and `shipped_file` do.
    """
    index, folder = load_index(), shipped.folder("models")
    files = {name: index.entry(name).files[scheme] for name in names}
    there = {
        name: shipped_file(folder, file.file, file.sha256)
        for name, file in files.items()
        if file.file
    }
    builder = Builder(script=folder / "build.py", root=models_root())
    missing = [name for name in names if name not in there]
    return there | build_missing(builder, missing, scheme, on_progress)


def shipped_file(folder: Path, name: str, sha256: str) -> Path:
    """Give a file that comes with the package, once its digest is found right.

    Raises DigestMismatch where it is another file than the index names.
    """
    path = folder / name
    if not path.is_file() or digest_of((path,)) != sha256:
        raise DigestMismatch(
            f"{name} is not the file that the index of models names",
            where=str(path),
            remedy="Install the package again.",
        )
    return path


def build_missing(
    builder: Builder,
    names: Sequence[str],
    scheme: Scheme,
    on_progress: Callable[[str], None],
) -> dict[str, Path]:
    """Execute the builder for every file that is not there and current.

    Raises TargetError where the builder fails, with its last words, and StorageError
    where the folder cannot be written.
    """
    stamp = builder_stamp(builder.script.parent)
    paths = {name: model_path(builder.root, name, scheme) for name in names}

    def accept(name: str) -> None:
        _accept(paths[name], name, stamp)
        on_progress(name)

    if any(not is_current(path, stamp) for path in paths.values()):
        with _locked(builder.root):
            missing = [n for n, path in paths.items() if not is_current(path, stamp)]
            if missing:
                _execute(builder, missing, scheme, accept)
            _require_all(paths, stamp)
    return paths


@contextmanager
def _locked(root: Path) -> Iterator[None]:
    """Hold the folder for this process; the lock goes with the process (flock(2))."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        lock = (root / ".lock").open("w", encoding="utf-8")
    except OSError as error:
        raise StorageError(
            f"Built models cannot be kept here: {error.strerror or error}",
            where=str(root),
            remedy=f"Set {VARIABLE} to a folder that can be written.",
        ) from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _execute(
    builder: Builder,
    names: Sequence[str],
    scheme: Scheme,
    on_built: Callable[[str], None],
) -> None:
    """Execute the builder and report the name of each model as it is finished."""
    command = [sys.executable, str(builder.script), "--out", str(builder.root)]
    command += ["--scheme", str(scheme), *names]
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(  # noqa: S603 - our own script, names from our own index
            command,
            stdout=subprocess.PIPE,
            stderr=errors,
            env={**os.environ, **_QUIET},
            encoding="utf-8",
            errors="replace",
        ) as process,
    ):
        try:
            for line in process.stdout or ():
                name = _name_in(line)
                if name is not None and name in names:
                    on_built(name)
        except BaseException:
            process.kill()
            raise
        if process.wait() != 0:
            raise _failed(builder, process.returncode, errors)


def _name_in(line: str) -> str | None:
    """Read the name in a line of the builder; other lines are libraries talking."""
    try:
        plain = json.loads(line)
    except ValueError:
        return None
    return plain.get("name") if isinstance(plain, dict) else None


def _accept(path: Path, name: str, stamp: str) -> None:
    try:
        if path.is_file():
            mark_built(path, stamp)
    except OSError as error:
        raise StorageError(
            f"The built model '{name}' cannot be kept: {error.strerror or error}",
            where=str(path),
            remedy=f"Free some space, or set {VARIABLE} to another folder.",
        ) from error


def _require_all(paths: dict[str, Path], stamp: str) -> None:
    for name, path in paths.items():
        if not is_current(path, stamp):
            raise TargetError(
                f"The builder ended without giving model '{name}'",
                where=str(path),
                remedy="Run it by hand: python models/build.py --help.",
            )


def _failed(builder: Builder, status: int, errors: IO[bytes]) -> TargetError:
    errors.seek(0)
    text = errors.read().decode("utf-8", errors="replace")
    tail = " / ".join(text.strip().splitlines()[-_TAIL_LINES:]) or "it said nothing"
    return TargetError(
        f"Building the reference models failed (exit status {status}): {tail}",
        where=str(builder.script),
        remedy="What was finished is kept; put the cause right and run again.",
    )
