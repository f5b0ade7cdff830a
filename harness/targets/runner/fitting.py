"""A board fitted out with the C runner: pushed once, by digest; no Python is needed."""

from pathlib import PurePosixPath

from harness.clock import Clock, Deadline
from harness.domain.board import AgentForm, Board
from harness.errors import DeployMismatch, TargetError, Unsupported
from harness.links.filedigest import digest_of
from harness.links.shell import Shell
from harness.targets.fitted import Fitted
from harness.targets.runner.bundle import (
    LIBRARY,
    RUNNER,
    Bundle,
    machine_of,
    require_bundle,
)

_ASK_S = 60.0
_SHORT = 16
_COMPLETE = "complete"
_LOOK = 'uname -m && printf "%s\\n" "${HOME:-/}"'


def fit_runner(
    shell: Shell, board: Board, clock: Clock, *, python: Unsupported | None = None
) -> Fitted:
    """Have the runner on the board; `python` says why not the agent in Python.

    Raises Unsupported where none was built for the board's machine, or where the board
    does not execute it; TargetError where it takes no files.
    """
    machine, home = _look(shell, clock)
    try:
        bundle = require_bundle(machine, shell.where)
    except Unsupported as error:
        if python is None:
            raise
        raise _neither(python, error) from error
    folder = str(PurePosixPath(home, board.folder))
    place = f"{folder}/agent/{bundle.sha256[:_SHORT]}"
    fitted = Fitted(
        folder=folder,
        form=AgentForm.RUNNER,
        start=bundle.start(place),
        agent_sha256=bundle.sha256,
        clock=clock,
    )
    if not _succeeds(shell, clock, ["test", "-f", f"{place}/{_COMPLETE}"]):
        _push(shell, clock, fitted, bundle, place)
    _require_start(shell, fitted, bundle)
    _require_runtime(shell, fitted)
    return fitted


def _look(shell: Shell, clock: Clock) -> tuple[str, str]:
    """Give the board's machine and home. A login script may say something before."""
    done = shell.run(["sh", "-c", _LOOK], Deadline.after(_ASK_S, clock))
    lines = done.stdout.decode(errors="replace").split()
    if done.status != 0 or len(lines) < 2:  # noqa: PLR2004 - machine and home
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise TargetError(
            f"The board does not say what machine it is: {last}",
            where=shell.where,
            remedy="Log in by hand and try: uname -m",
        )
    return machine_of(lines[-2]), lines[-1]


def _push(
    shell: Shell, clock: Clock, fitted: Fitted, bundle: Bundle, place: str
) -> None:
    """Send the files, and have the runner itself read them back.

    The library is by far the largest, and is sent once the runner is seen to start.
    """
    there = [f"{place}/{file.name}" for file in bundle.files]
    for file, to in zip(bundle.files, there, strict=True):
        if file.name != LIBRARY:
            shell.push(file, to)
    executable = [f"{place}/{bundle.loader}", f"{place}/{RUNNER}"]
    _succeeds(shell, clock, ["chmod", "755", *executable])
    _require_start(shell, fitted, bundle)
    shell.push(bundle.folder / LIBRARY, f"{place}/{LIBRARY}")
    found, wanted = fitted.digest(shell, there), digest_of(bundle.files)
    if found != wanted:
        raise DeployMismatch(
            f"The board reads sha256 {found[:12] or 'of nothing'}…, not {wanted[:12]}…",
            where=f"{shell.where}:{place}",
            remedy="Its storage may be failing or full.",
        )
    shell.push(b"", f"{place}/{_COMPLETE}")


def _require_start(shell: Shell, fitted: Fitted, bundle: Bundle) -> None:
    """Raise Unsupported where the board does not execute the runner."""
    until = Deadline.after(_ASK_S, fitted.clock)
    done = shell.run(fitted.command("digest"), until)
    if done.status != 0:
        said = " ".join(done.stderr.split()) or f"exit status {done.status}"
        raise Unsupported(
            f"The board does not execute the C runner for {bundle.machine}: {said}",
            where=shell.where,
            remedy="Look at uname -m and at where programs may be executed (mount "
            'option noexec): folder = "…" in lab.toml names another folder.',
        )


def _require_runtime(shell: Shell, fitted: Fitted) -> None:
    missing = fitted.facts(shell).get("runtime_missing")
    if missing is not None:
        raise Unsupported(
            missing,
            where=shell.where,
            remedy="Build the runner anew on this host: make agents",
        )


def _succeeds(shell: Shell, clock: Clock, command: list[str]) -> bool:
    return shell.run(command, Deadline.after(_ASK_S, clock)).status == 0


def _neither(python: Unsupported, runner: Unsupported) -> Unsupported:
    """Say what both agents lack, and what to do for either."""
    lacks = runner.what[:1].lower() + runner.what[1:]
    return Unsupported(
        f"{python.what}; and {lacks}",
        where=runner.where,
        remedy=f"{runner.remedy} Or: {python.remedy}",
    )
