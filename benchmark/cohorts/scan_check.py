"""The verdict on one scan: ready, ready with a warning, or refused."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
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
from benchmark.cohorts.hounsfield import PADDING
from benchmark.cohorts.same_scans import content_of
from benchmark.cohorts.volumes import read_scan
from benchmark.errors import UserError
from benchmark.heart.centring import missed
from benchmark.heart.finder import find_heart
from benchmark.heart.places import geometry_of, to_patient

LEAST_TISSUE = 0.005
"""Share of a scan that is no lung or air; the heart alone is some per cent of any field of view."""


class Remark(str):
    """What a reader noticed and a row tells, but which is no reason to look at the scan."""


@dataclass(frozen=True)
class ScanCheck:
    """One row of `benchmark data check`.

    Attributes
    ----------
    id : str
    verdict : {"ready", "warning", "refused"}
    reason : str
        Why not simply ready, or how outlines became calcium; else empty. One line, and for a
        refusal the file's name.
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
    scores : tuple of 12 floats
        Agatston, volume (mm3), mass (mg), each for LAD, LCX, RCA, whole.
    content : str
        The same for the same voxels alone, see `benchmark.cohorts.same_scans.content_of`.
    heart : (x, y, z), mm
        Middle of the heart as found, in patient coordinates (x left, y back, z head).
    confidence : float
        That it is one, 0 to 1; see `benchmark.heart.Heart`.

    Lesions, Agatston, risk and scores are None for a scan without labels too.
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
    scores: tuple[float, ...] | None = None
    content: str | None = None
    heart: tuple[float, float, float] | None = None
    confidence: float | None = None


def inspect_scan(
    id: str,
    image_path: Path,
    labels_path: Path | None,
    conventions: Conventions = DEFAULT,
    segments: Mapping[str, int] | None = None,
) -> tuple[ScanCheck, Scan | None]:
    """Read a scan with its labels, judge it, and cut its labels to calcium.

    Parameters
    ----------
    id : str
        Id of the scan.
    image_path, labels_path : Path
        CT in HU and labels 0 to 3; labels may be None.
    conventions : Conventions
        Give the threshold and the scores.
    segments : mapping of str to int, optional
        Label of each name of a segment that is not known by itself.

    Returns
    -------
    ScanCheck
        The verdict.
    Scan or None
        The scan, with labels on calcium alone; None if it was refused.
    """
    try:
        scan = read_scan(image_path, labels_path, id=id, largest_label=3, segments=segments)
    except UserError as error:
        return ScanCheck(id, "refused", str(error)), None
    return judge(scan, conventions)


def judge(
    scan: Scan,
    conventions: Conventions = DEFAULT,
    warnings: Iterable[str] = (),
    outlined: bool = False,
) -> tuple[ScanCheck, Scan]:
    """Judge a scan that could be read, and cut its labels to calcium.

    Parameters
    ----------
    scan : Scan
        Labels as they were drawn, or None.
    conventions : Conventions
        Give the threshold and the scores.
    warnings : iterable of str
        What its reader noticed; a `Remark` among them leaves the scan ready.
    outlined : bool
        Whether labels were drawn as outlines: that some of them is no calcium is then told, but
        is no warning; that most of them is none is one.

    Returns
    -------
    ScanCheck, Scan
        The verdict, and the scan with labels on calcium alone.

    Notes
    -----
    Labels are cut, never grown: polygons and loose masks become the components above the threshold
    that lie within them. Volume before and after tells how much that changed.
    """
    unusual, change = warnings_of(scan, conventions, outlined)
    warnings = [*warnings, *unusual]
    heart = find_heart(scan.voxels, scan.spacing)
    if missed(heart, scan):
        warnings.append(missed(heart, scan))
    serious = [line for line in warnings if not isinstance(line, Remark)]
    facts = {}
    if scan.labels is not None:
        labels = cut_to_calcium(scan, conventions).labels
        scores = score_scan(scan.voxels, labels, scan.spacing, conventions)
        lesions = lesion_table(scan.voxels, labels, scan.spacing, conventions)
        if change:
            change += f" in {len(lesions)} components"
        agatston = float(scores[0, -1])
        facts = {
            "lesions": len(lesions),
            "agatston": agatston,
            "risk": risk_category(agatston),
            "scores": tuple(scores.ravel().tolist()),
        }
        scan = replace(scan, labels=labels)
    check = ScanCheck(
        scan.id,
        "warning" if serious or (change and not outlined) else "ready",
        "; ".join([change, *warnings] if change else warnings),
        scan.voxels.shape,
        scan.spacing,
        (int(scan.voxels.min()), int(scan.voxels.max())),
        # A third of the slices gives the same median, and the estimate is what takes the time.
        noise_estimate(scan.voxels[:: 3 if len(scan.voxels) > 24 else 1]),
        content=content_of(scan.voxels),
        heart=to_patient(geometry_of(scan), heart.centre),
        confidence=heart.confidence,
        **facts,
    )
    return check, scan


def warnings_of(
    scan: Scan, conventions: Conventions = DEFAULT, outlined: bool = False
) -> tuple[list[str], str]:
    """Say what is unusual about a scan that could be read, without scoring it.

    Parameters
    ----------
    scan : Scan
        Labels as they were drawn, or None.
    conventions, outlined
        As for `judge`.

    Returns
    -------
    list of str
        Warnings.
    str
        What cutting the labels to calcium takes away; "" if nothing.
    """
    warnings, change = [*scan.warnings], ""
    # what fills the corners is no air that was seen
    if not np.any((scan.voxels > PADDING) & (scan.voxels < -200)):
        warnings.append("neither lung nor air in view; is it cropped?")
    if looks_enhanced(scan.voxels):
        warnings.append("looks contrast-enhanced; scoring needs non-contrast scans")
    if np.count_nonzero(scan.voxels > -200) < LEAST_TISSUE * scan.voxels.size:
        warnings.append("hardly any soft tissue in view; are values HU?")
    if not 0.5 <= scan.spacing[0] <= 5 or max(scan.spacing[1:]) > 1.5:
        warnings.append("unusual spacing for a calcium scan")
    if scan.labels is not None:
        drawn, dropped = labels_off_calcium(scan.voxels, scan.labels, conventions)
        if dropped:
            voxel = float(np.prod(scan.spacing))
            change = (
                f"{dropped} labelled voxels not above {conventions.threshold:g} HU were "
                f"dropped: {drawn * voxel:.1f} mm3 drawn, {(drawn - dropped) * voxel:.1f} mm3 left"
            )
        if mostly_off(drawn, dropped):
            warnings.append(MOSTLY_OFF)
    return warnings, change


MOSTLY_OFF = "most of what is drawn is no calcium: are these the labels of this scan?"


def labels_off_calcium(
    voxels: np.ndarray, labels: np.ndarray, conventions: Conventions = DEFAULT
) -> tuple[int, int]:
    """Count labelled voxels, and those of them that are no calcium.

    Parameters
    ----------
    voxels, labels : numpy.ndarray, shape (z, y, x)
        HU, and any label above 0.
    conventions : Conventions
        Give the threshold.
    """
    hu = voxels[labels > 0]
    return len(hu), int(np.count_nonzero(~above_threshold(hu, conventions)))


def mostly_off(drawn: int, dropped: int) -> bool:
    """Whether most labelled voxels are no calcium; see `labels_off_calcium`."""
    return 2 * dropped > drawn


def cut_to_calcium(scan: Scan, conventions: Conventions = DEFAULT) -> Scan:
    """Return a scan whose labels, where it has any, lie on voxels above the threshold alone."""
    if scan.labels is None:
        return scan
    labels = scan.labels.astype(np.uint8)
    # labels are few: only their voxels are looked at
    places = np.flatnonzero(labels)
    calcium = above_threshold(scan.voxels.reshape(-1)[places], conventions)
    labels.reshape(-1)[places[~calcium]] = 0
    return replace(scan, labels=labels)


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
