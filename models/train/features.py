"""From sound to the input of a keyword network: mel-frequency cepstral coefficients.

The steps are those of Davis and Mermelstein (1980) with the sizes of MLPerf Tiny
(1 s at 16 kHz, windows of 30 ms every 20 ms, 40 bands, 10 coefficients): 49×10
numbers. Whoever feeds a microphone to these models must do exactly this.
"""

import numpy as np
import numpy.typing as npt

RATE_HZ = 16_000
WINDOW = 480
HOP = 320
TRANSFORM = 512
BANDS = 40
LOWEST_HZ, HIGHEST_HZ = 20.0, 7600.0
COEFFICIENTS = 10
FRAMES = 1 + (RATE_HZ - WINDOW) // HOP
FLOOR = 1e-6
"""Added to the power of a band before the logarithm; full scale is 1."""
CENTRE = np.array([-58.0, 4.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0], np.float32)
SPREAD = np.array([16.0, 9.0, 6.0, 5.0, 4.0, 4.0, 4.0, 3.0, 3.0, 3.0], np.float32)
"""Fixed numbers that bring each coefficient near mean 0 and deviation 1."""


def cepstra(
    sound: npt.NDArray[np.float32],
) -> npt.NDArray[np.float32]:
    """Give the coefficients [1, 49, 10] of one second of sound within ±1."""
    frames = np.lib.stride_tricks.sliding_window_view(sound, WINDOW)[::HOP][:FRAMES]
    spectra = np.fft.rfft(frames * np.hanning(WINDOW), TRANSFORM)
    power = (spectra.real**2 + spectra.imag**2) / WINDOW
    logs = np.log(power @ _BANDS.T + FLOOR)
    return ((logs @ _COSINES.T - CENTRE) / SPREAD).astype(np.float32)[np.newaxis]


def _mel(hertz: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return 2595.0 * np.log10(1.0 + hertz / 700.0)


def _hertz(mel: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return 700.0 * (10.0 ** (mel / 2595.0) - 1.0)


def _triangles() -> npt.NDArray[np.float64]:
    low, high = _mel(np.array([LOWEST_HZ, HIGHEST_HZ]))
    edges = _hertz(np.linspace(low, high, BANDS + 2))
    bins = np.fft.rfftfreq(TRANSFORM, 1.0 / RATE_HZ)
    left, middle, right = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising = (bins - left) / (middle - left)
    falling = (right - bins) / (right - middle)
    return np.clip(np.minimum(rising, falling), 0.0, None)


def _cosines() -> npt.NDArray[np.float64]:
    """Give the first rows of the orthonormal DCT-II."""
    row, column = np.arange(COEFFICIENTS)[:, None], np.arange(BANDS)
    table = np.cos(np.pi * row * (column + 0.5) / BANDS) * np.sqrt(2.0 / BANDS)
    table[0] /= np.sqrt(2.0)
    return table


_BANDS = _triangles()
_COSINES = _cosines()
