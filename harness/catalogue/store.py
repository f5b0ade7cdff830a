"""Where built models are kept, and whether a kept one is still good.

In a checkout they lie in ``build/models``; an installed harness keeps them in the
user's cache; the variable DUANPING_MODELS names another folder. Beside each file
lies a stamp that says what it was built with: a changed builder, or another version
of what it builds with, makes the file stale.
"""

import json
import os
from hashlib import sha256
from pathlib import Path

import platformdirs

from harness import shipped
from harness.domain.profile import Scheme
from harness.installed import version_of
from harness.links.filedigest import digest_of

VARIABLE = "DUANPING_MODELS"
_BUILT_WITH = ("numpy", "onnx", "onnxruntime")
_SOURCES = ("*.py", "ranges/*.json")


def models_root() -> Path:
    """Name the folder that built models are kept in; it need not exist yet."""
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named).expanduser()
    top = shipped.checkout()
    if top is not None:
        return top / "build" / "models"
    return Path(platformdirs.user_cache_dir("duanping")) / "models"


def model_path(root: Path, name: str, scheme: Scheme) -> Path:
    """Name the file of a quantised reference model."""
    return root / f"{name}-{scheme}.onnx"


def builder_stamp(folder: Path) -> str:
    """Digest the builder's sources in a folder and the versions it builds with."""
    digest = sha256()
    for name in _BUILT_WITH:
        digest.update(f"{name} {version_of(name)}\n".encode())
    for pattern in _SOURCES:
        for path in sorted(folder.glob(pattern)):
            digest.update(f"{path.relative_to(folder).as_posix()}\n".encode())
            digest.update(sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def is_current(path: Path, stamp: str) -> bool:
    """Say whether a kept file is whole and was built with what the stamp names."""
    try:
        kept = json.loads(_stamp_path(path).read_text(encoding="utf-8"))
        return bool(kept == _stamp_of(path, stamp))
    except (OSError, ValueError):
        return False


def mark_built(path: Path, stamp: str) -> None:
    """Write the stamp of a file that has just been built."""
    temporary = _stamp_path(path).with_suffix(".new")
    temporary.write_text(json.dumps(_stamp_of(path, stamp)) + "\n", encoding="utf-8")
    temporary.replace(_stamp_path(path))


def _stamp_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.stamp")


def _stamp_of(path: Path, stamp: str) -> dict[str, str]:
    return {"built_with": stamp, "sha256": digest_of((path,))}
