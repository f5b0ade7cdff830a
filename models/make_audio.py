"""Speech enhancement, one 10 ms hop at a time, its state passed in and out."""

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
)
