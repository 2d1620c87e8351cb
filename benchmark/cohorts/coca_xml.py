"""The annotations of COCA: an Apple property list with an outline for each piece of calcium."""

from __future__ import annotations

import plistlib
import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmark.errors import UserError

ARTERIES = {
    "left anterior descending artery": 1,
    "left coronary artery": 1,  # the left main, which counts as LAD
    "left circumflex artery": 2,
    "right coronary artery": 3,
}
"""Names of outlines, in lower case, and their labels."""

LARGEST_FILE = 16 << 20
"""Bytes; the files of the release have some hundred kilobytes."""

MOST_POINTS = 2000
"""Points of an outline; those of the release have some dozens."""

STATED = ("Min", "Max", "Mean", "Total")
"""Lowest, highest and mean HU of an outline's pixels, and their sum."""

_POINT = re.compile(r"\(?\s*([^\s,()]+(?:\s*,\s*[^\s,()]+){1,2})\s*\)?")


@dataclass(frozen=True, eq=False)
class Outline:
    """One outline.

    Attributes
    ----------
    label : int
        1 LAD, 2 LCX, 3 RCA.
    index : int
        ImageIndex: the slice in the viewer's order.
    pixels : numpy.ndarray, shape (n, 2)
        Corners as (x, y) in pixels.
    places : numpy.ndarray, shape (n, 3)
        The same in the patient's coordinates, mm; may be empty.
    number : int
        Place among the outlines of its image, from 1.
    stated : dict of str to float
        What the file says of the pixels under the outline, HU: those of `STATED` that it gives.
    """

    label: int
    index: int
    pixels: np.ndarray
    places: np.ndarray
    number: int = 1
    stated: dict[str, float] = field(default_factory=dict)


def read_outlines(path: Path) -> tuple[list[Outline], int]:
    """Read the outlines of a scan.

    Entities are not read: `plistlib` refuses a file that declares any.

    Returns
    -------
    list of Outline
    int
        Number of outlines without points, which say nothing and are passed over.

    Raises
    ------
    UserError
        If the file is no property list of this kind, or names no artery; the message holds no
        word of the file.
    """
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise UserError(f"its XML is larger than {LARGEST_FILE >> 20} MB")
        with path.open("rb") as file:
            values = plistlib.load(file, fmt=plistlib.FMT_XML)
        images = values["Images"]
        rows = [
            (int(image["ImageIndex"]), roi, number)
            for image in images
            for number, roi in enumerate(image.get("ROIs") or [])
        ]
    except UserError:
        raise
    except plistlib.InvalidFileException:
        raise UserError("its XML declares entities, which are not read") from None
    except Exception:  # expat and wrong types raise many kinds, whose text quotes the file
        raise UserError("its XML is no property list with Images and ROIs") from None
    outlines, empty = [], 0
    for index, roi, number in rows:
        try:
            pixels = _points(roi.get("Point_px") or [], 2)
            places = _points(roi.get("Point_mm") or [], 3)
            name = str(roi.get("Name", "")).strip().lower()
        except (ValueError, AttributeError, TypeError):
            raise UserError(
                f"its XML: points of outline {number + 1} on image {index} are not numbers"
            ) from None
        if not len(pixels):
            empty += 1
            continue
        if len(pixels) > MOST_POINTS:
            raise UserError(
                f"its XML: outline {number + 1} on image {index} has {len(pixels)} points; "
                f"{MOST_POINTS} are the most that are read"
            )
        if name not in ARTERIES:
            raise UserError(
                f"its XML: unknown label: outline {number + 1} on image {index} has a name that "
                "is no artery of COCA"
            )
        outlines.append(Outline(ARTERIES[name], index, pixels, places, number + 1, _stated(roi)))
    return outlines, empty


def _stated(roi: dict) -> dict[str, float]:
    """Return what an outline's entry says of its pixels; a field that is no number says nothing."""
    found = {}
    for name in STATED:
        value = roi.get(name)
        if isinstance(value, int | float) and abs(value) < 1e12:  # neither NaN nor infinite
            found[name] = float(value)
    return found


def _points(texts: list, count: int) -> np.ndarray:
    """Return points written as ``"(x, y)"`` or ``"(x, y, z)"``, shape (n, count).

    Raises
    ------
    ValueError
        If one has another form, or is not finite.
    """
    points = np.empty((len(texts), count))
    for place, text in enumerate(texts):
        match = _POINT.fullmatch(str(text).strip())
        numbers = match[1].split(",") if match else ()
        if len(numbers) != count:
            raise ValueError("not a point")
        points[place] = [float(number) for number in numbers]
    if not np.isfinite(points).all() or np.abs(points).max(initial=0) > 1e5:
        raise ValueError("not a point")
    return points
