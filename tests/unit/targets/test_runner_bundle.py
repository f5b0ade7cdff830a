"""The C runner is built, put together, and found again."""

import platform
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from harness.errors import EquipmentError, Unsupported
from harness.targets.runner import build
from harness.targets.runner.build import (
    ARCHITECTURES,
    build_bundle,
    compile_runner,
    find_compiler,
)
from harness.targets.runner.bundle import (
    LIBRARY,
    RUNNER,
    Bundle,
    agents_folder,
    find_bundle,
    keep_bundle,
    require_bundle,
)

LOADER = "ld-linux-aarch64.so.1"
EM_AARCH64 = 183


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def some_files(folder: Path, words: str = "library") -> Path:
    folder.mkdir()
    for name in (RUNNER, LOADER, LIBRARY):
        (folder / name).write_text(words)
    return folder


def test_what_was_never_built_is_said_with_the_command_that_builds_it(
    cache: Path,
) -> None:
    assert find_bundle("aarch64") is None
    with pytest.raises(Unsupported, match="No C runner was built for aarch64") as error:
        require_bundle("arm64", "ssh:board")

    assert not cache.exists()
    assert "make agents" in error.value.remedy
    assert "python -m harness.targets.runner aarch64" in error.value.remedy


@pytest.mark.usefixtures("cache")
def test_a_bundle_is_found_by_any_name_of_its_machine(tmp_path: Path) -> None:
    kept = keep_bundle(some_files(tmp_path / "files"), "aarch64", LOADER)

    assert find_bundle("arm64") == find_bundle("aarch64") == kept
    assert kept.folder.name == kept.sha256
    assert [file.name for file in kept.files] == [LOADER, LIBRARY, RUNNER]
    assert kept.start("/data") == (
        f"/data/{LOADER}",
        "--library-path",
        "/data",
        "/data/runner",
    )
    assert (kept.folder / RUNNER).stat().st_mode & 0o111


@pytest.mark.usefixtures("cache")
def test_the_same_files_are_the_same_bundle_and_others_another(tmp_path: Path) -> None:
    one = keep_bundle(some_files(tmp_path / "one"), "aarch64", LOADER)
    again = keep_bundle(some_files(tmp_path / "again"), "aarch64", LOADER)
    other = keep_bundle(some_files(tmp_path / "other", "newer"), "aarch64", LOADER)

    assert one == again
    assert one.sha256 != other.sha256
    assert find_bundle("aarch64") == other


@pytest.mark.usefixtures("cache")
def test_a_bundle_that_was_half_removed_is_none(tmp_path: Path) -> None:
    kept = keep_bundle(some_files(tmp_path / "files"), "aarch64", LOADER)
    (kept.folder / "bundle.json").write_text("{")
    assert find_bundle("aarch64") is None

    shutil.rmtree(agents_folder() / "aarch64" / kept.sha256)
    assert find_bundle("aarch64") is None


@pytest.mark.usefixtures("cache")
def test_a_machine_whose_compiler_is_missing_is_told_which_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(Unsupported, match="no compiler for aarch64") as error:
        build_bundle(ARCHITECTURES["aarch64"], None, lambda _: None)

    assert "apt-get install gcc-aarch64-linux-gnu" in error.value.remedy


def test_a_machine_that_has_no_wheel_needs_a_library_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="no wheel of onnxruntime") as error:
        build.fetch_library(ARCHITECTURES["armv7l"], tmp_path)

    assert "--library PATH" in error.value.remedy


def test_the_library_is_taken_out_of_a_wheel(tmp_path: Path) -> None:
    wheel = tmp_path / "onnxruntime-9-cp311-cp311-manylinux_2_28_aarch64.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("onnxruntime/capi/_pybind.so", "another")
        archive.writestr(f"onnxruntime/capi/{LIBRARY}.9", "this one")
    build.unpack_library(wheel, tmp_path / LIBRARY)
    assert (tmp_path / LIBRARY).read_text() == "this one"

    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("onnxruntime/capi/_pybind.so", "another")
    with pytest.raises(EquipmentError, match="no libonnxruntime"):
        build.unpack_library(wheel, tmp_path / LIBRARY)


def test_a_compiler_that_fails_is_quoted(tmp_path: Path) -> None:
    compiler = tmp_path / "gcc"
    compiler.write_text("#!/bin/sh\necho 'out of cheese' >&2\nexit 1\n")
    compiler.chmod(0o755)

    with pytest.raises(EquipmentError, match="gcc failed: out of cheese"):
        compile_runner(str(compiler), tmp_path / RUNNER)


@pytest.mark.skipif(
    shutil.which("aarch64-linux-gnu-gcc") is None, reason="no compiler for aarch64"
)
def test_it_compiles_for_arm(tmp_path: Path) -> None:
    compiler = find_compiler(ARCHITECTURES["aarch64"])
    assert compiler is not None
    compile_runner(compiler, tmp_path / RUNNER)

    elf = (tmp_path / RUNNER).read_bytes()
    assert elf[:4] == b"\x7fELF"
    assert elf[18] == EM_AARCH64


def test_the_command_says_what_it_was_asked_wrongly() -> None:
    two = ("x86_64", "aarch64")
    done = subprocess.run(
        [sys.executable, "-m", "harness.targets.runner", "--library", "x.so", *two],
        capture_output=True,
        text=True,
        env={"PATH": "/nowhere"},
        check=False,
    )
    assert done.returncode == 2
    assert "--library goes with one machine" in done.stderr


def test_a_machine_that_it_does_not_know_is_named_with_those_that_it_does() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "harness.targets.runner", "aarch46"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "aarch46" in done.stderr
    assert "aarch64" in done.stderr


@pytest.mark.skipif(
    platform.machine() not in ARCHITECTURES, reason="no runner for this machine"
)
def test_what_was_built_here_says_what_this_machine_is(runner: Bundle) -> None:
    done = subprocess.run(
        [*runner.start(), "facts"], capture_output=True, text=True, check=True
    )
    assert f'"machine":"{platform.machine()}"' in done.stdout
    assert f'"runtime_version":"{build.onnxruntime_version()}"' in done.stdout


def test_a_verb_that_there_is_not_is_said_so(runner: Bundle) -> None:
    done = subprocess.run(
        [*runner.start(), "dance", "slowly"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == "no such verb: dance slowly\n"
