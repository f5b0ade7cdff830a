"""The agent as one file for a board: the modules it needs and no others.

The same modules give the same bytes, so a board that has the digest has the agent.
"""

import hashlib
import io
import zipfile
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable

ROOMS = ("agent", "domain", "loadgen", "runtimes", "scoring", "targets/board")
MODULES = (
    "__init__.py",
    "clock.py",
    "errors.py",
    "units.py",
    "plugins.py",
    "links/__init__.py",
    "links/filedigest.py",
    "links/pipe.py",
    "meters/__init__.py",
    "meters/kernel.py",
    "meters/kernelsampler.py",
    "targets/__init__.py",
    "targets/agentlife.py",
    "targets/answered.py",
    "targets/apart.py",
    "targets/base.py",
    "targets/conversation.py",
    "targets/performing.py",
)
_LONG_AGO = (1980, 1, 1, 0, 0, 0)
"""The oldest time that a zip can hold: when a file was checked out does not matter."""


@dataclass(frozen=True, slots=True)
class Package:
    """The agent's zip and its digest."""

    data: bytes
    sha256: str


def build_package() -> Package:
    """Put the agent's modules into a zip; stored in order, so always the same bytes."""
    root = files("harness")
    sources = {name: root.joinpath(name) for name in MODULES}
    for room in ROOMS:
        for file in root.joinpath(room).iterdir():
            if file.name.endswith(".py"):
                sources[f"{room}/{file.name}"] = file
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(sources):
            _add(archive, name, sources[name])
    data = buffer.getvalue()
    return Package(data, hashlib.sha256(data).hexdigest())


def _add(archive: zipfile.ZipFile, name: str, source: Traversable) -> None:
    entry = zipfile.ZipInfo(f"harness/{name}", date_time=_LONG_AGO)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    archive.writestr(entry, source.read_bytes())
