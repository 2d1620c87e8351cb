"""What is measured in one finished scan of the phantom."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmark.calcium import label_candidates, score_scan
from benchmark.cohorts.base import Scan
from benchmark.cohorts.phantom.anatomy import build_body
from benchmark.cohorts.phantom.generate import Plan, plan_calcium, scan_grid
from benchmark.cohorts.phantom.making import Recipe
from benchmark.cohorts.phantom.patient import draw_patient
from benchmark.cohorts.phantom.tissue import Tissue, measure_tissue


@dataclass(frozen=True)
class Facts:
    """What is measured in one scan.

    Attributes
    ----------
    centre, spacing
        As in the scan.
    tissue : Tissue
        HU and noise.
    agatston : ndarray, shape (4,)
        LAD, LCX, RCA, whole.
    volumes, peaks : tuple
        Volume (mm3) and greatest HU of each lesion.
    mixed, shared : int
        Lesions whose component also holds calcium that is not coronary; lesions of two arteries.
    specks : int
        Single voxels above 130 HU, of no lesion, in the middle half of each slice.
    kinds : frozenset of str
        Kinds of other calcium the image shows above 130 HU.
    ostial, moving : bool
        Whether a lesion lies at an ostium; whether the RCA moved.
    """

    centre: str
    spacing: tuple[float, float, float]
    tissue: Tissue
    agatston: np.ndarray
    volumes: tuple[float, ...]
    peaks: tuple[int, ...]
    mixed: int
    shared: int
    specks: int
    kinds: frozenset[str]
    ostial: bool
    moving: bool


def measure_scan(scan: Scan, recipe: Recipe) -> Facts:
    """Return what `describe` needs of one finished scan.

    Parameters
    ----------
    scan : Scan
        A scan of the phantom.
    recipe : Recipe
        What it was made with: where other calcium was put is planned again from it.
    """
    components, count = label_candidates(scan.voxels)
    lesion_voxels = scan.labels > 0
    volume = scan.spacing[0] * scan.spacing[1] * scan.spacing[2]
    inside = components[lesion_voxels]
    sizes = np.bincount(inside, minlength=count + 1)
    whole = np.bincount(components.ravel(), minlength=count + 1)
    peaks = np.zeros(count + 1, np.int64)
    np.maximum.at(peaks, inside, scan.voxels[lesion_voxels])
    arteries = [np.bincount(components[scan.labels == k], minlength=count + 1) for k in (1, 2, 3)]
    lesions = np.nonzero(sizes)[0]
    owners = sum((artery[lesions] > 0).astype(int) for artery in arteries)
    seed, difficulty = recipe.seed, recipe.difficulty
    index = int(scan.id.rpartition("-")[2]) - 1
    patient = draw_patient(seed, index, difficulty)
    body = build_body(seed, index, patient, difficulty)
    plan = plan_calcium(body, seed, index, difficulty)
    grid = scan_grid(patient, recipe.spacing)
    seen = _seen(plan, scan, (grid.z.ravel(), grid.y.ravel(), grid.x.ravel()))
    return Facts(
        centre=scan.centre,
        spacing=scan.spacing,
        tissue=measure_tissue(scan.voxels),
        agatston=score_scan(scan.voxels, scan.labels, scan.spacing)[0],
        volumes=tuple(sizes[lesions] * volume),
        peaks=tuple(peaks[lesions]),
        mixed=int((whole[lesions] > sizes[lesions]).sum()),
        shared=int((np.asarray(owners) > 1).sum()),
        specks=_specks(scan.voxels, components, whole, sizes),
        kinds=seen,
        ostial=any(le.vessel in ("LM", "RCA") and le.distance < 6.0 for le in plan.lesions),
        moving=any(lesion.moving for lesion in plan.lesions),
    )


def _seen(plan: Plan, scan: Scan, axes: tuple[np.ndarray, ...]) -> frozenset[str]:
    """Return the kinds of other calcium of which the finished image shows a voxel."""
    seen = set()
    for kind, beads in plan.confusers.items():
        for bead in beads:
            place = tuple(
                int(np.argmin(np.abs(axis - c)))
                for axis, c in zip(axes, reversed(bead.centre), strict=True)
            )
            if scan.voxels[place] > 130:
                seen.add(kind)
                break
    return frozenset(seen)


def _specks(
    voxels: np.ndarray, components: np.ndarray, whole: np.ndarray, coronary: np.ndarray
) -> int:
    """Count components of one voxel, of no lesion, in the middle half of each slice."""
    _, height, width = voxels.shape
    middle = components[:, height // 4 : 3 * height // 4, width // 4 : 3 * width // 4]
    names = np.unique(middle)
    names = names[names > 0]
    return int(((whole[names] == 1) & (coronary[names] == 0)).sum())
