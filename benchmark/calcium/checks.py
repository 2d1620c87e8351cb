"""Checks of what comes in; each failure is a ValueError of one line."""

from collections.abc import Sequence

import numpy as np

from benchmark.calcium.conventions import UNDETERMINED


def check_voxels(voxels: np.ndarray) -> None:
    """Raise ValueError unless `voxels` is a volume (z, y, x) of real numbers."""
    if voxels.ndim != 3:
        raise ValueError(f"voxels must have three axes (z, y, x), not shape {voxels.shape}")
    if voxels.dtype.kind not in "iuf":
        raise ValueError(f"voxels must be HU numbers, not {voxels.dtype}")


def check_labels(labels: np.ndarray, voxels: np.ndarray) -> None:
    """Raise ValueError unless `labels` are whole numbers 0 to 4 on the grid of `voxels`."""
    if labels.shape != voxels.shape:
        raise ValueError(
            f"labels of shape {labels.shape} do not lie on the voxels' grid {voxels.shape}"
        )
    if labels.dtype.kind not in "iu":
        raise ValueError(f"labels must be whole numbers 0 to {UNDETERMINED}, not {labels.dtype}")
    if labels.size and (labels.max() > UNDETERMINED or labels.min() < 0):
        unknown = [int(value) for value in np.unique(labels) if not 0 <= value <= UNDETERMINED]
        raise ValueError(
            f"unknown labels {unknown[:5]}; use 0 background, 1 LAD, 2 LCX, 3 RCA, "
            f"{UNDETERMINED} undetermined"
        )


def check_spacing(spacing: Sequence[float]) -> tuple[float, float, float]:
    """Return spacing as three floats (z, y, x), or raise ValueError."""
    values = tuple(float(value) for value in spacing)
    if len(values) != 3 or not all(np.isfinite(value) and value > 0 for value in values):
        raise ValueError(f"spacing must be three lengths (z, y, x) above 0 mm, not {values}")
    return values
