"""How far the hearts that are found lie from where they are known to be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from benchmark.cohorts.base import Cohort
from benchmark.cores import usable_cores
from benchmark.heart.finder import find_heart
from benchmark.heart.places import Places

HIT_MM = 15.0
"""A heart that is found so near is a hit: the margin round the lesions is 12 mm, a cell some mm."""


def measure_hits(
    cohort: Cohort,
    known: Places,
    ids: Sequence[str],
    progress: Callable[[int, int], None] | None = None,
    workers: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Find the heart of each scan and compare it with the place known.

    Returns
    -------
    apart : ndarray, (n, 3), mm
        Found less known, along (z, y, x) of the scan.
    found : ndarray of bool, (n,)
        Where the finder was sure.

    Raises
    ------
    UserError
        If a scan cannot be read, or has no known place within it.
    """

    def one(id: str) -> tuple[np.ndarray, bool]:
        scan = cohort.load(id)
        heart = find_heart(scan.voxels, scan.spacing)
        return np.array(heart.centre) - known.of(scan), heart.found

    apart, found = [], []
    with ThreadPoolExecutor(workers or usable_cores()) as threads:
        for offset, sure in threads.map(one, ids):
            apart.append(offset)
            found.append(sure)
            if progress is not None:
                progress(len(found), len(ids))
    return np.array(apart), np.array(found, bool)


def hit_lines(ids: Sequence[str], apart: np.ndarray, found: np.ndarray) -> list[str]:
    """What `measure_hits` found, in words: shares, distances, and the worst scans by name.

    A scan in which the finder is not sure is a miss, since the grid is then not centred on what it
    found.
    """
    distance = np.linalg.norm(apart, axis=1)
    hits = (distance <= HIT_MM) & found
    low, middle, high = np.percentile(distance, [50, 95, 100])
    z, y, x = apart.mean(axis=0)
    lines = [
        f"hearts within {HIT_MM:g} mm: {hits.sum()} of {len(ids)} ({100 * hits.mean():.1f} %); "
        f"found at all: {found.sum()}",
        f"distance, mm: median {low:.1f}, 95th percentile {middle:.1f}, largest {high:.1f}; "
        f"mean along x {x:+.1f}, y {y:+.1f}, z {z:+.1f}",
    ]
    for row in np.argsort(-distance, kind="stable")[:5]:
        if not hits[row]:
            word = "" if found[row] else ", not sure"
            lines.append(f"  missed: {ids[row]}, {distance[row]:.0f} mm{word}")
    return lines
