"""Own vision networks: detector, depth, gaze, super-resolution, radar."""

from graph import Graph, Tensor
from residual import blocks
from spec import Input, Spec

_CLASSES = 80


def _detector_trunk(g: Graph, image: Tensor) -> list[Tensor]:
    """Give the maps at strides 8, 16 and 32, of 64, 128 and 256 channels."""
    x = g.conv(image, 16, stride=2)
    maps = []
    for filters, repeats in ((32, 1), (64, 3), (128, 4), (256, 5)):
        x = blocks(g, g.conv(x, filters, stride=2), repeats)
        maps.append(x)
    return maps[1:]


def detector(g: Graph, image: Tensor) -> dict[str, Tensor]:
    """Boxes, objectness and 80 class scores at 8400 places, without anchors."""
    width = 96
    fine, middle, coarse = (
        g.linear_conv(one, width, 1) for one in _detector_trunk(g, image)
    )
    middle = g.conv(g.add(middle, g.upsample(coarse)), width)
    fine = g.conv(g.add(fine, g.upsample(middle)), width)
    rows = []
    for level in (fine, middle, coarse):
        x = g.conv(g.conv(level, width), width)
        x = g.linear_conv(x, 5 + _CLASSES, 1)
        places = x.shape[1] * x.shape[2]
        rows.append(g.transpose(g.reshape(x, (5 + _CLASSES, places)), (1, 0)))
    return {"detections": g.concat(*rows)}


def depth(g: Graph, image: Tensor) -> dict[str, Tensor]:
    """Relative depth of each pixel: a U-Net of four levels."""
    x = image
    skips = []
    for filters in (32, 64, 128, 256):
        x = g.conv(g.conv(g.conv(x, filters, stride=2), filters), filters)
        skips.append(x)
    for skip in reversed(skips[:-1]):
        filters = skip.shape[0]
        x = g.conv(g.concat(g.upsample(x), skip), filters)
        for _ in range(3):
            x = g.conv(x, filters)
    x = g.conv(g.conv(g.upsample(x), 16), 16)
    return {"depth": g.linear_conv(x, 1)}


def _hourglass(g: Graph, x: Tensor, levels: int) -> Tensor:
    filters = x.shape[0]
    inner = g.conv(g.max_pool(x), filters)
    if levels > 1:
        inner = _hourglass(g, inner, levels - 1)
    inner = g.linear_conv(inner, filters, scale=0.5)
    return g.relu(g.add(g.conv(x, filters), g.upsample(inner)))


def gaze(g: Graph, eye: Tensor) -> dict[str, Tensor]:
    """Heat maps of 18 eye landmarks and the direction of gaze: two hourglasses."""
    x = g.conv(eye, 48, stride=2)
    for _ in range(2):
        x = _hourglass(g, x, 3)
    maps = g.linear_conv(x, 18, 1)
    pooled = g.flatten(g.max_pool(g.conv(maps, 32, stride=2), 4))
    return {"landmarks": maps, "gaze": g.dense(g.relu(g.dense(pooled, 128)), 2)}


def super_resolution(g: Graph, tile: Tensor) -> dict[str, Tensor]:
    """Three times the height and width of one tile."""
    x = tile
    for _ in range(3):
        x = g.conv(x, 32)
    return {"large": g.depth_to_space(g.linear_conv(x, 27), 3)}


def segmentation(g: Graph, image: Tensor) -> dict[str, Tensor]:
    """Scores of 19 classes at stride 4, from maps at strides 4, 8, 16 and 32."""
    x = g.conv(image, 24, stride=2)
    maps = []
    for filters, repeats in ((48, 2), (80, 3), (128, 4), (192, 3)):
        x = blocks(g, g.conv(x, filters, stride=2), repeats)
        maps.append(x)
    x = g.conv(maps[-1], 96, 1)
    for level in reversed(maps[:-1]):
        x = g.conv(g.add(g.upsample(x), g.linear_conv(level, 96, 1)), 96)
    return {"classes": g.linear_conv(g.conv(x, 64), 19, 1)}


def text_line(g: Graph, line: Tensor) -> dict[str, Tensor]:
    """Scores of 6625 characters at 80 places along one line of text."""
    x = g.max_pool(g.conv(line, 32))
    x = g.max_pool(blocks(g, g.conv(x, 64), 1))
    for filters in (128, 192, 256):
        x = g.conv(x, filters, stride=(2, 1))
    places = x.shape[2]
    x = g.transpose(g.reshape(x, (x.shape[0], places)), (1, 0))
    hidden = g.relu(g.tokenwise(x, 192))
    return {"characters": g.tokenwise(hidden, 6625)}


def text_page(g: Graph, page: Tensor) -> dict[str, Tensor]:
    """Share of text at each place of a page, at stride 4."""
    x = g.conv(page, 16, stride=2)
    maps = []
    for filters, repeats in ((32, 1), (64, 2), (128, 3), (192, 2)):
        x = blocks(g, g.conv(x, filters, stride=2), repeats)
        maps.append(x)
    x = g.linear_conv(maps[-1], 48, 1)
    for level in reversed(maps[:-1]):
        x = g.conv(g.add(g.upsample(x), g.linear_conv(level, 48, 1)), 48)
    return {"text": g.apply("Sigmoid", g.linear_conv(g.conv(x, 24), 1, 1))}


def radar(g: Graph, spectrogram: Tensor) -> dict[str, Tensor]:
    """Fall or not from a micro-Doppler spectrogram."""
    x = spectrogram
    for filters in (16, 32, 48, 64):
        x = g.max_pool(g.conv(x, filters))
    return {"logits": g.dense(g.relu(g.dense(g.flatten(x), 64)), 2)}


SPECS = (
    Spec(
        name="det-640",
        task="object detection, 80 classes",
        draw=detector,
        inputs=(Input(name="image", shape=(3, 640, 640)),),
        seed=501,
        source="Own design after Liu et al., SSD, 2016, and Ge et al., YOLOX, 2021",
        remark_en="MACs and parameters near those of YOLOv8n (4.37 G, 3.16 M); no "
        "non-maximum suppression in the graph.",
        remark_zh="运算量与参数量接近 YOLOv8n(4.37 G、3.16 M);图中不含非极大值抑制。",
        calibration_samples=4,
    ),
    Spec(
        name="depth-unet",
        task="monocular depth",
        draw=depth,
        inputs=(Input(name="image", shape=(3, 256, 256)),),
        seed=502,
        source="Own design after Ronneberger et al., U-Net, 2015",
        remark_en="MACs near those of MiDaS-small (4.60 G), with a fifth of its "
        "parameters.",
        remark_zh="运算量接近 MiDaS-small(4.60 G MACs),参数量约为其五分之一。",
        calibration_samples=4,
    ),
    Spec(
        name="gaze-hourglass",
        task="gaze estimation",
        draw=gaze,
        inputs=(Input(name="eye", shape=(1, 96, 160)),),
        seed=503,
        source="Own design after Park et al., ETRA 2018 (fewer hourglasses)",
        calibration_samples=4,
    ),
    Spec(
        name="quicksr-x3",
        task="super-resolution of one tile, three times",
        draw=super_resolution,
        inputs=(Input(name="tile", shape=(3, 128, 128)),),
        seed=504,
        source="QuickSRNet-Small, times 3: Berger et al., CVPR workshops, 2023",
        calibration_samples=4,
    ),
    Spec(
        name="quicksr-x3-frame",
        task="super-resolution of one frame, three times, to 1920 x 1080",
        draw=super_resolution,
        inputs=(Input(name="tile", shape=(3, 360, 640)),),
        seed=504,
        source="QuickSRNet-Small, times 3: Berger et al., CVPR workshops, 2023",
        calibration_samples=1,
    ),
    Spec(
        name="seg-256x512",
        task="segmentation of a scene, 19 classes",
        draw=segmentation,
        inputs=(Input(name="image", shape=(3, 256, 512)),),
        seed=506,
        source="Own design after Mehta et al., FFNet, CVPR workshops, 2022 (smaller)",
        remark_en="A quarter of the pixels of the network that published values are of "
        "(FFNet-78S, 1024 x 512), with a sixteenth of its parameters.",
        remark_zh="像素数为已公布数据所用网络(FFNet-78S,1024×512)的四分之一,参数量约十六分之一。",
        calibration_samples=4,
    ),
    Spec(
        name="ocr-page",
        task="finding text on a page",
        draw=text_page,
        inputs=(Input(name="page", shape=(1, 608, 800)),),
        seed=508,
        source="Own design after Liao et al., Real-time Scene Text Detection with "
        "Differentiable Binarization, AAAI 2020 (its map of text; far smaller)",
        remark_en="A twentieth of the parameters of the detector of EasyOCR (20.8 M); "
        "cutting lines out is a step of its own.",
        remark_zh="参数量约为 EasyOCR 检测网络(20.8 M)的二十分之一;"
        "文字行裁切为单独一步。",
        calibration_samples=2,
    ),
    Spec(
        name="ocr-line",
        task="recognition of one line of text",
        draw=text_line,
        inputs=(Input(name="line", shape=(1, 32, 320)),),
        seed=507,
        source="Own design after Shi et al., CRNN, PAMI 2017 (no recurrent layer)",
        remark_en="One line; finding lines on a page is not in it.",
        remark_zh="仅识别一行文字,不含版面中文字行的检测。",
        calibration_samples=16,
    ),
    Spec(
        name="cnn2d-radar",
        task="fall detection from radar",
        draw=radar,
        inputs=(Input(name="spectrogram", shape=(1, 64, 64)),),
        seed=505,
        source="Own design after Kim and Moon, micro-Doppler networks, 2016",
    ),
)
