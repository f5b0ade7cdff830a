"""A runner with all that it needs, in the cache: found by machine, named by content."""

import hashlib
import json
import shutil
import tempfile
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from platformdirs import user_cache_path

from harness.errors import Unsupported
from harness.links.filedigest import digest_of

RUNNER = "runner"
LIBRARY = "libonnxruntime.so"
_DESCRIPTION = "bundle.json"
_FAMILY = {"arm64": "aarch64", "amd64": "x86_64", "armv8l": "armv7l"}
"""Other names that machines call themselves by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """A runner, onnxruntime and a C library with its own loader, in one folder."""

    machine: str
    """As ``uname -m`` says it."""
    folder: Path
    loader: str
    sha256: str
    """Of all files: their names and their digests, in order."""

    @property
    def files(self) -> tuple[Path, ...]:
        """List the files that go to the device, by name."""
        found = (p for p in self.folder.iterdir() if p.name != _DESCRIPTION)
        return tuple(sorted(found))

    def start(self, folder: str | None = None) -> tuple[str, ...]:
        """Give what starts the runner; its files lie in `folder`, or where they are."""
        place = folder or str(self.folder)
        loader, runner = f"{place}/{self.loader}", f"{place}/{RUNNER}"
        return (loader, "--library-path", place, runner)


def agents_folder() -> Path:
    """Name the folder of all runners that were built."""
    return user_cache_path("duanping") / "agents"


def machine_of(name: str) -> str:
    """Give the machine's name as bundles are filed under."""
    return _FAMILY.get(name, name)


def find_bundle(machine: str) -> Bundle | None:
    """Find the runner for a machine; None where none of this version was built."""
    folder = agents_folder() / machine_of(machine)
    try:
        name = (folder / _index()).read_text().strip()
        said = json.loads((folder / name / _DESCRIPTION).read_text())
        return _bundle(folder / name, said)
    except (OSError, ValueError, KeyError, TypeError):
        return None  # never built, or half removed: `require_bundle` says what to do


def require_bundle(machine: str, where: str) -> Bundle:
    """Find the runner for a machine. Raises Unsupported saying how to build it."""
    found = find_bundle(machine)
    if found is None:
        raise Unsupported(
            f"No C runner was built for {machine_of(machine)}, which the board is",
            where=where,
            remedy="Build it once on this host: make agents (without a checkout: "
            f"python -m harness.targets.runner {machine_of(machine)})",
        )
    return found


def keep_bundle(folder: Path, machine: str, loader: str) -> Bundle:
    """Copy a folder into the cache, as what its machine is given from now on."""
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        digest.update(f"{digest_of([path])}  {path.name}\n".encode())
    said = {
        "machine": machine,
        "loader": loader,
        "sha256": digest.hexdigest(),
    }
    home = agents_folder() / machine
    home.mkdir(parents=True, exist_ok=True)
    kept = home / digest.hexdigest()
    if not kept.is_dir():
        with tempfile.TemporaryDirectory(dir=home) as place:
            part = Path(place, "part")
            shutil.copytree(folder, part)
            for name in (RUNNER, loader):
                (part / name).chmod(0o755)
            (part / _DESCRIPTION).write_text(json.dumps(said, indent=1))
            part.rename(kept)
    (home / _index()).write_text(kept.name)
    return _bundle(kept, said)


@cache
def _index() -> str:
    """Name the file that says which bundle was built last from this very source."""
    digest = hashlib.sha256()
    source = files(__package__) / "source"
    for file in sorted(source.iterdir(), key=lambda one: one.name):
        digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return f"of-source-{digest.hexdigest()[:16]}"


def _bundle(folder: Path, said: dict[str, Any]) -> Bundle:
    return Bundle(
        machine=said["machine"],
        folder=folder,
        loader=said["loader"],
        sha256=said["sha256"],
    )
