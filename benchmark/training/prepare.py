"""Put a split's scans on the training grid, for all methods of a run alike."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from benchmark.calcium import DEFAULT, Conventions, label_candidates, score_scan
from benchmark.calcium.scores import find_calcium
from benchmark.cohorts.base import Cohort, Scan
from benchmark.cohorts.split import Split
from benchmark.cores import usable_cores
from benchmark.heart.places import Places
from benchmark.training.centred import Middles, grid_of, lesion_field
from benchmark.training.grid import (
    ON_SCAN,
    Candidates,
    TrainingGrid,
    cell_targets,
    list_candidates,
    pool,
)
from benchmark.training.settings import SCAN, Settings

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Example:
    """One scan on the training grid, with its candidates.

    Attributes
    ----------
    id, centre : str
    image : ndarray, (3, Z, Y, X), float16
    target : ndarray, (Z, Y, X), uint8
    candidate : ndarray, (Z, Y, X), bool
    scores : ndarray, (3, 4)
        Reference [Agatston, volume, mass] x [LAD, LCX, RCA, whole].
    slice_scores : ndarray, (Z, 3, 4)
        What each slice of the grid adds to them.
    candidates : Candidates
    shape : (z, y, x)
        Of the scan.
    spacing : (z, y, x), mm
    offset : (z, y, x), mm
        Of the grid's middle from the scan's.
    """

    id: str
    centre: str
    image: np.ndarray
    target: np.ndarray
    candidate: np.ndarray
    scores: np.ndarray
    slice_scores: np.ndarray
    candidates: Candidates
    shape: tuple[int, int, int]
    spacing: tuple[float, float, float]
    offset: tuple[float, float, float] = ON_SCAN

    @property
    def voxel_mm3(self) -> float:
        """Volume of a voxel."""
        return float(np.prod(self.spacing))

    def estimated_scores(
        self, classes: np.ndarray, conventions: Conventions = DEFAULT
    ) -> np.ndarray:
        """The 12 scores (3, 4) of a class for each component, by the reference's own code."""
        labels = classes[self.candidates.component]
        return scores_of_voxels(self.candidates, labels, self.shape, self.spacing, conventions)


@dataclass(frozen=True)
class Prepared:
    """A split on the training grid.

    Attributes
    ----------
    train, test : tuple of Example
    grid : TrainingGrid
    notes : tuple of str
        What a reader of the board should know: voxels that fell outside the grid, say.
    """

    train: tuple[Example, ...]
    test: tuple[Example, ...]
    grid: TrainingGrid
    notes: tuple[str, ...] = field(default=())

    @property
    def test_ids(self) -> list[str]:
        """Ids of the test scans, in order."""
        return [example.id for example in self.test]

    @property
    def reference(self) -> np.ndarray:
        """Reference scores of the test scans, (n, 3, 4)."""
        return np.stack([example.scores for example in self.test])


def _box(candidates: Candidates, labels: np.ndarray, shape: tuple[int, int, int]):
    """HU and labels of the labelled candidate voxels on the smallest box, and where it begins."""
    chosen = labels > 0
    places = np.unravel_index(candidates.voxel[chosen], shape)
    low = [int(p.min()) for p in places]
    size = [int(p.max()) - first + 1 for p, first in zip(places, low, strict=True)]
    box = tuple(p - first for p, first in zip(places, low, strict=True))
    voxels = np.full(size, -1024, np.int16)
    classes = np.zeros(size, np.uint8)
    voxels[box] = candidates.hu[chosen]
    classes[box] = labels[chosen]
    return voxels, classes, low


def scores_of_voxels(
    candidates: Candidates,
    labels: np.ndarray,
    shape: tuple[int, int, int],
    spacing: tuple[float, float, float],
    conventions: Conventions = DEFAULT,
) -> np.ndarray:
    """The 12 scores (3, 4) of labelled candidate voxels.

    Parameters
    ----------
    candidates : Candidates
    labels : ndarray of uint8
        Class of each candidate voxel.
    shape : (z, y, x)
    spacing : (z, y, x), mm
    """
    if not (labels > 0).any():
        return np.zeros((3, 4))
    voxels, classes, _ = _box(candidates, labels, shape)
    return score_scan(voxels, classes, spacing, conventions)


def slice_scores_of_voxels(
    candidates: Candidates,
    labels: np.ndarray,
    shape: tuple[int, int, int],
    spacing: tuple[float, float, float],
    grid: TrainingGrid,
    conventions: Conventions = DEFAULT,
    offset: tuple[float, float, float] = ON_SCAN,
) -> np.ndarray:
    """What each slice of the training grid adds to the 12 scores, (Z, 3, 4)."""
    out = np.zeros((grid.shape[0], 3, 4))
    if not (labels > 0).any():
        return out
    voxels, classes, low = _box(candidates, labels, shape)
    calcium = find_calcium(voxels, classes, spacing, conventions)
    slices = grid.cell_index(shape[0], spacing[0], 0, offset)[calcium.index[:, 0] + low[0]]
    slices = np.clip(slices, 0, grid.shape[0] - 1)
    for row, amount in enumerate((calcium.agatston, calcium.volume, calcium.mass)):
        np.add.at(out[:, row], (slices, calcium.label - 1), amount)
    out[..., 3] = out[..., :3].sum(axis=-1)
    return out


def prepare(
    cohort: Cohort,
    split: Split,
    settings: Settings,
    progress: Progress | None = None,
    workers: int | None = None,
    places: Places | None = None,
) -> Prepared:
    """Read every scan of the split and put it on the training grid.

    Parameters
    ----------
    cohort : Cohort
    split : Split
    settings : Settings
    progress : callable, optional
        ``progress(done, total)``.
    workers : int, optional
        Threads that read; one for each usable core by default.
    places : Places, optional
        Of a file on which the grid is centred, where the settings say so.

    Raises
    ------
    UserError
        If a scan cannot be read, or the file has no place within it.
    """
    ids = [*split.train, *split.test]
    workers = workers or usable_cores()
    middles = Middles(settings.centre, places)
    fields = None
    if settings.grid is not None:
        grid = TrainingGrid(tuple(settings.cell_mm), tuple(settings.grid))
    elif settings.centre == SCAN:
        # The grid's size is known when the last training scan has told where its lesions are. To
        # keep all volumes until then would take gigabytes; labels alone are read in a moment.
        with ThreadPoolExecutor(workers) as threads:
            fields = list(threads.map(lambda i: lesion_field(cohort.load_labels(i)), split.train))
        grid = grid_of(fields, settings)
    else:
        grid = grid_of(middles.fields(cohort, split.train, progress, workers), settings)
    examples, seen = _examples(cohort, ids, grid, middles, progress, workers)
    seen = seen[: len(split.train)]
    if fields is not None and not np.array_equal(fields, seen):
        # labels alone are not checked against a check sum: what the whole scans say counts
        grid = grid_of(seen, settings)
        examples, _ = _examples(cohort, ids, grid, middles, progress, workers)
    lost = sum(
        int(np.count_nonzero((e.candidates.cell < 0) & (e.candidates.label > 0))) for e in examples
    )
    notes = middles.notes(ids)
    if lost:
        total = sum(int(np.count_nonzero(e.candidates.label)) for e in examples)
        notes += (
            f"{lost} of {total} labelled voxels lie outside the training grid {grid.shape} and"
            " count as missed",
        )
    return Prepared(
        tuple(examples[: len(split.train)]), tuple(examples[len(split.train) :]), grid, notes
    )


def _examples(
    cohort: Cohort,
    ids: list[str],
    grid: TrainingGrid,
    middles: Middles,
    progress: Progress | None,
    workers: int,
) -> tuple[list[Example], list[np.ndarray]]:
    """Scans on the grid, in order, and the field of each one's lesions."""

    def build(scan_id: str) -> tuple[Example, np.ndarray]:
        scan = cohort.load(scan_id)
        offset = middles.of(scan).offset
        return example(scan, grid, offset), lesion_field(scan, offset)

    examples, fields = [], []
    with ThreadPoolExecutor(workers) as threads:
        for built, field_mm in threads.map(build, ids):
            examples.append(built)
            fields.append(field_mm)
            if progress is not None:
                progress(len(examples), len(ids))
    return examples, fields


def example(
    scan: Scan, grid: TrainingGrid, offset: tuple[float, float, float] = ON_SCAN
) -> Example:
    """One scan on the training grid, whose middle lies ``offset`` (z, y, x) mm from the scan's."""
    components, _ = label_candidates(scan.voxels)
    candidates = list_candidates(scan.voxels, scan.labels, scan.spacing, components, grid, offset)
    target, candidate = cell_targets(candidates, grid)
    return Example(
        scan.id,
        scan.centre,
        pool(scan.voxels, scan.spacing, grid, offset=offset),
        target,
        candidate,
        scores_of_voxels(candidates, candidates.label, scan.voxels.shape, scan.spacing),
        slice_scores_of_voxels(
            candidates, candidates.label, scan.voxels.shape, scan.spacing, grid, offset=offset
        ),
        candidates,
        tuple(scan.voxels.shape),
        tuple(scan.spacing),
        tuple(offset),
    )
