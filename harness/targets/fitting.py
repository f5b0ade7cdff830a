"""Fitting a board out: Python looked at, agent and runtime pushed once, by digest."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from harness.clock import Clock, Deadline
from harness.domain.board import Board
from harness.domain.workload import ModelArtifact
from harness.errors import DeployMismatch, TargetError, Unsupported, UsageError
from harness.links.filedigest import digest_of, model_files
from harness.links.shell import Shell
from harness.targets.package import build_package

PYTHON_FLOOR = (3, 11)
_ASK_S = 60.0
_UNPACK_S = 300.0
_SHORT = 16
_NOT_FOUND = (126, 127)
_TELEMETRY_OFF = ("ORT_DISABLE_TELEMETRY=1", "ORT_TELEMETRY_DISABLED=1")

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """A board with an agent on it."""

    folder: str
    python: str
    python_path: tuple[str, ...]
    agent_sha256: str
    clock: Clock

    def command(self, verb: str, *words: str) -> list[str]:
        """Give the command that carries a verb out on the board."""
        return [
            "env",
            f"PYTHONPATH={':'.join(self.python_path)}",
            *_TELEMETRY_OFF,
            self.python,
            "-P",
            "-m",
            "harness.targets.board",
            verb,
            *words,
        ]

    def push_model(self, shell: Shell, model: ModelArtifact, path: Path) -> str:
        """Have a model on the board and give its path there.

        It is sent only where the board does not have it. Raises DeployMismatch.
        """
        folder = PurePosixPath(self.folder, "models", model.sha256)
        there = [str(folder / "model.onnx")]
        there += [str(folder / location) for location in model.external]
        if self._digest(shell, there) != model.sha256:
            for file, place in zip(
                model_files(path, model.external), there, strict=True
            ):
                shell.push(file, place)
            found = self._digest(shell, there)
            if found != model.sha256:
                raise DeployMismatch(
                    f"The board reads sha256 {found[:12] or 'of nothing'}…, "
                    f"not {model.sha256[:12]}…",
                    where=shell.where,
                    remedy="Its storage may be failing or full.",
                )
        return there[0]

    def push_file(self, shell: Shell, file: Path, room: str) -> str:
        """Have a file on the board, by its digest, and give its path there."""
        digest = digest_of([file])
        there = str(PurePosixPath(self.folder, room, digest, file.name))
        if self._digest(shell, [there]) != digest:
            shell.push(file, there)
        return there

    def _digest(self, shell: Shell, files: Sequence[str]) -> str:
        until = Deadline.after(_ASK_S, self.clock)
        done = shell.run(self.command("digest", *files), until)
        return str(answer(done.stdout, shell, done.stderr)["sha256"])


def fit_out(shell: Shell, board: Board, clock: Clock) -> Fitted:
    """Push what the board does not have yet.

    Raises Unsupported for a board that cannot run the agent, with what it lacks;
    TargetError where it takes no files.
    """
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
        python=python,
        python_path=tuple(path),
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
    done = shell.run(fitted.command("facts"), Deadline.after(_ASK_S, fitted.clock))
    facts = answer(done.stdout, shell, done.stderr)["facts"]
    for name, key in (("numpy", "numpy"), ("onnxruntime", "runtime_version")):
        if key not in facts:
            raise Unsupported(
                f"There is no {name} for the board's Python",
                where=shell.where,
                remedy="Install it there with pip, or have it pushed: "
                f'{_download(found)}, then runtime = "wheels" in lab.toml.',
            )


def answer(data: bytes, shell: Shell, errors: str) -> dict[str, Any]:
    """Give the one line of ours in what a command said."""
    for line in data.splitlines():
        if line.startswith(b'{"line"'):
            found: dict[str, Any] = json.loads(line)
            return found
    last = (errors.strip().splitlines() or ["it said nothing"])[-1]
    raise TargetError(
        f"The board did not answer as expected: {last}",
        where=shell.where,
        remedy="Log in by hand and try: python3 --version",
    )
