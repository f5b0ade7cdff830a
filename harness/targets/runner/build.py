"""The C runner compiled, and put together with what a bare kernel lacks."""

import importlib.metadata
import platform
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

from harness.errors import EquipmentError, Unsupported
from harness.targets.runner.bundle import (
    LIBRARY,
    RUNNER,
    Bundle,
    keep_bundle,
)

OPTIONS = (
    "-std=c11",
    "-D_GNU_SOURCE",
    "-D_FILE_OFFSET_BITS=64",
    "-O2",
    "-Wall",
    "-Wextra",
    "-s",
)
LIBRARIES = ("-lm", "-ldl", "-pthread")
_C_LIBRARIES = (
    "libc.so.6",
    "libm.so.6",
    "libdl.so.2",
    "libpthread.so.0",
    "librt.so.1",
    "libstdc++.so.6",
    "libgcc_s.so.1",
)
"""What onnxruntime and the runner name as needed."""
_BUILD_S, _DOWNLOAD_S = 120.0, 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """A kind of machine, as ``uname -m`` names it."""

    machine: str
    compiler: str
    package: str
    """Debian's package of the compiler."""
    loader: str
    wheel: str | None
    """Platform tag of onnxruntime's wheel; None: there is none to be had."""


ARCHITECTURES: dict[str, Architecture] = {
    one.machine: one
    for one in (
        Architecture(
            machine="x86_64",
            compiler="x86_64-linux-gnu-gcc",
            package="gcc-x86-64-linux-gnu",
            loader="ld-linux-x86-64.so.2",
            wheel="manylinux_2_28_x86_64",
        ),
        Architecture(
            machine="aarch64",
            compiler="aarch64-linux-gnu-gcc",
            package="gcc-aarch64-linux-gnu",
            loader="ld-linux-aarch64.so.1",
            wheel="manylinux_2_28_aarch64",
        ),
        Architecture(
            machine="armv7l",
            compiler="arm-linux-gnueabihf-gcc",
            package="gcc-arm-linux-gnueabihf",
            loader="ld-linux-armhf.so.3",
            wheel=None,
        ),
    )
}


def find_compiler(architecture: Architecture) -> str | None:
    """Give the path of a compiler for that machine; None where none is installed."""
    found = shutil.which(architecture.compiler)
    if found is None and platform.machine() == architecture.machine:
        return shutil.which("gcc")
    return found


def build_bundle(
    architecture: Architecture, library: Path | None, report: Callable[[str], None]
) -> Bundle:
    """Compile the runner for a machine and keep it with its libraries in the cache.

    `library` is the machine's libonnxruntime.so; None: out of the wheel. Raises
    Unsupported without a compiler, EquipmentError where that fails.
    """
    compiler = find_compiler(architecture)
    if compiler is None:
        raise Unsupported(
            f"There is no compiler for {architecture.machine}: {architecture.compiler}",
            remedy=f"sudo apt-get install {architecture.package}",
        )
    with tempfile.TemporaryDirectory(prefix="duanping-") as place:
        folder = Path(place)
        report(f"{architecture.machine}: compiling")
        compile_runner(compiler, folder / RUNNER)
        for name in (architecture.loader, *_C_LIBRARIES):
            shutil.copyfile(_library_of(compiler, name), folder / name)
        if library is None:
            report(f"{architecture.machine}: onnxruntime {onnxruntime_version()}")
            fetch_library(architecture, folder)
        else:
            shutil.copyfile(library, folder / LIBRARY)
        return keep_bundle(folder, architecture.machine, architecture.loader)


def compile_runner(
    compiler: str, into: Path, options: tuple[str, ...] = OPTIONS
) -> None:
    """Compile the runner's source. Raises EquipmentError with the compiler's words."""
    with as_file(files(__package__) / "source") as source:
        sources = sorted(str(path) for path in source.glob("*.c"))
        _run([compiler, *options, *sources, "-o", str(into), *LIBRARIES], _BUILD_S)


def onnxruntime_version() -> str:
    """Name the version that boards get: the host's own, whose answers they meet."""
    return importlib.metadata.version("onnxruntime")


def fetch_library(architecture: Architecture, folder: Path) -> None:
    """Have a machine's libonnxruntime.so in a folder: this host's own, or a wheel's.

    Raises Unsupported where there is no wheel, EquipmentError where none is had.
    """
    own = _own_library() if platform.machine() == architecture.machine else None
    if own is not None:
        shutil.copyfile(own, folder / LIBRARY)
        return
    if architecture.wheel is None:
        raise Unsupported(
            f"There is no wheel of onnxruntime for {architecture.machine}",
            remedy="Build libonnxruntime.so for it and name it: --library PATH",
        )
    with tempfile.TemporaryDirectory(prefix="duanping-") as place:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command += ["--disable-pip-version-check", "--only-binary=:all:"]
        command += ["--platform", architecture.wheel, "--python-version", version]
        command += ["-d", place, f"onnxruntime=={onnxruntime_version()}"]
        _run(command, _DOWNLOAD_S)
        (wheel,) = Path(place).glob("*.whl")
        unpack_library(wheel, folder / LIBRARY)


def unpack_library(wheel: Path, into: Path) -> None:
    """Take the library out of a wheel. Raises EquipmentError where none is in it."""
    with zipfile.ZipFile(wheel) as archive:
        names = [n for n in archive.namelist() if Path(n).name.startswith(LIBRARY)]
        if not names:
            raise EquipmentError(
                f"There is no {LIBRARY} in the wheel",
                where=wheel.name,
                remedy="Name one of your own: --library PATH",
            )
        with archive.open(names[0]) as source, into.open("wb") as sink:
            shutil.copyfileobj(source, sink)


def _own_library() -> Path | None:
    """Find the library of the onnxruntime that is installed here."""
    distribution = importlib.metadata.distribution("onnxruntime")
    for file in distribution.files or ():
        if file.name.startswith(LIBRARY):
            return Path(str(distribution.locate_file(file)))
    return None


def _library_of(compiler: str, name: str) -> Path:
    """Ask a compiler where its machine's library of that name lies."""
    said = _run([compiler, f"-print-file-name={name}"], _BUILD_S).strip()
    if said == name:
        raise EquipmentError(
            f"The compiler has no {name} of its machine",
            where=compiler,
            remedy="Install its C and C++ libraries: "
            "apt-get install libc6-arm64-cross libstdc++6-arm64-cross",
        )
    return Path(said)


def _run(command: list[str], timeout_s: float) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - a list, no shell
            command, capture_output=True, text=True, timeout=timeout_s, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EquipmentError(
            f"{Path(command[0]).name} did not come to its end: {error}",
            remedy="Run it by hand: " + " ".join(command),
        ) from error
    if done.returncode != 0:
        said = " ".join(done.stderr.split())[-400:]
        raise EquipmentError(
            f"{Path(command[0]).name} failed: {said}",
            remedy="Run it by hand: " + " ".join(command),
        )
    return done.stdout
