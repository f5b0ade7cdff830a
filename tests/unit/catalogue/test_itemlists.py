"""Lists of files with boxes, texts, targets and labels, whole and broken."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, save
from PIL import Image

from harness.catalogue.bindings import InputBindings
from harness.catalogue.datasets import OwnData, Wanted, open_dataset
from harness.domain.labelled import Metric
from harness.errors import UsageError


def a_model(folder: Path) -> Path:
    shape = ["N", 1, 2, 3]
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)],
    )
    opset = helper.make_opsetid("", 13)
    path = folder / "model.onnx"
    save(helper.make_model(graph, opset_imports=[opset], ir_version=8), path)
    return path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Give a folder of three samples, without a list."""
    folder = tmp_path / "data"
    folder.mkdir()
    for name in "abc":
        np.save(folder / f"{name}.npy", np.full((1, 2, 3), ord(name), np.float32))
    return folder


def opened(
    data: Path, text: str, metric: Metric, *, goes_on: bool = False, name: str = ""
) -> OwnData:
    path = data / (name or "labels.csv")
    path.write_text(text, encoding="utf-8")
    wanted = Wanted(path=path if name else data, metric=metric, goes_on=goes_on)
    scratch = data.parent / "scratch"
    scratch.mkdir(exist_ok=True)
    return open_dataset(wanted, a_model(data.parent), InputBindings(), scratch)


def held(own: OwnData) -> dict[str, NDArray[np.generic]]:
    with np.load(own.file) as archive:
        return {name: archive[name] for name in archive.files}


def test_a_list_may_lie_in_the_folder_or_be_named_itself(data: Path) -> None:
    text = "file,label\na.npy,dog\nc.npy,cat\n"

    inside = opened(data, text, Metric.TOP1)
    named = opened(data, text, Metric.TOP1, name="mine.csv")

    for own in (inside, named):
        assert held(own)["x"][:, 0, 0, 0].tolist() == [ord("a"), ord("c")]
        assert held(own)["labels"].tolist() == [1, 0]
        assert own.classes == ("cat", "dog")


def test_boxes_are_padded_to_the_most_of_an_image(data: Path) -> None:
    own = opened(
        data,
        "file, class, x1, y1, x2, y2\n"
        "a.npy, 1, 0, 0, 10, 10\nb.npy,,,,,\na.npy, 0, 5, 5, 6, 6\n",
        Metric.MAP,
    )

    assert held(own)["labels"].tolist() == [
        [[1, 0, 0, 10, 10], [0, 5, 5, 6, 6]],
        [[-1, 0, 0, 0, 0], [-1, 0, 0, 0, 0]],
    ]


def test_texts_go_with_what_tokens_are_in_words(data: Path) -> None:
    (data / "tokens.txt").write_text("\n▁turn\n▁on\n", encoding="utf-8")

    own = opened(data, 'file,text\na.npy,"turn, on"\nb.npy,开灯\n', Metric.CER)

    arrays = held(own)
    assert arrays["labels"].tolist() == ["turn, on", "开灯"]
    assert arrays["tokens"].tolist() == ["", "▁turn", "▁on"]


def test_texts_of_numbers_are_token_ids(data: Path) -> None:
    own = opened(data, "file,text\na.npy,3 1 4\nb.npy,1 5\n", Metric.WER)

    assert held(own)["labels"].tolist() == [[3, 1, 4], [1, 5, -1]]
    assert "tokens" not in held(own)


def test_a_mask_is_a_picture_of_class_numbers(data: Path) -> None:
    levels = np.array([[0, 1, 255], [2, 2, 0]], np.uint8)
    Image.fromarray(levels).save(data / "m.png")

    own = opened(data, "file,target\na.npy,m.png\n", Metric.MIOU)

    assert held(own)["labels"].tolist() == [[[0, 1, -1], [2, 2, 0]]]


def test_a_target_picture_keeps_its_size_and_reaches_from_0_to_1(data: Path) -> None:
    Image.new("RGB", (4, 6), (255, 0, 51)).save(data / "large.png")

    labels = held(opened(data, "file,target\na.npy,large.png\n", Metric.PSNR))["labels"]

    assert labels.shape == (1, 3, 6, 4)
    assert labels[0, :, 0, 0].tolist() == [1.0, 0.0, 0.2]


def test_a_label_may_be_a_real_number(data: Path) -> None:
    own = opened(data, "file,label\na.npy,0.5\nb.npy,-2\n", Metric.MAE)

    assert held(own)["labels"].tolist() == [0.5, -2.0]


@pytest.mark.parametrize(
    ("text", "metric", "reason"),
    [
        ("file,label\na.npy,1\nnone.npy,0\n", Metric.TOP1, "none.npy: "),
        ("file,label\na.npy,dog\nb.npy,\n", Metric.TOP1, "b.npy: it has no label"),
        ("file,label\na.npy,0\n../x.npy,1\n", Metric.TOP1, "leads out of the folder"),
        (
            "file,class,x1,y1,x2,y2\na.npy,1,0,0,9,9\nb.npy,1,0,zero,9,9\n",
            Metric.MAP,
            "b.npy: a box is x1, y1, x2, y2, not 0, zero, 9, 9",
        ),
        (
            "file,class,x1,y1,x2,y2\na.npy,1,0,0,9,9\nb.npy,1,9,0,0,9\n",
            Metric.MAP,
            "b.npy: a box ends before it begins: 9, 0, 0, 9",
        ),
        ("file,target\na.npy,a.npy\nb.npy,no.png\n", Metric.MSE, "no.png: "),
        ("file,target\na.npy,a.npy\nb.npy,b.txt\n", Metric.MSE, "type '.txt'"),
        (
            "file,target\na.npy,a.npy\nb.npy,small.npy\n",
            Metric.MSE,
            r"small.npy: it is [2], others are [1, 2, 3]",
        ),
    ],
)
@pytest.mark.parametrize("goes_on", [False, True])
def test_what_is_broken_is_named_and_stops_or_is_left_out(
    data: Path, text: str, metric: Metric, reason: str, *, goes_on: bool
) -> None:
    np.save(data / "small.npy", np.zeros(2))
    if goes_on:
        own = opened(data, text, metric, goes_on=True)
        assert own.items == 1
        assert [reason in what for what in own.broken] == [True]
    else:
        with pytest.raises(UsageError, match="--skip-broken") as refusal:
            opened(data, text, metric)
        assert reason in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "metric", "reason"),
    [
        ("file,size\na.npy,3\n", Metric.TOP1, "says nothing of its files"),
        ("file,label\n", Metric.TOP1, "holds no item that can be used"),
        ("file,text\na.npy,turn on\n", Metric.WER, "'tokens' does not say"),
        ("file,label\na.npy,1\n", Metric.MAP, "they have 1 axes, and 3 are needed"),
        ("file,text\na.npy,1 2\n", Metric.TOP1, "one class index an item"),
    ],
)
def test_a_list_that_does_not_fit_is_refused_in_a_sentence(
    data: Path, text: str, metric: Metric, reason: str
) -> None:
    with pytest.raises(UsageError, match=reason):
        opened(data, text, metric)
