"""Where the training grid lies in each scan, and how large it must be: the same for all methods."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from benchmark.cohorts.base import Cohort, Labels, Scan
from benchmark.heart.centring import Middle, middle_of
from benchmark.heart.places import Places
from benchmark.training.grid import ON_SCAN, TrainingGrid
from benchmark.training.settings import HEART, Settings

MARGIN_MM = 12.0
"""Around the training split's lesions: a test patient's may lie further out."""

LARGEST_FIELD_MM = (180.0, 200.0, 200.0)
"""(z, y, x), with the margin: no heart is larger. A lesion further out is of a scan whose heart was
misplaced, and must not make the grid of all the others large."""


class Middles:
    """The middle of the grid in each scan; a heart is sought once.

    Parameters
    ----------
    centre, places
        See `benchmark.heart.centring.middle_of`.
    """

    def __init__(self, centre: str, places: Places | None = None) -> None:
        self.centre, self.places = centre, places
        self._known: dict[str, Middle] = {}

    def of(self, scan: Scan) -> Middle:
        """The middle in a scan.

        Raises
        ------
        UserError
            See `benchmark.heart.centring.middle_of`.
        """
        if scan.id not in self._known:
            self._known[scan.id] = middle_of(scan, self.centre, self.places)
        return self._known[scan.id]

    def fields(
        self,
        cohort: Cohort,
        train: Sequence[str],
        progress: Callable[[int, int], None] | None,
        workers: int,
    ) -> list[np.ndarray]:
        """The field that training scans' lesions need round the middle, (z, y, x) mm each.

        A scan whose heart was not found would ask for a grid as large as the heart is far from the
        scan's middle: it is not asked, unless most of them are such.
        """

        def field_of(id: str) -> tuple[np.ndarray, bool]:
            scan = cohort.load(id)
            middle = self.of(scan)
            return lesion_field(scan, middle.offset), not middle.warning

        found = []
        with ThreadPoolExecutor(workers) as threads:
            for one in threads.map(field_of, train):
                found.append(one)
                if progress is not None:
                    progress(len(found), len(train))
        sure = [field for field, certain in found if certain]
        fields = sure if 2 * len(sure) >= len(found) else [field for field, _ in found]
        if self.centre == HEART:
            fields = [np.minimum(field, LARGEST_FIELD_MM) for field in fields]
        return fields

    def notes(self, ids: Sequence[str]) -> tuple[str, ...]:
        """A sentence on the scans in which no heart was found, if there are any."""
        lost = [id for id in ids if id in self._known and self._known[id].warning]
        if not lost:
            return ()
        more = f" and {len(lost) - 3} more" if len(lost) > 3 else ""
        return (
            f"in {len(lost)} of {len(ids)} scans no heart was found ({', '.join(lost[:3])}{more}): "
            "there the training grid is centred on the scan",
        )


def grid_of(fields: Sequence[np.ndarray], settings: Settings) -> TrainingGrid:
    """The grid that covers the fields of all training scans."""
    field_mm = np.max([*fields, np.zeros(3)], axis=0)
    return TrainingGrid.covering(tuple(settings.cell_mm), [((1, 1, 1), tuple(field_mm))])


def lesion_field(scan: Scan | Labels, offset: tuple[float, float, float] = ON_SCAN) -> np.ndarray:
    """Size (z, y, x) in mm of the field round a place that holds a scan's lesions and a margin.

    Never larger than what reaches the scan's far side; zero for a scan without a lesion. Only
    training scans are asked.

    Parameters
    ----------
    scan : Scan or Labels
    offset : (z, y, x), mm
        Of the place from the scan's middle.
    """
    shape, spacing = np.asarray(scan.labels.shape), np.asarray(scan.spacing)
    # a lesion's ends along an axis are all that counts; a scan has millions of voxels
    within = scan.labels.any(axis=0)
    seen = (scan.labels.any(axis=(1, 2)), within.any(axis=1), within.any(axis=0))
    if not within.any():
        return np.zeros(3)
    ends = np.array([np.flatnonzero(axis)[[0, -1]] for axis in seen]).T
    furthest = np.abs((ends - (shape - 1) / 2) * spacing - offset).max(axis=0)
    return np.minimum(2 * (furthest + MARGIN_MM), shape * spacing + 2 * np.abs(offset))
