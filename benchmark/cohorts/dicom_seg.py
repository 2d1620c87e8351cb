"""DICOM segmentations (DICOM-SEG) as labels of the series that they refer to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import prod
from pathlib import Path

import numpy as np

from benchmark.cohorts.dicom_header import SliceHeader, number
from benchmark.cohorts.dicom_open import open_dicom, quiet
from benchmark.cohorts.dicom_series import Series
from benchmark.cohorts.dicom_stored import PACKED, is_packed, syntax_name
from benchmark.cohorts.segment_names import labels_of_names
from benchmark.errors import UserError

MOST_SEGMENTS = 256
"""Segments of one file."""

ON_GRID = 0.01
"""mm, and share of a unit vector, by which a segmentation may lie off the series' grid."""

WHERE = "its segmentation (DICOM-SEG)"
"""What messages call the file: its name may be a person's."""


def segmentations_of(
    segmentations: Iterable[SliceHeader], series: Mapping[str, list[SliceHeader]]
) -> tuple[dict[str, list[Path]], list[Path]]:
    """Return the files of segmentations by the series that they are of, and those of none.

    One that names no series is of the only series with its FrameOfReferenceUID.
    """
    of: dict[str, list[Path]] = {}
    rest = []
    for header in segmentations:
        uids = [uid for uid in header.refers if uid in series]
        if not header.refers:
            frame = header.same.get("FrameOfReferenceUID")
            uids = [
                uid
                for uid, slices in series.items()
                if frame and slices[0].same.get("FrameOfReferenceUID") == frame
            ]
        if len(uids) == 1:
            of.setdefault(uids[0], []).append(header.path)
        else:
            rest.append(header.path)
    return of, rest


def read_segmentations(
    paths: Iterable[Path],
    series: Series,
    headers: list[SliceHeader],
    table: Mapping[str, int] | None = None,
) -> np.ndarray:
    """Return the labels that segmentations draw on a series.

    Parameters
    ----------
    paths : iterable of Path
        Files of one series; together they are its labels.
    series : Series
    headers : list of SliceHeader
        Of the series.
    table : mapping of str to int, optional
        What the user says of segments' names; see `benchmark.cohorts.segment_names`.

    Returns
    -------
    numpy.ndarray of uint8, shape (slices, rows, columns)
        0 background, 1 LAD with the left main, 2 LCX, 3 RCA.

    Raises
    ------
    UserError
        If one cannot be read, is of other slices, lies off the grid, holds shares instead of yes
        and no, has a segment of no artery, or two arteries share a voxel.
    """
    labels = np.zeros(series.voxels.shape, np.uint8)
    for path in paths:
        for label, mask in _masks(path, series, headers, table):
            clash = mask & (labels > 0) & (labels != label)
            if clash.any():
                raise UserError(
                    f"{WHERE}: segments of two arteries share {np.count_nonzero(clash)} voxels; "
                    "draw each voxel once"
                )
            labels[mask] = label
    return labels


def _masks(path: Path, series: Series, headers: list[SliceHeader], table):
    import highdicom

    try:
        with quiet():
            data = open_dicom(path)
            _check(data, series, headers)
            read = highdicom.seg.Segmentation.from_dataset(data, copy=False)
            names = {n: _name(read, n) for n in read.segment_numbers if n}
            labels = labels_of_names(names.values(), WHERE, table)
            grid = _grid(series, str(data.get("FrameOfReferenceUID", "")))
            geometry = read.get_volume_geometry(allow_missing_positions=True)
            if geometry is None or prod(geometry.spatial_shape) > 2 * series.voxels.size:
                raise UserError(f"{WHERE}: lies off the series' grid; save it on the scan's own")
            for segment, name in names.items():
                if labels[name]:
                    yield labels[name], _mask(read, segment, grid)
    except (UserError, MemoryError):
        raise
    except Exception:  # damaged files raise many kinds, whose text may quote the header
        raise UserError(f"{WHERE}: cannot be read; export it again") from None


def _name(read, segment: int) -> str:
    return str(read.get_segment_description(segment).get("SegmentLabel") or "")


def _check(data, series: Series, headers: list[SliceHeader]) -> None:
    """Refuse a segmentation of another patient, of other slices, or of absurd size."""
    own = headers[0].same
    for name in ("PatientID", "FrameOfReferenceUID"):
        said = " ".join(str(data.get(name) or "").split()).upper()
        if said and own.get(name) and said != own[name]:
            raise UserError(f"{WHERE}: {name} is not that of its series")
    instances = {
        str(item.get("ReferencedSOPInstanceUID", ""))
        for one in data.get("ReferencedSeriesSequence") or ()
        for item in one.get("ReferencedInstanceSequence") or ()
    }
    known = {header.instance for header in headers if header.instance}
    if instances and known and not instances & known:
        raise UserError(f"{WHERE}: refers to slices that its series does not have")
    segments = len(data.SegmentSequence)
    if segments > MOST_SEGMENTS or int(data.NumberOfFrames) > segments * len(series.voxels):
        raise UserError(f"{WHERE}: has more segments or slices than its series can have")
    syntax = data.file_meta.TransferSyntaxUID
    if is_packed(data) and syntax not in PACKED:
        raise UserError(f"{WHERE}: is packed as {syntax_name(data)}; export it uncompressed")
    for group in (data.get("SharedFunctionalGroupsSequence") or ())[:1]:
        for measures in group.get("PixelMeasuresSequence") or ():
            said, true = number(measures, "SpacingBetweenSlices"), series.geometry.spacing[2]
            # what is said here decides how many slices highdicom takes memory for
            if said is not None and not abs(said - true) <= 0.05 * true:
                raise UserError(
                    f"{WHERE}: lies off the series' grid: its slices are not {true:.2f} mm apart"
                )
    rows, columns = series.voxels.shape[1:]
    if sorted((int(data.Rows), int(data.Columns))) != sorted((rows, columns)):
        raise UserError(f"{WHERE}: has other rows and columns than its series")


def _grid(series: Series, frame: str):
    """Return the series' grid as highdicom has it: axes slice, row, column."""
    import highdicom

    geometry = series.geometry
    axes = np.array(geometry.direction).reshape(3, 3) * geometry.spacing
    affine = np.eye(4)
    affine[:3, :3] = axes[:, ::-1]
    affine[:3, 3] = geometry.origin
    return highdicom.VolumeGeometry(affine, series.voxels.shape, "PATIENT", frame or None)


def _mask(read, segment: int, grid) -> np.ndarray:
    volume = read.get_volume(segment_numbers=[segment], allow_missing_positions=True)
    if not np.isin(volume.array, (0, 1)).all():
        raise UserError(f"{WHERE}: holds shares of voxels; export a binary segmentation")
    # its corners in the series' own indices: a slice of it begins and ends where a slice does
    ends = np.array([[0, 0, 0, 1], [*(n - 1 for n in volume.spatial_shape), 1]], float).T
    places = np.sort((np.linalg.inv(grid.affine) @ volume.affine @ ends)[1:3], axis=1)
    whole = [[0, n - 1] for n in grid.spatial_shape[1:]]
    try:
        if not np.allclose(places, whole, rtol=0, atol=0.1):
            raise ValueError("other columns or rows")
        matched = volume.match_geometry(grid, tol=ON_GRID)
    except (RuntimeError, ValueError):
        raise UserError(
            f"{WHERE}: lies off the series' grid; save it on the scan's own grid"
        ) from None
    if np.count_nonzero(matched.array) != np.count_nonzero(volume.array):
        raise UserError(f"{WHERE}: reaches beyond its series")
    return matched.array[..., 0] > 0
