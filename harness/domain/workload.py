"""What is run: models, their inputs, workloads and suites."""

import re
from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import urlsplit

from harness.domain.scenario import Scenario

_ID = re.compile(r"^[a-z0-9][a-z0-9_.-]*$")
_SHA256 = re.compile(r"^[0-9a-f]{64}$")

OWN_SUITE = "own"
"""Name of the suite around a user's own model, which stands for no reference."""


def require_id(name: str, value: str) -> None:
    """Raise ValueError unless `value` can be an id: lower case, digits, ``_ . -``."""
    if not _ID.match(value):
        raise ValueError(f"{name} {value!r} is not lower-case letters, digits, _ . -")


class Fill(StrEnum):
    """What an input is filled with; every fill is drawn from the sample seed."""

    UNIFORM = "uniform"
    """Reals or integers, evenly between `low` and `high`."""
    NORMAL = "normal"
    """Reals, mean 0, standard deviation 1, cut to [low, high] where given."""
    ZEROS = "zeros"
    ONES = "ones"
    FILE = "file"
    """Taken from a file that the user gave, sample by sample."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InputSpec:
    """One input of a model with every dimension bound.

    `dtype` is numpy's name ("float32", "int8", "str" …). The axis that holds samples is
    axis 0 where `has_batch_axis`; a query of n samples then has n there.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    fill: Fill = Fill.UNIFORM
    low: float = 0.0
    high: float = 1.0
    has_batch_axis: bool = False
    follows: int | None = None
    """Number of the output that is the next query's value of this input: a state.
    None: it is no state."""

    def __post_init__(self) -> None:
        if any(size < 0 for size in self.shape):
            raise ValueError(f"input {self.name!r} has a negative dimension")
        if self.low > self.high:
            raise ValueError(f"input {self.name!r}: low is above high")


@dataclass(frozen=True, slots=True, kw_only=True)
class DecoderFacts:
    """What must be known of a language model beside its graph.

    Token ids lie in [0, `vocabulary`); prompt and output together fit `context`
    places; a token of `end_tokens` says that the answer is complete.
    """

    vocabulary: int
    context: int
    end_tokens: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.vocabulary < 1 or self.context < 1:
            raise ValueError("a decoder has a vocabulary and a context")


_HTTP_PORT = 80
STEPS: frozenset[str] = frozenset(
    {
        "argmax-tokens",
        "crop-lines",
        "crop-peak",
        "ctc-decode",
        "log-mel",
        "match-gallery",
    }
)
"""What may be done between the models of a pipeline (`harness.runtimes.steps`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Remote:
    """A service elsewhere that is asked for what a stage gives, before the stage is.

    Tensors go and come as an .npz by HTTP POST (docs/how-to/pipeline.md).
    """

    url: str
    """``http://host[:port]/path``."""
    timeout_ns: int
    """How long it may take from the first packet to the whole answer; then the stage
    is executed on the device."""
    via: str = ""
    """``address:port`` to connect to in place of the URL's host; empty: that host."""

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme != "http" or not parts.hostname:
            raise ValueError(f"{self.url!r} is no http://host/path")
        if parts.port == 0 or self.timeout_ns <= 0:
            raise ValueError("a service has a port, and some time to answer in")

    @property
    def host(self) -> str:
        """Give the host that the URL names."""
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        """Give its port."""
        return urlsplit(self.url).port or _HTTP_PORT


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One stage of a pipeline: a model, or a named step between models.

    A model takes its inputs by their names and gives its outputs by theirs. A step
    takes the tensors `takes` and gives one, `gives`, in the shape and type that the
    model which takes it asks for. All tensors of a query stay known by their names.
    """

    name: str
    model: str = ""
    step: str = ""
    takes: tuple[str, ...] = ()
    gives: str = ""
    samples: int = 1
    """Of a model: how many it takes in one call, such as the lines of a page."""
    remote: Remote | None = None
    """A service that is asked first; the stage itself is then the local fallback."""

    def __post_init__(self) -> None:
        require_id("stage", self.name)
        if self.samples < 1 or (self.step and self.samples > 1):
            raise ValueError(f"stage {self.name!r}: a model takes 1 sample or more")
        if bool(self.model) == bool(self.step):
            raise ValueError(f"stage {self.name!r} is either a model or a step")
        if self.step and self.step not in STEPS:
            known = ", ".join(sorted(STEPS))
            raise ValueError(f"there is no step {self.step!r}; there are {known}")
        if self.step and not (self.takes and self.gives):
            raise ValueError(f"step {self.name!r} takes tensors and gives one")


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltStage:
    """A stage with its file: the model's, beside the first one's; none of a step."""

    stage: Stage
    file: str = ""
    inputs: tuple[InputSpec, ...] = ()
    outputs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelArtifact:
    """One model file, as the plan names it. The path is not part of it.

    `is_trained` is False for seeded weights, which measure speed, memory and
    energy and say nothing about accuracy. `macs` counts multiply-accumulates of
    one sample, None where they are not known.
    """

    name: str
    sha256: str
    size_bytes: int
    inputs: tuple[InputSpec, ...]
    task: str = ""
    quantisation: str = "unknown"
    opset: int = 0
    macs: int | None = None
    parameters: int | None = None
    licence: str = ""
    is_trained: bool = True
    external: tuple[str, ...] = ()
    """Files of external data beside the model's, in the order of the digest."""
    decoder: DecoderFacts | None = None
    """Of a language model that answers token by token; None: it is none."""
    stages: tuple[BuiltStage, ...] = ()
    """Of a pipeline, whose files are all in the digest; empty: it is one model."""

    def __post_init__(self) -> None:
        if not _SHA256.match(self.sha256):
            raise ValueError(f"{self.sha256!r} is not a sha256 in lower-case hex")
        if self.size_bytes <= 0:
            raise ValueError("a model file has at least one byte")

    @property
    def services(self) -> tuple[Remote, ...]:
        """List the services elsewhere that its stages ask; none: all is here."""
        found = (built.stage.remote for built in self.stages)
        return tuple(remote for remote in found if remote is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """A model and the scenarios in which it is measured.

    `id` is the word that tier sets use (``kws``, ``vww``, ``det`` …).
    """

    id: str
    model: str
    title_zh: str
    title_en: str
    scenarios: tuple[Scenario, ...]
    reference: dict[str, str] = field(default_factory=dict)
    """Published reference values: what → value with source, for the report."""
    stages: tuple[Stage, ...] = ()
    """Of a pipeline, `model` being its own name; empty: one model."""
    inputs: tuple[InputSpec, ...] = ()
    """What a pipeline is given, beside its first model's own inputs."""

    def __post_init__(self) -> None:
        require_id("workload", self.id)
        if not self.scenarios:
            raise ValueError(f"workload {self.id!r} has no scenario")
        kinds = [scenario.kind for scenario in self.scenarios]
        if len(set(kinds)) != len(kinds):
            raise ValueError(f"workload {self.id!r} names a scenario twice")
        names = [stage.name for stage in self.stages]
        if len(set(names)) != len(names):
            raise ValueError(f"workload {self.id!r} names a stage twice")
        if self.stages and not any(stage.model for stage in self.stages):
            raise ValueError(f"pipeline {self.id!r} holds no model")

    @property
    def models(self) -> tuple[str, ...]:
        """List the models that it takes, each once."""
        if not self.stages:
            return (self.model,)
        return tuple(dict.fromkeys(s.model for s in self.stages if s.model))


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """The workloads that a class of device is measured with."""

    name: str
    workloads: tuple[Workload, ...]

    def __post_init__(self) -> None:
        require_id("suite", self.name)
        ids = [workload.id for workload in self.workloads]
        if len(set(ids)) != len(ids):
            raise ValueError(f"suite {self.name!r} names a workload twice")
        if not ids:
            raise ValueError(f"suite {self.name!r} is empty")
