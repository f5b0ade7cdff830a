"""The shipped device models against the published figures that they stand for.

Sources: MLPerf Tiny v1.2 and v1.3 (closed, STMicroelectronics; bosch for the dense
graph), MLPerf Inference v1.0 (open, Krai), Qualcomm AI Hub v0.46.1. The predictions
are no MLPerf results.
"""

from pathlib import Path

import pytest

from harness.emulation.graph_cost import cost_of_file
from harness.emulation.predict import check, predict
from harness.emulation.prediction import Prediction
from harness.schema.profile import load_profile, profile_names, profile_path

CONVERTED = Path(__file__).resolve().parents[4] / "shared" / "data" / "models"


def on(device: str, model: Path) -> Prediction:
    return predict(load_profile(profile_path(device)), cost_of_file(model))


@pytest.mark.parametrize("name", profile_names())
def test_every_shipped_device_model_can_be_used(name: str) -> None:
    profile = load_profile(profile_path(name))

    check(profile)

    assert profile.name == name
    assert profile.emulation is not None
    assert profile.emulation.stands_for


@pytest.mark.parametrize(
    ("device", "model", "published_ms"),
    [
        # NUCLEO-U575ZI-Q, X-CUBE-AI
        ("wearable", "dscnn-kws", 28.9),
        ("wearable", "resnet8-ic", 109.5),
        ("wearable", "fcae-ad", 3.4),
        # NUCLEO-U575ZI-Q, HALE, which prunes nothing: seeded weights have no zeros
        ("wearable", "mobilenetv1-025-vww", 119.8),
        # NUCLEO-H7A3ZI-Q, X-CUBE-AI
        ("smart_home", "dscnn-kws", 11.3),
        ("smart_home", "resnet8-ic", 40.8),
        ("smart_home", "fcae-ad", 1.225),
        # Raspberry Pi 4, TFLite 2.4.1, mobilenet-v2-1.0-224-quantized
        ("other", "mobilenetv2", 24.08),
        # Snapdragon 7 Gen 4 and X Elite, MobileNet-v2 w8a8, QNN
        ("smartphone", "mobilenetv2", 0.47),
        ("computer", "mobilenetv2", 0.58),
    ],
)
def test_latencies_are_within_a_factor_of_1_3_of_published_ones(
    device: str, model: str, published_ms: float, reference_models: Path
) -> None:
    predicted = on(device, reference_models / f"{model}-s8s8.onnx")

    assert 1 / 1.3 < predicted.latency_s * 1e3 / published_ms < 1.3


@pytest.mark.parametrize(
    ("model", "published_ms"),
    [("vww01", 59.27), ("kws01", 28.9), ("ad01", 3.4), ("sww01", 11.63)],
)
def test_trained_networks_on_the_wearable_take_what_is_published(
    model: str, published_ms: float
) -> None:
    path = CONVERTED / f"{model}_int8_qdq.onnx"
    if not path.is_file():
        pytest.skip("the trained networks are not beside this checkout")

    predicted = on("wearable", path)

    assert 1 / 1.3 < predicted.latency_s * 1e3 / published_ms < 1.3


@pytest.mark.parametrize(
    ("model", "published_uj"),
    [("dscnn-kws", 656.0), ("resnet8-ic", 2565.0), ("fcae-ad", 79.0)],
)
def test_energy_on_the_wearable_is_what_is_published_with_idle_included(
    model: str, published_uj: float, reference_models: Path
) -> None:
    predicted = on("wearable", reference_models / f"{model}-s8s8.onnx")

    gross_uj = predicted.active_power_w * predicted.latency_s * 1e6
    assert 1 / 1.3 < gross_uj / published_uj < 1.3


def test_a_large_network_does_not_fit_the_wearable(reference_models: Path) -> None:
    predicted = on("wearable", reference_models / "mobilenetv2-s8s8.onnx")

    assert "flash" in predicted.refusal


def test_energy_without_published_figures_is_said_to_be_not_validated(
    reference_models: Path,
) -> None:
    model = reference_models / "mobilenetv2-s8s8.onnx"

    quantities = [f.values.get("quantities") for f in on("smartphone", model).findings]

    assert quantities == ["energy"]
    assert on("other", model).findings == ()
