"""The suites of the eight device classes, as files."""

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.domain.profile import DeviceClass
from harness.domain.scenario import SCENARIOS
from harness.units import parse_quantity

MODELS = Path(__file__).resolve().parents[3] / "models"
CLASSES = [one.value for one in DeviceClass]

KEYS: dict[str, set[str]] = {
    "SingleStream": set(),
    "MultiStream": {"samples_per_query"},
    "Offline": {"samples_per_query"},
    "Server": {"latency_bound", "percentile"},
    "Periodic": {"period", "deadline"},
    "Sustained": {"duration"},
    "ColdStart": set(),
    "LlmDecode": {"prompt_tokens", "output_tokens", "users", "service"},
    "LlmSustained": {"duration", "prompt_tokens", "output_tokens"},
}

REQUIRED = KEYS | {"LlmDecode": {"prompt_tokens", "output_tokens"}}

TIER_WORDS: dict[str, set[str]] = {
    # the workloads that rows of the tier set name for each class
    "wearable": {"kws", "sww", "vww", "ic", "ad", "har", "ecg", "dns"},
    "xr": {"hand", "gaze", "depth", "det", "sww", "pose", "seg"},
    "smartphone": {"mbv2", "det", "nlp", "seg", "asr_chunk", "llm"},
    "computer": {"det", "mbv2", "nlp", "llm", "clip"},
    "smart_home": {
        "kws",
        "sww",
        "vww",
        "ad",
        "food",
        "tvsr",
        "voice_e2e",
        "asr_chunk",
    },
    "industrial": {"ad", "vib", "defect", "ocr_line", "ocr"},
    "commercial": {
        "face",
        "face_det",
        "face_emb",
        "sku",
        "face_e2e",
        "ocr_line",
        "ocr",
        "asr_chunk",
    },
    "other": {"fall_imu", "fall_radar", "pose", "ecg", "nav", "sww"},
}


def suite(name: str) -> dict[str, Any]:
    text = (MODELS / "suites" / f"{name}.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)


def scenarios(name: str) -> Iterator[dict[str, Any]]:
    for workload in suite(name)["workload"]:
        yield from workload["scenario"]


@pytest.mark.parametrize("name", CLASSES)
def test_every_class_has_a_suite_of_three_to_eight_workloads_of_its_tiers(
    name: str,
) -> None:
    read = suite(name)

    ids = [workload["id"] for workload in read["workload"]]
    assert (read["format"], read["name"]) == ("duanping/suite/1", name)
    assert 3 <= len(ids) <= 8
    assert len(set(ids)) == len(ids)
    assert set(ids) == TIER_WORDS[name]


@pytest.mark.parametrize("name", CLASSES)
def test_every_workload_names_a_model_of_the_index(name: str) -> None:
    known = {
        model["name"]
        for index in ("index.toml", "trained/index.toml")
        for model in tomllib.loads((MODELS / index).read_text("utf-8"))["model"]
    }

    named = {
        part["model"]
        for workload in suite(name)["workload"]
        for part in (workload, *workload.get("stage", ()))
        if "model" in part
    }
    assert named <= known


@pytest.mark.parametrize("name", CLASSES)
def test_every_workload_has_titles_in_two_languages_and_each_scenario_once(
    name: str,
) -> None:
    for workload in suite(name)["workload"]:
        kinds = [scenario["kind"] for scenario in workload["scenario"]]
        assert workload["title_zh"]
        assert workload["title_en"]
        assert kinds[0] in {"SingleStream", "LlmDecode"}
        assert len(set(kinds)) == len(kinds)


@pytest.mark.parametrize("name", CLASSES)
def test_a_scenario_says_what_is_its_own_and_nothing_else(name: str) -> None:
    for scenario in scenarios(name):
        assert scenario["kind"] in SCENARIOS
        assert set(scenario) - {"kind"} <= KEYS[scenario["kind"]]
        assert set(scenario) - {"kind"} >= REQUIRED[scenario["kind"]]
        for key in ("period", "deadline", "latency_bound", "duration"):
            assert parse_quantity(scenario.get(key, "1 s"), "s") > 0


@pytest.mark.parametrize("name", CLASSES)
def test_every_class_starts_one_workload_cold(name: str) -> None:
    kinds = [scenario["kind"] for scenario in scenarios(name)]

    assert kinds.count("ColdStart") == 1


def test_every_scenario_is_used_somewhere() -> None:
    used = {scenario["kind"] for name in CLASSES for scenario in scenarios(name)}

    assert used == set(SCENARIOS)


@pytest.mark.parametrize("name", ["xr", "smartphone"])
def test_a_class_with_a_core_row_on_heat_has_a_sustained_load(name: str) -> None:
    assert "Sustained" in {scenario["kind"] for scenario in scenarios(name)}


@pytest.mark.parametrize("name", ["wearable", "xr", "smart_home", "other"])
def test_the_wake_word_runs_at_its_hop_where_it_is_always_on(name: str) -> None:
    (wake,) = (one for one in suite(name)["workload"] if one["id"] == "sww")

    (always_on,) = (one for one in wake["scenario"] if one["kind"] == "Periodic")
    assert always_on["period"] == always_on["deadline"] == "32 ms"


NO_STAND_IN = {"tvsr_frame", "llm1.5", "llm3", "llm8", "llm_s"}
"""Only a television has the first; language models of a size are the user's own."""


@pytest.mark.parametrize("name", CLASSES)
def test_every_row_of_the_tier_set_finds_its_workload_in_the_suite(name: str) -> None:
    path = MODELS.parent / "device_profiles" / "tiers" / "2026.1.toml"
    rows = tomllib.loads(path.read_text(encoding="utf-8"))["classes"][name]["rows"]

    asked = {workload for row in rows for workload in row.get("workloads", ())}

    there = {workload["id"] for workload in suite(name)["workload"]}
    assert asked - there <= NO_STAND_IN


@pytest.mark.parametrize(
    ("name", "workload", "stages"),
    [
        ("xr", "hand", ["palm-det", "crop-peak", "hand-landmark"]),
        ("commercial", "ocr", ["ocr-page", "crop-lines", "ocr-line", "ctc-decode"]),
        ("industrial", "ocr", ["ocr-page", "crop-lines", "ocr-line", "ctc-decode"]),
    ],
)
def test_a_detector_feeds_what_reads_its_finds(
    name: str, workload: str, stages: list[str]
) -> None:
    (found,) = (one for one in suite(name)["workload"] if one["id"] == workload)

    assert [one.get("model") or one["step"] for one in found["stage"]] == stages
