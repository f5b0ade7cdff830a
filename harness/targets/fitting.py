"""Fitting a board out: Python looked at, agent and runtime pushed once, by digest."""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from harness.clock import Clock, Deadline
from harness.domain.board import AgentForm, Board
from harness.errors import TargetError, Unsupported, UsageError
from harness.links.filedigest import digest_of
from harness.links.shell import Shell
from harness.targets.fitted import Fitted, answer
from harness.targets.package import build_package
from harness.targets.runner.fitting import fit_runner

PYTHON_FLOOR = (3, 11)
_ASK_S = 60.0
_UNPACK_S = 300.0
_SHORT = 16
_NOT_FOUND = (126, 127)

_LOOK = """
import json, os, platform, sys
print(json.dumps({"line": "board", "version": list(sys.version_info[:2]),
                  "machine": platform.machine(), "home": os.path.expanduser("~"),
                  "libc": platform.libc_ver()[0]}))
"""
_UNPACK = """
import compileall, os, shutil, sys, zipfile
to, *archives = sys.argv[1:]
part = to + ".part"
shutil.rmtree(part, ignore_errors=True)
for archive in archives:
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(part)
compileall.compile_dir(part, quiet=2)
os.rename(part, to)
for archive in archives:
    os.remove(archive)
"""
"""Compiled once: a cold start must not pay for it each time."""
_WHEEL = re.compile(
    r"^(?P<name>[^-]+)-(?P<version>[^-]+)(-\d[^-]*)?"
    r"-(?P<python>[^-]+)-(?P<abi>[^-]+)-(?P<platform>[^-]+)\.whl$"
)


def fit_out(shell: Shell, board: Board, clock: Clock) -> Fitted:
    """Push what the board does not have yet: the agent, or the runner in its place.

    The runner is for boards whose Python cannot run the agent, or where it is asked
    for. Raises Unsupported for a board that can run neither, with what it lacks;
    TargetError where it takes no files.
    """
    if board.agent is AgentForm.RUNNER:
        return fit_runner(shell, board, clock)
    try:
        return _fit_python(shell, board, clock)
    except Unsupported as error:
        if board.agent is AgentForm.PYTHON or board.runtime:
            raise
        return fit_runner(shell, board, clock, python=error)


def _fit_python(shell: Shell, board: Board, clock: Clock) -> Fitted:
    found = _look(shell, board, clock)
    folder = str(PurePosixPath(str(found["home"]), board.folder))
    package = build_package()
    agent = f"{folder}/agent/{package.sha256[:_SHORT]}"
    path = [agent]
    python = board.python
    _unpacked(shell, clock, python, agent, {f"{agent}.zip": package.data})
    if board.runtime:
        path.append(_push_runtime(shell, board, clock, folder, found))
    fitted = Fitted(
        folder=folder,
        form=AgentForm.PYTHON,
        start=(
            "env",
            f"PYTHONPATH={':'.join(path)}",
            python,
            "-P",
            "-m",
            "harness.targets.board",
        ),
        agent_sha256=package.sha256,
        clock=clock,
    )
    _require_runtime(shell, fitted, found)
    return fitted


def _look(shell: Shell, board: Board, clock: Clock) -> dict[str, Any]:
    until = Deadline.after(_ASK_S, clock)
    done = shell.run([board.python, "-I", "-c", _LOOK], until)
    if done.status in _NOT_FOUND:
        raise Unsupported(
            f"There is no {board.python} on the board",
            where=shell.where,
            remedy="Install Python 3.11 or newer there, or say where it is: "
            'python = "/path" in lab.toml.',
        )
    found = answer(done.stdout, shell, done.stderr)
    major, minor = found["version"]
    if (major, minor) < PYTHON_FLOOR:
        raise Unsupported(
            f"The board has Python {major}.{minor}, older than 3.11",
            where=shell.where,
            remedy='Install a newer one and name it: python = "/path" in lab.toml.',
        )
    return found


def _push_runtime(
    shell: Shell, board: Board, clock: Clock, folder: str, found: dict[str, Any]
) -> str:
    wheels = sorted(Path(board.runtime).expanduser().glob("*.whl"))
    names = {wheel.name.partition("-")[0] for wheel in wheels}
    for needed in ("numpy", "onnxruntime"):
        if needed not in names:
            raise UsageError(
                f"There is no wheel of {needed} in the folder of the board's runtime",
                where=board.runtime,
                remedy=_download(found),
            )
    wheels = [w for w in wheels if w.name.partition("-")[0] in {"numpy", "onnxruntime"}]
    for wheel in wheels:
        _require_fit(wheel, found, shell.where)
    digest = hashlib.sha256("".join(digest_of([w]) for w in wheels).encode())
    there = f"{folder}/packages/{digest.hexdigest()[:_SHORT]}"
    files: dict[str, Path | bytes] = {f"{there}-{w.name}": w for w in wheels}
    _unpacked(shell, clock, board.python, there, files)
    return there


def _require_fit(wheel: Path, found: dict[str, Any], where: str) -> None:
    """Raise Unsupported for a wheel of another machine or another Python."""
    tags = _WHEEL.match(wheel.name)
    if tags is None:
        raise UsageError("This is no wheel", where=str(wheel), remedy=_download(found))
    machine = str(found["machine"])
    major, minor = found["version"]
    if not tags["platform"].endswith(machine) and tags["platform"] != "any":
        raise Unsupported(
            f"{wheel.name} is not for {machine}, which the board is",
            where=where,
            remedy=_download(found),
        )
    if tags["python"] not in {f"cp{major}{minor}", "py3"}:
        raise Unsupported(
            f"{wheel.name} is not for Python {major}.{minor}, which the board has",
            where=where,
            remedy=_download(found),
        )


def _download(found: dict[str, Any]) -> str:
    major, minor = found["version"]
    return (
        "pip download --no-deps --only-binary=:all: "
        f"--platform manylinux_2_28_{found['machine']} "
        f"--python-version {major}.{minor} -d wheels numpy onnxruntime"
    )


def _unpacked(
    shell: Shell,
    clock: Clock,
    python: str,
    there: str,
    files: Mapping[str, Path | bytes],
) -> None:
    """Have archives unpacked in a folder of the board, once."""
    if shell.run(["test", "-d", there], Deadline.after(_ASK_S, clock)).status == 0:
        return
    for place, data in files.items():
        shell.push(data, place)
    until = Deadline.after(_UNPACK_S, clock)
    done = shell.run([python, "-I", "-c", _UNPACK, there, *files], until)
    if done.status != 0:
        last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise TargetError(
            f"The agent cannot be unpacked on the board: {last}",
            where=f"{shell.where}:{there}",
            remedy="Look at the free space there: df -h",
        )


def _require_runtime(shell: Shell, fitted: Fitted, found: dict[str, Any]) -> None:
    facts = fitted.facts(shell)
    for name, key in (("numpy", "numpy"), ("onnxruntime", "runtime_version")):
        if key not in facts:
            raise Unsupported(
                f"There is no {name} for the board's Python",
                where=shell.where,
                remedy="Install it there with pip, or have it pushed: "
                f'{_download(found)}, then runtime = "wheels" in lab.toml.',
            )
