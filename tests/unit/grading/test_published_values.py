"""Published figures of real devices fall into the tiers they were sorted into by hand.

Single published numbers, simple acceptance, no uncertainty. Where the figures are
from: MLPerf Tiny v1.2 and v1.3 (mlcommons/tiny_results_v1.2 at cadb362 and _v1.3 at
cd605ea); Qualcomm AI Hub Models (quic/ai-hub-models at 52c080d), times to first token
scaled to 1024 tokens; MLPerf Client (mlcommons/mlperf_client at b0e1d45).
"""

import pytest

from harness.domain.estimate import MEASURANDS, Estimate, Measurand
from harness.domain.origin import Origin
from harness.domain.profile import DeviceClass
from harness.domain.requirement import Requirement, Tier, TierSet, Verdict
from harness.grading import judge
from harness.schema.tiers import load_tier_set, tier_set_path
from harness.units import si_unit, to_si

TINY = "MLPerf Tiny v1.2, v1.3"
AI_HUB = "Qualcomm AI Hub Models"
CLIENT = "MLPerf Client"

Device = tuple[str, float, str]

PUBLISHED: tuple[tuple[str, str, str, str, tuple[Device, ...]], ...] = (
    (
        "wearable",
        "kws_e",
        "uJ",
        TINY,
        (
            ("Syntiant 0.9 V", 31.5, "A"),
            ("STM32U385", 245.3, "B"),
            ("STM32U575", 656.2, "B"),
            ("STM32H7A3", 1375.6, "C"),
            ("STM32L4R5", 1820.5, "C"),
        ),
    ),
    (
        "wearable",
        "p_on",
        "mW",
        TINY,
        (
            ("Syntiant", 0.507, "A"),
            ("STM32U385", 3.975, "B"),
            ("STM32U3C5", 4.319, "B"),
            ("STM32U575", 11.47, "C"),
            ("STM32H7A3 40 MHz", 16.17, "D"),
            ("STM32L4R5", 25.62, "D"),
        ),
    ),
    (
        "wearable",
        "ic_e",
        "uJ",
        TINY,
        (
            ("Syntiant", 101.8, "A"),
            ("STM32U385", 965.6, "B"),
            ("STM32U575", 2579, "B"),
            ("STM32H7A3", 5090.3, "C"),
            ("STM32L4R5", 6919.4, "C"),
        ),
    ),
    (
        "smart_home",
        "kws_lat",
        "ms",
        TINY,
        (
            ("K1", 1.39, "A"),
            ("RA8D1", 3.47, "B"),
            ("STM32H7A3", 11.3, "B"),
            ("STM32U575", 28.9, "C"),
            ("STM32L4R5", 43.2, "D"),
            ("STM32G0B1", 474.6, "D"),
        ),
    ),
    (
        "smart_home",
        "p_on",
        "mW",
        TINY,
        (
            ("Syntiant", 0.507, "A"),
            ("STM32U385", 3.975, "A"),
            ("STM32U575", 11.47, "B"),
            ("STM32H7A3", 30.45, "B"),
        ),
    ),
    (
        "smart_home",
        "vww_lat",
        "ms",
        TINY,
        (
            ("Syntiant", 4.1, "A"),
            ("RA8D1", 13.4, "A"),
            ("STM32U575", 59.3, "B"),
            ("STM32L4R5", 88.9, "C"),
            ("STM32L4R5, another submitter", 180.5, "D"),
        ),
    ),
    (
        "xr",
        "hand_lat",
        "ms",
        AI_HUB,
        (("XR2 Gen 2 proxy, float", 3.29, "A"), ("QCS8275, float", 9.11, "D")),
    ),
    (
        "xr",
        "gaze_lat",
        "ms",
        AI_HUB,
        (
            ("XR2 Gen 2 proxy, CPU, float", 71.08, "D"),
            ("X Elite, CPU, float, ONNX Runtime", 10.6, "B"),
        ),
    ),
    (
        "smartphone",
        "det_lat",
        "ms",
        AI_HUB,
        (
            ("S24, ONNX Runtime on NPU", 1.23, "A"),
            ("SD 7 Gen 4, QNN on NPU", 1.53, "A"),
            ("Q-6690, QNN on NPU", 8.47, "B"),
            ("SD 7 Gen 4, ONNX Runtime on CPU", 31.54, "C"),
            ("Q-6690, ONNX Runtime on CPU", 41.45, "D"),
        ),
    ),
    (
        "smartphone",
        "llm_tpot",
        "ms",
        AI_HUB,
        (
            ("8 Elite Gen 5, 3B", 33.9, "A"),
            ("8 Elite, 3B", 42.6, "B"),
            ("8 Elite, 8B", 76.6, "B"),
            ("S24, Phi-3.5-mini", 76.9, "B"),
            ("SA8295P, 3B", 283.8, "D"),
        ),
    ),
    (
        "smartphone",
        "llm_ttft",
        "ms",
        AI_HUB,
        (
            ("8 Elite Gen 5, 3B", 464, "A"),
            ("8 Elite, 3B", 706, "B"),
            ("8 Elite, 8B", 1236, "C"),
        ),
    ),
    (
        "computer",
        "llm_tpot",
        "ms",
        f"{CLIENT}; {AI_HUB}",
        (
            ("Core Ultra 288V, GPU", 42.4, "B"),
            ("Core Ultra 288V, NPU", 54.1, "B"),
            ("X Elite, NPU, Llama-3-8B", 99.6, "C"),
            ("X Elite, NPU, Llama-3.1-8B", 106.9, "D"),
        ),
    ),
    (
        "computer",
        "llm_ttft",
        "ms",
        CLIENT,
        (("Core Ultra 288V, GPU", 317, "A"), ("Core Ultra 288V, NPU", 1028, "C")),
    ),
    (
        "industrial",
        "vision_lat",
        "ms",
        AI_HUB,
        (
            ("IQ-9075, ONNX Runtime", 2.2, "A"),
            ("QCS6490, QNN", 3.62, "A"),
            ("QCS6490, ONNX Runtime on CPU", 60.77, "C"),
        ),
    ),
    (
        "industrial",
        "ad_lat",
        "ms",
        TINY,
        (
            ("RA8D1", 0.531, "A"),
            ("STM32H7A3", 1.22, "B"),
            ("STM32U575", 3.4, "B"),
            ("STM32L4R5", 5.25, "C"),
            ("STM32G0B1", 40.9, "D"),
        ),
    ),
    (
        "commercial",
        "face_pipe",
        "ms",
        AI_HUB,
        (
            ("Q-6690, QNN", 5.8, "A"),
            ("Q-6690, ONNX Runtime on CPU", 29.5, "A"),
            ("QCS6490, ONNX Runtime on CPU", 52, "B"),
        ),
    ),
    (
        "other",
        "pose_lat",
        "ms",
        AI_HUB,
        (
            ("QCS6490, HRNet w8a8", 3.66, "A"),
            ("Q-6690, HRNet w8a8", 10.28, "B"),
            ("Q-6690, HRNet w8a16, ONNX Runtime on CPU", 214.2, "D"),
        ),
    ),
)

CASES = [
    pytest.param((klass, row), (value, unit), tier, id=f"{klass}-{row}-{device}")
    for klass, row, unit, _, devices in PUBLISHED
    for device, value, tier in devices
]


@pytest.fixture(scope="module")
def tier_set() -> TierSet:
    return load_tier_set(tier_set_path("2026.1"))


def row_of(tier_set: TierSet, device_class: str, row_id: str) -> Requirement:
    rows = tier_set.classes[DeviceClass(device_class)].rows
    return next(row for row in rows if row.id == row_id)


def published(requirement: Requirement, value: float, unit: str) -> Estimate:
    declared = Measurand(name="declared", unit=si_unit(unit))
    return Estimate(
        measurand=MEASURANDS.get(requirement.measurand, declared),
        workload="any",
        scenario="",
        origin=Origin.DECLARED,
        value=to_si(value, unit),
        standard_uncertainty=0.0,
    )


@pytest.mark.parametrize(("where", "figure", "tier"), CASES)
def test_a_published_figure_lands_in_the_tier_it_was_sorted_into(
    tier_set: TierSet, where: tuple[str, str], figure: tuple[float, str], tier: str
) -> None:
    requirement = row_of(tier_set, *where)
    estimate = published(requirement, *figure)

    reached = next(
        (
            found
            for found in (Tier.A, Tier.B, Tier.C)
            if judge(requirement, found, estimate) is Verdict.PASS
        ),
        Tier.D,
    )

    assert reached == Tier(tier)


def test_no_row_puts_every_known_device_into_one_tier() -> None:
    tiers = [{tier for _, _, tier in devices} for *_, devices in PUBLISHED]

    assert all(len(found) > 1 for found in tiers)
    assert len(CASES) == 68
