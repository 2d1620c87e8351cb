"""Scans of noise on a training grid, to time and count a network on."""

from __future__ import annotations

import numpy as np

from benchmark.training.batches import TrainingSet
from benchmark.training.grid import CHANNELS, Candidates, TrainingGrid
from benchmark.training.prepare import Example, Prepared
from benchmark.training.settings import Settings

CANDIDATE_SHARE = 0.03
"""Cells above 130 HU: a little more than scans have, bone included."""


def noise_scans(grid: tuple[int, int, int], settings: Settings) -> Prepared:
    """One scan of noise on a grid (Z, Y, X), with some candidates of every class."""
    random = np.random.default_rng(0)
    image = random.normal(0, 0.5, (CHANNELS, *grid)).astype(np.float16)
    candidate = random.random(grid) < CANDIDATE_SHARE
    target = (random.integers(0, 4, grid) * candidate).astype(np.uint8)
    scores = random.lognormal(3, 1, (3, 4))
    empty = Candidates(*(np.empty(0, kind) for kind in (int, np.int32, int, np.int16, np.uint8)))
    slices = np.repeat(scores[None] / grid[0], grid[0], axis=0)
    example = Example(
        "noise", "none", image, target, candidate, scores, slices, empty, grid, settings.cell_mm
    )
    return Prepared((example,), (), TrainingGrid(tuple(settings.cell_mm), grid))


def training_set(prepared: Prepared, count: int, settings: Settings) -> TrainingSet:
    """So many copies of the one scan of `noise_scans`."""
    return TrainingSet.of(prepared.train * count, settings.shift_cells)
