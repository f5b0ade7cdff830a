"""The networks of MLPerf Tiny, and its streaming wake word."""

from graph import Graph, Tensor
from spec import Input, Spec

_TINY = "Banbury et al., MLPerf Tiny Benchmark, NeurIPS 2021"


def ds_cnn(g: Graph, features: Tensor) -> dict[str, Tensor]:
    """Keyword spotting: a convolution and four separable ones, 64 channels."""
    x = g.conv(features, 64, (10, 4), stride=2)
    for _ in range(4):
        x = g.separable(x, 64)
    return {"probabilities": g.apply("Softmax", g.dense(g.mean(x), 12), axis=-1)}


def streaming_ds_cnn(g: Graph, frames: Tensor) -> dict[str, Tensor]:
    """Wake word over the last 30 frames of 40 mel bands, 1-D along time."""
    x = g.linear_conv(frames, 40, (3, 1), groups=40, padding="valid")
    for kernel, filters in ((5, 128), (10, 128), (15, 128)):
        x = g.conv(x, filters, 1)
        x = g.linear_conv(x, filters, (kernel, 1), groups=filters, padding="valid")
    x = g.flatten(g.conv(x, 32, 1))
    return {"probabilities": g.apply("Softmax", g.dense(x, 3), axis=-1)}


def resnet8(g: Graph, image: Tensor) -> dict[str, Tensor]:
    """Image classification: three residual stages of 16, 32 and 64 channels."""
    x = g.conv(image, 16)
    for filters, stride in ((16, 1), (32, 2), (64, 2)):
        branch = g.conv(x, filters, stride=stride)
        branch = g.linear_conv(branch, filters, scale=0.5)
        if stride != 1:
            x = g.linear_conv(x, filters, 1, stride=stride)
        x = g.relu(g.add(x, branch))
    return {"logits": g.dense(g.mean(x), 10)}


def mobilenet_v1(g: Graph, image: Tensor) -> dict[str, Tensor]:
    """Person detection: MobileNetV1 at a quarter of its width."""
    x = g.conv(image, 8, stride=2)
    plan = [(16, 1), (32, 2), (32, 1), (64, 2), (64, 1), (128, 2)]
    plan += [(128, 1)] * 5 + [(256, 2), (256, 1)]
    for filters, stride in plan:
        x = g.separable(x, filters, stride=stride)
    return {"logits": g.dense(g.mean(x), 2)}


def autoencoder(g: Graph, frame: Tensor) -> dict[str, Tensor]:
    """Anomaly of machine sound: nine hidden layers, the middle one of 8."""
    x = frame
    for units in (128, 128, 128, 128, 8, 128, 128, 128, 128):
        x = g.relu(g.dense(x, units))
    return {"reconstruction": g.dense(x, 640)}


SPECS = (
    Spec(
        name="dscnn-kws",
        task="keyword spotting",
        draw=ds_cnn,
        inputs=(Input(name="features", shape=(1, 49, 10)),),
        seed=101,
        source=f"DS-CNN: Zhang et al., Hello Edge, 2017; sizes as in {_TINY}",
        float_operators=("Softmax",),
    ),
    Spec(
        name="sww-dscnn",
        task="streaming wake word",
        draw=streaming_ds_cnn,
        inputs=(Input(name="frames", shape=(40, 30, 1)),),
        seed=102,
        source="Layer sizes of the streaming wake word of MLPerf Tiny v1.3, 2025",
        float_operators=("Softmax",),
    ),
    Spec(
        name="resnet8-ic",
        task="image classification, 10 classes",
        draw=resnet8,
        inputs=(Input(name="image", shape=(3, 32, 32)),),
        seed=103,
        source=f"ResNet: He et al., CVPR 2016; sizes as in {_TINY}",
    ),
    Spec(
        name="mobilenetv1-025-vww",
        task="visual wake words",
        draw=mobilenet_v1,
        inputs=(Input(name="image", shape=(3, 96, 96)),),
        seed=104,
        source=f"MobileNetV1: Howard et al., 2017; sizes as in {_TINY}",
    ),
    Spec(
        name="fcae-ad",
        task="anomaly detection in machine sound",
        draw=autoencoder,
        inputs=(Input(name="frame", shape=(640,)),),
        seed=105,
        source=f"Sizes as in {_TINY}",
    ),
)
