"""TOML that people write, checked against a pydantic form, with errors for people.

Shared by every written form (profiles, suites, tier sets). A form is a pydantic
model derived from `Written`: strict and without unknown keys. This module knows no
form: it reads the file, checks it, and turns each refusal into one SchemaError
that names file, place, what is said there and what may be said there.

Strictness is that of JSON: a list may fill a tuple and a word an enum, a whole
number may stand for a real; "5" is no number and 1 is no truth value.
"""

import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from harness.errors import SchemaError
from harness.schema.codec import dumps

_LONGEST_SHOWN = 60


class Written(BaseModel):
    """A form that people fill in: unknown keys, loose types, NaN are refused."""

    model_config = ConfigDict(
        strict=True, extra="forbid", frozen=True, allow_inf_nan=False
    )


Form = TypeVar("Form", bound=BaseModel)


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file. Raises SchemaError where it is missing or not TOML."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise SchemaError(
            f"This is not TOML: {error}",
            where=str(path),
            remedy="Put that line right; strings want quotes, tables want [brackets].",
        ) from error
    except UnicodeDecodeError as error:
        raise SchemaError(
            "This file is not UTF-8 text", where=str(path), remedy="Save it as UTF-8."
        ) from error
    except OSError as error:
        raise SchemaError(
            f"This file cannot be read: {error.strerror or error}",
            where=str(path),
            remedy="Check the path and the permissions.",
        ) from error


def validate(model_type: type[Form], data: Mapping[str, Any], where: str) -> Form:
    """Check what was read against a form and give the filled form.

    `where` names the file. Raises SchemaError for the first refusal (an unknown
    key before all others, since a misspelt key is also a missing one), with the
    place as a JSON pointer whose list items carry their ``id``.
    """
    try:
        return model_type.model_validate_json(json.dumps(data, default=str))
    except ValidationError as error:
        details = error.errors(include_url=False)
        unknown = [one for one in details if one["type"] == "extra_forbidden"]
        raise _refusal((unknown or details)[0], model_type, data, where) from error


@contextmanager
def attributed_to(where: str, remedy: str = "") -> Iterator[None]:
    """Turn a noun's own refusal (ValueError) into a SchemaError about `where`."""
    try:
        yield
    except ValueError as error:
        sentence = str(error)
        what = sentence[:1].upper() + sentence[1:]
        raise SchemaError(what, where=where, remedy=remedy) from error


def json_schema(model_type: type[BaseModel]) -> bytes:
    """Export a form as JSON Schema 2020-12, in canonical bytes."""
    dialect = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return dumps(dialect | model_type.model_json_schema())


def pointer(data: object, place: Sequence[int | str]) -> str:
    """Write a place in a file as a JSON pointer; list items also show their id.

    >>> pointer({"rows": [{"id": "kws_e"}]}, ("rows", 0, "unit"))
    '/rows/0 (kws_e)/unit'
    """
    steps = []
    for step in place:
        data = _inside(data, step)
        named = data.get("id") if isinstance(data, Mapping) else None
        shown = f"{step} ({named})" if isinstance(step, int) and named else f"{step}"
        steps.append(f"/{shown}")
    return "".join(steps) or "/"


def _inside(data: object, step: int | str) -> object:
    if isinstance(data, Mapping):
        return data.get(step)
    if isinstance(data, list) and isinstance(step, int) and step < len(data):
        return data[step]
    return None


def _refusal(
    detail: ErrorDetails, form: type[BaseModel], data: Mapping[str, Any], where: str
) -> SchemaError:
    place = detail["loc"]
    match detail["type"]:
        case "extra_forbidden":
            what = f"There is no key '{place[-1]}' here"
            remedy = nearest(str(place[-1]), _keys_at(form, place[:-1]))
            place = place[:-1]
        case "missing":
            what = f"The key '{place[-1]}' is missing"
            remedy, place = "Add it.", place[:-1]
        case "value_error":
            what = f"{detail['ctx']['error']}".rstrip(".")
            remedy = ""
        case _:
            what = f"{_shown(detail['input'])} may not stand here"
            remedy = detail["msg"].replace("Input should", "It should", 1) + "."
    return SchemaError(what, where=f"{where}: {pointer(data, place)}", remedy=remedy)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "…"


def nearest(key: str, known: Sequence[str]) -> str:
    """Say which known words a word may have been meant for, as a remedy."""
    near = get_close_matches(key, known, n=2, cutoff=0.6)
    if near:
        return "Did you mean " + " or ".join(f"'{name}'" for name in near) + "?"
    return f"Known: {', '.join(known)}."


def _keys_at(form: object, place: Sequence[int | str]) -> tuple[str, ...]:
    """List the keys that the form knows at a place."""
    forms: tuple[object, ...] = (form,)
    for step in place:
        forms = tuple(inner for outer in forms for inner in _forms_in(outer, step))
    models = [model for outer in forms for model in _models_of(outer)]
    return tuple(sorted({key for model in models for key in _keys_of(model)}))


def _keys_of(model: type[BaseModel]) -> tuple[str, ...]:
    return tuple(field.alias or name for name, field in model.model_fields.items())


def _models_of(form: object) -> tuple[type[BaseModel], ...]:
    if isinstance(form, type) and issubclass(form, BaseModel):
        return (form,)
    return tuple(model for part in get_args(form) for model in _models_of(part))


def _is_container(form: object) -> bool:
    return get_origin(form) in {list, tuple, dict}


def _forms_in(form: object, step: int | str) -> tuple[object, ...]:
    """List the forms one step inside; a union's tag is a step that leads nowhere."""
    if isinstance(form, type) and issubclass(form, BaseModel):
        fields = {
            f.alias or name: f.annotation for name, f in form.model_fields.items()
        }
        return (fields[str(step)],) if step in fields else (form,)
    if _is_container(form):
        return get_args(form)[-1:] if get_origin(form) is dict else get_args(form)[:1]
    return tuple(inner for part in get_args(form) for inner in _forms_in(part, step))
