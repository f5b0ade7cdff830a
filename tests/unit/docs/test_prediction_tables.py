"""Intervals and profiles against the published tables, where these are at hand."""

import importlib
from pathlib import Path
from typing import Any

import pytest

from harness.emulation.predict import emulation_of
from harness.schema.profile import load_profile, profile_path

TOP = Path(__file__).resolve().parents[3]
DATA = TOP.parent / "shared" / "data" / "emulation"


@pytest.fixture
def scripts(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Load the scripts of docs/prediction; skip where the tables are not here."""
    if not DATA.is_dir():
        pytest.skip("the published tables are not beside this checkout")
    monkeypatch.syspath_prepend(str(TOP / "docs" / "prediction"))
    names = ("tables", "devices", "make_profiles", "make_errors")
    return {name: importlib.import_module(name) for name in names}


def test_intervals_hold_nine_tenths_of_models_that_were_left_out(
    scripts: dict[str, Any],
) -> None:
    cells = scripts["tables"].all_cells(DATA)
    wanted = [
        cell
        for cell in cells
        if cell.unit != "mcu"
        and (cell.stack, cell.precision) != ("tflite", "w8a8")
        and cell.precision in {"w8a8", "int8"}
    ]

    measured = [scripts["make_errors"].errors_of(cell) for cell in wanted]

    held = [one for errors in measured for one in errors.held]
    assert len(held) > 300
    assert 0.85 <= sum(held) / len(held) <= 0.95


def test_the_raspberry_pi_is_predicted_within_ten_percent(
    scripts: dict[str, Any],
) -> None:
    cells = scripts["tables"].all_cells(DATA)
    (cell,) = (
        c for c in cells if c.key == "Raspberry Pi 4 | TFLite v2.4.1 (ruy) | int8"
    )

    errors = scripts["make_errors"].errors_of(cell)

    assert len(errors.by_model) >= 30
    within = [abs(residual) < 0.10 for residual in errors.by_model.values()]
    assert sum(within) / len(within) >= 0.9


@pytest.mark.parametrize("name", ["raspberry-pi-4", "galaxy-s24", "nucleo-u575zi-q"])
def test_a_shipped_profile_is_what_the_script_makes(
    name: str, scripts: dict[str, Any]
) -> None:
    cells = scripts["tables"].all_cells(DATA)
    (device,) = (d for d in scripts["devices"].DEVICES if d.name == name)
    (cell,) = (c for c in cells if c.key.startswith(device.cell))
    make = scripts["make_profiles"]

    made = make.made(device, cell, make.float_twin(cell, cells))

    ours = emulation_of(made).parameters
    shipped = emulation_of(load_profile(profile_path(name))).parameters
    assert list(shipped) == list(ours)
    for key, one in ours.items():
        assert shipped[key].value == pytest.approx(one.value, rel=2e-3)
