"""A board with an agent on it: its verbs, and the files that it has."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from harness.clock import Clock, Deadline
from harness.domain.board import AgentForm
from harness.domain.workload import ModelArtifact
from harness.errors import DeployMismatch, TargetError
from harness.links.filedigest import digest_of, model_files
from harness.links.shell import Shell

_ASK_S = 60.0
_TELEMETRY_OFF = ("ORT_DISABLE_TELEMETRY=1", "ORT_TELEMETRY_DISABLED=1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """A board with an agent on it."""

    folder: str
    form: AgentForm
    start: tuple[str, ...]
    """Command that carries out the verb which follows it."""
    agent_sha256: str
    clock: Clock

    @property
    def is_runner(self) -> bool:
        """Say whether the agent is the C runner."""
        return self.form is AgentForm.RUNNER

    def command(self, verb: str, *words: str) -> list[str]:
        """Give the command that carries a verb out on the board."""
        return ["env", *_TELEMETRY_OFF, *self.start, verb, *words]

    def facts(self, shell: Shell) -> dict[str, str]:
        """Ask the board what it is. Raises TargetError where it says nothing."""
        done = shell.run(self.command("facts"), Deadline.after(_ASK_S, self.clock))
        found: dict[str, str] = answer(done.stdout, shell, done.stderr)["facts"]
        return found

    def push_model(self, shell: Shell, model: ModelArtifact, path: Path) -> str:
        """Have a model on the board and give its path there.

        It is sent only where the board does not have it. Raises DeployMismatch.
        """
        folder = PurePosixPath(self.folder, "models", model.sha256)
        there = [str(folder / "model.onnx")]
        there += [str(folder / location) for location in model.external]
        if self.digest(shell, there) != model.sha256:
            for file, place in zip(
                model_files(path, model.external), there, strict=True
            ):
                shell.push(file, place)
            found = self.digest(shell, there)
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
        if self.digest(shell, [there]) != digest:
            shell.push(file, there)
        return there

    def digest(self, shell: Shell, files: Sequence[str]) -> str:
        """Have the board digest files; empty where one of them is not there."""
        until = Deadline.after(_ASK_S, self.clock)
        done = shell.run(self.command("digest", *files), until)
        return str(answer(done.stdout, shell, done.stderr)["sha256"])


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
        remedy="Log in by hand and look: python3 --version, uname -m, df -h",
    )
