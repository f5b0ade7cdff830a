"""Nouns to JSON and back, for files that machines write.

The bytes are canonical (sorted keys, no spaces that carry no meaning, one trailing
newline), so that a digest of a file is a digest of its content. Reading is lenient:
keys that a newer version wrote are ignored, since evidence is never written again.
"""

import json
from collections.abc import Hashable
from functools import cache
from typing import Any, TypeVar, cast

from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError

from harness.errors import SchemaError

T = TypeVar("T")


def _adapter(form: object) -> TypeAdapter[Any]:
    # mypy takes no class for hashable, but an object; every form is a class or a union.
    return _made(form)


@cache
def _made(form: Hashable) -> TypeAdapter[Any]:
    return TypeAdapter(cast("Any", form))


def to_plain(noun: object, form: Any = None) -> Any:  # noqa: ANN401 - JSON values
    """Give a noun as JSON values (mappings, lists, strings, numbers)."""
    try:
        return _adapter(form or type(noun)).dump_python(noun, mode="json")
    except PydanticSerializationError as error:
        raise TypeError(f"{type(noun).__name__} cannot be written: {error}") from error


def from_plain(form: type[T], plain: Any, *, where: str) -> T:  # noqa: ANN401
    """Read a noun from JSON values. Raises SchemaError naming the place in it."""
    try:
        noun: T = _adapter(form).validate_python(plain)
    except ValidationError as error:
        raise SchemaError(_first(error), where=where) from error
    return noun


def dumps(plain: Any) -> bytes:  # noqa: ANN401 - JSON values
    """Write JSON values as canonical UTF-8 bytes."""
    text = json.dumps(
        plain, ensure_ascii=False, sort_keys=True, indent=1, allow_nan=False
    )
    return (text + "\n").encode()


def dump_bytes(noun: object) -> bytes:
    """Write a noun as canonical UTF-8 bytes."""
    return dumps(to_plain(noun))


def load_bytes(form: type[T], data: bytes, *, where: str) -> T:
    """Read a noun from bytes. Raises SchemaError for what is not JSON or not it."""
    try:
        plain = json.loads(data)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise SchemaError(f"This is not JSON: {error}", where=where) from error
    return from_plain(form, plain, where=where)


def _first(error: ValidationError) -> str:
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"]) or "top level"
    return f"At {place}: {first['msg']}"
