"""The scores by which a run judged a network, beside those that its kept network gives now.

A scan of the run's own test split should get the scores that stand behind the run's board. Whether
a scan is that very one is told by its id and by the volume of all that lies above 130 HU in it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmark.inference import worst_false_positives
from benchmark.runs.store import KeptCell

TOLERANCE = 1e-3
"""Relative difference of scores. Labels are voted for by component, so that rounding alone changes
either nothing or a whole component."""


def candidate_volume(example) -> float:
    """Volume in mm3 of all of a scan's candidates (an `Example` without reference labels)."""
    return float(worst_false_positives(example.candidates, example.voxel_mm3)[3])


@dataclass(frozen=True, eq=False)
class Judged:
    """A kept cell's scores of its test scans.

    Attributes
    ----------
    scans : dict
        By id: volume of all candidates (mm3; None where it is not known), and scores (3, 4) of
        mask and head, or None.
    alike : bool
        Whether code, libraries and kind of device are those of the run, so that nothing but the
        network itself can make a difference.
    """

    scans: dict[str, tuple[float | None, np.ndarray | None, np.ndarray | None]]
    alike: bool

    @classmethod
    def of(cls, cell: KeptCell, device: str, changed: tuple[str, ...]) -> Judged:
        """Those of a cell, for predictions on ``device`` with what ``changed`` since."""
        scans = {}
        for row, id in enumerate(cell.ids):
            mask = None if cell.mask is None else cell.mask[row]
            head = None if cell.head is None else cell.head[row]
            scans[id] = (_volume(cell, row), mask, head)
        return cls(scans, not changed and cell.ledger.get("device") == device)

    def same(
        self, id: str, volume: float, mask: np.ndarray | None, head: np.ndarray | None
    ) -> bool | None:
        """Whether a scan's scores are those that it was judged by.

        Parameters
        ----------
        id : str
        volume : float
            See `candidate_volume`.
        mask, head : ndarray (3, 4) or None

        Returns
        -------
        bool or None
            None if it is no test scan of the run.
        """
        if id not in self.scans:
            return None
        known, *judged = self.scans[id]
        if known is None or abs(known - volume) > TOLERANCE * max(volume, 1.0):
            return None
        return all(
            before is None or now is None or _close(before, now)
            for before, now in zip(judged, (mask, head), strict=True)
        )


def _volume(cell: KeptCell, row: int) -> float | None:
    """Candidates outside the reference and within it: all of them."""
    if cell.worst_fp is None or cell.tp is None or cell.fn is None:
        return None
    volume = cell.worst_fp[row, 3] + cell.tp[row, 3] + cell.fn[row, 3]
    return float(volume) if np.isfinite(volume) else None


def _close(before: np.ndarray, now: np.ndarray) -> bool:
    """Scores that are missing in both are alike."""
    return bool(np.allclose(before, now, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True))
