"""Labelled items in every form, whole and broken, to the one file an agent reads."""

import wave
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, save
from PIL import Image

from harness.catalogue.bindings import InputBindings
from harness.catalogue.datasets import OwnData, Wanted, open_dataset
from harness.catalogue.describe import describe
from harness.domain.labelled import Metric
from harness.errors import UsageError
from harness.runtimes.feeds import open_library


def a_model(
    folder: Path, shape: list[int | str], kind: int = TensorProto.FLOAT
) -> Path:
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info("y", kind, shape)],
    )
    opset = helper.make_opsetid("", 13)
    path = folder / "model.onnx"
    save(helper.make_model(graph, opset_imports=[opset], ir_version=8), path)
    return path


def opened(
    path: Path,
    model: Path,
    *,
    metric: Metric = Metric.TOP1,
    goes_on: bool = False,
    bindings: InputBindings | None = None,
) -> OwnData:
    scratch = model.parent / "scratch"
    scratch.mkdir(exist_ok=True)
    wanted = Wanted(path=path, metric=metric, goes_on=goes_on)
    return open_dataset(wanted, model, bindings or InputBindings(), scratch)


def held(own: OwnData) -> dict[str, NDArray[np.generic]]:
    with np.load(own.file) as archive:
        return {name: archive[name] for name in archive.files}


def test_an_npz_may_call_the_only_input_x_whatever_its_name(tmp_path: Path) -> None:
    model = a_model(tmp_path, ["N", 3])
    np.savez(tmp_path / "d.npz", data=np.ones((5, 3), np.float32), y=np.arange(5) % 3)

    own = opened(tmp_path / "d.npz", model)

    assert held(own)["x"].shape == (5, 3)
    assert own.items == 5


def test_whole_numbers_with_a_scale_feed_reals_and_whole_numbers_alike(
    tmp_path: Path,
) -> None:
    real = a_model(tmp_path, ["N", 3])
    steps = np.array([[0, 10, -128]], np.int8)
    np.savez(tmp_path / "d.npz", x=steps, scale=0.5, zero_point=2, labels=[0])
    own = opened(tmp_path / "d.npz", real)
    for kind, wanted in (
        (TensorProto.FLOAT, [-1.0, 4.0, -65.0]),
        (TensorProto.INT8, [0, 10, -128]),
    ):
        model = a_model(tmp_path, ["N", 3], kind)
        inputs = describe(model, InputBindings(samples=own.file)).inputs

        library = open_library(inputs, 0, own.file, is_labelled=True)

        assert library.sample(0)["x"].tolist() == [wanted]


def test_a_csv_has_a_line_an_item_and_a_column_label(tmp_path: Path) -> None:
    model = a_model(tmp_path, ["N", 2, 2])
    (tmp_path / "d.csv").write_text("a,b,label,c,d\n1,2,1,3,4\n5,6,0,7,8\n")

    arrays = held(opened(tmp_path / "d.csv", model))

    assert arrays["x"].tolist() == [[[1, 2], [3, 4]], [[5, 6], [7, 8]]]
    assert arrays["labels"].tolist() == [1, 0]


def test_a_folder_has_a_subfolder_a_class(tmp_path: Path) -> None:
    model = a_model(tmp_path, ["N", 1, 4, 6])
    for name, level in (("cat", 255), ("dog", 0)):
        (tmp_path / "d" / name).mkdir(parents=True)
        picture = Image.new("RGB", (12, 8), (level, level, level))
        picture.save(tmp_path / "d" / name / "1.png")
        np.save(tmp_path / "d" / name / "2.npy", np.full(24, level / 255.0))

    own = opened(tmp_path / "d", model)

    arrays = held(own)
    assert own.classes == ("cat", "dog")
    assert arrays["labels"].tolist() == [0, 0, 1, 1]
    assert arrays["x"].shape == (4, 1, 4, 6)
    assert arrays["x"][:, 0, 0, 0].tolist() == [1, 1, 0, 0]


def test_pixels_reach_from_end_to_end_of_the_range_that_is_given(
    tmp_path: Path,
) -> None:
    model = a_model(tmp_path, ["N", 2, 2, 3])
    (tmp_path / "d" / "0").mkdir(parents=True)
    Image.new("RGB", (2, 2), (255, 0, 255)).save(tmp_path / "d" / "0" / "1.png")

    own = opened(
        tmp_path / "d", model, bindings=InputBindings(ranges={"x": (-1.0, 1.0)})
    )

    assert held(own)["x"][0, 0, 0].tolist() == [1, -1, 1]


def test_sound_is_cut_or_filled_up_to_the_input(tmp_path: Path) -> None:
    model = a_model(tmp_path, ["N", 4])
    (tmp_path / "d" / "3").mkdir(parents=True)
    with wave.open(str(tmp_path / "d" / "3" / "a.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(np.array([16384, -32768], "<i2").tobytes())

    arrays = held(opened(tmp_path / "d", model))

    assert arrays["x"].tolist() == [[0.5, -1.0, 0.0, 0.0]]
    assert arrays["labels"].tolist() == [3]


def mlperf_tiny(folder: Path, lines: str) -> Path:
    data = folder / "kws01"
    data.mkdir()
    (data / "y_labels.csv").write_text(lines)
    for number in range(3):
        values = np.array([number, -number, 1], np.int8)
        (data / f"tst_{number}.bin").write_bytes(values.tobytes())
    return data


def test_the_layout_of_mlperf_tiny_is_read(tmp_path: Path) -> None:
    model = a_model(tmp_path, ["N", 3], TensorProto.INT8)
    data = mlperf_tiny(tmp_path, "tst_0.bin, 12, 7\ntst_1.bin,12,0\ntst_2.bin,12,3\n")

    arrays = held(opened(data, model))

    assert arrays["x"].tolist() == [[0, 0, 1], [1, -1, 1], [2, -2, 1]]
    assert arrays["labels"].tolist() == [7, 0, 3]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("none.bin,12,1", "none.bin"),
        ("../model.onnx,12,1", "leads out of the folder"),
        ("tst_1.bin,12", "line 2: not file, classes, label"),
        ("long.bin,12,1", "long.bin: it has 9 bytes"),
    ],
)
@pytest.mark.parametrize("goes_on", [False, True])
def test_a_broken_item_is_named_and_stops_or_is_left_out_by_the_flag(
    tmp_path: Path, line: str, reason: str, *, goes_on: bool
) -> None:
    model = a_model(tmp_path, ["N", 3], TensorProto.INT8)
    data = mlperf_tiny(tmp_path, f"tst_0.bin,12,7\n{line}\ntst_2.bin,12,3\n")
    (data / "long.bin").write_bytes(bytes(9))
    if goes_on:
        own = opened(data, model, goes_on=True)
        assert own.items == 2
        assert [reason in what for what in own.broken] == [True]
    else:
        with pytest.raises(UsageError, match="--skip-broken") as refusal:
            opened(data, model)
        assert reason in str(refusal.value)


def test_a_value_that_is_not_finite_breaks_its_item_alone(tmp_path: Path) -> None:
    model = a_model(tmp_path, ["N", 2])
    x = np.ones((4, 2), np.float32)
    x[2, 1] = np.nan
    np.savez(tmp_path / "d.npz", x=x, labels=[0, 1, 0, 1])

    own = opened(tmp_path / "d.npz", model, goes_on=True)

    assert held(own)["labels"].tolist() == [0, 1, 1]
    assert own.broken == ("item 2: 'x' holds values that are not finite",)


@pytest.mark.parametrize(
    ("labels", "metric", "reason"),
    [
        (np.arange(4), Metric.TOP1, "4 labels, but 5 items"),
        (np.arange(5) - 1, Metric.TOP1, "one class index an item, from 0"),
        (np.ones((5, 2), int), Metric.TOP1, "one class index an item"),
        (np.full(5, 0.5), Metric.F1, "one class index an item"),
        (np.arange(5), Metric.AUC, "0 and 1, and both must occur"),
        (np.ones(5, int), Metric.AUC, "0 and 1, and both must occur"),
        (np.ones((5, 4), int), Metric.MIOU, "2 axes, and 3 are needed"),
        (np.ones((5, 2, 4)), Metric.MAP, "a box is class"),
        (np.array(["a"] * 5), Metric.MSE, "must be numbers"),
        (np.array(3), Metric.TOP1, "1 labels, but 5 items"),
        (np.array([0, 1, 1, 2, 0]), Metric.TOP1, "Label 2 of item 3 is none of the"),
        (np.zeros(0, int), Metric.TOP1, "no label"),
    ],
)
def test_labels_that_do_not_fit_are_refused_before_anything_is_measured(
    tmp_path: Path, labels: NDArray[np.generic], metric: Metric, reason: str
) -> None:
    model = a_model(tmp_path, ["N", 2])
    np.savez(tmp_path / "d.npz", x=np.ones((5, 2), np.float32), labels=labels)

    with pytest.raises(UsageError, match=reason):
        opened(tmp_path / "d.npz", model, metric=metric)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("none", "no such data set"),
        ("empty", "no item that can be used"),
        ("text.csv", "no column 'label'"),
        ("text.npz", "cannot be read"),
        ("bare.npz", "holds no labels"),
    ],
)
def test_what_is_no_data_set_is_refused_in_a_sentence(
    tmp_path: Path, name: str, reason: str
) -> None:
    model = a_model(tmp_path, ["N", 2])
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.csv").write_text("a,b\n1,2\n")
    (tmp_path / "text.npz").write_text("a,b\n1,2\n")
    np.savez(tmp_path / "bare.npz", x=np.ones((5, 2), np.float32))

    with pytest.raises(UsageError, match=reason):
        opened(tmp_path / name, model)


def test_a_csv_may_say_the_language_of_each_item(tmp_path: Path) -> None:
    model = a_model(tmp_path, ["N", 2])
    (tmp_path / "d.csv").write_text(
        "a,language,label,b\n1,zh,1,2\n3, en ,0,4\n5,zh,1,6\n"
    )

    own = opened(tmp_path / "d.csv", model)

    assert held(own)["x"].tolist() == [[1, 2], [3, 4], [5, 6]]
    labelled = own.labelled("")
    assert labelled.grouping == "language"
    assert labelled.groups == ("en", "zh")
    assert labelled.group_of == (1, 0, 1)


def test_an_npz_may_name_groups_and_those_of_broken_items_go_with_them(
    tmp_path: Path,
) -> None:
    model = a_model(tmp_path, ["N", 2])
    values = np.array([[1, 2], [np.nan, 0], [5, 6]], np.float32)
    np.savez(
        tmp_path / "d.npz",
        x=values,
        labels=[0, 1, 0],
        group=np.array(["child", "adult", "60+"]),
    )

    own = opened(tmp_path / "d.npz", model, goes_on=True)

    assert "group" not in held(own)
    assert own.grouping.kind == "group"
    assert own.grouping.names == ("child", "60+")
    assert own.labelled("").group_of == (1, 0)


def test_a_folder_may_hold_a_file_that_says_the_language_of_each(
    tmp_path: Path,
) -> None:
    model = a_model(tmp_path, ["N", 2])
    for place in ("yes/a", "yes/b", "no/a"):
        file = tmp_path / "d" / f"{place}.npy"
        file.parent.mkdir(parents=True, exist_ok=True)
        np.save(file, np.zeros(2))
    (tmp_path / "d" / "groups.csv").write_text(
        "file,language\nyes/a.npy,zh\nno/a.npy,en\nyes/b.npy,en\n"
    )

    own = opened(tmp_path / "d", model)

    assert own.grouping.names == ("en", "zh", "en")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("file,tongue\na.npy,zh\n", "no columns 'file' and"),
        ("file,language\nyes/a.npy,zh\n", "Item 1 says no language"),
    ],
)
def test_a_file_of_groups_that_does_not_say_all_is_refused(
    tmp_path: Path, text: str, why: str
) -> None:
    model = a_model(tmp_path, ["N", 2])
    (tmp_path / "d" / "yes").mkdir(parents=True)
    for name in ("a", "b"):
        np.save(tmp_path / "d" / "yes" / f"{name}.npy", np.zeros(2))
    (tmp_path / "d" / "groups.csv").write_text(text)

    with pytest.raises(UsageError, match=why):
        opened(tmp_path / "d", model)


def test_a_column_of_ever_new_groups_is_refused(tmp_path: Path) -> None:
    model = a_model(tmp_path, ["N", 1])
    lines = [f"{n},0,name{n}" for n in range(201)]
    (tmp_path / "d.csv").write_text("\n".join(["x,label,language", *lines]))

    with pytest.raises(UsageError, match="201 groups"):
        opened(tmp_path / "d.csv", model)


def test_languages_of_another_number_than_labels_are_refused(tmp_path: Path) -> None:
    model = a_model(tmp_path, ["N", 1])
    np.savez(
        tmp_path / "d.npz",
        x=np.zeros((3, 1), np.float32),
        labels=[0, 1, 0],
        language=np.array(["zh", "en"]),
    )

    with pytest.raises(UsageError, match="3 labels, but 2 items say their language"):
        opened(tmp_path / "d.npz", model)
