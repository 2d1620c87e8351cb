"""How much calcium a patient has: Agatston scores as in the clinic."""

from __future__ import annotations

import itertools
import math

from benchmark.phantom.stream import Stream

#: Share of patients without coronary calcium.
NONE_SHARE = 0.28
#: Quantiles of the Agatston score among men with any, 2.3, 41, 193, 557 in the
#: literature, set so that the scores measured in the noisy scans come near them; tails are ours.
QUANTILES: tuple[tuple[float, float], ...] = (
    (0.0, 0.9),
    (0.25, 3.2),
    (0.50, 46.0),
    (0.75, 215.0),
    (0.90, 680.0),
    (1.0, 2600.0),
)
#: Several vessels at once: probability at an Agatston score, linear in its logarithm between.
SEVERAL: tuple[tuple[float, float], ...] = (
    (1.0, 0.03),
    (10.0, 0.08),
    (60.0, 0.20),
    (400.0, 0.74),
    (1000.0, 0.97),
)


def _log_line(knots: tuple[tuple[float, float], ...], value: float) -> float:
    """Piecewise linear in the logarithm of the first coordinate, held at the ends."""
    if value <= knots[0][0]:
        return knots[0][1]
    for (a, low), (b, high) in itertools.pairwise(knots):
        if value <= b:
            t = math.log(value / a) / math.log(b / a)
            return round(low + t * (high - low), 6)
    return knots[-1][1]


def draw_burden(draw: Stream) -> float:
    """Return the Agatston score a patient is to have, 0 for none."""
    if draw.chance(NONE_SHARE):
        return 0.0
    rank = draw.uniform()
    for (a, low), (b, high) in itertools.pairwise(QUANTILES):
        if rank <= b:
            t = (rank - a) / (b - a)
            return round(low * math.exp(t * math.log(high / low)), 6)
    return QUANTILES[-1][1]


def several_vessels(burden: float) -> float:
    """Return the probability that a patient of this Agatston score has several vessels diseased."""
    return _log_line(SEVERAL, burden)
