"""Truth files of the streaming wake word: what is played, and when the word is spoken.

The form of MLPerf Tiny's runner (mlcommons/tiny, benchmark/runner/README.md): a JSON
list of one mapping with ``wav_file``, ``length_sec`` and ``detection_windows``, a list
of begin and end of each spoken word in seconds. Other keys are left alone.
"""

import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from harness.domain.plan import Recording
from harness.errors import SchemaError
from harness.units import NS_PER_S


class WrittenRecording(BaseModel):
    """One recording, as a truth file has it."""

    model_config = ConfigDict(extra="ignore")

    wav_file: str
    length_sec: float
    detection_windows: tuple[tuple[float, float], ...]


_LONGEST_NAME = 75
"""A command has 80 characters, ``play`` and a blank among them."""
_FORM = TypeAdapter(tuple[WrittenRecording, ...])


def load_recording(path: Path) -> Recording:
    """Read a truth file with one recording.

    Raises SchemaError for a file that cannot be read, is no truth file, or is one of
    several recordings.
    """
    where = str(path)
    try:
        written = _FORM.validate_python(json.loads(path.read_bytes()))
    except OSError as error:
        raise SchemaError(
            f"The file cannot be read: {error.strerror}", where=where
        ) from error
    except (ValueError, ValidationError) as error:
        raise SchemaError(
            f"This is no truth file of a wake word: {_first(error)}",
            where=where,
            remedy='Write [{"wav_file": "x.wav", "length_sec": 10.0, '
            '"detection_windows": [[1.0, 1.6]]}]',
        ) from error
    if len(written) != 1:
        raise SchemaError(
            f"A run plays one recording, and this file names {len(written)}",
            where=where,
            remedy="Make a file of each, and a run of each.",
        )
    return _recording(written[0], where)


def _recording(written: WrittenRecording, where: str) -> Recording:
    name = written.wav_file
    is_plain = name.isascii() and name.isprintable() and "%" not in name
    if not is_plain or len(name) > _LONGEST_NAME:
        raise SchemaError(
            f"An interface board cannot be told this name: {name[:80]!r}",
            where=where,
            remedy=f"Name the file in at most {_LONGEST_NAME} plain letters, and on "
            "the card as well.",
        )
    try:
        return Recording(
            file=written.wav_file,
            length_ns=round(written.length_sec * NS_PER_S),
            spoken_ns=tuple(
                (round(begin * NS_PER_S), round(end * NS_PER_S))
                for begin, end in written.detection_windows
            ),
        )
    except ValueError as error:
        raise SchemaError(f"This cannot be: {error}", where=where) from error


def _first(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors()[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
