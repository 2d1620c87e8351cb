"""Small scans whose arteries are told apart by where they lie."""

import numpy as np

from benchmark.cohorts.base import Scan
from benchmark.training.grid import TrainingGrid
from benchmark.training.prepare import Prepared, example


def scan(index: int) -> Scan:
    """Up to four lesions; LAD, LCX and RCA lie in bands along y; a bone that is no artery's."""
    random = np.random.default_rng(index)
    voxels = random.normal(40, 15, (8, 48, 48)).astype(np.int16)
    labels = np.zeros(voxels.shape, np.uint8)
    for _ in range(random.integers(0, 5)):
        artery = int(random.integers(1, 4))
        z, y, x = (
            random.integers(1, 6),
            12 * artery + random.integers(-4, 4),
            random.integers(8, 38),
        )
        size = int(random.integers(1, 4))
        voxels[z : z + 2, y : y + size, x : x + size] = random.integers(200, 600)
        labels[z : z + 2, y : y + size, x : x + size] = artery
    voxels[:, :3, 20:30] = 700
    return Scan(f"s{index:02}", "A", voxels, (3.0, 2.5, 2.5), labels)


def prepared(train: int = 12, test: int = 6) -> Prepared:
    """A small split on a grid of 8 x 16 x 16 cells."""
    grid = TrainingGrid((3.0, 7.5, 7.5), (8, 16, 16))
    examples = [example(scan(i), grid) for i in range(train + test)]
    return Prepared(tuple(examples[:train]), tuple(examples[train:]), grid)
