"""What a NIfTI header can say twice, and must say alike: where voxels lie, and how they are scaled.

Programs differ in which of two statements they follow: nibabel takes the rows (sform), ITK often
the quaternion (qform); ITK takes spacing from pixdim, nibabel from the rows. A file in which they
differ is a different image in each.
Source: nifti1.h of the NIfTI data format working group.
"""

from __future__ import annotations

from itertools import product
from math import isfinite, isnan
from pathlib import Path

import numpy as np

from benchmark.errors import UserError

SPACING_TOLERANCE = 1e-3
"""Share of the spacing that pixdim and the rows may differ by; rounding to 32 bits is less."""

VOXEL_TOLERANCE = 0.45
"""Voxels that the two places of one voxel may lie apart: a quaternion cannot hold directions that
are not quite at right angles, and these may have been rounded to few digits."""

_UNITS = {1: ("metres", 1e3), 3: ("micrometres", 1e-3)}


def check_said_twice(
    path: Path,
    size: tuple[int, ...],
    codes: tuple[int, int],
    numbers: tuple[float, ...],
    pixdim: tuple[float, ...],
    scaling: tuple[float, float],
    units: int,
) -> None:
    """Refuse a header whose statements contradict each other.

    Parameters
    ----------
    path : Path
        What the message calls the file.
    size : tuple of int
        Voxels along the axes.
    codes : tuple of two ints
        qform_code and sform_code; what has a code of 0 is not there.
    numbers : tuple of 18 floats
        quatern_b, c, d; qoffset_x, y, z; srow_x, srow_y, srow_z.
    pixdim : tuple of 8 floats
        qfac, and the distances of voxels in the file's units.
    scaling : tuple of two floats
        scl_slope and scl_inter.
    units : int
        xyzt_units.

    Raises
    ------
    UserError
        One line that names both fields and what each says.
    """
    _check_scaling(path, *scaling)
    steps = np.array(pixdim[1:4], float)
    by_quaternion, by_rows = codes[0] > 0, codes[1] > 0
    if len(size) < 3 or not steps.all():
        return  # no volume; its reader says so
    if steps.min() < 0:
        raise UserError(
            f"{path}: pixdim {_row(steps)} is negative, which some programs read as a mirrored "
            "axis; save it anew with positive ones"
        )
    name, factor = _UNITS.get(units & 7, ("", 1.0))
    if name and not 0.01 <= steps.min() * factor <= steps.max() * factor <= 50:
        raise UserError(
            f"{path}: xyzt_units says {name}, but pixdim {_row(steps)} is millimetres of a CT; "
            "save it anew with one of them corrected"
        )
    rows = np.array(numbers[6:], float).reshape(3, 4)
    if by_rows:
        lengths = np.linalg.norm(rows[:, :3], axis=0)
        if lengths.all() and not np.allclose(lengths, steps, rtol=SPACING_TOLERANCE, atol=0):
            raise UserError(
                f"{path}: pixdim says a spacing of {_row(steps)}, sform (srow_x, srow_y, srow_z) "
                f"says {_row(lengths)}; save it anew with the right one in both"
            )
    if not (by_rows and by_quaternion):
        return
    quaternion = _matrix(numbers[:6], steps, pixdim[0])
    apart = _apart(rows, quaternion, size[:3])
    if apart is not None and apart > VOXEL_TOLERANCE:
        ours, theirs = _words(rows), _words(quaternion)
        raise UserError(
            f"{path}: qform and sform say different places, up to {apart:.3g} voxels apart: qform "
            f"(code {codes[0]}) {theirs}, sform (code {codes[1]}) {ours}; save it anew with the "
            "right one in both, or the code of the wrong one set to 0"
        )


def _check_scaling(path: Path, slope: float, intercept: float) -> None:
    """Refuse scl_slope and scl_inter of which one says that there is scaling, the other not."""
    none = slope == 0 or not isfinite(slope)
    # a slope of 0 means none, and some programs then pass over the intercept, others do not
    if (none and isfinite(intercept) and intercept != 0) or (
        not none and not isfinite(intercept) and (slope != 1 or not isnan(intercept))
    ):
        raise UserError(
            f"{path}: scl_slope {slope:g} and scl_inter {intercept:g} contradict each other: "
            "is there scaling or not? save it anew with values in HU"
        )


def _matrix(numbers: tuple[float, ...], steps: np.ndarray, qfac: float) -> np.ndarray:
    """Rows as sform has them, from the quaternion and the offset."""
    b, c, d = numbers[:3]
    rest = 1 - (b * b + c * c + d * d)
    if rest < 0:  # rounding, or a damaged header: as nifti1_io does
        b, c, d = np.array((b, c, d)) / np.sqrt(b * b + c * c + d * d)
    a = np.sqrt(max(rest, 0.0))
    turn = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )
    scale = steps * (1, 1, -1 if qfac < 0 else 1)
    return np.column_stack([turn * scale, numbers[3:6]])


def _apart(rows: np.ndarray, others: np.ndarray, size: tuple[int, ...]) -> float | None:
    """Voxels between the two places of the corner that moves most; None where one has no volume."""
    corners = np.array([(*corner, 1.0) for corner in product(*((0, n - 1) for n in size))])
    with np.errstate(all="ignore"):
        try:
            found = np.linalg.solve(others[:, :3], (corners @ rows.T - others[:, 3]).T).T
        except np.linalg.LinAlgError:
            return None
    return float(np.abs(found - corners[:, :3]).max())


def _words(rows: np.ndarray) -> str:
    """Which way the axes run, and where the first voxel lies, in RAS."""
    axes = np.abs(rows[:, :3]).argmax(axis=0)
    signs = [rows[axis, column] > 0 for column, axis in enumerate(axes)]
    code = "".join(
        ("LR", "PA", "IS")[axis][int(sign)] for axis, sign in zip(axes, signs, strict=True)
    )
    return f"{code} from {_row(rows[:, 3])}"


def _row(values: np.ndarray) -> str:
    return "(" + ", ".join(f"{value:.6g}" for value in values) + ")"
