"""Label maps on the grid of their scan: numbers, or segments by name, whole or cut to a box."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import prod
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from benchmark.cohorts.label_tables import names_beside
from benchmark.cohorts.nrrd_header import read_nrrd_header
from benchmark.cohorts.nrrd_segments import Segment, segments_of
from benchmark.cohorts.segment_names import label_of, labels_of_names
from benchmark.cohorts.volumes import (
    DIRECTION_TOLERANCE,
    ORIGIN_TOLERANCE,
    SPACING_TOLERANCE,
    check_same_grid,
    is_file,
    labels_of,
    read_volume,
)
from benchmark.errors import UserError

LARGEST_NUMBER = 255
"""Largest number in a file whose numbers get a meaning by name."""

MOST_LAYERS = 64
"""Volumes of a segmentation whose segments overlap."""

HOW = (
    "name its segments LAD, LM, LCX or RCA, or say what they are: segments: {NAME: LAD} in a "
    "cohort file, --segment NAME=LAD of score"
)


def read_label_map(
    path: Path,
    like: sitk.Image,
    largest: int,
    table: Mapping[str, int] | None = None,
    numbers: Mapping[int, int] | None = None,
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Read a label map as numbers of our arteries.

    Where names stand in the file (3D Slicer's segments) or beside it (a label description of
    ITK-SNAP, a colour table of 3D Slicer), they decide what a number means.

    Parameters
    ----------
    path : Path
    like : SimpleITK.Image
        The scan, with axes as in memory.
    largest : int
        Largest label that there may be: 3, or 4 where undetermined arteries are allowed.
    table : mapping of str to int, optional
        What the user says of names; see `benchmark.cohorts.segment_names`.
    numbers : mapping of int to int, optional
        What a data set says of its numbers (nnU-Net's dataset.json).

    Returns
    -------
    numpy.ndarray of uint8, shape (z, y, x)
    tuple of str
        Warnings.

    Raises
    ------
    UserError
        If the file cannot be read, lies on another grid, or holds numbers or names that are no
        artery's.
    """
    if is_file(path) and path.name.lower().endswith(".nrrd"):
        header = read_nrrd_header(path)
        segments = segments_of(header.keys, path)
        if segments:
            layers = _read_layers(path, like, header.size)
            labels, warnings = _of_segments(layers, segments, path, table, numbers, largest)
            return labels, warnings
    image, _ = read_volume(path, like)
    check_same_grid(like, image, path)
    if numbers is not None:
        return _renumber(labels_of(image, path, LARGEST_NUMBER), numbers, path), ()
    names, source = names_beside(path)
    if not names:
        return labels_of(image, path, largest), ()
    labels = labels_of(image, path, LARGEST_NUMBER)
    return _of_table(labels, names, f"{path} ({source.name})", table, largest), ()


def _of_table(
    labels: np.ndarray,
    names: Mapping[int, str],
    where: str,
    table: Mapping[str, int] | None,
    largest: int,
) -> np.ndarray:
    """Give numbers the meaning that a table beside the file says."""
    present = _present(labels)
    found = labels_of_names((names[n] for n in present if n in names), where, table, HOW)
    meaning = {n: found[names[n]] for n in present if n in names}
    same = all(number == label for number, label in meaning.items())
    for number in present:
        if number not in meaning:
            if not same or number > largest:
                raise UserError(
                    f"{where}: label {number} has no name, while others are named "
                    f"{', '.join(sorted(set(names.values()))[:8])}; name it"
                )
            meaning[number] = number
    return _lookup(meaning)[labels]


def _of_segments(
    layers: list[np.ndarray],
    segments: tuple[Segment, ...],
    path: Path,
    table: Mapping[str, int] | None,
    numbers: Mapping[int, int] | None,
    largest: int,
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return labels of segments by their names."""
    if len(layers) == 1 and all(segment.value is None for segment in segments):
        return _without_values(layers[0], segments, path, table, largest)
    owners = _owners(segments, len(layers), path)
    present = {(at, value) for at, layer in enumerate(layers) for value in _present(layer)}
    for at, value in sorted(present - set(owners)):
        where = f" of layer {at}" if len(layers) > 1 else ""
        raise UserError(
            f"{path}: label {value}{where} is no segment's (segments found: "
            f"{', '.join(repr(s.name[:40]) for s in segments[:8])}); save it anew in 3D Slicer"
        )
    used = {place: name for place, name in owners.items() if place in present}
    found = labels_of_names(used.values(), path, table, HOW)
    if numbers is not None:
        for (_, value), name in used.items():
            if numbers.get(value, found[name]) != found[name]:
                raise UserError(
                    f"{path}: label {value} is named {name[:40]!r} in the file, but is another "
                    "artery in dataset.json; correct one of them"
                )
    labels = np.zeros(layers[0].shape, np.uint8)
    for at, layer in enumerate(layers):
        meaning = {value: found[name] for (own, value), name in used.items() if own == at}
        own = _lookup(meaning)[layer]
        clash = np.count_nonzero((own > 0) & (labels > 0) & (own != labels))
        if clash:
            raise UserError(
                f"{path}: {clash} voxels belong to segments of two arteries; give each voxel to "
                "one of them (3D Slicer: Segment Editor, Logical operators, Subtract)"
            )
        labels = np.maximum(labels, own)
    return labels, ()


def _owners(segments: Iterable[Segment], count: int, path: Path) -> dict[tuple[int, int], str]:
    """Return the name of each (layer, number); where the file is silent, as 3D Slicer takes it."""
    owners: dict[tuple[int, int], str] = {}
    for index, segment in enumerate(segments):
        layer = segment.layer if segment.layer is not None else (index if count > 1 else 0)
        place = (layer, 1 if segment.value is None else segment.value)
        if layer >= count:
            raise UserError(
                f"{path}: segment {segment.name[:40]!r} lies in layer {layer} of {count}; save it "
                "anew in 3D Slicer"
            )
        if owners.setdefault(place, segment.name) != segment.name:
            raise UserError(
                f"{path}: segments {owners[place][:40]!r} and {segment.name[:40]!r} have one "
                f"number, {place[1]}; save it anew in 3D Slicer"
            )
    return owners


def _without_values(
    layer: np.ndarray,
    segments: tuple[Segment, ...],
    path: Path,
    table: Mapping[str, int] | None,
    largest: int,
) -> tuple[np.ndarray, tuple[str, ...]]:
    """Judge names that no number is given for.

    Older versions of 3D Slicer wrote one segment so, of the number 1. Where there are other
    numbers, names and numbers may not belong together, and only what agrees with both is read.
    """
    present = _present(layer)
    if len(segments) == 1 and set(present) <= {1}:
        found = labels_of_names((segments[0].name,) if present else (), path, table, HOW)
        return _lookup({1: found.get(segments[0].name, 0)})[layer], ()
    given = dict(table or {})
    for number, segment in enumerate(segments, start=1):
        label = given.get(segment.name, label_of(segment.name))
        if label not in (None, number):
            raise UserError(
                f"{path}: names a segment {segment.name[:40]!r}, but no number for it "
                f"(Segment{number - 1}_LabelValue); save it anew in 3D Slicer"
            )
    unknown = [s.name[:40] for s in segments if label_of(s.name) is None and s.name not in given]
    over = [number for number in present if number > largest]
    if over:
        raise UserError(
            f"{path}: unknown labels {', '.join(map(str, over[:5]))}, and its segments name no "
            "numbers (LabelValue); save it anew in 3D Slicer"
        )
    warnings = (
        f"its segments ({', '.join(map(repr, unknown[:4]))}) name no numbers (LabelValue); 1 was "
        "taken as LAD, 2 as LCX, 3 as RCA",
    )
    return layer.astype(np.uint8), warnings if unknown else ()


def _renumber(labels: np.ndarray, numbers: Mapping[int, int], where: Path) -> np.ndarray:
    """Give labels the numbers that a data set says."""
    unknown = [number for number in _present(labels) if number not in numbers]
    if unknown:
        raise UserError(
            f"{where}: unknown labels {', '.join(map(str, unknown[:5]))}; dataset.json names "
            f"{', '.join(map(str, sorted(numbers)))}"
        )
    return _lookup({number: numbers[number] for number in numbers if number > 0})[labels]


def _present(labels: np.ndarray) -> list[int]:
    """Numbers other than 0 in an array of whole numbers from 0 to `LARGEST_NUMBER`."""
    counts = np.bincount(labels.ravel(), minlength=2)
    return (np.flatnonzero(counts[1:]) + 1).tolist()


def _lookup(meaning: Mapping[int, int]) -> np.ndarray:
    table = np.zeros(LARGEST_NUMBER + 1, np.uint8)
    for number, label in meaning.items():
        table[number] = label
    return table


def _read_layers(path: Path, like: sitk.Image, size: tuple[int, ...]) -> list[np.ndarray]:
    """Return each volume of a segmentation on the scan's grid."""
    room = prod(like.GetSize())
    if len(size) > 4 or prod(size) > MOST_LAYERS * room or prod(size[-3:]) > room:
        text = " x ".join(str(n)[:12] for n in size[:8])
        raise UserError(
            f"{path}: segments of size {text} are larger than its image; save them on the image's "
            "own grid"
        )
    image, _ = read_volume(path, layered=True)
    count = image.GetNumberOfComponentsPerPixel()
    if count > MOST_LAYERS:
        raise UserError(f"{path}: has {count} layers, more than {MOST_LAYERS}")
    if count == 1:
        return [_placed(image, like, path)]
    return [_placed(sitk.VectorIndexSelectionCast(image, n), like, path) for n in range(count)]


def _placed(labels: sitk.Image, like: sitk.Image, path: Path) -> np.ndarray:
    """Put a part of a scan's grid where it belongs; both with axes as in memory.

    3D Slicer may cut a segmentation to the box that holds its segments.
    """
    values = labels_of(labels, path, LARGEST_NUMBER)
    shift = _shift(labels, like)
    if labels.GetSize() == like.GetSize() or shift is None:
        check_same_grid(like, labels, path)  # says what differs
        return values
    whole = np.zeros(like.GetSize()[::-1], np.uint8)
    take, put = [], []
    for at, count, room in zip(shift[::-1], values.shape, whole.shape, strict=True):
        first, last = max(at, 0), min(at + count, room)
        take.append(slice(first - at, max(last, first) - at))
        put.append(slice(first, max(last, first)))
    whole[tuple(put)] = values[tuple(take)]
    if np.count_nonzero(whole) != np.count_nonzero(values):
        raise UserError(
            f"{path}: its segments reach beyond the image; save them on the image's own grid"
        )
    return whole


def _shift(labels: sitk.Image, like: sitk.Image) -> tuple[int, ...] | None:
    """Voxels from the scan's first voxel to that of the labels; None if they share no grid."""
    same = np.allclose(
        labels.GetSpacing(), like.GetSpacing(), rtol=SPACING_TOLERANCE, atol=0
    ) and np.allclose(labels.GetDirection(), like.GetDirection(), rtol=0, atol=DIRECTION_TOLERANCE)
    if not same:
        return None
    place = np.array(like.TransformPhysicalPointToContinuousIndex(labels.GetOrigin()))
    off = np.abs(place - np.rint(place)) * like.GetSpacing()
    return None if off.max() > ORIGIN_TOLERANCE else tuple(np.rint(place).astype(int).tolist())
