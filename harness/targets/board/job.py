"""What a board is told of one trial, and the files of a run on the board."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.domain.labelled import LabelledData
from harness.domain.plan import Trial
from harness.domain.query import ModelLoaded
from harness.domain.workload import ModelArtifact
from harness.errors import LinkError
from harness.loadgen import wire
from harness.loadgen.prepared import Prepared

CLOCK = "board"
"""Name of a board's monotonic clock: never the host's, which has its own name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One trial with everything that the board needs for it."""

    trial: Trial
    model: ModelArtifact
    model_path: str
    samples_path: str | None
    labelled: LabelledData | None
    """What the labels among the samples are for; None: they have none."""
    runtime: str
    """``module:function`` that opens the runtime."""
    silence_s: float
    """An agent that says nothing for longer, beside its windows, hangs."""
    inspected: ModelLoaded | None
    """What the runtime made of the model in an earlier run, if there was one."""
    lease_s: float
    """The run is ended when the host was not heard of for so long."""
    prepared: Prepared | None = None
    """For a board without numpy, what the host has drawn."""


def encode_job(job: Job) -> bytes:
    """Give a job as one line."""
    return wire.line(wire.to_plain(job))


def decode_job(data: bytes) -> Job:
    """Read a job. Raises LinkError for what is none."""
    job: Job = _decoded(Job, data)
    return job


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Conditions that the host asks for; None: nothing."""

    governor: str | None = None
    max_start_degc: float | None = None
    anchor_ns: int | None = None
    """The anchor's time at the start of the run; None: this is the start."""
    patience_s: float = 300.0
    """How long the board may take to cool down."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Trials that a board executes one after the other, with nobody there."""

    jobs: tuple[Job, ...]
    asked: Asked
    """Conditions before each."""
    wait_s: float
    """Before the first: time to let go of cable and network."""
    rest_s: float
    """After each."""


def encode_series(series: Series) -> bytes:
    """Give a series as one line."""
    return wire.line(wire.to_plain(series))


def decode_series(data: bytes) -> Series:
    """Read a series. Raises LinkError for what is none."""
    series: Series = _decoded(Series, data)
    return series


def _decoded(form: type, data: bytes) -> Any:  # noqa: ANN401 - of that form
    try:
        return wire.build(form, json.loads(data))
    except (KeyError, TypeError, ValueError) as error:
        raise LinkError(
            f"What reached the board is no job ({error!r})",
            remedy="Both ends must run the same version of the harness.",
        ) from error


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The files of one run on the board."""

    path: Path

    @property
    def journal(self) -> Path:
        """Everything that was said, line after line."""
        return self.path / "journal.ndjson"

    @property
    def alive(self) -> Path:
        """Locked for as long as the keeper lives."""
        return self.path / "alive"

    @property
    def lease(self) -> Path:
        """Touched whenever the host was heard of."""
        return self.path / "lease"

    @property
    def stop(self) -> Path:
        """There once the host wants the run ended."""
        return self.path / "stop"

    @property
    def last(self) -> Path:
        """Room for the keeper's last words, taken while the disk still had some."""
        return self.path / "last"

    @property
    def boot(self) -> Path:
        """Which start of the machine the run belongs to."""
        return self.path / "boot"


def speak(kind: str, **facts: Any) -> bytes:  # noqa: ANN401 - JSON values
    """Give a line of the relay's own; the agent's lines are hello, event, done."""
    return wire.line({"line": kind, **facts})
