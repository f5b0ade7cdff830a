"""Suites: which models a class of device is measured with, and in which scenarios.

The format ``duanping/suite/1``::

    format = "duanping/suite/1"
    name = "wearable"

    [[workload]]
    id = "kws"
    model = "dscnn-kws"
    title_zh = "关键词识别"
    title_en = "Keyword spotting"

    [[workload.scenario]]
    kind = "Periodic"
    period = "20 ms"
    deadline = "20 ms"

    [workload.reference]
    latency = "…, with its source"

Whether a model of that name exists is not known here; `harness.catalogue` checks it.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, assert_never

from pydantic import Field

from harness import shipped
from harness.domain.scenario import (
    SCENARIOS,
    ColdStart,
    LlmDecode,
    LlmSustained,
    MultiStream,
    Offline,
    Periodic,
    Scenario,
    Server,
    SingleStream,
    Sustained,
)
from harness.domain.workload import (
    STEPS,
    InputSpec,
    Remote,
    Stage,
    Suite,
    Workload,
)
from harness.errors import SchemaError, UnknownName, UsageError
from harness.schema.reading import Written, attributed_to, pointer, read_toml, validate
from harness.units import NS_PER_S, parse_quantity

FORMAT = "duanping/suite/1"

Duration = Annotated[
    str,
    Field(description='A time with its unit: "32 ms", "10 min".', examples=["32 ms"]),
]


class WrittenSingleStream(Written):
    """The next query is issued when the last one is done."""

    kind: Literal["SingleStream"]


class WrittenMultiStream(Written):
    """Each query holds several samples."""

    kind: Literal["MultiStream"]
    samples_per_query: int = 8


class WrittenOffline(Written):
    """All samples are there at once."""

    kind: Literal["Offline"]
    samples_per_query: int = 32


class WrittenServer(Written):
    """Poisson arrivals; the highest rate that keeps the latency bound."""

    kind: Literal["Server"]
    latency_bound: Duration
    percentile: float = 0.99
    rate_tolerance: float = 0.05


class WrittenPeriodic(Written):
    """A query every period, due a deadline after its scheduled start."""

    kind: Literal["Periodic"]
    period: Duration
    deadline: Duration


class WrittenSustained(Written):
    """Back-to-back queries for a duration."""

    kind: Literal["Sustained"]
    duration: Duration = "10 min"


class WrittenColdStart(Written):
    """A fresh process each time."""

    kind: Literal["ColdStart"]


class WrittenService(Written):
    """What a user is promised: p99 of TTFT, and mean time per token."""

    ttft: Duration
    tpot: Duration


class WrittenLlmDecode(Written):
    """Answers of a language model, token by token, each from an empty cache."""

    kind: Literal["LlmDecode"]
    prompt_tokens: tuple[int, ...] = Field(
        default=(1024,), description="Lengths of prompts; the first is for the users."
    )
    output_tokens: int = Field(default=128, description="Tokens of an answer.")
    users: tuple[int, ...] = Field(
        default=(1,), description="Numbers of users at once, 1 among them."
    )
    stops_at_end: bool = Field(
        default=False, description="Also end an answer at an end token."
    )
    expected_tokens: float = Field(
        default=0.0,
        ge=0,
        description="Known mean length of answers that end by themselves.",
    )
    service: tuple[WrittenService, ...] = Field(
        default=(), description="Promises under which users are counted."
    )
    tokenise: Literal["in", "out"] = Field(
        default="out", description="Whether tokenisation is in the times."
    )


class WrittenLlmSustained(Written):
    """One user of a language model, for a long time."""

    kind: Literal["LlmSustained"]
    duration: Duration = "10 min"
    prompt_tokens: int = 1024
    output_tokens: int = 128


WrittenScenario = (
    WrittenSingleStream
    | WrittenMultiStream
    | WrittenOffline
    | WrittenServer
    | WrittenPeriodic
    | WrittenSustained
    | WrittenColdStart
    | WrittenLlmDecode
    | WrittenLlmSustained
)


class WrittenRemote(Written):
    """A service that is asked first; the stage itself is the local fallback."""

    url: str = Field(description="http://host[:port]/path")
    timeout: Duration


class WrittenStage(Written):
    """A stage of a pipeline: a model, or a named step between models."""

    name: str
    model: str = ""
    step: str = Field(default="", description=f"One of: {', '.join(sorted(STEPS))}.")
    takes: tuple[str, ...] = Field(default=(), description="Tensors that a step takes.")
    gives: str = Field(default="", description="The tensor that a step gives.")
    samples: int = Field(
        default=1, description="Samples that a model takes in one call."
    )
    remote: WrittenRemote | None = None


class WrittenInput(Written):
    """What a pipeline is given, where its first stage is a step."""

    name: str
    shape: tuple[int, ...]
    dtype: str = "float32"
    low: float = -1.0
    high: float = 1.0


class WrittenWorkload(Written):
    """A model, or a pipeline of several, its scenarios, and reference values."""

    id: str
    model: str = ""
    stage: tuple[WrittenStage, ...] = ()
    input: tuple[WrittenInput, ...] = ()
    title_zh: str
    title_en: str
    scenario: tuple[Annotated[WrittenScenario, Field(discriminator="kind")], ...]
    reference: dict[str, str] = Field(default_factory=dict)


class WrittenSuite(Written):
    """A suite file."""

    format: Literal["duanping/suite/1"]
    name: str
    workload: tuple[WrittenWorkload, ...]


def load_suite(path: Path) -> Suite:
    """Read a suite file.

    Raises SchemaError, or UnknownName for a scenario of no known kind, naming the
    place in the file.
    """
    data = read_toml(path)
    _check_kinds(data, str(path))
    written = validate(WrittenSuite, data, str(path))
    workloads = []
    for number, workload in enumerate(written.workload):
        place = f"{path}: {pointer(data, ('workload', number))}"
        workloads.append(_workload(workload, place))
    with attributed_to(str(path)):
        return Suite(name=written.name, workloads=tuple(workloads))


def suite_path(name: str) -> Path:
    """Find a suite by the name of a shipped one, or by the path of a file.

    Raises UnknownName where neither is there.
    """
    if name.endswith(".toml") or "/" in name:
        return Path(name)
    if name not in suite_names():
        raise UnknownName("suite", name, suite_names())
    return _folder() / f"{name}.toml"


def suite_names() -> tuple[str, ...]:
    """List the suites that are shipped."""
    return tuple(sorted(path.stem for path in _folder().glob("*.toml")))


def _folder() -> Path:
    return shipped.folder("models") / "suites"


def _check_kinds(data: Mapping[str, Any], where: str) -> None:
    """Refuse unknown kinds by their near names, which a tagged union does not give."""
    for w, workload in enumerate(_tables(data, "workload")):
        for s, scenario in enumerate(_tables(workload, "scenario")):
            kind = scenario.get("kind")
            if isinstance(kind, str) and kind not in SCENARIOS:
                place = pointer(data, ("workload", w, "scenario", s, "kind"))
                raise UnknownName(
                    "scenario", kind, SCENARIOS, where=f"{where}: {place}"
                )


def _tables(data: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    found = data.get(key)
    if not isinstance(found, list):
        return []
    return [one if isinstance(one, Mapping) else {} for one in found]


def _workload(written: WrittenWorkload, place: str) -> Workload:
    scenarios = []
    for number, scenario in enumerate(written.scenario):
        where = f"{place}/scenario/{number}"
        with attributed_to(where):
            scenarios.append(_scenario(scenario, where))
    with attributed_to(place):
        _require_one(written)
        return Workload(
            id=written.id,
            model=written.model or written.id,
            title_zh=written.title_zh,
            title_en=written.title_en,
            scenarios=tuple(scenarios),
            reference=written.reference,
            stages=tuple(
                _stage(one, f"{place}/stage/{number}")
                for number, one in enumerate(written.stage)
            ),
            inputs=tuple(InputSpec(**one.model_dump()) for one in written.input),
        )


def _stage(written: WrittenStage, where: str) -> Stage:
    remote = written.remote
    return Stage(
        name=written.name,
        model=written.model,
        step=written.step,
        takes=written.takes,
        gives=written.gives,
        remote=None
        if remote is None
        else Remote(
            url=remote.url, timeout_ns=_ns(remote.timeout, f"{where}/remote/timeout")
        ),
    )


def _require_one(written: WrittenWorkload) -> None:
    if bool(written.model) == bool(written.stage):
        raise ValueError(f"workload {written.id!r} is either a model or has stages")
    if written.input and not written.stage:
        raise ValueError("only a pipeline is given inputs of its own")


def _scenario(  # noqa: PLR0911 - one return a scenario
    written: WrittenScenario, where: str
) -> Scenario:
    match written:
        case WrittenSingleStream():
            return SingleStream()
        case WrittenMultiStream():
            return MultiStream(samples_per_query=written.samples_per_query)
        case WrittenOffline():
            return Offline(samples_per_query=written.samples_per_query)
        case WrittenServer():
            return Server(
                latency_bound_ns=_ns(written.latency_bound, f"{where}/latency_bound"),
                percentile=written.percentile,
                rate_tolerance=written.rate_tolerance,
            )
        case WrittenPeriodic():
            return Periodic(
                period_ns=_ns(written.period, f"{where}/period"),
                deadline_ns=_ns(written.deadline, f"{where}/deadline"),
            )
        case WrittenSustained():
            return Sustained(duration_ns=_ns(written.duration, f"{where}/duration"))
        case WrittenColdStart():
            return ColdStart()
        case WrittenLlmDecode():
            return _llm_decode(written, where)
        case WrittenLlmSustained():
            return LlmSustained(
                duration_ns=_ns(written.duration, f"{where}/duration"),
                prompt_tokens=written.prompt_tokens,
                output_tokens=written.output_tokens,
            )
        case _:
            assert_never(written)


def _llm_decode(written: WrittenLlmDecode, where: str) -> LlmDecode:
    promises = [
        (one, f"{where}/service/{number}") for number, one in enumerate(written.service)
    ]
    return LlmDecode(
        prompt_tokens=written.prompt_tokens,
        output_tokens=written.output_tokens,
        users=written.users,
        stops_at_end=written.stops_at_end,
        expected_tokens=written.expected_tokens,
        ttft_bounds_ns=tuple(_ns(one.ttft, f"{at}/ttft") for one, at in promises),
        tpot_bounds_ns=tuple(_ns(one.tpot, f"{at}/tpot") for one, at in promises),
        tokenises=written.tokenise == "in",
    )


def _ns(text: str, where: str) -> int:
    try:
        return round(parse_quantity(text, "s") * NS_PER_S)
    except UsageError as error:
        raise SchemaError(error.what, where=where, remedy=error.remedy) from error
