"""Each verb says what it does, lists what there is, and speaks JSON."""

import json
import subprocess
from collections.abc import Callable

import pytest

Command = Callable[..., "subprocess.CompletedProcess[str]"]

VERBS = ["run", "plan", "devices", "models", "doctor", "grade", "report", "verify"]


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_explains_itself(duanping: Command, verb: str) -> None:
    result = duanping(verb, "--help")

    assert result.returncode == 0
    assert "Usage" in result.stdout
    assert "--json" in result.stdout


def test_devices_lists_all_eight_classes(duanping: Command) -> None:
    result = duanping("devices", "--json")

    names = {profile["name"] for profile in json.loads(result.stdout)["profiles"]}
    assert names >= {
        "wearable",
        "xr",
        "smartphone",
        "computer",
        "smart_home",
        "industrial",
        "commercial",
        "other",
    }


def test_models_lists_the_index_with_licence_and_digest(duanping: Command) -> None:
    result = duanping("models", "--json")

    models = json.loads(result.stdout)["models"]
    assert all(model["licence"] for model in models)
    assert "dscnn-kws" in {model["name"] for model in models}


def test_doctor_speaks_json(duanping: Command) -> None:
    result = duanping("doctor", "--json")

    checks = {check["name"] for check in json.loads(result.stdout)["checks"]}
    assert {"python", "onnxruntime", "load", "disk"} <= checks


def test_plan_touches_nothing_and_says_how_long(duanping: Command) -> None:
    result = duanping("plan", "--device", "wearable", "--preset", "rapid")

    assert result.returncode == 0, result.stderr
    assert "trials, about" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("run", "--device", "wearible"), "'wearable'"),
        (("run", "--preset", "quik"), "'quick'"),
        (("run", "--suite", "wearble"), "'wearable'"),
        (("run", "--model", "nothing.onnx"), "nothing.onnx"),
        (("run", "--target", "locl@"), "'local'"),
        (("rnu",), "'run'"),
        (("verify", "no-such-bundle"), "no-such-bundle"),
    ],
)
def test_a_wrong_name_gives_a_sentence_and_the_near_ones(
    duanping: Command, arguments: tuple[str, ...], words: str
) -> None:
    result = duanping(*arguments)

    assert result.returncode in {2, 4}
    assert words in result.stderr
    assert "Traceback" not in result.stderr
