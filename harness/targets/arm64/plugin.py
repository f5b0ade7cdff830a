"""The plugin that counts, built once for the QEMU that is here.

QEMU tells which version of its plugin interface it takes by refusing others, so
versions are tried: 1 up to QEMU 8.2, 2 from 9.0 on.
"""

import os
import shutil
import subprocess
import tempfile
from hashlib import sha256
from importlib.resources import files
from pathlib import Path

from harness.errors import TargetError, Unsupported
from harness.targets.arm64.emulator import INSTALL, Emulator, answer
from harness.targets.runner.bundle import agents_folder

API_VERSIONS = (1, 2)
_COMPILERS = ("cc", "gcc", "clang")
_BUILD_S = 120.0
_REFUSED = "Could not load plugin"


def counter_for(emulator: Emulator, folder: Path | None = None) -> Path:
    """Give the plugin that this emulator loads, built where it is not there yet.

    `folder` is where it is kept; None: in the user's cache, beside the agents.
    Raises Unsupported where no compiler is here or QEMU takes no version of it,
    TargetError where it cannot be built.
    """
    kept = folder or agents_folder() / "counter"
    said = ""
    for version in API_VERSIONS:
        plugin = _built(version, kept)
        said = _refusal(emulator, plugin)
        if not said:
            return plugin
    raise Unsupported(
        f"QEMU {emulator.version} does not load the plugin that counts: {said}",
        where=str(emulator.program),
        remedy=INSTALL,
    )


def counting(plugin: Path, out: Path) -> str:
    """Give the value of QEMU's option that has the plugin count into a file.

    A comma in QEMU's options is written twice.
    """
    file, to = (str(path).replace(",", ",,") for path in (plugin, out))
    return f"{file},out={to}"


def _built(version: int, folder: Path) -> Path:
    """Build the plugin for a version of the interface; named after its source."""
    source = files(__package__).joinpath("counter.c").read_bytes()
    digest = sha256(source).hexdigest()[:12]
    plugin = folder / f"counter-v{version}-{digest}.so"
    if plugin.is_file():
        return plugin
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            written = Path(scratch) / "counter.c"
            written.write_bytes(source)
            made = Path(scratch) / plugin.name
            _compile(written, made, version)
            made.replace(plugin)  # whole or not at all, whoever builds it beside us
    except OSError as error:
        raise TargetError(
            f"The plugin that counts cannot be kept: {error}",
            where=str(folder),
            remedy="Make room or gain the right to write there.",
        ) from error
    return plugin


def require_compiler() -> str:
    """Give the path of a C compiler for this machine. Raises Unsupported."""
    found = next(filter(None, map(shutil.which, _COMPILERS)), None)
    if found is None:
        raise Unsupported(
            "There is no C compiler here to build the plugin that counts",
            remedy="On Debian or Ubuntu: sudo apt-get install gcc libc6-dev",
        )
    return found


def _compile(source: Path, plugin: Path, version: int) -> None:
    compiler = require_compiler()
    options = ("-shared", "-fPIC", "-O2", "-fvisibility=hidden")
    defined = f"-DAPI_VERSION={version}"
    command = [compiler, *options, defined, "-o", str(plugin), str(source)]
    try:
        done = subprocess.run(  # noqa: S603 - a list, no shell
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_BUILD_S,
            check=False,
            env={**os.environ, "LC_ALL": "C"},
        )
    except subprocess.TimeoutExpired as error:
        raise TargetError(
            "The compiler does not end", where=compiler, remedy="Try it by hand."
        ) from error
    if done.returncode != 0:
        raise TargetError(
            f"The plugin that counts cannot be built: {done.stderr.strip()[-300:]}",
            where=compiler,
            remedy="On Debian or Ubuntu: sudo apt-get install gcc libc6-dev",
        )


def _refusal(emulator: Emulator, plugin: Path) -> str:
    """Give why the emulator does not load a plugin; empty where it does.

    It is asked with no program to emulate: it loads plugins before it looks for one.
    """
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "count"
        said = answer(
            emulator.program, "-plugin", counting(plugin, out), str(out / "none")
        )
    return said.strip() if _REFUSED in said else ""
