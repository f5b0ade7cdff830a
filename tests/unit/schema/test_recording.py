"""Truth files of a wake word, as MLPerf Tiny's runner has them."""

import json
from pathlib import Path

import pytest

from harness.errors import SchemaError
from harness.schema.recording import load_recording

ONE = {
    "wav_file": "short_wav_easy10s.wav",
    "sample_rate": 16000,
    "length_sec": 10.0,
    "detection_windows": [[1.0, 1.6476250000000001], [4.0, 4.76175]],
}


def written(path: Path, content: object) -> Path:
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_a_recording_is_read_to_the_nanosecond(tmp_path: Path) -> None:
    recording = load_recording(written(tmp_path / "t.json", [ONE]))

    assert recording.file == "short_wav_easy10s.wav"
    assert recording.length_ns == 10_000_000_000
    assert recording.spoken_ns == (
        (1_000_000_000, 1_647_625_000),
        (4_000_000_000, 4_761_750_000),
    )


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("no JSON", "no truth file"),
        ({"wav_file": "x.wav"}, "no truth file"),
        ([{"wav_file": "x.wav"}], "length_sec"),
        ([ONE, ONE], "names 2"),
        ([], "names 0"),
        ([{**ONE, "detection_windows": [[4.0, 4.5], [1.0, 1.5]]}], "in order"),
        ([{**ONE, "detection_windows": [[9.0, 11.0]]}], "within the recording"),
        ([{**ONE, "length_sec": 0}], "a name and a length"),
        ([{**ONE, "wav_file": "100%.wav"}], "cannot be told this name"),
        ([{**ONE, "wav_file": "x" * 80}], "cannot be told this name"),
        ([{**ONE, "wav_file": "你好.wav"}], "cannot be told this name"),
    ],
)
def test_what_is_no_truth_file_is_told_with_its_place(
    tmp_path: Path, content: object, words: str
) -> None:
    path = written(tmp_path / "t.json", content)

    with pytest.raises(SchemaError, match=words) as caught:
        load_recording(path)

    assert str(path) in str(caught.value)


def test_a_file_that_is_not_there_is_told() -> None:
    with pytest.raises(SchemaError, match="cannot be read"):
        load_recording(Path("/nowhere/t.json"))
