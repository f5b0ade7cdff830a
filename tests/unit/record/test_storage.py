from pathlib import Path

import pytest

from harness.errors import StorageError
from harness.record.storage import new_folder, storing, unused, write_durably


def test_a_file_is_written_whole(tmp_path: Path) -> None:
    write_durably(tmp_path / "a", b"bytes")

    assert (tmp_path / "a").read_bytes() == b"bytes"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_file_that_cannot_take_its_name_leaves_no_half(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()

    with pytest.raises(IsADirectoryError):
        write_durably(tmp_path / "a", b"bytes")

    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_names_are_counted_up_and_never_taken_twice(tmp_path: Path) -> None:
    folders = [new_folder(tmp_path, "run").name for _ in range(3)]
    (tmp_path / "x.part").touch()

    assert folders == ["run", "run-2", "run-3"]
    assert unused(tmp_path, "x", ".part").name == "x-2.part"
    assert unused(tmp_path, "y", ".part").name == "y.part"


def test_an_error_of_the_disk_says_what_is_safe_and_what_to_do() -> None:
    with (
        pytest.raises(StorageError) as told,
        storing(Path("bundle"), survives="all is safe", remedy="Make room."),
    ):
        raise OSError(28, "No space left on device", "bundle/x")

    assert told.value.sentence() == (
        "The record cannot be written: No space left on device; all is safe "
        "(bundle/x). Make room."
    )


def test_other_errors_pass_as_they_are() -> None:
    with (
        pytest.raises(ValueError, match="mine"),
        storing(Path("bundle"), survives="", remedy=""),
    ):
        raise ValueError("mine")
