"""One-dimensional networks over sensor windows: wrist, heart, machine, position."""

from collections.abc import Sequence

from graph import Graph, Tensor
from spec import Input, Spec

_OWN = "Own design after"


def _stack(g: Graph, x: Tensor, plan: Sequence[tuple[int, int, int]]) -> Tensor:
    """Convolve by a plan of (filters, kernel, stride)."""
    for filters, kernel, stride in plan:
        x = g.conv(x, filters, kernel, stride=stride)
    return x


def activity(g: Graph, motion: Tensor) -> dict[str, Tensor]:
    """Six activities from 128 samples of six axes."""
    x = _stack(g, motion, [(16, 5, 2), (32, 5, 2), (48, 3, 2), (64, 3, 1)])
    return {"logits": g.dense(g.mean(x), 6)}


def ecg(g: Graph, trace: Tensor) -> dict[str, Tensor]:
    """Five rhythms from ten seconds of one lead at 250 Hz."""
    plan = [(16, 7, 2), (24, 7, 2), (32, 5, 2), (48, 5, 2), (64, 3, 2)]
    return {"logits": g.dense(g.mean(_stack(g, trace, plan)), 5)}


def fall(g: Graph, motion: Tensor) -> dict[str, Tensor]:
    """Fall or not from four seconds of six axes at 50 Hz."""
    x = _stack(g, motion, [(16, 7, 2), (32, 5, 2), (48, 5, 2), (64, 3, 2)])
    return {"logits": g.dense(g.relu(g.dense(g.mean(x), 32)), 2)}


def vibration(g: Graph, signal: Tensor) -> dict[str, Tensor]:
    """Ten bearing states from 1024 samples: a wide first filter, then narrow ones."""
    x = g.max_pool(g.conv(signal, 16, 64, stride=8))
    for filters in (32, 64, 64):
        x = g.max_pool(g.conv(x, filters))
    x = g.flatten(g.conv(x, 64))
    return {"logits": g.dense(g.relu(g.dense(x, 100)), 10)}


def navigation(g: Graph, motion: Tensor, fix: Tensor) -> dict[str, Tensor]:
    """Velocity and its spread from two seconds of motion and the last GNSS fix."""
    x = g.conv(motion, 32, 3, padding="causal")
    for dilation in (1, 2, 4, 8, 16, 32):
        branch = g.conv(x, 32, 3, dilation=dilation, padding="causal")
        branch = g.linear_conv(
            branch, 32, 3, dilation=dilation, padding="causal", scale=0.5
        )
        x = g.relu(g.add(x, branch))
    joined = g.concat(g.mean(x), g.relu(g.dense(fix, 32)))
    hidden = g.relu(g.dense(joined, 64))
    return {"velocity": g.dense(hidden, 3), "log_spread": g.dense(hidden, 3)}


SPECS = (
    Spec(
        name="cnn1d-har",
        task="human activity recognition",
        draw=activity,
        inputs=(Input(name="motion", shape=(6, 128)),),
        seed=201,
        source=f"{_OWN} Ordóñez and Roggen, DeepConvLSTM, 2016 (its convolutions)",
    ),
    Spec(
        name="cnn1d-ecg",
        task="ECG rhythm classification",
        draw=ecg,
        inputs=(Input(name="trace", shape=(1, 2500)),),
        seed=202,
        source=f"{_OWN} Hannun et al., Nature Medicine, 2019 (much smaller)",
    ),
    Spec(
        name="cnn1d-fall",
        task="fall detection from inertial sensors",
        draw=fall,
        inputs=(Input(name="motion", shape=(6, 200)),),
        seed=203,
        source=f"{_OWN} the 1-D networks used on SisFall (Sucerquia et al., 2017)",
    ),
    Spec(
        name="cnn1d-vib",
        task="bearing state from vibration",
        draw=vibration,
        inputs=(Input(name="signal", shape=(1, 1024)),),
        seed=204,
        source=f"{_OWN} Zhang et al., WDCNN, Sensors, 2017",
    ),
    Spec(
        name="tcn-nav",
        task="pedestrian navigation from motion and GNSS",
        draw=navigation,
        inputs=(
            Input(name="motion", shape=(6, 200)),
            Input(name="fix", shape=(8,)),
        ),
        seed=205,
        source=f"{_OWN} Herath et al., RoNIN, ICRA 2020 (its temporal network)",
    ),
)
