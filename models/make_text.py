"""A small text encoder."""

import math

from graph import Graph, Tensor
from spec import Input, Spec

_VOCABULARY = 30522
_TOKENS = 128
_WIDTH = 256
_HEADS = 4


def attention(g: Graph, x: Tensor, heads: int, *, scale: float = 1.0) -> Tensor:
    """Attend from each token to all, in several heads (Vaswani et al., 2017)."""
    tokens, width = x.shape
    size = width // heads

    def cut(scale: float, order: tuple[int, int, int]) -> Tensor:
        projected = g.tokenwise(x, width, scale=scale)
        return g.transpose(g.reshape(projected, (tokens, heads, size)), order)

    query = cut(1.0 / math.sqrt(size), (1, 0, 2))
    key, value = cut(1.0, (1, 2, 0)), cut(1.0, (1, 0, 2))
    shares = g.apply("Softmax", g.matmul(query, key), axis=-1)
    mixed = g.transpose(g.matmul(shares, value), (1, 0, 2))
    return g.tokenwise(g.reshape(mixed, (tokens, width)), width, scale=scale)


def encoder(g: Graph, input_ids: Tensor) -> dict[str, Tensor]:
    """Start and end score of an answer at each token; four layers of width 256."""
    x = g.tokenwise(g.position(g.embed(input_ids, _VOCABULARY, 128)), _WIDTH)
    for _ in range(4):
        x = g.affine(g.add(x, attention(g, x, _HEADS)))
        hidden = g.relu(g.tokenwise(x, 4 * _WIDTH))
        x = g.affine(g.add(x, g.tokenwise(hidden, _WIDTH, scale=0.5)))
    return {"answer_scores": g.tokenwise(x, 2)}


SPECS = (
    Spec(
        name="encoder-nlp",
        task="question answering, text encoder",
        draw=encoder,
        inputs=(
            Input(
                name="input_ids",
                shape=(_TOKENS,),
                dtype="int64",
                low=0,
                high=_VOCABULARY - 1,
            ),
        ),
        seed=701,
        source="Own design after Sun et al., MobileBERT, ACL 2020: factorised "
        "embedding, no layer normalisation, ReLU",
        remark_en="8 % of the MACs of MobileBERT at 384 tokens (5.4 G).",
        remark_zh="运算量为 384 词元 MobileBERT(5.4 G MACs)的 8 %。",
        float_operators=("Softmax",),
    ),
)
