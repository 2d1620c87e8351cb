"""One DICOM series becomes one volume: slices in order, HU, and where each file's slice went.

Nothing of a header reaches a message.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import SimpleITK as sitk

from benchmark.cohorts.dicom_agree import check_agreement, contradictions
from benchmark.cohorts.dicom_header import SliceHeader
from benchmark.cohorts.dicom_pixels import PixelReader, Slice
from benchmark.cohorts.dicom_values import check_rescale, check_values, value_notes
from benchmark.cohorts.geometry import SPACINGS, Geometry
from benchmark.cohorts.headers import check_size
from benchmark.cohorts.volumes import PADDING
from benchmark.errors import UserError

EVEN = 0.05
"""Slices are even if no distance differs from a multiple of the spacing by more than this share."""

SAME_PLACE = 0.01
"""mm between two slices that lie at one position."""

LONGEST_SIDE = 4096
"""Pixels along a side of a slice."""

MOST_GAPS = 0.2
"""Share of missing slices above which a series is refused."""


@dataclass(frozen=True, eq=False)
class Series:
    """A series as a volume on its own grid: slices in order of position.

    Attributes
    ----------
    voxels : numpy.ndarray, shape (slices, rows, columns)
        HU.
    geometry : Geometry
        Of `voxels`.
    viewer : numpy.ndarray of int, shape (slices,)
        Place of each slice in the order of instance numbers, without copies; -1 if it is missing.
    copies : int
        Slices that were there twice.
    warnings : tuple of str
    """

    voxels: np.ndarray
    geometry: Geometry
    viewer: np.ndarray
    copies: int
    warnings: tuple[str, ...]

    def image(self, array: np.ndarray) -> sitk.Image:
        """Return an array on the series' grid as an image."""
        return self.geometry.put_on(sitk.GetImageFromArray(array))


def read_series(headers: Iterable[SliceHeader]) -> Series:
    """Read the slices of one series as a volume.

    Slices are put in order by their positions along the normal of the slices, never by name or
    number. The distance between them is that of their positions: thickness may be more (overlap)
    or less (gap). A missing slice becomes air, so that all others keep their place. A slice that
    is there twice with the same pixels is taken once.

    Raises
    ------
    UserError
        One line without any word of the headers, for a series that is no even stack of CT slices.
    """
    headers = list(headers)
    _check_headers(headers)
    first = headers[0]
    across, down = np.array(first.axes[:3]), np.array(first.axes[3:])
    normal = np.cross(across, down)
    corners = np.array([header.position for header in headers])
    along = corners @ normal
    order = np.argsort(along, kind="stable")
    reader, pixels = PixelReader(), {}
    kept, copies = _without_copies(headers, along, order, reader, pixels)
    places, spacing = _places(along[kept])
    drift = corners[kept] - corners[kept[0]] - np.outer(along[kept] - along[kept[0]], normal)
    if np.abs(drift).max() > max(first.pixel):
        raise UserError("slices are shifted against each other (a tilted gantry?)")
    geometry = Geometry(
        (first.size[1], first.size[0], int(places[-1]) + 1),
        (first.pixel[1], first.pixel[0], spacing),
        tuple(corners[kept[0]].tolist()),
        tuple(np.stack([across, down, normal], axis=1).ravel().tolist()),
    )
    check_size(geometry.size, "series")
    voxels = np.full(geometry.size[::-1], PADDING, np.int16)
    viewer = np.full(len(voxels), -1)
    numbers = [headers[i].number for i in kept]
    known = None not in numbers and len(set(numbers)) == len(numbers)
    rank = np.argsort(np.argsort(numbers)) if known else np.arange(len(kept))
    slices: list[Slice] = []
    for place, index, turn in zip(places, kept, rank, strict=True):
        one = pixels.pop(index) if index in pixels else reader.read(headers[index])
        voxels[place] = one.hu
        viewer[place] = turn
        slices.append(replace(one, hu=one.hu[:0]))
    ordered = [headers[i] for i in kept]
    check_values(ordered, slices)
    straight = bool(np.abs(drift).max() < 0.1 and abs(normal[2]) > 0.9999)
    return Series(
        voxels, geometry, viewer, copies,
        (
            *_notes(headers, places, spacing, copies, rank if known else None),
            *contradictions(ordered, along[kept], spacing, straight),
            *value_notes(ordered, slices, int(voxels.min())),
        ),
    )  # fmt: skip


def _check_headers(headers: list[SliceHeader]) -> None:
    """Refuse a series that cannot be one volume."""
    for header in headers:
        if header.kind == "multiframe":
            raise UserError(
                f"several slices in one file (enhanced CT); convert it to NIfTI: {header.lacks}"
            )
    if any(header.kind != "ct" for header in headers):
        raise UserError("not all of its files are CT slices")
    if len(headers) < 2:
        raise UserError("one slice is no volume")
    for header in headers:
        if header.position is None or header.axes is None or header.pixel is None:
            raise UserError("a slice does not say where it lies; export the series again")
    first = headers[0]
    if (
        min(first.size) < 2
        or not SPACINGS[0] <= min(first.pixel) <= max(first.pixel) <= SPACINGS[1]
    ):
        raise UserError("the size of its pixels or slices is zero or none of a CT")
    if max(first.size) > LONGEST_SIDE:
        raise UserError(f"slices of {first.size[0]} x {first.size[1]} pixels are no cardiac CT")
    turned = np.array([first.axes[:3], first.axes[3:]])
    if not np.allclose(turned @ turned.T, np.eye(2), atol=1e-3):
        raise UserError("the directions of rows and columns are no right angle")
    check_agreement(headers)
    check_rescale(headers)


def _without_copies(
    headers: list[SliceHeader],
    along: np.ndarray,
    order: np.ndarray,
    reader: PixelReader,
    pixels: dict[int, Slice],
) -> tuple[list[int], int]:
    """Return the slices in order of position without copies, and how many copies there were.

    `pixels` takes those that had to be read.
    """
    kept, copies = [int(order[0])], 0
    for index in map(int, order[1:]):
        if along[index] - along[kept[-1]] > SAME_PLACE:
            kept.append(index)
            continue
        for one in (kept[-1], index):
            if one not in pixels:
                pixels[one] = reader.read(headers[one])
        if not np.array_equal(pixels[kept[-1]].hu, pixels.pop(index).hu):
            raise UserError(
                "duplicate slices: two lie at one position with different pixels; "
                "keep the files of one scan"
            )
        copies += 1
    if len(kept) < 2:
        raise UserError("one slice is no volume")
    return kept, copies


def _places(along: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the place of each slice in an even stack, and the spacing in mm.

    Raises
    ------
    UserError
        If distances are no multiples of the least one, or too many slices are missing.
    """
    steps = np.diff(along)
    least = steps.min()
    multiples = np.rint(steps / least)
    if np.abs(steps / least - multiples).max() > EVEN * max(1.0, multiples.max() / 4):
        raise UserError(
            f"slices are not evenly spaced ({steps.min():.2f} to {steps.max():.2f} mm); "
            "are there two scans in one series?"
        )
    places = np.concatenate([[0], np.cumsum(multiples)]).astype(int)
    missing = places[-1] + 1 - len(places)
    if missing > MOST_GAPS * (places[-1] + 1):
        raise UserError(
            f"slices lie {steps.min():.2f} to {steps.max():.2f} mm apart: {missing} of "
            f"{places[-1] + 1} slices are missing, or two scans of different spacing are in one "
            "series; export it again"
        )
    return places, float((along[-1] - along[0]) / places[-1])


def _notes(
    headers: list[SliceHeader],
    places: np.ndarray,
    spacing: float,
    copies: int,
    rank: np.ndarray | None,
) -> Iterator[str]:
    """Say what is unusual with a series that can be read."""
    if copies:
        yield f"{copies} duplicate slices with the same pixels were taken once"
    missing = int(places[-1]) + 1 - len(places)
    if missing:
        yield f"{missing} missing slices were filled with air; calcium in them is not scored"
    if len({header.path for header in headers}) == 1:
        pass  # the order of slices within one file means nothing
    elif rank is None:
        yield "instance numbers are missing or repeat; slices are in order of position"
    elif not (np.all(np.diff(rank) > 0) or np.all(np.diff(rank) < 0)):
        yield "non-monotonous slices: instance numbers jump; slices are in order of position"
    thickness = headers[0].thickness
    if thickness and spacing > 1.05 * thickness:
        yield f"gaps: slices of {thickness:g} mm lie {spacing:.2f} mm apart"
    if any(header.contrast for header in headers):
        yield "the header names a contrast agent; scoring needs non-contrast scans"
