"""Image files in and out: any orientation on disk, one orientation in memory."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from benchmark.calcium import UNDETERMINED
from benchmark.cohorts.base import Scan
from benchmark.cohorts.geometry import Geometry, cause, check_place, to_memory, write_labels
from benchmark.cohorts.headers import (
    check_header,
    check_length,
    check_size,
    notes_of,
    scaling_of,
)
from benchmark.cohorts.hounsfield import PADDING, check_hu, read_hu
from benchmark.cohorts.hushed import hushed
from benchmark.cohorts.pixel_files import is_file
from benchmark.cohorts.stated_scaling import scaled
from benchmark.errors import UserError

__all__ = [
    "PADDING", "SUFFIXES", "check_hu", "check_same_grid", "grid_of", "hushed", "id_of", "labels_of",
    "read_scan", "read_volume", "save_labels", "voxels_of",
]  # fmt: skip

SUFFIXES = (".nii.gz", ".nii", ".seg.nrrd", ".nrrd", ".mha", ".mhd")
"""File types that can be read, the longest first; `.mhd` lies beside the `.raw` or `.zraw` file it
names, `.seg.nrrd` is what 3D Slicer calls an NRRD file of segments."""

# Grids that differ by less are one grid: NIfTI keeps its geometry in 32-bit floats.
SPACING_TOLERANCE = 1e-3  # of the spacing
ORIGIN_TOLERANCE = 0.05  # mm
DIRECTION_TOLERANCE = 1e-3  # of a unit vector


def id_of(path: Path) -> str | None:
    """Return the file name without its image suffix, or None if it is no image file."""
    for suffix in SUFFIXES:
        if path.name.lower().endswith(suffix) and len(path.name) > len(suffix):
            return path.name[: -len(suffix)]
    return None


LABEL_TOLERANCE = 1e-3
"""Labels stored as floats may differ by it from whole numbers: scaling rounds."""


def read_volume(
    path: Path, like: sitk.Image | None = None, layered: bool = False
) -> tuple[sitk.Image, Geometry]:
    """Read a 3D image file; return it with axes as in memory, and the grid of the file.

    Axes are swapped and mirrored, never resampled: an oblique scan stays oblique.

    Parameters
    ----------
    path : Path
    like : SimpleITK.Image, optional
        For a label map: its scan with axes as in memory. One of another size is refused before
        its pixels take memory.
    layered : bool
        Whether it is a label map that may hold several volumes, as values of one voxel.

    Returns
    -------
    SimpleITK.Image
        With the scaling that the header states applied.
    Geometry

    Raises
    ------
    UserError
        If the file is missing, damaged, cut short, not 3D or holds several values per voxel; or
        if spacing, origin or directions are no place in a patient.
    """
    size = _information(path, layered).GetSize()
    if like is not None and sorted(size) != sorted(like.GetSize()):
        raise _other_grid(path, "size", size, like.GetSize())
    check_length(path, image=like is None and not layered)
    scaling = scaling_of(path)
    try:
        with hushed():
            image = sitk.ReadImage(str(path), imageIO=_reader_of(path))
            return to_memory(scaled(image, scaling)), Geometry.of(image)
    except RuntimeError as error:
        raise UserError(f"{path}: cannot be read ({cause(error)}); export it again") from error


def check_same_grid(image: sitk.Image, labels: sitk.Image, labels_path: Path) -> None:
    """Raise UserError unless both lie on one grid; both as in memory."""
    if image.GetSize() != labels.GetSize():
        differs = ("size", labels.GetSize(), image.GetSize())
    elif not np.allclose(labels.GetSpacing(), image.GetSpacing(), rtol=SPACING_TOLERANCE, atol=0):
        differs = ("spacing", labels.GetSpacing(), image.GetSpacing())
    elif not np.allclose(
        labels.GetDirection(), image.GetDirection(), rtol=0, atol=DIRECTION_TOLERANCE
    ):
        differs = ("direction", labels.GetDirection(), image.GetDirection())
    elif not np.allclose(labels.GetOrigin(), image.GetOrigin(), rtol=0, atol=ORIGIN_TOLERANCE):
        differs = ("origin", labels.GetOrigin(), image.GetOrigin())
    else:
        return
    raise _other_grid(labels_path, *differs)


def _other_grid(path: Path, what: str, ours: tuple, theirs: tuple) -> UserError:
    return UserError(
        f"{path}: {what} {_numbers(ours)} differs from its image's {_numbers(theirs)} "
        "(x, y, z); save the labels on the image's own grid"
    )


def voxels_of(image: sitk.Image, path: Path) -> np.ndarray:
    """Return HU as int16, (z, y, x): rounded, and clipped to `PADDING` below.

    Raises
    ------
    UserError
        If values cannot be HU; see `benchmark.cohorts.hounsfield.read_hu`.
    """
    return check_hu(sitk.GetArrayViewFromImage(image), path)


def labels_of(image: sitk.Image, path: Path, largest: int) -> np.ndarray:
    """Return labels as uint8, (z, y, x).

    Raises
    ------
    UserError
        If a value is not a whole number from 0 to `largest`, but for rounding.
    """
    values = sitk.GetArrayViewFromImage(image)
    if values.dtype.kind in "iu":
        # a range is enough where all numbers are whole, and takes a tenth of the time
        if values.min() >= 0 and values.max() <= largest:
            return values.astype(np.uint8)
    else:
        if not np.isfinite(values).all():
            raise UserError(f"{path}: holds NaN or infinite labels; fill them with 0")
        whole = np.rint(values)
        broken = np.abs(values - whole) > LABEL_TOLERANCE
        if broken.any():
            raise UserError(
                f"{path}: unknown labels {_several(values[broken])}, which are no whole numbers; "
                "resample labels by nearest neighbour alone, and save whole numbers"
            )
        values = whole
    known = np.isin(values, np.arange(largest + 1))
    if not known.all():
        fourth = f", {UNDETERMINED} undetermined" if largest == UNDETERMINED else ""
        raise UserError(
            f"{path}: unknown labels {_several(values[~known])}; "
            f"use 0 background, 1 LAD with left main, 2 LCX, 3 RCA{fourth}"
        )
    return values.astype(np.uint8)


def _several(values: np.ndarray) -> str:
    return ", ".join(f"{value:.9g}" for value in np.unique(values)[:5])


def read_scan(
    image_path: str | Path,
    labels_path: str | Path | None = None,
    *,
    id: str | None = None,
    centre: str = "unknown",
    largest_label: int = UNDETERMINED,
    segments: Mapping[str, int] | None = None,
    numbers: Mapping[int, int] | None = None,
) -> Scan:
    """Read one scan and, where given, labels on its grid.

    Parameters
    ----------
    image_path : path
        CT in HU, `.nii`, `.nii.gz`, `.nrrd`, `.mha` or `.mhd`, in any orientation.
    labels_path : path, optional
        Labels on the same grid, perhaps in another orientation.
    id : str, optional
        By default the file name without suffix.
    centre : str
        Where the scan comes from.
    largest_label : int
        4 allows the label of undetermined arteries, which submissions may use; 3 does not.
    segments : mapping of str to int, optional
        What the user says of the names of segments; see `benchmark.cohorts.segment_names`.
    numbers : mapping of int to int, optional
        What a data set says of the numbers in its label files.

    Returns
    -------
    Scan
        Voxels and labels in (z, y, x), z to the head, y to the back, x to the left. Labels are as
        in the file, not cut to calcium.

    Raises
    ------
    UserError
        One line that names the file: missing, damaged, not 3D, not HU, unknown labels, or labels
        on another grid.
    """
    from benchmark.cohorts.label_maps import read_label_map  # it reads its files with this module

    image_path = Path(image_path)
    image, geometry = read_volume(image_path)
    voxels, told = read_hu(sitk.GetArrayViewFromImage(image), image_path)
    warnings = [*notes_of(image_path), *told]
    labels = None
    if labels_path is not None:
        labels_path = Path(labels_path)
        labels, told = read_label_map(labels_path, image, largest_label, segments, numbers)
        warnings += [f"labels: {warning}" for warning in (*notes_of(labels_path), *told)]
    x, y, z = image.GetSpacing()
    name = id or id_of(image_path) or image_path.name
    return Scan(name, centre, voxels, (z, y, x), labels, geometry, tuple(warnings))


def grid_of(path: Path) -> Geometry:
    """Return the grid of a 3D image file without reading its pixels; raises as `read_volume`."""
    return Geometry.of(_information(path))


def save_labels(
    path: str | Path,
    labels: np.ndarray,
    like_image_path: str | Path,
    *,
    dtype: type = np.uint8,
    compress: bool = True,
) -> None:
    """Write labels in the orientation and geometry of an image file: undoes `read_scan`.

    Parameters
    ----------
    path : path
        File to write; its suffix gives the type.
    labels : numpy.ndarray, shape (z, y, x)
        Labels as `read_scan` orients them.
    like_image_path : path
        Image whose grid the file shall have.
    dtype : numpy type
        Pixel type of the file, for instance numpy.int16 where a challenge asks for it.
    compress : bool
        Whether to compress the pixels.

    Raises
    ------
    UserError
        If the labels do not fit the image, or the file cannot be written.
    """
    like_image_path = Path(like_image_path)
    geometry = grid_of(like_image_path)
    write_labels(path, labels, geometry, dtype=dtype, compress=compress)


def _information(path: Path, layered: bool = False) -> sitk.ImageFileReader:
    """Read size and geometry of a 3D image file without its pixels."""
    if path.is_dir():
        raise UserError(f"{path}: is a folder; name an image file ({', '.join(SUFFIXES)})")
    if not is_file(path):
        raise UserError(f"{path}: no such file")
    if id_of(path) is None:
        raise UserError(f"{path}: is no image file ({', '.join(SUFFIXES)})")
    check_header(path)
    reader = sitk.ImageFileReader()
    reader.SetImageIO(_reader_of(path))
    reader.SetFileName(str(path))
    try:
        with hushed():
            reader.ReadImageInformation()
    except RuntimeError as error:
        raise UserError(f"{path}: cannot be read ({cause(error)}); export it again") from error
    size = reader.GetSize()
    check_size(size, path)
    if len(size) != 3 or min(size) < 2:
        raise UserError(
            f"{path}: is {len(size)}D of size {_numbers(size)}; export one 3D volume per scan"
        )
    if reader.GetNumberOfComponents() != 1 and not layered:
        raise UserError(
            f"{path}: holds {reader.GetNumberOfComponents()} values per voxel; export one"
        )
    check_place(Geometry.of(reader), path)
    return reader


def _reader_of(path: Path) -> str:
    """ITK's reader of that suffix: it shall not try all it knows on a file that is none of them."""
    if path.name.lower().endswith(".nrrd"):
        return "NrrdImageIO"
    return "MetaImageIO" if path.suffix.lower() in (".mha", ".mhd") else "NiftiImageIO"


def _numbers(values: tuple[float, ...]) -> str:
    return "(" + ", ".join(f"{value:.6g}" for value in values) + ")"
