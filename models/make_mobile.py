"""MobileNetV2, networks that stand on it (hand, body pose), and a palm detector."""

from graph import Graph, Tensor
from spec import Input, Spec

_PLAN = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
"""Expansion, filters, repeats, first stride: table 2 of the paper."""


def _inverted_residual(
    g: Graph, x: Tensor, expansion: int, filters: int, stride: int
) -> Tensor:
    is_residual = stride == 1 and x.shape[0] == filters
    wide = x if expansion == 1 else g.conv(x, expansion * x.shape[0], 1)
    wide = g.depthwise(wide, stride=stride)
    narrow = g.linear_conv(wide, filters, 1, scale=0.5 if is_residual else 1.0)
    return g.add(x, narrow) if is_residual else narrow


def _trunk(g: Graph, image: Tensor) -> dict[int, Tensor]:
    """Give the deepest tensor at each stride (4, 8, 16, 32) of MobileNetV2."""
    x = g.conv(image, 32, stride=2)
    deepest = {}
    for expansion, filters, repeats, first_stride in _PLAN:
        for repeat in range(repeats):
            stride = first_stride if repeat == 0 else 1
            x = _inverted_residual(g, x, expansion, filters, stride)
        deepest[image.shape[1] // x.shape[1]] = x
    return deepest


def _merge(g: Graph, coarse: Tensor, fine: Tensor, filters: int) -> Tensor:
    """Bring a coarse map to the size of a fine one and add the two."""
    return g.add(g.upsample(coarse), g.linear_conv(fine, filters, 1, scale=0.5))


def mobilenet_v2(g: Graph, image: Tensor) -> dict[str, Tensor]:
    """A thousand classes from one image."""
    x = g.conv(_trunk(g, image)[32], 1280, 1)
    return {"logits": g.dense(g.mean(x), 1000)}


def palm(g: Graph, image: Tensor) -> dict[str, Tensor]:
    """Heat map of palms at stride 8, with a box and seven points at each place."""
    x = g.conv(image, 32, stride=2)
    maps = []
    for filters, repeats in ((64, 2), (128, 3), (256, 4), (384, 7)):
        x = g.separable(x, filters, stride=2)
        for _ in range(repeats):
            narrow = g.linear_conv(g.depthwise(x), filters, 1, scale=0.5)
            x = g.relu(g.add(x, narrow))
        maps.append(x)
    x = g.linear_conv(maps[-1], 96, 1)
    for fine in reversed(maps[1:-1]):
        x = g.separable(_merge(g, x, fine, 96), 96)
    return {"palms": g.linear_conv(g.separable(x, 96), 19, 1)}


def hand(g: Graph, crop: Tensor) -> dict[str, Tensor]:
    """Twenty-one landmarks in space, which hand it is, and whether it is there."""
    deep = g.conv(_trunk(g, crop)[32], 512, 1)
    pooled = g.mean(g.separable(deep, 512))
    return {
        "landmarks": g.dense(pooled, 63),
        "side_and_presence": g.dense(pooled, 2),
    }


def pose(g: Graph, image: Tensor) -> dict[str, Tensor]:
    """Heat maps of 17 joints at stride 4."""
    maps = _trunk(g, image)
    x = g.conv(maps[32], 128, 1)
    for stride in (16, 8, 4):
        x = g.conv(_merge(g, x, maps[stride], x.shape[0]), max(x.shape[0] // 2, 48))
    return {"joints": g.linear_conv(g.conv(x, 48), 17, 1)}


_SOURCE = "MobileNetV2: Sandler et al., CVPR 2018"

SPECS = (
    Spec(
        name="mobilenetv2",
        task="image classification, 1000 classes",
        draw=mobilenet_v2,
        inputs=(Input(name="image", shape=(3, 224, 224)),),
        seed=401,
        source=_SOURCE,
        remark_en="ReLU instead of ReLU6.",
        remark_zh="以 ReLU 代替 ReLU6。",
        calibration_samples=4,
    ),
    Spec(
        name="palm-det",
        task="palm detection",
        draw=palm,
        inputs=(Input(name="image", shape=(3, 256, 256)),),
        seed=404,
        source="Own design of separable convolutions (MobileNet, 2017); task of the "
        "palm detector in Zhang et al., MediaPipe Hands, 2020 (1.76 M parameters)",
        calibration_samples=4,
    ),
    Spec(
        name="hand-landmark",
        task="hand landmarks",
        draw=hand,
        inputs=(Input(name="crop", shape=(3, 256, 256)),),
        seed=402,
        source=f"Own design on {_SOURCE}; task of the landmark network in Zhang et "
        "al., MediaPipe Hands, 2020 (2.01 M parameters)",
        calibration_samples=4,
    ),
    Spec(
        name="pose-256x192",
        task="body pose, 17 joints",
        draw=pose,
        inputs=(Input(name="image", shape=(3, 256, 192)),),
        seed=403,
        source=f"Own design on {_SOURCE}; after Xiao et al., ECCV 2018",
        remark_en="6 % of the MACs of HRNet-pose (7.1 G).",
        remark_zh="运算量为 HRNet-pose(7.1 G MACs)的 6 %。",
        calibration_samples=4,
    ),
)
