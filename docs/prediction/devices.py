"""The devices that profiles are made for: what they are, and which figures are theirs.

A device takes from the default of a class (`template`) what no table tells of it:
scatter, start, memory of the runtime. Sizes of memories are of the data sheets or
product pages of the boards.
"""

from dataclasses import dataclass, field

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """One profile to be made; `cell` begins the key of the figures behind it."""

    name: str
    title_zh: str
    title_en: str
    template: str
    stands_for: str
    cell: str
    stack: dict[str, str]
    source: str
    ram_bytes: int
    flash_bytes: int = 0
    battery_wh: float | None = None
    idle_w: float | None = None
    """Published; None: assumed to be the template's share of the active power."""
    prunes: bool = False
    overrides: dict[str, tuple[float, str, str]] = field(default_factory=dict)
    """Parameter → value, unit and source, instead of the template's."""


_TINY = "MLPerf Tiny"
_HUB = "Qualcomm AI Hub"
_EDGE = "MLPerf Inference"
_ZOO = "STM32 model zoo"
_NXP = "NXP eIQ"


_ST_POWER = "fit:MLPerf Tiny v1.3, STMicroelectronics NUCLEO-U575ZI-Q, 1.8 V SMPS, "


def _phone_heat(watts_per_kelvin: float) -> dict[str, tuple[float, str, str]]:
    """Assume a chip that slows down from 75 °C on and is at 70 % at 95 °C."""
    why = "assumed: passively cooled, of this size"
    return {
        "thermal.resistance": (1 / watts_per_kelvin, "K/W", why),
        "thermal.limit": (75.0, "degC", "assumed"),
        "thermal.critical": (95.0, "degC", "assumed"),
        "throttle.time_constant": (180.0, "s", why),
        "throttle.floor": (0.7, "ratio", "assumed"),
    }


def _tiny(version: str, precision: str = "int8") -> dict[str, str]:
    return {"runtime": version, "precision": precision, "threads": "1"}


def _hub(runtime: str) -> dict[str, str]:
    return {
        "runtime": f"{runtime} (QAIRT 2.42)",
        "precision": "int8",
        "quantisation": "w8a8",
        "power_mode": "burst",
    }


MICROCONTROLLERS = (
    Device(
        name="nucleo-u575zi-q",
        title_zh="意法半导体 NUCLEO-U575ZI-Q 开发板",
        title_en="ST NUCLEO-U575ZI-Q",
        template="wearable",
        stands_for="STM32U575 (Cortex-M33, 160 MHz), Bosch HALE v1.2; power at 1.8 V",
        cell="NUCLEO-U575ZI-Q 160 MHz | bosch: HALE v1.2",
        stack=_tiny("HALE v1.2"),
        source=_TINY,
        ram_bytes=786 * KIB,
        flash_bytes=2 * MIB,
        overrides={
            "power.active": (23.3e-3, "W", _ST_POWER + "ic, vww"),
            "power.idle": (4.7e-3, "W", _ST_POWER + "sww at a duty of 0.363"),
        },
    ),
    Device(
        name="nucleo-l4r5zi",
        title_zh="意法半导体 NUCLEO-L4R5ZI 开发板",
        title_en="ST NUCLEO-L4R5ZI",
        template="wearable",
        stands_for="STM32L4R5 (Cortex-M4, 120 MHz, 1.8 V), X-CUBE-AI 9",
        cell="NUCLEO-L4R5ZI 120 MHz | STMicroelectronics: X-CUBE-AI 9-10",
        stack=_tiny("X-CUBE-AI 9"),
        source=_TINY,
        ram_bytes=640 * KIB,
        flash_bytes=2 * MIB,
        prunes=True,
    ),
    Device(
        name="nucleo-h7a3zi-q",
        title_zh="意法半导体 NUCLEO-H7A3ZI-Q 开发板",
        title_en="ST NUCLEO-H7A3ZI-Q",
        template="smart_home",
        stands_for="STM32H7A3 (Cortex-M7, 280 MHz), X-CUBE-AI 7.3 (Krai, v1.1)",
        cell="NUCLEO-H7A3ZI-Q 280 MHz | Krai: X-CUBE-AI v1.1",
        stack=_tiny("X-CUBE-AI 7.3"),
        source=_TINY,
        ram_bytes=1184 * KIB,
        flash_bytes=2 * MIB,
    ),
    Device(
        name="disco-f746ng",
        title_zh="意法半导体 32F746GDISCOVERY 开发板",
        title_en="ST 32F746GDISCOVERY",
        template="smart_home",
        stands_for="STM32F746 (Cortex-M7, 216 MHz), Bosch HALE, MLPerf Tiny v1.2",
        cell="DISCO-F746NG 216 MHz | bosch: HALE v1.2",
        stack=_tiny("HALE v1.2"),
        source=_TINY,
        ram_bytes=320 * KIB,
        flash_bytes=1 * MIB,
    ),
    Device(
        name="nucleo-g0b1re",
        title_zh="意法半导体 NUCLEO-G0B1RE 开发板",
        title_en="ST NUCLEO-G0B1RE",
        template="wearable",
        stands_for="STM32G0B1 (Cortex-M0+, 64 MHz), Bosch HALE, MLPerf Tiny v1.2",
        cell="NUCLEO-G0B1RE 64 MHz | bosch: HALE v1.2",
        stack=_tiny("HALE v1.2"),
        source=_TINY,
        ram_bytes=144 * KIB,
        flash_bytes=512 * KIB,
    ),
    Device(
        name="xg24-dk2601b",
        title_zh="芯科 xG24-DK2601B 开发套件",
        title_en="Silicon Labs xG24-DK2601B",
        template="wearable",
        stands_for="EFR32MG24 (Cortex-M33, 78 MHz, with MVP), TFLM, MLPerf Tiny v1.0",
        cell="xG24-DK2601B 78 MHz | silicon_labs: TFLM v1.0",
        stack=_tiny("TFLM with MVP kernels"),
        source=_TINY,
        ram_bytes=256 * KIB,
        flash_bytes=1536 * KIB,
    ),
    Device(
        name="ek-ra6m4",
        title_zh="瑞萨 EK-RA6M4 开发板",
        title_en="Renesas EK-RA6M4",
        template="wearable",
        stands_for="RA6M4 (Cortex-M33, 200 MHz, 3 V), MLPerf Tiny v0.7",
        cell="EK-RA6M4 200 MHz | renesas: unnamed v0.7",
        stack=_tiny("as submitted, not named"),
        source=_TINY,
        ram_bytes=256 * KIB,
        flash_bytes=1 * MIB,
    ),
    Device(
        name="stm32h747i-disco",
        title_zh="意法半导体 STM32H747I-DISCO 开发板",
        title_en="ST STM32H747I-DISCO",
        template="smart_home",
        stands_for="STM32H747 (Cortex-M7, 400 MHz, external memory), X-CUBE-AI 9-10",
        cell="STM32H747I-DISCO | X-CUBE-AI",
        stack=_tiny("X-CUBE-AI 9-10"),
        source=_ZOO,
        ram_bytes=32 * MIB,
        flash_bytes=128 * MIB,
    ),
)

BOARDS = (
    Device(
        name="raspberry-pi-4",
        title_zh="树莓派 4B",
        title_en="Raspberry Pi 4 Model B",
        template="other",
        stands_for="BCM2711 (4 x Cortex-A72, 1.5 GHz), TFLite 2.4.1 with ruy, int8",
        cell="Raspberry Pi 4 | TFLite v2.4.1 (ruy) | int8",
        stack={"runtime": "TFLite 2.4.1 (ruy)", "precision": "int8", "threads": "4"},
        source=_EDGE,
        ram_bytes=4 * GIB,
        idle_w=3.9,
        overrides={
            "thermal.resistance": (10.0, "K/W", "assumed: bare board, no fan"),
            "thermal.limit": (80.0, "degC", "datasheet:Raspberry Pi, soft limit"),
            "thermal.critical": (85.0, "degC", "datasheet:Raspberry Pi, hard limit"),
            "throttle.time_constant": (200.0, "s", "assumed"),
            "throttle.floor": (0.4, "ratio", "datasheet:Raspberry Pi, 600 MHz"),
        },
    ),
    Device(
        name="agx-xavier-cpu",
        title_zh="英伟达 Jetson AGX Xavier(仅 CPU)",
        title_en="NVIDIA Jetson AGX Xavier, CPU only",
        template="other",
        stands_for="8 x Carmel, TFLite 2.4.1 with ruy, int8",
        cell="AGX Xavier CPU | TFLite v2.4.1 (ruy) | int8",
        stack={"runtime": "TFLite 2.4.1 (ruy)", "precision": "int8"},
        source=_EDGE,
        ram_bytes=32 * GIB,
    ),
    Device(
        name="imx8mp-evk-cpu",
        title_zh="恩智浦 i.MX 8M Plus EVK(CPU)",
        title_en="NXP i.MX 8M Plus EVK, CPU",
        template="other",
        stands_for="4 x Cortex-A53 at 1.8 GHz, one thread, TFLite, int8",
        cell="i.MX 8M Plus | TFLite 1 threads",
        stack={"runtime": "TFLite", "precision": "int8", "threads": "1"},
        source=_NXP,
        ram_bytes=6 * GIB,
    ),
    Device(
        name="imx93-evk-cpu",
        title_zh="恩智浦 i.MX 93 EVK(CPU)",
        title_en="NXP i.MX 93 EVK, CPU",
        template="other",
        stands_for="2 x Cortex-A55 at 1.7 GHz, one thread, TFLite, int8",
        cell="i.MX 93 | TFLite 1 threads",
        stack={"runtime": "TFLite", "precision": "int8", "threads": "1"},
        source=_NXP,
        ram_bytes=2 * GIB,
    ),
    Device(
        name="stm32mp157f-dk2",
        title_zh="意法半导体 STM32MP157F-DK2 开发板",
        title_en="ST STM32MP157F-DK2",
        template="other",
        stands_for="2 x Cortex-A7 at 800 MHz, TFLite 2.11, int8",
        cell="STM32MP157F-DK2 | TFLite",
        stack={"runtime": "TFLite 2.11.0", "precision": "int8", "threads": "2"},
        source=_ZOO,
        ram_bytes=512 * MIB,
    ),
)

ACCELERATED = (
    Device(
        name="galaxy-s24",
        title_zh="三星 Galaxy S24(骁龙 8 Gen 3)",
        title_en="Samsung Galaxy S24 (Snapdragon 8 Gen 3)",
        template="smartphone",
        stands_for="Snapdragon 8 Gen 3 for Galaxy, NPU, QNN, w8a8",
        cell="Samsung Galaxy S24 | qnn_dlc | w8a8",
        stack=_hub("QNN"),
        source=_HUB,
        ram_bytes=8 * GIB,
        battery_wh=15.4,
        overrides=_phone_heat(0.07),
    ),
    Device(
        name="galaxy-s25",
        title_zh="三星 Galaxy S25(骁龙 8 至尊版)",
        title_en="Samsung Galaxy S25 (Snapdragon 8 Elite)",
        template="smartphone",
        stands_for="Snapdragon 8 Elite for Galaxy, NPU, QNN, w8a8",
        cell="Samsung Galaxy S25 | qnn_dlc | w8a8",
        stack=_hub("QNN"),
        source=_HUB,
        ram_bytes=12 * GIB,
        battery_wh=15.5,
        overrides=_phone_heat(0.07),
    ),
    Device(
        name="snapdragon-8-elite-gen5",
        title_zh="骁龙 8 至尊版 Gen 5 参考机",
        title_en="Snapdragon 8 Elite Gen 5 reference device",
        template="smartphone",
        stands_for="Snapdragon 8 Elite Gen 5 QRD, NPU, QNN, w8a8",
        cell="Snapdragon 8 Elite Gen 5 QRD | qnn_dlc | w8a8",
        stack=_hub("QNN"),
        source=_HUB,
        ram_bytes=12 * GIB,
        battery_wh=19.0,
        overrides=_phone_heat(0.07),
    ),
    Device(
        name="snapdragon-7-gen4",
        title_zh="骁龙 7 Gen 4 参考机",
        title_en="Snapdragon 7 Gen 4 reference device",
        template="smartphone",
        stands_for="Snapdragon 7 Gen 4 QRD, NPU, QNN, w8a8",
        cell="Snapdragon 7 Gen 4 QRD | qnn_dlc | w8a8",
        stack=_hub("QNN"),
        source=_HUB,
        ram_bytes=8 * GIB,
        battery_wh=19.2,
        overrides=_phone_heat(0.07),
    ),
    Device(
        name="xr2-gen2",
        title_zh="骁龙 XR2 Gen 2 头显(QCS8450)",
        title_en="Snapdragon XR2 Gen 2 headset (QCS8450)",
        template="xr",
        stands_for="QCS8450 proxy, the chip of XR2 Gen 2, NPU, QNN, w8a8",
        cell="QCS8450 (Proxy) | qnn_dlc | w8a8",
        stack=_hub("QNN"),
        source=_HUB,
        ram_bytes=8 * GIB,
        battery_wh=19.4,
        overrides=_phone_heat(0.15),
    ),
    Device(
        name="snapdragon-x-elite",
        title_zh="骁龙 X Elite 笔记本",
        title_en="Snapdragon X Elite laptop",
        template="computer",
        stands_for="Snapdragon X Elite CRD, NPU, QNN, w8a8",
        cell="Snapdragon X Elite CRD | qnn_dlc | w8a8",
        stack=_hub("QNN"),
        source=_HUB,
        ram_bytes=16 * GIB,
        battery_wh=54.0,
    ),
    Device(
        name="rb3-gen2",
        title_zh="高通 Dragonwing RB3 Gen 2(QCS6490)",
        title_en="Qualcomm Dragonwing RB3 Gen 2 (QCS6490)",
        template="industrial",
        stands_for="QCS6490, RB3 Gen 2 Vision Kit, NPU, QNN, w8a8",
        cell="Dragonwing RB3 Gen 2 Vision Kit | qnn_dlc | w8a8",
        stack=_hub("QNN"),
        source=_HUB,
        ram_bytes=6 * GIB,
    ),
    Device(
        name="iq-9075",
        title_zh="高通 Dragonwing IQ-9075 工业套件",
        title_en="Qualcomm Dragonwing IQ-9075 industrial kit",
        template="industrial",
        stands_for="QCS9075, IQ-9075 EVK, NPU, QNN, w8a8",
        cell="Dragonwing IQ-9075 EVK | qnn_dlc | w8a8",
        stack=_hub("QNN"),
        source=_HUB,
        ram_bytes=16 * GIB,
    ),
)

DEVICES = (*MICROCONTROLLERS, *BOARDS, *ACCELERATED)
