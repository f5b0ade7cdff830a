"""Progress on stderr: a bar with time left on a terminal, plain lines elsewhere."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from harness.bench.conduct import Progress as Stand
from harness.bench.conduct import Step
from harness.domain.query import Outcome


class RunProgress:
    """Shows how a run goes on. Use as a context manager."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._is_live = console.is_terminal
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TextColumn("{task.fields[left]}"),
            console=console,
            transient=True,
            disable=not self._is_live,
        )
        self._task = self._bar.add_task("", total=None, left="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def show(self, stand: Stand) -> None:
        """Take one report of the bench."""
        left = f"{_clock(stand.seconds_left)} left"
        self._bar.update(
            self._task,
            description=stand.trial.id,
            completed=stand.done,
            total=stand.total,
            left=left,
        )
        if stand.step is Step.ENDS:
            self._ended(stand, left)

    def _ended(self, stand: Stand, left: str) -> None:
        if stand.outcome is not Outcome.DONE:
            self._console.print(
                f"{stand.trial.id}: {stand.outcome}. {stand.reason}",
                style="yellow",
                highlight=False,
                markup=False,
            )
        elif not self._is_live:
            self._console.print(
                f"[{stand.done}/{stand.total}] {stand.trial.id} ({left})",
                highlight=False,
                markup=False,
            )


@contextmanager
def announced(console: Console, text: str) -> Iterator[None]:
    """Show that something without a measure of progress is going on."""
    if console.is_terminal:
        with console.status(text):
            yield
    else:
        console.print(text, highlight=False, markup=False)
        yield


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"
