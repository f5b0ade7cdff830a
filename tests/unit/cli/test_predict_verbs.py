"""``predict``, ``calibrate-profile`` and ``profile check`` as a person meets them."""

import json
import subprocess
from collections.abc import Callable
from math import exp
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from harness.emulation.networks import standard_networks
from harness.emulation.predict import emulation_of, rates_of
from harness.emulation.terms import terms_of
from harness.errors import ExitCode
from harness.schema.profile import load_profile, profile_path

Command = Callable[..., "subprocess.CompletedProcess[str]"]


def a_model(path: Path, *, width: int = 64, tokens: int | str = 8) -> Path:
    """Write a network of one int8 convolution and a product."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["a"]),
        helper.make_node("Relu", ["a"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", tokens, width])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.ones((width, width), np.float32), "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    onnx.save(model, path)
    return path


def test_a_model_is_predicted_on_several_devices_at_once(
    duanping: Command, tmp_path: Path
) -> None:
    model = a_model(tmp_path / "m.onnx")

    done = duanping("predict", str(model), "--device", "wearable,galaxy-s24", "--json")

    facts = json.loads(done.stdout)
    assert done.returncode == ExitCode.OK
    assert facts["origin"] == "emulated"
    assert facts["model"]["macs"] == 8 * 64 * 64
    first, second = facts["predictions"]
    assert (first["device"], second["device"]) == ("wearable", "galaxy-s24")
    for one in (first, second):
        low, high = one["interval_90_s"]
        assert low < one["latency_s"] < high
        assert sum(one["shares"].values()) == pytest.approx(1.0)
    assert {f["code"] for f in second["findings"]} >= {"outside-emulation-domain"}


def test_the_page_says_everywhere_that_it_is_emulated(
    duanping: Command, tmp_path: Path
) -> None:
    model, page = a_model(tmp_path / "m.onnx"), tmp_path / "p.html"

    done = duanping("predict", str(model), "--device", "wearable", "--out", str(page))

    text = page.read_text(encoding="utf-8")
    assert done.returncode == ExitCode.OK
    assert "EMULATED" in done.stdout
    assert text.count("EMULATED") >= 2
    assert "<script" not in text
    assert "data:image/svg+xml" in text


def test_a_model_that_does_not_fit_is_an_answer_and_the_exit_code_says_so(
    duanping: Command, tmp_path: Path
) -> None:
    model = a_model(tmp_path / "m.onnx", width=2048)

    done = duanping("predict", str(model), "--device", "nucleo-g0b1re")

    assert done.returncode == ExitCode.NO
    assert "do not fit 524288 of flash" in " ".join(done.stdout.split())


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["none.onnx"], "cannot be read"),
        (["text.onnx"], "no ONNX model"),
        (["open.onnx"], "The shape of x is open"),
        (["m.onnx", "--device", "galaxy-s23"], "Did you mean 'galaxy-s2"),
        (["m.onnx", "--out", "p.png"], "ends in .html or .svg"),
        (["m.onnx", "--as", "nothing"], "No tier of wearable is about 'nothing'"),
        (["m.onnx", "--device", ","], "No device is named"),
    ],
)
def test_bad_input_to_predict_gets_a_sentence(
    arguments: list[str], sentence: str, duanping: Command, tmp_path: Path
) -> None:
    a_model(tmp_path / "m.onnx")
    a_model(tmp_path / "open.onnx", tokens="T")
    (tmp_path / "text.onnx").write_text("no model", encoding="utf-8")

    done = duanping("predict", str(tmp_path / arguments[0]), *arguments[1:])

    assert done.returncode == ExitCode.USAGE
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def measurements(folder: Path, names: list[str], scale: float = 2.0) -> Path:
    """Write what a device like the Raspberry Pi 4, but slower, would be measured at."""
    profile = load_profile(profile_path("raspberry-pi-4"))
    assert emulation_of(profile).unit == "cpu"
    generator = np.random.default_rng(5)
    lines = ["model,latency_ms,energy_mj"]
    for name in names:
        terms = terms_of(rates_of(profile), standard_networks()[name].amounts("int8"))
        scatter = exp(0.03 * generator.standard_normal())
        seconds = scale * sum(term.seconds for term in terms) * scatter
        lines.append(f"{name},{seconds * 1e3:.6g},{seconds * 6e3:.6g}")
    path = folder / "m.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


NAMES = ["mbv2_0.35_128", "mbv2_1.0_224", "resnet18", "squeezenet1_1", "efflite0"]


def test_five_models_calibrate_a_profile_that_then_predicts_others(
    duanping: Command, tmp_path: Path
) -> None:
    mine = tmp_path / "mine.toml"
    source = str(measurements(tmp_path, NAMES))

    done = duanping(
        *("calibrate-profile", "--from", source, "--device", str(mine)),
        *("--like", "raspberry-pi-4", "--idle", "2 W", "--json"),
    )
    later = str(measurements(tmp_path, ["mbv1_1.0_224", "mbv2_0.75_160", "efflite1"]))
    checked = duanping("profile", "check", str(mine), "--from", later, "--json")

    facts = json.loads(done.stdout)
    assert done.returncode == ExitCode.OK
    assert set(facts["left_out"]) == set(NAMES)
    assert facts["parameters"]["power.active"] == pytest.approx(6.0)
    assert len(facts["measure_next"]) == 3
    profile = load_profile(mine)
    assert profile.name == "mine"
    emulation = emulation_of(profile)
    assert emulation.sources[0].licence == "own measurements"
    assert emulation.parameters["mac_rate.dense"].source == "fit:m.csv"
    found = json.loads(checked.stdout)
    assert checked.returncode == ExitCode.OK
    assert found["mean_error"] < 0.12
    assert found["held_by_interval_90"] >= 2


def test_a_profile_whose_intervals_do_not_hold_is_told_apart_by_exit_code(
    duanping: Command, tmp_path: Path
) -> None:
    source = str(measurements(tmp_path, NAMES, scale=5.0))

    done = duanping("profile", "check", "raspberry-pi-4", "--from", source)

    assert done.returncode == ExitCode.NO
    assert "0 of 5 within" in done.stdout


def test_one_model_and_a_wild_row_are_said_to_be_what_they_are(
    duanping: Command, tmp_path: Path
) -> None:
    one = str(measurements(tmp_path, NAMES[:1]))
    first = duanping(
        *("calibrate-profile", "--from", one, "--device", str(tmp_path / "a.toml")),
        *("--like", "other"),
    )
    path = measurements(tmp_path, [*NAMES, "resnet50"])
    path.write_text(
        path.read_text(encoding="utf-8") + "mbv2_0.5_160,90000,\n", encoding="utf-8"
    )
    second = duanping(
        *("calibrate-profile", "--from", str(path)),
        *("--device", str(tmp_path / "b.toml"), "--like", "raspberry-pi-4"),
    )

    assert "nothing of the error" in " ".join(first.stdout.split())
    assert "look at these again: mbv2_0.5_160" in " ".join(second.stdout.split())


@pytest.mark.parametrize(
    ("verb", "sentence"),
    [
        (["calibrate-profile", "--from", "m.csv", "--device", "x.toml"], "--like"),
        (
            [
                *("calibrate-profile", "--from", "m.csv", "--device", "x.toml"),
                *("--like", "other", "--unit", "tpu"),
            ],
            "There is no unit that computes 'tpu'",
        ),
        (
            [
                *("calibrate-profile", "--from", ".", "--device", "x.toml"),
                *("--like", "other"),
            ],
            "There is no record in this folder",
        ),
        (["profile", "check", "other"], "nothing to check against"),
        (["profile", "check", "other", "--from", "odd.csv"], "'nothere'"),
    ],
)
def test_bad_input_to_calibrating_and_checking_gets_a_sentence(
    verb: list[str], sentence: str, duanping: Command, tmp_path: Path
) -> None:
    measurements(tmp_path, NAMES)
    (tmp_path / "odd.csv").write_text("model,latency_ms\nnothere,3\n", encoding="utf-8")
    placed = [
        str(tmp_path / word)
        if word.endswith((".csv", ".toml")) or word == "."
        else word
        for word in verb
    ]

    done = duanping(*placed)

    assert done.returncode == ExitCode.USAGE
    assert sentence in done.stderr


def test_a_model_outside_of_what_a_profile_covers_is_told_apart(
    duanping: Command, tmp_path: Path
) -> None:
    model = a_model(tmp_path / "m.onnx")

    done = duanping("profile", "check", "raspberry-pi-4", "--model", str(model))

    assert done.returncode == ExitCode.NO
    assert "outside what raspberry-pi-4 covers" in done.stdout
