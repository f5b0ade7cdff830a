"""Face networks: detector, embedding with liveness, and both as one pipeline."""

from graph import Graph, Tensor
from residual import blocks
from spec import Input, Spec


def face_detector(g: Graph, frame: Tensor) -> dict[str, Tensor]:
    """Heat map, box and five landmarks at stride 8 from a grey frame."""
    x = g.conv(frame, 16, stride=2)
    maps = []
    for filters, repeats in ((32, 0), (64, 2), (128, 3)):
        x = blocks(g, g.conv(x, filters, stride=2), repeats)
        maps.append(x)
    up = g.upsample(g.linear_conv(maps[-1], 64, 1))
    x = g.conv(g.add(up, g.linear_conv(maps[-2], 64, 1)), 64)
    return {"faces": g.linear_conv(x, 15, 1)}


def face_embedding(g: Graph, crop: Tensor) -> dict[str, Tensor]:
    """Identity vector of 512 and two liveness scores from an aligned face."""
    x = g.conv(crop, 32, stride=2)
    for filters, repeats in ((64, 2), (128, 2), (256, 3), (512, 4)):
        x = blocks(g, g.conv(x, filters, stride=2), repeats)
    pooled = g.mean(x)
    return {
        "embedding": g.dense(g.flatten(x), 512),
        "liveness": g.dense(pooled, 2),
    }


def face_pipeline(g: Graph, frame: Tensor, crop: Tensor) -> dict[str, Tensor]:
    """Run detector and embedding, one after the other, in one graph."""
    return face_detector(g, frame) | face_embedding(g, crop)


_FRAME = Input(name="frame", shape=(1, 480, 640))
_CROP = Input(name="crop", shape=(3, 128, 128))
_DETECTOR = "Own design after Zhou et al., Objects as Points, 2019"
_EMBEDDING = "after He et al., CVPR 2016, and Deng et al., ArcFace, CVPR 2019"

SPECS = (
    Spec(
        name="face-det",
        task="face detection",
        draw=face_detector,
        inputs=(_FRAME,),
        seed=601,
        source=_DETECTOR,
        calibration_samples=4,
    ),
    Spec(
        name="face-emb",
        task="face embedding and liveness",
        draw=face_embedding,
        inputs=(_CROP,),
        seed=602,
        source=f"Own design {_EMBEDDING}",
        calibration_samples=4,
    ),
    Spec(
        name="face-pipeline",
        task="face detection, embedding and liveness",
        draw=face_pipeline,
        inputs=(_FRAME, _CROP),
        seed=603,
        source=f"{_DETECTOR}; {_EMBEDDING}",
        remark_en="Both networks in one graph; cropping and matching are not in it.",
        remark_zh="两个网络合为一图;不含裁剪与比对。",
        calibration_samples=4,
    ),
)
