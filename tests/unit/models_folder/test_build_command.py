"""`python models/build.py` as a person or the harness calls it."""

import json
import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import onnx
import pytest

SCRIPT = Path(__file__).resolve().parents[3] / "models" / "build.py"


def build(
    *arguments: str, cwd: Path, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), *arguments],
        cwd=cwd,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_each_finished_model_is_one_line_of_json_with_its_digest(
    tmp_path: Path,
) -> None:
    names = ["fcae-ad", "gru-dns"]

    done = build("--out", "made", *names, cwd=tmp_path)

    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0
    assert [line["name"] for line in lines] == names
    for line in lines:
        content = Path(line["file"]).read_bytes()
        assert sha256(content).hexdigest() == line["sha256"]
        assert len(content) == line["size_bytes"]


def test_only_the_quantised_model_and_its_parent_are_left_in_the_folder(
    tmp_path: Path,
) -> None:
    build("--out", "made", "--scheme", "s8s8", "cnn1d-har", cwd=tmp_path)

    left = sorted(path.name for path in (tmp_path / "made").iterdir())
    assert left == ["cnn1d-har-fp32.onnx", "cnn1d-har-s8s8.onnx"]


def test_an_unknown_name_is_one_sentence_and_status_2(tmp_path: Path) -> None:
    done = build("--out", "made", "dscnn-kvs", cwd=tmp_path)

    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert "dscnn-kws" in done.stderr
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("scheme", ["u8s8", "s8s8"])
def test_a_build_gives_the_same_bytes_whatever_the_process_and_the_cpu_kernels(
    tmp_path: Path, scheme: str
) -> None:
    names = ["dscnn-kws", "tcn-nav", "mobilenetv1-025-vww"]
    plain = "AVX512F AVX512CD AVX512_SKX AVX2 FMA3"
    (tmp_path / "elsewhere").mkdir()

    build("--out", "a", "--scheme", scheme, *names, cwd=tmp_path, PYTHONHASHSEED="1")
    build(
        *("--out", "../b", "--scheme", scheme, *names),
        cwd=tmp_path / "elsewhere",
        PYTHONHASHSEED="2",
        NPY_DISABLE_CPU_FEATURES=plain,
    )

    first = {path.name: path.read_bytes() for path in (tmp_path / "a").iterdir()}
    second = {path.name: path.read_bytes() for path in (tmp_path / "b").iterdir()}
    assert len(first) == 6
    assert first == second


def test_a_file_holds_no_path_no_metadata_and_no_domain_but_onnx(
    tmp_path: Path,
) -> None:
    done = build("--out", "made", "resnet8-ic", cwd=tmp_path)

    path = Path(json.loads(done.stdout)["file"])
    model = onnx.load(path)
    assert str(tmp_path).encode() not in path.read_bytes()
    assert [(one.domain, one.version) for one in model.opset_import] == [("", 13)]
    assert model.ir_version == 7
    assert not model.metadata_props
    onnx.checker.check_model(model, full_check=True)


def test_nothing_is_left_under_a_fresh_home(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()

    done = build("--out", "made", "cnn1d-vib", cwd=tmp_path, HOME=str(home))

    assert done.returncode == 0
    assert list(home.rglob("*")) == []
