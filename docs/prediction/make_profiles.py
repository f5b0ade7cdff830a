"""Fits the profiles of single devices: python docs/prediction/make_profiles.py DATA.

DATA is the folder of the published tables. Writes device_profiles/NAME.toml for each
device of `devices.DEVICES`.
"""

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from devices import DEVICES, Device
from tables import Cell, all_cells

from harness.domain.profile import DeviceProfile, EmulationModel, Parameter, Source
from harness.emulation.calibration import Request, calibrate
from harness.emulation.fit import FIT_FORMS, fit
from harness.emulation.predict import check, emulation_of
from harness.emulation.priors import prior_of
from harness.schema.profile import load_profile, profile_path
from harness.schema.profile_text import profile_text

PROFILES = Path(__file__).resolve().parents[2] / "device_profiles"

SOURCES = {
    "MLPerf Tiny": Source(
        id="MLPerf Tiny",
        title="MLPerf Tiny results v0.5-v1.3, closed division",
        licence="Apache-2.0",
        date="2021-06 to 2025-09",
        place="github.com/mlcommons/tiny_results_v*",
        note="A prediction is no MLPerf result.",
    ),
    "MLPerf Inference": Source(
        id="MLPerf Inference",
        title="MLPerf Inference results v1.0, edge, open division, Krai",
        licence="Apache-2.0",
        date="2021-04",
        place="github.com/mlcommons/inference_results_v1.0 @ f7759baf",
        note="Energy is at the wall. A prediction is no MLPerf result.",
    ),
    "Qualcomm AI Hub": Source(
        id="Qualcomm AI Hub",
        title="Qualcomm AI Hub Models, performance tables of v0.46.1",
        licence="BSD-3-Clause",
        date="2026-02",
        place="github.com/quic/ai-hub-models @ 52c080d2",
    ),
    "STM32 model zoo": Source(
        id="STM32 model zoo",
        title="STM32 AI model zoo, tables of four READMEs",
        licence="numbers only",
        date="2024 to 2025",
        place="github.com/STMicroelectronics/stm32ai-modelzoo @ 79cff536",
    ),
    "NXP eIQ": Source(
        id="NXP eIQ",
        title="NXP eIQ Model Zoo, tables of its READMEs",
        licence="MIT",
        date="2023-05 to 2025-09",
        place="github.com/NXP/eiq-model-zoo @ 94f810aa",
    ),
}
_REPLACED = ("mac_rate.", "bandwidth.", "throttle.", "thermal.", "prunes")
"""Parameters of a template that say nothing of another device."""


def main(folder: Path) -> None:
    """Fit and write every profile, and say what each reached."""
    cells = all_cells(folder)
    for device in DEVICES:
        (cell,) = (one for one in cells if one.key.startswith(device.cell))
        profile = made(device, cell, float_twin(cell, cells))
        check(profile)
        path = PROFILES / f"{device.name}.toml"
        remark = (
            f"{device.title_en}: fitted to {len(cell.families)} published networks.\n"
            "Written by docs/prediction/make_profiles.py; may be read and edited."
        )
        path.write_text(profile_text(profile, remark=remark), encoding="utf-8")
        factor = emulation_of(profile).parameters["interval_90"].value
        print(
            f"{path.name}: {len(cell.families)} networks, 90 % within ×/÷ {factor:.2f}"
        )


def float_twin(cell: Cell, cells: Sequence[Cell]) -> Cell | None:
    """Find the same device and stack in float, where it was published."""
    wanted = (cell.device, cell.stack, "float")
    alike = (one for one in cells if (one.device, one.stack, one.precision) == wanted)
    return next(alike, None)


def _wide_factor(cell: Cell, twin: Cell, source: str) -> Parameter:
    """Give how much longer a product takes in float than in eight bits."""
    costs = [
        fit(
            one.anchors,
            FIT_FORMS[one.unit],
            prior_of(one.unit, one.precision),
            onchip_bytes=one.onchip_bytes,
        ).costs["mac_rate.dense"]
        for one in (cell, twin)
    ]
    factor = max(1.0, costs[1] / costs[0])
    return Parameter(value=factor, unit="ratio", source=f"{source} and float")


def made(device: Device, cell: Cell, twin: Cell | None) -> DeviceProfile:
    """Make one profile: fits, published facts, and the template for the rest."""
    template = load_profile(profile_path(device.template))
    model = emulation_of(template)
    source = f"fit:{device.source}, {cell.key}"
    usual = model.parameters
    idle_share = usual["power.idle"].value / usual["power.active"].value
    calibrated = calibrate(
        cell.anchors,
        Request(
            unit=cell.unit,
            prior=prior_of(cell.unit, cell.precision),
            onchip_bytes=cell.onchip_bytes,
            source=source,
            idle_w=device.idle_w,
        ),
    )
    parameters = {
        name: _borrowed(one, device.template)
        for name, one in usual.items()
        if not name.startswith(_REPLACED)
    }
    parameters |= calibrated.parameters
    if "power.active" in calibrated.parameters and device.idle_w is None:
        parameters["power.idle"] = Parameter(
            value=idle_share * parameters["power.active"].value,
            unit="W",
            source=f"assumed: the share of {device.template}, {idle_share:.2f}",
        )
    parameters |= _facts(device, cell)
    if twin is not None:
        parameters["wide_factor"] = _wide_factor(cell, twin, source)
    for name, (value, unit, why) in device.overrides.items():
        parameters[name] = Parameter(value=value, unit=unit, source=why)
    kept = [one for one in model.sources if one.id != device.source]
    return replace(
        template,
        name=device.name,
        title_zh=device.title_zh,
        title_en=device.title_en,
        ram_bytes=device.ram_bytes,
        battery_j=None if device.battery_wh is None else device.battery_wh * 3600,
        emulation=EmulationModel(
            form="rates/1",
            stands_for=device.stands_for,
            unit=cell.unit,
            stack=device.stack,
            parameters=dict(sorted(parameters.items())),
            covered=calibrated.covered,
            left_out=calibrated.latency_left_out,
            known=calibrated.known,
            family=f"usual of {cell.unit}" if calibrated.fitted.is_scale_only else "",
            sources=(SOURCES[device.source], *kept),
        ),
    )


def _borrowed(one: Parameter, template: str) -> Parameter:
    """Say of a template's number that it was measured elsewhere."""
    if one.source.startswith("assumed"):
        return one
    return replace(one, source=f"transferred:{template}: {one.source}")


def _facts(device: Device, cell: Cell) -> dict[str, Parameter]:
    found = {}
    if device.flash_bytes:
        found["memory.flash"] = Parameter(
            value=float(device.flash_bytes),
            unit="B",
            source=f"datasheet:{device.title_en}",
        )
    if device.prunes:
        found["prunes_dead_channels"] = Parameter(
            value=1.0,
            unit="ratio",
            source="fit:MLPerf Tiny v1.1, where vww alone became twice as fast",
        )
    if cell.onchip_bytes:
        found["memory.onchip"] = Parameter(
            value=cell.onchip_bytes,
            unit="B",
            source=f"fit:{device.source}, what left the least error over all NPUs",
        )
    return found


if __name__ == "__main__":
    main(Path(sys.argv[1]))
