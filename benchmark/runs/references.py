"""Reference scores of several machines: equal but for rounding, and then one for all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from benchmark.runs.store import KeptCell

RELATIVE, ABSOLUTE = 1e-6, 1e-6
"""What two machines' reference scores may differ by and still be of the same scans.

Scores are sums of some thousand voxels in float64, where another order of sums moves the last of 16
digits. One voxel more or less is 0.1 mm3 and up, far beyond; such scans are others.
"""


def same_references(one: KeptCell, other: KeptCell) -> bool:
    """Whether two finished cells have the same test scans, in one order, and reference scores."""
    return (
        one.ids == other.ids
        and one.reference.shape == other.reference.shape
        and np.allclose(one.reference, other.reference, RELATIVE, ABSOLUTE, equal_nan=True)
    )


def with_one_reference(cells: Sequence[KeptCell]) -> tuple[KeptCell, ...]:
    """The cells with the first finished one's reference scores in all that have the same.

    A score on the border of two risk categories could otherwise fall into either, by machine.
    """
    pattern = next((cell for cell in cells if cell.state == "finished"), None)
    if pattern is None:
        return tuple(cells)
    return tuple(
        replace(cell, reference=pattern.reference) if _needs(cell, pattern) else cell
        for cell in cells
    )


def _needs(cell: KeptCell, pattern: KeptCell) -> bool:
    if cell is pattern or cell.state != "finished":
        return False  # a cell that needs nothing stays itself: figures are kept by identity
    return not np.array_equal(cell.reference, pattern.reference) and same_references(cell, pattern)
