"""A small text encoder."""

import math

from graph import Graph, Tensor
from spec import Input, Spec

_VOCABULARY = 30522
_TOKENS = 128
_WIDTH = 256
_HEADS = 4


def _attention(g: Graph, x: Tensor) -> Tensor:
    """Attend from each token to all, in four heads (Vaswani et al., 2017)."""
    size = _WIDTH // _HEADS

    def heads(scale: float, order: tuple[int, int, int]) -> Tensor:
        projected = g.tokenwise(x, _WIDTH, scale=scale)
        return g.transpose(g.reshape(projected, (_TOKENS, _HEADS, size)), order)

    query = heads(1.0 / math.sqrt(size), (1, 0, 2))
    key, value = heads(1.0, (1, 2, 0)), heads(1.0, (1, 0, 2))
    shares = g.apply("Softmax", g.matmul(query, key), axis=-1)
    mixed = g.transpose(g.matmul(shares, value), (1, 0, 2))
    return g.tokenwise(g.reshape(mixed, (_TOKENS, _WIDTH)), _WIDTH)


def encoder(g: Graph, input_ids: Tensor) -> dict[str, Tensor]:
    """Start and end score of an answer at each token; four layers of width 256."""
    x = g.tokenwise(g.position(g.embed(input_ids, _VOCABULARY, 128)), _WIDTH)
    for _ in range(4):
        x = g.affine(g.add(x, _attention(g, x)))
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
