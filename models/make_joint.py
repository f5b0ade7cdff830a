"""Images and texts in one space: two transformers, as CLIP pairs them."""

from graph import Graph, Tensor
from make_text import attention
from spec import Input, Spec

_PATCH = 16
_VOCABULARY = 49408
_WORDS = 77
_JOINT = 512
_STEEP = 1.702
"""x·sigmoid(1.702·x) stands for GELU (Hendrycks and Gimpel, 2016; CLIP)."""


def _block(g: Graph, x: Tensor, heads: int) -> Tensor:
    """Attend, then connect fully, each normalised before and added after."""
    x = g.add(x, attention(g, g.layer_norm(x), heads, scale=0.5))
    wide = g.tokenwise(g.layer_norm(x), 4 * x.shape[-1])
    gate = g.apply("Sigmoid", g.scaled(wide, _STEEP))
    return g.add(x, g.tokenwise(g.apply("Mul", wide, gate), x.shape[-1], scale=0.5))


def image_and_text(g: Graph, image: Tensor, input_ids: Tensor) -> dict[str, Tensor]:
    """Vectors of 512 of an image (12 layers of 384) and a text (6 layers of 256)."""
    patches = g.linear_conv(image, 384, _PATCH, stride=_PATCH, padding="valid")
    channels, *grid = patches.shape
    x = g.transpose(g.reshape(patches, (channels, grid[0] * grid[1])), (1, 0))
    x = g.layer_norm(g.position(x))
    for _ in range(12):
        x = _block(g, x, 6)
    pooled = g.mean(g.transpose(g.layer_norm(x), (1, 0)))
    words = g.position(g.embed(input_ids, _VOCABULARY, 256))
    for _ in range(6):
        words = _block(g, words, 4)
    last = g.flatten(g.slice(g.layer_norm(words), _WORDS - 1, _WORDS))
    return {
        "image_embedding": g.dense(pooled, _JOINT),
        "text_embedding": g.dense(last, _JOINT),
    }


SPECS = (
    Spec(
        name="clip-vit-s16",
        task="image and text in one space",
        draw=image_and_text,
        inputs=(
            Input(name="image", shape=(3, 224, 224)),
            Input(
                name="input_ids",
                shape=(_WORDS,),
                dtype="int64",
                low=0,
                high=_VOCABULARY - 1,
            ),
        ),
        seed=801,
        source="Own design after Radford et al., CLIP, ICML 2021, its image half of "
        "the size of DeiT-S (Touvron et al., ICML 2021: 22 M parameters, 4.6 G MACs); "
        "mean of the places instead of a class token, no causal mask",
        remark_en="A quarter of the MACs of CLIP ViT-B/16 (20.3 G), with a quarter of "
        "its parameters (150 M). Normalisation and Softmax stay in float32.",
        remark_zh="运算量与参数量均约为 CLIP ViT-B/16(20.3 G MACs、150 M)的四分之一;"
        "归一化与 Softmax 保持 float32。",
        float_operators=("LayerNormalization", "Softmax"),
        calibration_samples=4,
        opset=17,
    ),
)
