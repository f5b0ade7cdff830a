"""Whatever distribution brings a package, its version is told."""

from pathlib import Path

import pytest

from harness.installed import bringing, version_of


def install(folder: Path, name: str, version: str, *files: str) -> None:
    """Leave what pip leaves of an installed distribution."""
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Name: {name}\nVersion: {version}\n")
    (info / "RECORD").write_text("".join(f"{file},,\n" for file in files))


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    return tmp_path


def test_a_package_of_its_own_name_is_told_by_its_version_alone(site: Path) -> None:
    install(site, "onnxruntime", "1.32.0", "onnxruntime/__init__.py")

    assert version_of("onnxruntime") == "1.32.0"


def test_a_build_for_an_accelerator_is_told_with_its_name(site: Path) -> None:
    install(site, "onnxruntime-gpu", "1.31.1", "onnxruntime/__init__.py")

    assert version_of("onnxruntime") == "1.31.1 (onnxruntime-gpu)"


def test_two_that_overwrite_each_other_are_both_told(site: Path) -> None:
    install(site, "onnxruntime", "1.32.0", "onnxruntime/__init__.py")
    install(site, "onnxruntime-gpu", "1.31.1", "onnxruntime/__init__.py")

    assert version_of("onnxruntime") == "1.32.0, 1.31.1 (onnxruntime-gpu)"


def test_a_neighbour_that_brings_another_package_is_left_out(site: Path) -> None:
    install(site, "onnxruntime", "1.32.0", "onnxruntime/__init__.py")
    install(site, "onnxruntime-genai", "0.18.0", "onnxruntime_genai/__init__.py")

    assert bringing("onnxruntime") == {"onnxruntime": "1.32.0"}


@pytest.mark.usefixtures("site")
def test_nothing_is_told_of_a_package_that_is_not_there() -> None:
    assert version_of("onnxruntime") == ""
