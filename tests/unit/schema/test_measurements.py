"""Measurements as people write them, and how a slip of the pen is answered."""

from pathlib import Path

import pytest

from harness.errors import SchemaError
from harness.schema.measurements import load_measurements, shapes_of


def written(folder: Path, text: str) -> Path:
    path = folder / "m.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_columns_carry_their_units_and_empty_cells_are_left_out(
    tmp_path: Path,
) -> None:
    text = """model, latency_ms, energy_uJ, peak_KiB, power_mW, who
a.onnx, 28.9, 656, , , me

b, 2.5e1, , 12, 23.3, you
"""
    found = load_measurements(written(tmp_path, text))

    first, second = found.rows
    assert first.model == "a.onnx"
    assert first.latency_s == pytest.approx(0.0289)
    assert first.energy_j == pytest.approx(656e-6)
    assert first.peak_bytes is None
    assert second.peak_bytes == 12 * 1024
    assert second.power_w == pytest.approx(0.0233)
    assert second.line == 4
    assert found.ignored == ("who",)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("latency_ms\n3\n", "no column 'model'"),
        ("model,latency\na,3\n", "but 'latency'.*Name it latency_ms"),
        ("model,latency_mb\na,3\n", "no column of latencies"),
        ("model,latency_ms\n", "no measurement"),
        ("model,latency_ms\n,3\n", "No model is named.*line 2"),
        ("model,latency_ms\na,\n", "'a' has no latency"),
        ("model,latency_ms\na,fast\n", "'fast' is no number.*line 2, latency_ms"),
        ("model,latency_ms\na,-3\n", "A latency of -3 cannot be"),
        ("model,latency_ms\na,nan\n", "A latency of nan cannot be"),
        ("model,latency_s\na,28900\n", "A latency of 28900 cannot be.*unit"),
        ("model,latency_ms,energy_j\na,3,0\n", "An? energy of 0 cannot be"),
    ],
)
def test_what_cannot_be_is_refused_with_its_place(
    text: str, sentence: str, tmp_path: Path
) -> None:
    with pytest.raises(SchemaError, match=sentence):
        load_measurements(written(tmp_path, text))


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_bytes(b"\xff\xfe\x00")

    with pytest.raises(SchemaError, match="cannot be read as text"):
        load_measurements(path)
    with pytest.raises(SchemaError, match="cannot be read as text"):
        load_measurements(tmp_path / "none.csv")


def test_shapes_are_read_by_input() -> None:
    assert shapes_of("x=1,3,4; y:0=7", "here") == {"x": (1, 3, 4), "y:0": (7,)}
    assert shapes_of("", "here") == {}

    with pytest.raises(SchemaError, match="'x=a' is no shape"):
        shapes_of("x=a", "here")
