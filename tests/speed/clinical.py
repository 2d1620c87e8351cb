"""Candidates, component vote and the 12 scores of a 512 x 512 x 57 scan, beside plain SciPy."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from ratio import Line, least
from scipy import ndimage

from benchmark import inference
from benchmark.calcium import label_candidates, score_scan
from benchmark.training.grid import TrainingGrid, list_candidates
from benchmark.training.prepare import scores_of_voxels

SHAPE = (57, 512, 512)
SPACING = (2.5, 0.4, 0.4)
GRID = TrainingGrid((6.0, 4.0, 4.0), (18, 36, 36))


@lru_cache(maxsize=1)
def scan() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """HU with noise, bone and 30 lesions; the lesions' labels; class probabilities on the grid."""
    random = np.random.default_rng(0)
    noise = ndimage.gaussian_filter(random.normal(size=SHAPE).astype(np.float32), (0.6, 1.2, 1.2))
    voxels = 30 + 45 * noise / noise.std()
    _, y, x = np.ogrid[: SHAPE[0], : SHAPE[1], : SHAPE[2]]
    voxels = np.where((y - 256) ** 2 / 240**2 + (x - 256) ** 2 / 250**2 > 1, -1000, voxels)
    voxels[:, 430:470, 230:280] += 500
    voxels = voxels.astype(np.int16)
    labels = np.zeros(SHAPE, np.uint8)
    for i in range(30):
        z, y, x = random.integers(8, 45), random.integers(150, 350), random.integers(150, 350)
        place = (slice(z, z + 3), slice(y, y + 6), slice(x, x + 6))
        voxels[place], labels[place] = 400, 1 + i % 3
    share = np.full((4, *GRID.shape), 0.05, np.float32)
    share[0] = 0.85
    for artery in (1, 2, 3):
        cells = np.argwhere(labels == artery)
        found = [
            GRID.cell_index(SHAPE[axis], SPACING[axis], axis)[cells[:, axis]] for axis in range(3)
        ]
        share[(slice(None), *found)] = 0.05
        share[(artery, *found)] = 0.85
    return voxels, labels, share


def ours() -> np.ndarray:
    """The 12 scores, (3, 4), of what the probabilities say."""
    voxels, labels, share = scan()
    components, _ = label_candidates(voxels)
    candidates = list_candidates(voxels, labels, SPACING, components, GRID)
    classes = inference.vote(share, candidates)
    return scores_of_voxels(candidates, classes[candidates.component], voxels.shape, SPACING)


def plain() -> np.ndarray:
    """The same by SciPy's functions on whole volumes, as one would write it down."""
    voxels, _, share = scan()
    mask = voxels > 130
    components, count = ndimage.label(mask)
    index = np.arange(1, count + 1)
    lines = [GRID.cell_index(SHAPE[axis], SPACING[axis], axis) for axis in range(3)]
    inside = [(line >= 0) & (line < n) for line, n in zip(lines, GRID.shape, strict=True)]
    cells = np.ix_(*[np.clip(line, 0, n - 1) for line, n in zip(lines, GRID.shape, strict=True)])
    known = np.where(inside[0][:, None, None] & inside[1][:, None] & inside[2], components, 0)
    logarithms = np.log(np.maximum(share, inference.SMALLEST_PROBABILITY))
    votes = np.stack([ndimage.sum(part[cells], known, index) for part in logarithms])
    seen = ndimage.maximum(known, components, index) > 0
    classes = np.concatenate([[0], np.where(seen, votes.argmax(axis=0), 0)])
    labels = classes[components]
    dz, dy, dx = SPACING
    scores = np.zeros((3, 4))
    for artery in (1, 2, 3):
        mine = labels == artery
        for plane, hu in zip(mine, voxels, strict=True):
            lesions, found = ndimage.label(plane, np.ones((3, 3)))
            if found:
                each = np.arange(1, found + 1)
                area = ndimage.sum(plane, lesions, each) * dy * dx
                peak = ndimage.maximum(hu, lesions, each)
                weight = 1 + np.searchsorted((200, 300, 400), peak, side="right")
                scores[0, artery - 1] += (area * weight)[area >= MINIMUM_AREA].sum() * THICKNESS
                scores[1, artery - 1] += area[area >= MINIMUM_AREA].sum() * dz
                total = ndimage.sum(hu, lesions, each)[area >= MINIMUM_AREA].sum()
                scores[2, artery - 1] += total * dz * dy * dx * CALIBRATION
    scores[:, 3] = scores[:, :3].sum(axis=1)
    return scores


def _conventions() -> tuple[float, float, float]:
    from benchmark.calcium import DEFAULT

    thickness = SPACING[0] / DEFAULT.reference_thickness if DEFAULT.thickness_correction else 1.0
    return DEFAULT.min_area_mm2, thickness, DEFAULT.mass_calibration


MINIMUM_AREA, THICKNESS, CALIBRATION = _conventions()


def measure(rounds: int = 4) -> list[Line]:
    """CPU time of one core, and that of SciPy's."""
    voxels, labels, _ = scan()
    seconds = least({"ours": ours, "plain": plain}, rounds)
    reference = least({"score": lambda: score_scan(voxels, labels, SPACING)}, rounds)["score"]
    section = "clinical arithmetic, 512 x 512 x 57, one core"
    return [
        Line(
            section,
            "candidates, vote, 12 scores",
            f"{1000 * seconds['ours']:.0f} ms",
            "",
            seconds["ours"],
            "s",
            0.1,
            most=True,
            floor=0.2,
        ),
        Line(
            section,
            "beside SciPy on whole volumes",
            f"{1000 * seconds['ours']:.0f} ms",
            f"{1000 * seconds['plain']:.0f} ms",
            seconds["plain"] / seconds["ours"],
            "x",
            floor=3.0,
        ),
        Line(
            section, "12 scores of given labels", f"{1000 * reference:.0f} ms", "", reference, "s"
        ),
    ]
