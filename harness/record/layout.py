"""Where things lie in a bundle, and how each file says what it is.

Every file names its format, ``duanping/<kind>/<major>``. A newer major version is
refused with a sentence; unknown keys of the same major version are no fault.
"""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from harness.domain.plan import Plan
from harness.errors import RecordTruncated, SchemaError, Unverifiable
from harness.record.digest import digest_of
from harness.schema.codec import dumps, from_plain, to_plain

T = TypeVar("T")

EVIDENCE = "evidence"
PLAN = "plan.json"
SUT = "sut.json"
CONDITIONS = "conditions.json"
METERS = "meters.json"
LAB = "lab.json"
JOURNAL = "journal.jsonl"
MANIFEST = "manifest.json"
SIGNATURE = "signature.dsse.json"
TRACES = "traces"
ABANDONED = "traces/abandoned"
RAW = "raw"
"""Folder of raw captures: what meters sent, byte by byte, with times of arrival."""
SPOOLED_CAPTURE = ".capture.part"
KEPT_CAPTURE = ".capture.zst"

PLAN_FORMAT = "duanping/plan/1"
SUT_FORMAT = "duanping/sut/1"
CONDITIONS_FORMAT = "duanping/conditions/1"
METERS_FORMAT = "duanping/meters/1"
LAB_FORMAT = "duanping/lab/1"
JOURNAL_FORMAT = "duanping/journal/1"
MANIFEST_FORMAT = "duanping/manifest/1"
QUERIES_FORMAT = "duanping/queries/1"
READINGS_FORMAT = "duanping/readings/1"
SPOOL_FORMAT = "duanping/spool/1"

_FORMAT = re.compile(r"^duanping/([a-z]+)/(\d{1,9})(?:\.\d+)?$")
_PLAN_ID_IN_NAME = re.compile(r"^\d{8}T\d{6}Z_.+_([0-9a-f]{8})(?:-\d+)?$")
_TRACE_NAME = re.compile(r"^traces/(?:abandoned/)?[a-z0-9][a-z0-9_.-]*$")
_CAPTURE_NAME = re.compile(r"^raw/[a-z0-9][a-z0-9_.-]*$")


def plan_bytes(plan: Plan) -> bytes:
    """Give the bytes of `plan.json`."""
    return form_bytes(PLAN_FORMAT, to_plain(plan))


def plan_id(plan: Plan) -> str:
    """Give the plan's id: the sha256 of the bytes of `plan.json`."""
    return digest_of(plan_bytes(plan))


def short_id_in(bundle_name: str) -> str | None:
    """Find the first 8 digits of the plan id in a bundle's name.

    None where the folder has been given another name, which is no fault.
    """
    match = _PLAN_ID_IN_NAME.match(bundle_name)
    return match.group(1) if match else None


def is_trace_name(name: str) -> bool:
    """Say whether a journal may name this file: inside `traces/`, no way out of it."""
    return bool(_TRACE_NAME.match(name)) and ".." not in name.split("/")


def is_capture_name(name: str) -> bool:
    """Say whether a journal may name this file as a raw capture: inside `raw/`."""
    return bool(_CAPTURE_NAME.match(name)) and ".." not in name.split("/")


def form_bytes(form: str, plain: Mapping[str, Any]) -> bytes:
    """Give the canonical bytes of a JSON file that names its format."""
    return dumps({"format": form, **plain})


def read_form(noun: type[T], path: Path, form: str) -> T:
    """Read a JSON file of the format `form` as a noun.

    Raises RecordTruncated where the file is missing, Unverifiable where it is of a
    newer format or cannot be read.
    """
    plain = load_object(file_bytes(path), str(path))
    require_format(plain.get("format"), form, where=str(path))
    return readable(noun, plain, where=str(path))


def readable(noun: type[T], plain: Any, *, where: str) -> T:  # noqa: ANN401 - JSON
    """Read a noun of a record. Raises Unverifiable where the values do not make one."""
    try:
        return from_plain(noun, plain, where=where)
    except SchemaError as error:
        raise Unverifiable(
            f"This does not say what its format promises: {error.what}",
            where=where,
            remedy="Take the bundle anew from where it was made.",
        ) from error


def load_object(data: bytes, where: str) -> dict[str, Any]:
    """Read a JSON object from bytes. Raises Unverifiable for anything else."""
    try:
        plain = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Unverifiable(
            f"This cannot be read as JSON: {error}",
            where=where,
            remedy="Take the bundle anew from where it was made.",
        ) from error
    if not isinstance(plain, dict):
        raise Unverifiable(
            "This is no JSON object",
            where=where,
            remedy="Take the bundle anew from where it was made.",
        )
    return plain


def file_bytes(path: Path) -> bytes:
    """Read a file of a bundle.

    Raises RecordTruncated where it is missing, Unverifiable where it cannot be read.
    """
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise RecordTruncated(
            f"{path.name} is missing",
            where=str(path),
            remedy="Give the folder of a whole bundle, the one that holds evidence/.",
        ) from error
    except OSError as error:
        raise Unverifiable(
            f"{path.name} cannot be read: {error.strerror}",
            where=str(path),
            remedy="Gain the right to read it, or copy the bundle anew.",
        ) from error


def require_format(found: object, known: str, *, where: str) -> None:
    """Raise Unverifiable unless `found` is a version of `known` that can be read."""
    match = _FORMAT.match(found) if isinstance(found, str) else None
    kind, major = known.split("/")[1:]
    if match is None or match.group(1) != kind:
        raise Unverifiable(
            f"This names the format {found!r}, not {known!r}",
            where=where,
            remedy="Take the bundle anew from where it was made.",
        )
    if int(match.group(2)) > int(major):
        raise Unverifiable(
            f"This was written by a newer version of duanping: its format is {found}, "
            f"and this version reads {known}",
            where=where,
            remedy="Upgrade duanping (pip install --upgrade duanping) and try again.",
        )
