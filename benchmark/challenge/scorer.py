"""The orCaScore measures: lesions found by number and by volume, agreement of scores and risk.

NumPy in, numbers out. Rules that the challenge states come from its pages (Submit, Evaluation) and
its paper, Wolterink et al., Med Phys 43(5):2361-2373, 2016; what they leave open is a setting of
`Rules`. No setting here is the organisers' own: their program is not public.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from benchmark.calcium import ARTERIES, DEFAULT, TARGETS, Conventions, label_candidates, score_scan
from benchmark.calcium.checks import check_labels, check_spacing
from benchmark.metrics import Estimate, replicate
from benchmark.metrics.bootstrap import RESAMPLES, SEED
from benchmark.metrics.summary import as_estimate

Key = tuple[str, str]
"""Measure and target: ``("F1 volume", "LAD")``."""

BY_NUMBER = ("sensitivity number", "PPV number")
BY_VOLUME = ("sensitivity volume", "PPV volume", "F1 volume")

KEYS: tuple[Key, ...] = (
    *((measure, target) for measure in (*BY_NUMBER, *BY_VOLUME) for target in TARGETS),
    *(("ICC volume", target) for target in TARGETS),
    ("ICC Agatston", "whole"),
    ("kappa", "whole"),
)
"""All measures. Agatston scores and risk are of the patient alone; the rest is per artery too."""

SIX: tuple[Key, ...] = (
    ("sensitivity volume", "whole"),
    ("PPV volume", "whole"),
    ("F1 volume", "whole"),
    ("ICC volume", "whole"),
    ("ICC Agatston", "whole"),
    ("kappa", "whole"),
)
"""The measures of figure 10: three of the lesions, three of the scores."""


@dataclass(frozen=True)
class Rules:
    """What the challenge's pages and paper leave open.

    Parameters
    ----------
    conventions : Conventions
        The Agatston formula: minimum area, correction for slice spacing and in-plane connectivity
        are not published. The default is this repository's own.
    min_lesion_mm3 : float, default 0
        Components of a smaller volume (mm3) are no lesions, in the reference and in the
        submission alike. Whether a minimum applies is not published; the default drops nothing.
    majority : {"labelled", "all"}, default "labelled"
        Who votes for the label of a component. The challenge: "the evaluation software will assign
        the majority label to all connected voxels" (page Submit). It does not say whether
        background counts as a label. "labelled": voxels with a label 1 to 4 alone, so that a
        component with one labelled voxel is a lesion. "all": background votes too, and may win.

    Raises
    ------
    ValueError
        If a setting is outside its range.
    """

    conventions: Conventions = DEFAULT
    min_lesion_mm3: float = 0.0
    majority: Literal["labelled", "all"] = "labelled"

    def __post_init__(self) -> None:
        if not (math.isfinite(self.min_lesion_mm3) and self.min_lesion_mm3 >= 0):
            raise ValueError(f"min_lesion_mm3 must be 0 or more, not {self.min_lesion_mm3}")
        if self.majority not in ("labelled", "all"):
            raise ValueError(f"majority must be 'labelled' or 'all', not {self.majority!r}")


AS_STATED = Rules()
"""Our choice wherever the challenge says nothing."""


@dataclass(frozen=True, eq=False)
class PatientScore:
    """What one patient adds to the measures.

    Attributes
    ----------
    lesions : numpy.ndarray, shape (3, 4)
        Number of true positive, false positive, false negative lesions x LAD, LCX, RCA, whole.
        NaN where there is no submission.
    volumes : numpy.ndarray, shape (3, 4)
        The same in mm3.
    reference, scores : numpy.ndarray, shape (3, 4)
        Agatston, volume, mass x LAD, LCX, RCA, whole: of the reference, of the submission (NaN
        where there is none).
    reference_lesions : numpy.ndarray, shape (4,)
    reference_mm3 : numpy.ndarray, shape (4,)
        Number and volume of the lesions of the reference.
    candidates : int
    candidates_mm3 : float
        Number and volume of all components that may be lesions: what a missing map may cost.
    """

    lesions: np.ndarray
    volumes: np.ndarray
    reference: np.ndarray
    scores: np.ndarray
    reference_lesions: np.ndarray
    reference_mm3: np.ndarray
    candidates: int
    candidates_mm3: float


def label_lesions(
    components: np.ndarray, labels: np.ndarray, voxel_mm3: float, rules: Rules = AS_STATED
) -> np.ndarray:
    """Give each component one label.

    Parameters
    ----------
    components : numpy.ndarray of whole numbers, any shape
        Component of each voxel, as `benchmark.calcium.label_candidates` numbers them; voxels of
        none (0) may be left out.
    labels : numpy.ndarray of whole numbers 0 to 4, same shape
    voxel_mm3 : float
        Volume of a voxel.
    rules : Rules

    Returns
    -------
    numpy.ndarray of uint8, shape (n + 1,)
        Label of component 0 (background, always 0) to n: that of most of its voxels, the lower one
        where two are equal; 0 for a component without a label or below the minimum volume.

    Notes
    -----
    Labels outside the components count for nothing, as a lesion is by definition above 130 HU.
    """
    inside = components > 0
    component = components[inside].astype(np.int64)
    n = int(component.max(initial=0))
    votes = np.bincount(component * 5 + labels[inside], minlength=(n + 1) * 5).reshape(-1, 5)
    sizes = votes.sum(axis=1)
    if rules.majority == "labelled":
        votes[:, 0] = 0
    winner = votes.argmax(axis=1).astype(np.uint8)
    # A hair of tolerance, so that a lesion of exactly the minimum is not lost to rounding.
    winner[sizes * voxel_mm3 * (1 + 1e-9) < rules.min_lesion_mm3] = 0
    return winner


def score_patient(
    voxels: np.ndarray,
    reference: np.ndarray,
    submitted: np.ndarray | None,
    spacing: Sequence[float],
    rules: Rules = AS_STATED,
) -> PatientScore:
    """Compare a submitted label map with the reference.

    A lesion is a 3D 6-connected component of voxels above 130 HU that holds labelled voxels, and
    is always taken whole. For an artery a lesion is a true positive if both call it that artery; if
    they differ it is a false positive of one artery and a false negative of the other. For the
    whole heart the artery does not matter: there label 4 (artery undetermined) counts as well, and
    for the arteries it counts for none.

    Parameters
    ----------
    voxels : numpy.ndarray, shape (z, y, x)
        HU.
    reference : numpy.ndarray of whole numbers, shape (z, y, x)
        0 background, 1 LAD with the left main, 2 LCX, 3 RCA.
    submitted : numpy.ndarray of whole numbers, shape (z, y, x), or None
        The same, and 4 undetermined. None: there is no map, or it cannot be read.
    spacing : three floats
        Distance of voxel centres along (z, y, x), mm.
    rules : Rules

    Returns
    -------
    PatientScore

    Raises
    ------
    ValueError
        If the arrays are not volumes on one grid, a label is unknown or a spacing not positive.
    """
    voxel_mm3 = math.prod(check_spacing(spacing))
    check_labels(reference, voxels)
    components, n = label_candidates(voxels, rules.conventions)
    inside = np.flatnonzero(components)
    component = components.reshape(-1)[inside]
    sizes = np.bincount(component, minlength=n + 1) * voxel_mm3
    kept = sizes * (1 + 1e-9) >= rules.min_lesion_mm3
    kept[0] = False
    truth = label_lesions(component, reference.reshape(-1)[inside], voxel_mm3, rules)
    amounts = (np.ones(n + 1), sizes)
    missed = [_outcomes(truth, np.zeros_like(truth), amount)[2] for amount in amounts]

    def scores(labels: np.ndarray) -> np.ndarray:
        whole = np.zeros(components.shape, np.uint8)
        whole.reshape(-1)[inside] = labels[component]
        return score_scan(voxels, whole, spacing, rules.conventions)

    if submitted is None:
        lesions, volumes, found = (np.full((3, len(TARGETS)), np.nan) for _ in range(3))
    else:
        check_labels(submitted, voxels)
        estimate = label_lesions(component, submitted.reshape(-1)[inside], voxel_mm3, rules)
        lesions, volumes = (_outcomes(truth, estimate, amount) for amount in amounts)
        found = scores(estimate)
    return PatientScore(
        lesions=lesions,
        volumes=volumes,
        reference=scores(truth),
        scores=found,
        reference_lesions=missed[0],
        reference_mm3=missed[1],
        candidates=int(kept.sum()),
        candidates_mm3=float(sizes[kept].sum()),
    )


def _outcomes(truth: np.ndarray, estimate: np.ndarray, amount: np.ndarray) -> np.ndarray:
    """Sum an amount over true positive, false positive and false negative lesions, (3, 4)."""
    found = np.zeros((3, len(TARGETS)))
    for column in range(len(TARGETS)):
        whole = column == len(ARTERIES)
        real = truth > 0 if whole else truth == column + 1
        said = estimate > 0 if whole else estimate == column + 1
        for row, which in enumerate((real & said, ~real & said, real & ~said)):
            found[row, column] = amount[which].sum()
    return found


def measures(
    patients: Sequence[PatientScore],
    resamples: int = RESAMPLES,
    seed: int = SEED,
    whose: Sequence[int] | None = None,
) -> dict[Key, Estimate]:
    """Compute all measures of a submission, with 95 % bootstrap intervals over patients.

    Lesions and volumes are pooled over patients before a ratio is taken. F1 is the harmonic mean of
    sensitivity and PPV by volume. ICC is two-way, absolute agreement, single rater; kappa is
    linearly weighted over five risk categories of the Agatston score (<1, [1, 10), [10, 100),
    [100, 400), 400 and more). A patient without a map takes the worst value in each measure (see
    `benchmark.metrics.worst`).

    Parameters
    ----------
    patients : sequence of PatientScore
        One a patient, at least one.
    resamples, seed : int
        Number of bootstrap resamples and their seed.
    whose : sequence of int, optional
        Number of each entry's patient, where a patient has several scans; the challenge's have one.

    Returns
    -------
    dict of Estimate
        Under `KEYS`.

    Raises
    ------
    ValueError
        If there is no patient.
    """
    if not patients:
        raise ValueError("no patient to score")
    reference = np.stack([p.reference for p in patients])  # (n, 3, 4)
    whose = range(len(patients)) if whose is None else whose
    drawn = {"resamples": resamples, "seed": seed, "patients": whose}
    by_number = replicate(
        reference,
        None,
        tuple(np.stack([p.lesions for p in patients], axis=1)),  # three of (n, 4)
        reference_volume=np.stack([p.reference_lesions for p in patients]),
        candidate_volume=np.array([p.candidates for p in patients], dtype=np.float64),
        **drawn,
    )
    by_volume = replicate(
        reference,
        np.stack([p.scores for p in patients]),
        tuple(np.stack([p.volumes for p in patients], axis=1)),
        reference_volume=np.stack([p.reference_mm3 for p in patients]),
        candidate_volume=np.array([p.candidates_mm3 for p in patients]),
        **drawn,
    )
    found = {}
    for measure, target in KEYS:
        name, _, kind = measure.partition(" ")
        source = by_number if kind == "number" else by_volume
        key = {"ICC volume": "ICC_VS", "ICC Agatston": "ICC_AS"}.get(measure, name)
        found[measure, target] = as_estimate(source[key, target])
    return found
