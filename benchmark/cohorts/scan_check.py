"""The verdict on one scan of a folder: ready, ready with a warning, or refused."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from benchmark.calcium import (
    DEFAULT,
    Conventions,
    above_threshold,
    lesion_table,
    risk_category,
    score_scan,
)
from benchmark.cohorts.base import Scan
from benchmark.cohorts.volumes import read_scan
from benchmark.errors import UserError


@dataclass(frozen=True)
class ScanCheck:
    """One row of `benchmark data check`.

    Attributes
    ----------
    id : str
    verdict : {"ready", "warning", "refused"}
    reason : str
        Why not simply ready; empty if it is. One line, and for a refusal the file's name.
    size : (z, y, x) in voxels, or None as all below if the scan was refused
    spacing : (z, y, x) in mm
    hu_range : lowest and highest HU
    noise : float
        Estimate of the noise, HU (see `noise_estimate`); NaN if no soft tissue was found.
    lesions : int
    agatston : float
        Whole heart.
    risk : int
        Risk category 0 to 4.
    """

    id: str
    verdict: Literal["ready", "warning", "refused"]
    reason: str = ""
    size: tuple[int, int, int] | None = None
    spacing: tuple[float, float, float] | None = None
    hu_range: tuple[int, int] | None = None
    noise: float | None = None
    lesions: int | None = None
    agatston: float | None = None
    risk: int | None = None


def inspect_scan(
    id: str, image_path: Path, labels_path: Path, conventions: Conventions = DEFAULT
) -> tuple[ScanCheck, Scan | None]:
    """Read a scan with its labels, judge it, and cut its labels to calcium.

    Parameters
    ----------
    id : str
        Id of the scan.
    image_path, labels_path : Path
        CT in HU and labels 0 to 3.
    conventions : Conventions
        Give the threshold and the scores.

    Returns
    -------
    ScanCheck
        The verdict.
    Scan or None
        The scan, with labels on calcium alone; None if it was refused.
    """
    try:
        scan = read_scan(image_path, labels_path, id=id, largest_label=3)
    except UserError as error:
        return ScanCheck(id, "refused", str(error)), None
    calcium = above_threshold(scan.voxels, conventions)
    labels = np.where(calcium, scan.labels, 0).astype(np.uint8)
    warnings = []
    dropped = int(np.count_nonzero(scan.labels) - np.count_nonzero(labels))
    if dropped:
        warnings.append(
            f"{dropped} labelled voxels not above {conventions.threshold:g} HU were dropped"
        )
    if scan.voxels.min() > -200:
        warnings.append("neither lung nor air in view; is it cropped?")
    if looks_enhanced(scan.voxels):
        warnings.append("looks contrast-enhanced; scoring needs non-contrast scans")
    if not 0.5 <= scan.spacing[0] <= 5 or max(scan.spacing[1:]) > 1.5:
        warnings.append("unusual spacing for a calcium scan")
    scores = score_scan(scan.voxels, labels, scan.spacing, conventions)
    agatston = float(scores[0, -1])
    check = ScanCheck(
        id,
        "warning" if warnings else "ready",
        "; ".join(warnings),
        scan.voxels.shape,
        scan.spacing,
        (int(scan.voxels.min()), int(scan.voxels.max())),
        noise_estimate(scan.voxels),
        len(lesion_table(scan.voxels, labels, scan.spacing, conventions)),
        agatston,
        risk_category(agatston),
    )
    return check, Scan(id, scan.centre, scan.voxels, scan.spacing, labels)


def noise_estimate(voxels: np.ndarray, block: int = 8) -> float:
    """Estimate the noise of a scan from its soft tissue.

    The scan is cut into squares of `block` x `block` pixels; of those that look like soft tissue
    alone (mean 10 to 90 HU, nothing below -100 or above 200 HU) the median standard deviation is
    taken. Texture of the tissue counts as noise, so it is an upper estimate.

    Parameters
    ----------
    voxels : numpy.ndarray, shape (z, y, x)
        HU.
    block : int
        Side of the squares in pixels.

    Returns
    -------
    float
        HU; NaN if there is no such square.
    """
    z, y, x = voxels.shape
    if min(y, x) < block:
        return float("nan")
    cut = voxels[:, : y - y % block, : x - x % block]
    squares = cut.reshape(z, y // block, block, x // block, block)
    low, high = squares.min(axis=(2, 4)), squares.max(axis=(2, 4))
    tissue = squares.swapaxes(2, 3)[(low >= -100) & (high <= 200)].astype(np.float32)
    mean, deviation = tissue.mean(axis=(1, 2)), tissue.std(axis=(1, 2))
    deviation = deviation[(mean >= 10) & (mean <= 90)]
    return float(np.median(deviation)) if len(deviation) else float("nan")


def looks_enhanced(voxels: np.ndarray) -> bool:
    """Guess whether contrast agent fills the heart.

    Of the tissue (-50 HU and more) in the middle half of the slices, blood with contrast agent
    makes more than a fifth dense (200 to 600 HU); bone and calcium make a few per cent.

    Parameters
    ----------
    voxels : numpy.ndarray, shape (z, y, x)
        HU.
    """
    _, y, x = voxels.shape
    middle = voxels[:, y // 4 : y - y // 4, x // 4 : x - x // 4]
    tissue = np.count_nonzero(middle >= -50)
    dense = np.count_nonzero((middle >= 200) & (middle <= 600))
    return tissue > 0 and dense > 0.2 * tissue
