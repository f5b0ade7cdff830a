"""Speech as it comes: enhancement and recognition, their state passed in and out."""

import math

from graph import Graph, Tensor
from spec import Input, Spec

_UNITS = 128
_BINS = 161
_GATES = ("Add", "Mul", "Sigmoid", "Slice", "Sub", "Tanh")


def _gru_cell(g: Graph, x: Tensor, state: Tensor) -> Tensor:
    """Take one step of a gated recurrent unit (Cho et al., 2014)."""
    from_x, from_state = g.dense(x, 3 * _UNITS), g.dense(state, 3 * _UNITS)

    def part(whole: Tensor, place: int) -> Tensor:
        return g.slice(whole, place * _UNITS, (place + 1) * _UNITS)

    reset = g.apply("Sigmoid", g.add(part(from_x, 0), part(from_state, 0)))
    keep = g.apply("Sigmoid", g.add(part(from_x, 1), part(from_state, 1)))
    recalled = g.apply("Mul", reset, part(from_state, 2))
    fresh = g.apply("Tanh", g.add(part(from_x, 2), recalled))
    change = g.apply("Mul", keep, g.apply("Sub", state, fresh))
    return g.add(fresh, change)


def denoiser(
    g: Graph, spectrum: Tensor, state_1: Tensor, state_2: Tensor
) -> dict[str, Tensor]:
    """Gain of each frequency bin from the log spectrum of one hop."""
    x = g.relu(g.dense(spectrum, _UNITS))
    next_1 = _gru_cell(g, x, state_1)
    next_2 = _gru_cell(g, next_1, state_2)
    hidden = g.relu(g.dense(next_2, _UNITS))
    gains = g.apply("Sigmoid", g.dense(hidden, _BINS))
    return {"gains": gains, "next_state_1": next_1, "next_state_2": next_2}


_CHUNK, _BANDS = 71, 80
_WIDTH, _HEADS = 256, 4
_LEFT = 64


def _look_back(g: Graph, x: Tensor, left: Tensor) -> tuple[Tensor, Tensor]:
    """Attend from a chunk to itself and to what came before; gives (mixed, kept)."""
    size = _WIDTH // _HEADS
    whole = g.concat(left, x)

    def heads(of: Tensor, scale: float, order: tuple[int, int, int]) -> Tensor:
        projected = g.tokenwise(of, _WIDTH, scale=scale)
        split = g.reshape(projected, (of.shape[0], _HEADS, size))
        return g.transpose(split, order)

    query = heads(x, 1.0 / math.sqrt(size), (1, 0, 2))
    key, value = heads(whole, 1.0, (1, 2, 0)), heads(whole, 1.0, (1, 0, 2))
    shares = g.apply("Softmax", g.matmul(query, key), axis=-1)
    mixed = g.transpose(g.matmul(shares, value), (1, 0, 2))
    out = g.tokenwise(g.reshape(mixed, x.shape), _WIDTH, scale=0.5)
    return out, g.slice(whole, x.shape[0], whole.shape[0])


def recogniser(
    g: Graph, features: Tensor, left_1: Tensor, left_2: Tensor, left_3: Tensor
) -> dict[str, Tensor]:
    """Scores of 2000 units at 18 places of a chunk of 0.71 s; six blocks of 256."""
    x = g.conv(g.conv(features, 32, stride=2), 48, stride=2)
    channels, places, bands = x.shape
    x = g.reshape(g.transpose(x, (1, 0, 2)), (places, channels * bands))
    x = g.tokenwise(x, _WIDTH)
    kept = []
    for left in (left_1, left_2, left_3):
        mixed, after = _look_back(g, x, left)
        kept.append(after)
        x = g.affine(g.add(x, mixed))
        for _ in range(2):
            hidden = g.relu(g.tokenwise(x, 4 * _WIDTH))
            x = g.affine(g.add(x, g.tokenwise(hidden, _WIDTH, scale=0.5)))
    states = {f"next_left_{n}": one for n, one in enumerate(kept, start=1)}
    return {"units": g.tokenwise(x, 2000)} | states


SPECS = (
    Spec(
        name="gru-dns",
        task="speech enhancement, 10 ms hop",
        draw=denoiser,
        inputs=(
            Input(name="spectrum", shape=(_BINS,)),
            Input(name="state_1", shape=(_UNITS,)),
            Input(name="state_2", shape=(_UNITS,)),
        ),
        seed=301,
        source="Own design after Braun and Tashev, NSNet2, 2020 (smaller)",
        remark_en="The gates stay in float32.",
        remark_zh="门控运算保持 float32。",
        float_operators=_GATES,
    ),
    Spec(
        name="asr-chunk",
        task="streaming speech recognition, one chunk of 0.71 s",
        draw=recogniser,
        inputs=(
            Input(name="features", shape=(1, _CHUNK, _BANDS)),
            *(Input(name=f"left_{n}", shape=(_LEFT, _WIDTH)) for n in (1, 2, 3)),
        ),
        seed=302,
        source="Own design after Yao et al., Zipformer, ICLR 2024: attention to a kept "
        "left context, its state passed in and out (far smaller)",
        remark_en="The encoder alone, with some 7 % of the parameters of the zh-en "
        "Zipformer (69.9 M).",
        remark_zh="仅编码器,参数量约为中英文 Zipformer(69.9 M)的 7 %。",
        float_operators=("Softmax",),
        calibration_samples=16,
    ),
)
