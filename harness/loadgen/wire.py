"""Trial events and orders as lines of JSON, both ways, with nothing but the stdlib.

Both ends of a link use it, so it lies below the agent and the targets. A dataclass is
an object with the names of its fields, an enumeration its value, an array of numbers
``{"array": "q", "base64": …}`` with little-endian items ("q" 64-bit integers, "d"
64-bit reals). Which class an object becomes is decided by the reader, never by the
line.
"""

import base64
import json
import sys
from array import array
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum, StrEnum
from functools import cache
from types import UnionType
from typing import Any, Union, get_args, get_origin

from harness.domain import query as events
from harness.domain import scenario as scenarios
from harness.domain.labelled import LabelledData, Source
from harness.domain.plan import Trial
from harness.domain.query import LinkEvent
from harness.domain.workload import BuiltStage, DecoderFacts, InputSpec
from harness.errors import LinkError
from harness.loadgen.prepared import Prepared

_EVENTS: dict[str, type[LinkEvent]] = {
    form.__name__: form for form in get_args(events.LinkEvent)
}


class Task(StrEnum):
    """What an agent is asked to do in its one life."""

    MEASURE = "measure"
    """A whole trial but ColdStart."""
    ANSWER = "answer"
    """Answer items, labelled or drawn, and say the scores; nothing is timed."""
    START = "start"
    """One cold start: from the start of the process to the first output."""
    COUNT = "count"
    """Compute `minimum.queries` inferences and do nothing beside them, for whoever
    counts instructions; nothing is timed, and none of the outputs is looked at."""
    INSPECT = "inspect"
    """Load the model and say what the runtime made of it; nothing is timed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """The one thing that an agent is told."""

    task: Task
    trial: Trial
    runtime: str
    """``module:function`` that opens the runtime; looked up on the host, since the
    look-up would cost a cold start more than the load of a small model."""
    model_path: str
    sha256: str
    inputs: tuple[InputSpec, ...]
    samples_path: str | None = None
    external: tuple[str, ...] = ()
    """Files beside the model's whose bytes follow its own in the digest."""
    decoder: DecoderFacts | None = None
    """Of a language model: what its prompts are made by."""
    stages: tuple[BuiltStage, ...] = ()
    """Of a pipeline; the files of its models lie beside the first one's."""
    labelled: LabelledData | None = None
    """What the samples' labels are for; None: they have none."""
    source: Source = Source.SESSION
    """As whose the answers of `Task.ANSWER` go into the record."""
    model_name: str = ""
    """Name of the model where it is not the trial's own."""
    items: tuple[int, ...] = ()
    """Samples that `Task.ANSWER` answers; empty: all labelled ones, or a few drawn."""
    spawned_ns: int = 0
    """When the process was started, on the host's monotonic clock."""
    prepared: Prepared | None = None
    """For an agent without numpy, what the host has drawn; None: it draws itself."""


def encode_event(event: LinkEvent) -> dict[str, Any]:
    """Give an event as JSON values."""
    plain: dict[str, Any] = to_plain(event)
    return plain


def decode_event(plain: dict[str, Any]) -> LinkEvent:
    """Read an event. Raises LinkError for what is none."""
    try:
        event: LinkEvent = build(_EVENTS[plain["kind"]], plain)
    except (KeyError, TypeError, ValueError) as error:
        raise _not_understood(f"an event ({error!r})") from error
    return event


def encode_order(order: Order) -> bytes:
    """Give an order as one line."""
    return line(to_plain(order))


def decode_order(data: bytes) -> Order:
    """Read an order. Raises LinkError for what is none."""
    try:
        order: Order = build(Order, json.loads(data))
    except (KeyError, TypeError, ValueError) as error:
        raise _not_understood(f"an order ({error!r})") from error
    return order


def line(plain: dict[str, Any]) -> bytes:
    """Give JSON values as one line with its end."""
    return json.dumps(plain, separators=(",", ":"), allow_nan=False).encode() + b"\n"


def to_plain(value: Any) -> Any:  # noqa: ANN401 - JSON values
    """Give a noun, or what one holds, as JSON values."""
    if is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: to_plain(getattr(value, field.name)) for field in fields(value)
        }
    if isinstance(value, array):
        return {"array": value.typecode, "base64": _little_endian(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, tuple):
        return [to_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: to_plain(item) for key, item in value.items()}
    return value


def _little_endian(numbers: "array[Any]") -> str:
    if sys.byteorder == "big":
        numbers = numbers[:]
        numbers.byteswap()
    return base64.b64encode(numbers).decode("ascii")


def build(form: Any, plain: Any) -> Any:  # noqa: ANN401, PLR0911 - one line a form
    """Make a value of that form from JSON values, as `to_plain` gave them.

    Raises KeyError, TypeError or ValueError for what is none.
    """
    if form == scenarios.Scenario:
        return scenarios.from_plain(plain)
    if isinstance(form, type) and is_dataclass(form):
        return form(
            **{
                name: build(of, plain[name])
                for name, of in _hints(form).items()
                if name in plain  # an older agent's journal may wait to be collected
            }
        )
    if isinstance(form, type) and issubclass(form, Enum):
        return form(plain)
    if get_origin(form) in {Union, UnionType}:
        inner = next(of for of in get_args(form) if of is not type(None))
        return None if plain is None else build(inner, plain)
    if get_origin(form) is tuple:
        return tuple(build(get_args(form)[0], item) for item in plain)
    if form is array:
        return _array(plain)
    return plain


@cache
def _hints(form: type) -> dict[str, Any]:
    # The nouns quote "array[int]", which Python 3.11 cannot evaluate, and nothing else.
    return {
        field.name: array if isinstance(field.type, str) else field.type
        for field in fields(form)
    }


def _array(plain: dict[str, str]) -> "array[Any]":
    typecode = plain["array"]
    if typecode not in {"q", "d"}:
        raise ValueError(f"array of {typecode!r}")
    numbers: array[Any] = array(typecode)
    numbers.frombytes(base64.b64decode(plain["base64"], validate=True))
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


def _not_understood(what: str) -> LinkError:
    return LinkError(
        f"A line on the link is not {what}",
        remedy="Both ends must run the same version of the harness.",
    )
