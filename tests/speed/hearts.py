"""CPU time of finding the heart in a whole chest CT of 512 x 512 x 300."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from ratio import Line, least

from benchmark.heart import find_heart

SHAPE, SPACING = (300, 512, 512), (1.0, 0.7, 0.7)


def measure(rounds: int = 7) -> list[Line]:
    """Seconds of one core, least of several rounds."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "heart"))
    from chest import HEART, chest

    few = tuple(round(n * s / 3) for n, s in zip(SHAPE, SPACING, strict=True))
    drawn = chest(heart=HEART, shape=few, spacing=(3.0, 3.0, 3.0))
    places = [
        np.minimum((np.arange(n) * s / 3).astype(int), m - 1)
        for n, s, m in zip(SHAPE, SPACING, few, strict=True)
    ]
    voxels = np.ascontiguousarray(drawn[np.ix_(*places)])
    seconds = least({"find": lambda: find_heart(voxels, SPACING)}, rounds)["find"]
    return [
        Line(
            "hearts",
            f"found in {' x '.join(map(str, SHAPE[::-1]))}",
            f"{1000 * seconds:.0f} ms",
            "",
            1000 * seconds,
            "ms",
            300.0,
            most=True,
            floor=1200.0,
        )
    ]
