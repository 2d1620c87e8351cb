"""The grid of a file, and the way back to it from the one orientation in memory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from benchmark.errors import UserError

ORIENTATION = "LPS"
"""Axes in memory: x grows to the patient's left, y to the back (posterior), z to the head."""

FARTHEST = 1e5
"""mm: the first voxel lies no further from the scanner's centre along any axis."""

SPACINGS = (1e-3, 100.0)
"""mm: least and largest distance of voxel centres."""


@dataclass(frozen=True)
class Geometry:
    """Where the voxels of a file lie in the patient, in the file's own order of axes.

    Attributes
    ----------
    size : three ints
        Voxels along the file's axes, first axis fastest.
    spacing : three floats
        Distance of voxel centres along the same axes, mm.
    origin : three floats
        Centre of the first voxel, mm, in patient coordinates (x left, y back, z head).
    direction : nine floats
        Direction cosines, row by row; column k is the direction of axis k.
    """

    size: tuple[int, int, int]
    spacing: tuple[float, float, float]
    origin: tuple[float, float, float]
    direction: tuple[float, ...]

    @staticmethod
    def of(image: sitk.Image | sitk.ImageFileReader) -> Geometry:
        """Return the geometry of an image or of a reader that knows its header."""
        return Geometry(
            tuple(int(n) for n in image.GetSize()),
            image.GetSpacing(),
            image.GetOrigin(),
            image.GetDirection(),
        )

    @staticmethod
    def upright(shape: tuple[int, int, int], spacing: tuple[float, float, float]) -> Geometry:
        """Return the geometry of a scan that never had a file: (z, y, x), origin at zero."""
        straight = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
        return Geometry(tuple(shape[::-1]), tuple(spacing[::-1]), (0.0, 0.0, 0.0), straight)

    @property
    def code(self) -> str:
        """Name of the file's orientation, for instance ``"RAS"``."""
        return sitk.DICOMOrientImageFilter.GetOrientationFromDirectionCosines(self.direction)

    def put_on(self, image: sitk.Image) -> sitk.Image:
        """Give an image of this size this geometry, exactly the file's numbers; return it."""
        image.SetSpacing(self.spacing)
        image.SetOrigin(self.origin)
        image.SetDirection(self.direction)
        return image


def check_place(geometry: Geometry, where: str | Path) -> None:
    """Refuse a grid that is no place in a patient.

    Raises
    ------
    UserError
        If a spacing is not positive or beyond `SPACINGS`, an origin beyond `FARTHEST`, or the axes
        are not at right angles; NaN is none of these.
    """
    low, high = SPACINGS
    if not all(low <= step <= high for step in geometry.spacing):
        raise UserError(
            f"{where}: a spacing of {_row(geometry.spacing)} mm is none of a CT; is the header "
            "damaged? export it again"
        )
    if not all(abs(place) <= FARTHEST for place in geometry.origin):
        raise UserError(
            f"{where}: an origin of {_row(geometry.origin)} mm is none of a CT; is the header "
            "damaged? export it again"
        )
    axes = np.array(geometry.direction).reshape(len(geometry.spacing), -1)
    with np.errstate(all="ignore"):
        right = np.isfinite(axes).all() and np.abs(axes.T @ axes - np.eye(len(axes))).max() < 0.01
    if not right:
        raise UserError(
            f"{where}: its axes are not at right angles to each other; is the header damaged? "
            "export it again"
        )


def _row(values: tuple[float, ...]) -> str:
    return " x ".join(f"{value:.6g}" for value in values)


def to_memory(image: sitk.Image) -> sitk.Image:
    """Turn an image's axes to `ORIENTATION`: swapped and mirrored, never resampled."""
    return sitk.DICOMOrient(image, ORIENTATION)


def to_scan_grid(array: np.ndarray, geometry: Geometry) -> sitk.Image:
    """Turn an array in memory's orientation back onto the grid of its file.

    Parameters
    ----------
    array : numpy.ndarray, shape (z, y, x)
        Labels or HU as a `benchmark.cohorts.base.Scan` holds them.
    geometry : Geometry
        `Scan.geometry` of the scan.

    Raises
    ------
    ValueError
        If the array does not have the grid's size.
    """
    grid = geometry.put_on(sitk.Image(geometry.size, sitk.sitkUInt8))
    turned = to_memory(grid)
    if array.shape != turned.GetSize()[::-1]:
        raise ValueError(
            f"size {array.shape} do not fit the scan's grid of size {turned.GetSize()[::-1]} "
            "(z, y, x)"
        )
    image = sitk.GetImageFromArray(array)
    image.CopyInformation(turned)
    return geometry.put_on(sitk.DICOMOrient(image, geometry.code))


def write_labels(
    path: str | Path,
    labels: np.ndarray,
    geometry: Geometry,
    *,
    dtype: type = np.uint8,
    compress: bool = True,
) -> None:
    """Write labels on the grid of the scan's own file.

    Parameters
    ----------
    path : path
        File to write; its suffix gives the type.
    labels : numpy.ndarray, shape (z, y, x)
        Labels in memory's orientation.
    geometry : Geometry
        `Scan.geometry` of the scan.
    dtype : numpy type
        Pixel type of the file, for instance numpy.int16 where a challenge asks for it.
    compress : bool
        Whether to compress the pixels.

    Raises
    ------
    UserError
        If the labels do not fit the grid, or the file cannot be written.
    """
    try:
        image = to_scan_grid(labels.astype(dtype), geometry)
    except ValueError as error:
        raise UserError(f"{path}: labels of {error}") from error
    write_image(image, path, compress)


def write_image(image: sitk.Image, path: str | Path, compress: bool = True) -> None:
    """Write an image file, or say in one line why it cannot be written.

    Raises
    ------
    UserError
        If the folder is missing, full or closed to us.
    """
    try:
        sitk.WriteImage(image, str(path), compress)
    except RuntimeError as error:
        raise UserError(f"{path}: cannot be written ({cause(error)})") from error


def cause(error: RuntimeError) -> str:
    """Return the last line of an ITK message, which says what went wrong."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1].removeprefix("ITK ERROR: ")[:160].rstrip(".") if lines else "unknown cause"
