"""Labels and scores that another program made, as a row for the leaderboard.

Label maps go through the rule that every network here goes through: a component above 130 HU is
one artery's or none, by the votes of its voxels. A hard label votes with all its weight, so the
class of most voxels wins, and what was labelled outside the components counts for nothing. How
much that changed is reported.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import SimpleITK as sitk

from benchmark import inference
from benchmark.calcium import label_candidates
from benchmark.cohorts.base import Scan
from benchmark.cohorts.geometry import Geometry, to_memory
from benchmark.cohorts.label_maps import read_label_map
from benchmark.cohorts.scan_check import mostly_off
from benchmark.cohorts.volumes import id_of
from benchmark.errors import UserError
from benchmark.training.grid import Candidates, TrainingGrid, list_candidates
from benchmark.training.prepare import scores_of_voxels

NO_GRID = TrainingGrid((1.0, 1.0, 1.0), (1, 1, 1))
"""Nothing is looked up on it: labels lie on the scan's own grid."""

Progress = Callable[[int, int], None]
"""Called as ``progress(done, total)``."""

Fault = Callable[[str, str], None]
"""Called as ``fault(id, reason)`` for what cannot be used."""


@dataclass
class Judged:
    """Predictions of some scans beside their reference, in the order of `ids`.

    Attributes
    ----------
    ids : tuple of str
    reference : ndarray, (n, 3, 4)
    worst_fp : ndarray, (n, 4), mm3
        What a missing prediction costs.
    mask, head : ndarray, (n, 3, 4), or None
        NaN where there is no prediction.
    tp, fp, fn : ndarray, (n, 4), mm3, or None
    missing : tuple of str
        Ids without a prediction.
    notes : tuple of str
    patients : tuple of int or None
        Number of each scan's patient; None: nobody knows.
    warnings : tuple of str
        Of the notes those that are said on stderr too.
    """

    ids: tuple[str, ...]
    reference: np.ndarray
    worst_fp: np.ndarray
    mask: np.ndarray | None = None
    head: np.ndarray | None = None
    tp: np.ndarray | None = None
    fp: np.ndarray | None = None
    fn: np.ndarray | None = None
    missing: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    patients: tuple[int, ...] | None = None
    warnings: tuple[str, ...] = ()


@dataclass
class Vote:
    """What the component vote made of one label map.

    Attributes
    ----------
    classes : ndarray of uint8, (n + 1,)
        Of each component; entry 0 is background.
    outside, changed : int
        Labelled voxels that are no candidates, and candidate voxels that the vote gave another
        class.
    """

    classes: np.ndarray
    outside: int
    changed: int


def vote_of_labels(labels: np.ndarray, candidates: Candidates) -> Vote:
    """Class of each component by most of its voxels; of equal ones background, then the first.

    The limit of `benchmark.inference.vote` where each voxel is sure of its class.

    Parameters
    ----------
    labels : ndarray of uint8, (z, y, x)
        0 to 3, on the scan's grid.
    candidates : Candidates
        Of the scan.
    """
    own = labels.ravel()[candidates.voxel]
    votes = np.bincount(
        candidates.component.astype(np.int64) * 4 + own, minlength=4 * (candidates.count + 1)
    ).reshape(-1, 4)
    classes = votes.argmax(axis=1).astype(np.uint8)
    classes[0] = 0
    outside = int(np.count_nonzero(labels)) - int(np.count_nonzero(own))
    return Vote(classes, outside, int(np.count_nonzero(classes[candidates.component] != own)))


def candidates_of(scan: Scan) -> Candidates:
    """Candidate voxels of a scan with its reference labels."""
    components, _ = label_candidates(scan.voxels)
    return list_candidates(scan.voxels, scan.labels, scan.spacing, components, NO_GRID)


def find_label_maps(folder: Path) -> dict[str, Path]:
    """Label maps in a folder (or in its ``labels/``) by scan id.

    Raises
    ------
    UserError
        If there is no such folder, no image file in it, or two for one scan.
    """
    if not folder.is_dir():
        raise UserError(f"no such folder: {folder}")
    place = folder / "labels" if (folder / "labels").is_dir() else folder
    found: dict[str, Path] = {}
    for path in sorted(place.iterdir()):
        id = id_of(path)
        if id is None or not path.is_file() or path.name.startswith("."):
            continue
        id = unquote(id)  # as `predict` writes an id that no file can bear
        if id in found:
            raise UserError(f"{path}: same scan as {found[id].name}; keep one of them")
        found[id] = path
    if not found:
        raise UserError(f"{place}: holds no label map (.nii.gz, .nii, .nrrd, .mha or .mhd)")
    return found


def read_labels(path: Path, scan: Scan) -> np.ndarray:
    """A label map on a scan's grid, (z, y, x), turned as the scan is in memory.

    Raises
    ------
    UserError
        If the file cannot be read, lies on another grid, or holds other values than 0 to 3.
    """
    grid = scan.geometry or Geometry.upright(scan.voxels.shape, scan.spacing)
    own = to_memory(grid.put_on(sitk.Image(grid.size, sitk.sitkUInt8)))
    labels, doubts = read_label_map(path, own, 3)
    if doubts:
        raise UserError(f"{path}: {doubts[0]}; give each segment its number")
    return labels


@dataclass
class _Changes:
    """What the component vote changed in all label maps together."""

    drawn: float = 0.0
    outside: float = 0.0
    changed: float = 0.0
    scans: set = field(default_factory=set)
    off: list = field(default_factory=list)

    def add(self, id: str, labels: np.ndarray, vote: Vote, voxel_mm3: float) -> None:
        self.drawn += np.count_nonzero(labels) * voxel_mm3
        self.outside += vote.outside * voxel_mm3
        self.changed += vote.changed * voxel_mm3
        if vote.outside or vote.changed:
            self.scans.add(id)
        if mostly_off(np.count_nonzero(labels), vote.outside):
            self.off.append(id)

    @property
    def note(self) -> str:
        """A sentence for the leaderboard."""
        if not self.scans:
            return "labels as given: the component vote changed nothing"
        return (
            f"the component vote changed the labels of {len(self.scans)} scans: of "
            f"{self.drawn:.1f} mm3 labelled, {self.outside:.1f} mm3 not above 130 HU were "
            f"dropped, and {self.changed:.1f} mm3 of components took the class of most of "
            "their voxels"
        )

    @property
    def warning(self) -> str:
        """That some label maps lie beside the calcium; "" if none does."""
        if not self.off:
            return ""
        more = f" and {len(self.off) - 3} more" if len(self.off) > 3 else ""
        return (
            f"most of what {len(self.off)} label maps draw is no calcium "
            f"({', '.join(self.off[:3])}{more}): are they of these scans?"
        )


def judge_labels(
    ids: Iterable[str],
    load: Callable[[str], Scan],
    files: dict[str, Path],
    fault: Fault,
    progress: Progress | None = None,
    unreadable: Fault | None = None,
) -> Judged:
    """Compare label maps with a cohort's reference.

    Parameters
    ----------
    ids : iterable of str
        Scans that count.
    load : callable
        ``load(id) -> Scan`` with reference labels.
    files : dict of Path
        Label map by id; a scan without one is missing.
    fault : callable
        For a label map that cannot be used; the scan is then missing.
    progress : callable, optional
    unreadable : callable, optional
        For a scan of the cohort itself that cannot be read: it is left out.

    Raises
    ------
    UserError
        If a scan of the cohort cannot be read and there is no ``unreadable``, or none can.
    """
    ids = tuple(ids)
    used, reference, worst, mask, overlap = [], [], [], [], []
    missing, changes = [], _Changes()
    for done, id in enumerate(ids, start=1):
        try:
            scan = load(id)
            if scan.labels is None:
                raise UserError(f"{id}: has no reference labels to be judged by")
        except UserError as error:
            if unreadable is None:
                raise
            unreadable(id, " ".join(str(error).split()))
            continue
        found = candidates_of(scan)
        shape, voxel_mm3 = scan.voxels.shape, float(np.prod(scan.spacing))
        used.append(id)
        reference.append(scores_of_voxels(found, found.label, shape, scan.spacing))
        worst.append(inference.worst_false_positives(found, voxel_mm3))
        labels = None
        if id in files:
            try:
                labels = read_labels(files[id], scan)
            except UserError as error:
                fault(id, " ".join(str(error).split()))
        if labels is None:
            missing.append(id)
            mask.append(np.full((3, 4), np.nan))
            overlap.append(np.full((3, 4), np.nan))
        else:
            vote = vote_of_labels(labels, found)
            changes.add(id, labels, vote, voxel_mm3)
            given = vote.classes[found.component]
            mask.append(scores_of_voxels(found, given, shape, scan.spacing))
            overlap.append(inference.overlap(vote.classes, found, voxel_mm3))
        if progress is not None:
            progress(done, len(ids))
    if not used:
        raise UserError("not one scan of the cohort can be read with its reference labels")
    tp, fp, fn = np.stack(overlap, axis=1)
    return Judged(
        tuple(used),
        np.stack(reference),
        np.stack(worst),
        mask=np.stack(mask),
        tp=tp,
        fp=fp,
        fn=fn,
        missing=tuple(missing),
        notes=tuple(filter(None, (changes.note, changes.warning))),
        warnings=tuple(filter(None, (changes.warning,))),
    )


def judge_scores(
    ids: Iterable[str],
    reference: np.ndarray,
    worst_fp: np.ndarray,
    given: dict[str, np.ndarray],
    source: str,
) -> Judged:
    """Put a table of scores beside a reference.

    Parameters
    ----------
    ids : iterable of str
        Scans that count, in the order of `reference`.
    reference : ndarray, (n, 3, 4)
    worst_fp : ndarray, (n, 4)
    given : dict of ndarray, (3, 4)
        Scores by scan; one that is not finite makes the scan miss that figure.
    source : str
        Which columns of the table they come from.
    """
    ids = tuple(ids)
    scores = np.full(reference.shape, np.nan)
    for row, id in enumerate(ids):
        if id in given:
            scores[row] = given[id]
    complete = np.isfinite(scores).all(axis=(1, 2))
    words = "scores by the mask" if source == "mask" else "scores"
    return Judged(
        ids,
        np.asarray(reference, float),
        np.asarray(worst_fp, float),
        head=scores,
        missing=tuple(id for id, there in zip(ids, complete, strict=True) if not there),
        notes=(f"{words} as given in a table: without labels there is no overlap",),
    )


def check_ids(given: Iterable[str], ids: Iterable[str], where: Path, others: bool = False) -> None:
    """Refuse predictions of scans that do not count; ``others`` passes them over.

    Raises
    ------
    UserError
        If there are such scans, or not one that counts.
    """
    given, ids = set(given), set(ids)
    unknown = sorted(given - ids)
    if not given & ids:
        raise UserError(
            f"{where}: none of its {len(given)} scans is among the {len(ids)} that count; names "
            f"must be scan ids, as {min(ids, default='?')!r} (there is {min(unknown)!r})"
        )
    if unknown and not others:
        more = f" and {len(unknown) - 1} more" if len(unknown) > 1 else ""
        raise UserError(
            f"{where}: scan {unknown[0]!r}{more} is not among the {len(ids)} that count; leave "
            "such scans out, or pass them over with --others ignore"
        )


def check_missing(missing: Iterable[str], where: Path, total: int) -> None:
    """Raise UserError if a scan has no prediction."""
    missing = tuple(missing)
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise UserError(
            f"{where}: scan {missing[0]!r}{more} of {total} has no usable prediction; give it, or "
            "let it take the worst value with --missing worst"
        )
