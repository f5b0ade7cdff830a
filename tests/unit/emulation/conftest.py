"""Reference models, built once for the tests of this folder."""

import subprocess
import sys
from pathlib import Path

import pytest

BUILD = Path(__file__).resolve().parents[3] / "models" / "build.py"
NAMES = ("dscnn-kws", "resnet8-ic", "mobilenetv1-025-vww", "fcae-ad", "mobilenetv2")


@pytest.fixture(scope="session")
def reference_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a folder with <name>-s8s8.onnx and <name>-fp32.onnx of five networks."""
    folder = tmp_path_factory.mktemp("reference-models")
    command = [sys.executable, str(BUILD), "--scheme", "s8s8", "--out", str(folder)]
    subprocess.run([*command, *NAMES], check=True, capture_output=True)
    return folder
