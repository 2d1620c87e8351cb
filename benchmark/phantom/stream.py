"""Random numbers that are the same on every machine.

The raw 64-bit stream of NumPy's Philox generator is guaranteed never to change; its distributions
(``Generator.normal`` and so on) are not. So only the raw words are used here, turned into
uniforms by a shift, and everything drawn through a mathematical function (logarithm, inverse
normal) is rounded to six decimals, which hides a last bit that may differ between C libraries.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

_STANDARD_NORMAL = NormalDist()

#: One stream for each part of a patient: more draws in one part never shift another.
STREAMS = (
    "body",
    "heart",
    "arteries",
    "lesions",
    "confusers",
    "lungs",
    "noise",
    "scanner",
    "reader",
    "motion",
)


def _generator(seed: int, index: int, stream: str) -> np.random.Philox:
    # The counter's highest word is the stream, so streams of one patient never overlap.
    return np.random.Philox(key=[seed, index], counter=[0, 0, 0, STREAMS.index(stream)])


def raw_bytes(seed: int, index: int, stream: str, count: int) -> np.ndarray:
    """Return `count` independent bytes (uint8, shape (count,))."""
    words = _generator(seed, index, stream).random_raw((count + 7) // 8)
    return words.astype("<u8", copy=False).view(np.uint8)[:count]


#: Words that are drawn at once.
BLOCK = 32


class Stream:
    """Scalar draws from one named stream of one patient.

    Parameters
    ----------
    seed, index : int
        Cohort seed and patient index, both at least 0.
    stream : str
        One of `STREAMS`.
    """

    def __init__(self, seed: int, index: int, stream: str) -> None:
        self._philox = _generator(seed, index, stream)
        self._words: list[int] = []

    def _unit(self) -> float:
        if not self._words:
            self._words = self._philox.random_raw(BLOCK).tolist()
            self._words.reverse()
        # 53 high bits, centred, so that neither 0 nor 1 is ever returned
        return ((self._words.pop() >> 12) + 0.5) / 4503599627370496.0

    def skip(self, count: int) -> None:
        """Leave out the next `count` words."""
        for _ in range(count):
            self._unit()

    def uniform(self, low: float = 0.0, high: float = 1.0) -> float:
        """Return a number in (low, high), rounded to six decimals."""
        return round(low + (high - low) * self._unit(), 6)

    def normal(self, mean: float = 0.0, sd: float = 1.0, limit: float = 3.0) -> float:
        """Return a normal number clipped at `limit` standard deviations."""
        value = _STANDARD_NORMAL.inv_cdf(self._unit())
        return round(mean + sd * max(-limit, min(limit, value)), 6)

    def lognormal(self, median: float, sigma: float, limit: float = 3.0) -> float:
        """Return a lognormal number with the given median and SD of the logarithm."""
        return round(median * math.exp(self.normal(0.0, sigma, limit)), 6)

    def chance(self, probability: float) -> bool:
        """Return True with the given probability."""
        return self._unit() < probability

    def integer(self, low: int, high: int) -> int:
        """Return an integer from low to high, both included."""
        return low + min(high - low, int(self._unit() * (high - low + 1)))

    def choice(self, weights: Sequence[float]) -> int:
        """Return an index drawn in proportion to `weights`."""
        mark = self._unit() * math.fsum(weights)
        for index, weight in enumerate(weights):
            mark -= weight
            if mark < 0:
                return index
        return max(i for i, weight in enumerate(weights) if weight > 0)
