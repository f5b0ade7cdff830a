"""What is done between the models of a pipeline: a small closed set, in numpy.

Each step takes tensors and fills one that is there already, so that nothing is
allocated while a pipeline is timed. They do the work that such a step takes on a
device (search, resampling, transforms), on one sample; a page gives several lines.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from harness.errors import Unsupported
from harness.runtimes.base import Tensor

Step = Callable[[Sequence[Tensor], Tensor], None]
Reals = NDArray[np.float64]

GALLERY = 1000
"""Identities that a face is held against."""
_GALLERY_SEED = 7
_CROP_SHARE = 4
"""A crop spans one part in so many of the frame's shorter side."""
_BANDS = 19
"""A line of text is one part in so many of a page's height: 32 of 608 pixels."""
_FLOOR = 1e-6


def crop_peak(taken: Sequence[Tensor], into: Tensor) -> None:
    """Cut the place of the highest score out of a frame: (maps, frame) → crop.

    Maps [1, channels, h, w], of which the first channel scores; frame and crop
    [1, channels, height, width], sampled at the nearest pixel, channels repeated.
    """
    maps, frame = taken
    scores = maps[0, 0]
    row, column = np.unravel_index(int(scores.argmax()), scores.shape)
    height, width = frame.shape[2:]
    side = min(height, width) // _CROP_SHARE
    top = _first(int(row), scores.shape[0], height, side)
    left = _first(int(column), scores.shape[1], width, side)
    rows = top + np.arange(into.shape[2]) * side // into.shape[2]
    columns = left + np.arange(into.shape[3]) * side // into.shape[3]
    into[0] = frame[0][:, rows[:, np.newaxis], columns]


def crop_lines(taken: Sequence[Tensor], into: Tensor) -> None:
    """Cut lines of text out of a page: (map of text, page) → lines.

    Map [1, 1, h, w] of the share of text at each place; page [1, channels, height,
    width]; lines [n, channels, line height, line width]: the n bands of most text by
    the profile of projection (Likforman-Sulem et al., IJDAR 2007), none within
    another, each as wide as its text, sampled at the nearest pixel, top one first.
    """
    shares, page = taken[0][0, 0], taken[1][0]
    tall = max(1, shares.shape[0] // _BANDS)
    profile = np.convolve(shares.sum(axis=1), np.ones(tall), "valid")
    floor = float(shares.mean())
    for line, top in enumerate(sorted(_peaks(profile, tall, len(into)))):
        band = shares[top : top + tall].max(axis=0) > floor
        columns = np.flatnonzero(band) if band.any() else np.arange(len(band))
        into[line] = _resampled(
            page,
            (top / shares.shape[0], (top + tall) / shares.shape[0]),
            (columns[0] / len(band), (columns[-1] + 1) / len(band)),
            into.shape[2:],
        )


def ctc_decode(taken: Sequence[Tensor], into: Tensor) -> None:
    """Read the best path of each line: scores [n, places, V] → tokens [n, places].

    Repeats are merged and blanks (0) left out (Graves et al., ICML 2006); what is left
    of a row is -1.
    """
    best = taken[0].argmax(axis=-1)
    into[...] = -1
    for row, path in zip(into, best, strict=True):
        is_new = np.concatenate(([True], path[1:] != path[:-1])) & (path != 0)
        said = path[is_new]
        row[: len(said)] = said


def log_mel(taken: Sequence[Tensor], into: Tensor) -> None:
    """Turn a waveform into log energies of mel bands, frame by frame.

    Waveform [1, samples]; features [1, …, frames, bands], windows of two hops with
    half overlap (mel scale of O'Shaughnessy, Speech Communication, 1987).
    """
    wave = taken[0].reshape(-1)
    frames, bands = into.shape[-2:]
    hop = len(wave) // (frames + 1)
    starts = np.arange(frames)[:, np.newaxis] * hop
    windows = wave[starts + np.arange(2 * hop)] * np.hanning(2 * hop)
    power = np.abs(np.fft.rfft(windows)) ** 2
    energies = np.log(power @ _mel_bands(power.shape[1], bands) + _FLOOR)
    into.reshape(frames, bands)[:] = energies


def argmax_tokens(taken: Sequence[Tensor], into: Tensor) -> None:
    """Turn scores into token ids: classes from the likeliest on, over and over."""
    order = np.argsort(-taken[0].reshape(-1), kind="stable")
    into.reshape(-1)[:] = np.resize(order, into.size)


def match_gallery(taken: Sequence[Tensor], into: Tensor) -> None:
    """Hold an embedding against the gallery: cosine with each identity."""
    vector = taken[0].reshape(-1)
    length = float(np.sqrt(vector @ vector)) + _FLOOR
    np.matmul(_gallery(len(vector)), vector / length, out=into.reshape(-1))


FUNCTIONS: Mapping[str, Step] = {
    "argmax-tokens": argmax_tokens,
    "crop-lines": crop_lines,
    "crop-peak": crop_peak,
    "ctc-decode": ctc_decode,
    "log-mel": log_mel,
    "match-gallery": match_gallery,
}
"""Name of a step → what it does."""

_ROOM: Mapping[str, tuple[Callable[[Sequence[Tensor]], tuple[int, ...]], str]] = {
    "argmax-tokens": (lambda _: (1, 1), "int64"),
    "ctc-decode": (lambda taken: taken[0].shape[:-1], "int64"),
    "match-gallery": (lambda _: (1, GALLERY), "float32"),
}
"""What a step fills where no model takes its tensor: shape of what it takes → its
own, and type."""


def room_for(step: str, taken: Sequence[Tensor]) -> Tensor:
    """Make the tensor that a step fills at the end of a pipeline from what it takes.

    Raises Unsupported for a step whose tensor only the model that takes it can shape.
    """
    if step not in _ROOM:
        raise Unsupported(
            f"The step '{step}' ends nothing: no model takes what it gives",
            remedy="Put a model behind it that has an input of that name.",
        )
    shape, dtype = _ROOM[step]
    return np.zeros(shape(taken), dtype)


def _peaks(profile: Reals, tall: int, count: int) -> list[int]:
    """Give the places of the highest values, at least `tall` apart where they fit."""
    left = profile.astype(np.float64)
    found = []
    for _ in range(count):
        top = int(left.argmax())
        found.append(top)
        left[max(0, top - tall + 1) : top + tall] = -np.inf
    return found


def _resampled(
    page: Tensor,
    rows: tuple[float, float],
    columns: tuple[float, float],
    size: tuple[int, ...],
) -> Tensor:
    """Sample a part of a page, given in shares of its sides, at the nearest pixels."""

    def places(ends: tuple[float, float], length: int, count: int) -> Tensor:
        middles = ends[0] + (ends[1] - ends[0]) * (np.arange(count) + 0.5) / count
        return np.minimum((middles * length).astype(np.int64), length - 1)

    _, height, width = page.shape
    down, across = places(rows, height, size[0]), places(columns, width, size[1])
    part: Tensor = page[:, down[:, np.newaxis], across]
    return part


def _first(cell: int, cells: int, length: int, side: int) -> int:
    """Give where a cut about the middle of a cell begins, kept inside the frame."""
    middle = (2 * cell + 1) * length // (2 * cells)
    return max(0, min(middle - side // 2, length - side))


@cache
def _gallery(size: int) -> Tensor:
    drawn = np.random.default_rng(_GALLERY_SEED).standard_normal((GALLERY, size))
    lengths = np.sqrt((drawn**2).sum(axis=1, keepdims=True))
    unit: Tensor = (drawn / lengths).astype(np.float32)
    return unit


@cache
def _mel_bands(bins: int, bands: int) -> Reals:
    """Give triangles over the bins of a spectrum up to 8 kHz, [bins, bands]."""
    top = 2595.0 * np.log10(1 + 8000.0 / 700.0)
    hertz = 700.0 * (10 ** (np.linspace(0.0, top, bands + 2) / 2595.0) - 1)
    at = hertz / 8000.0 * (bins - 1)
    places = np.arange(bins)[:, np.newaxis]
    rise = (places - at[:-2]) / np.maximum(at[1:-1] - at[:-2], _FLOOR)
    fall = (at[2:] - places) / np.maximum(at[2:] - at[1:-1], _FLOOR)
    triangles: Reals = np.clip(np.minimum(rise, fall), 0.0, None)
    return triangles
