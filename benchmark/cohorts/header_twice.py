"""What an NRRD or MetaImage header can say twice, and must say alike.

Each format has several names for one thing, and programs differ in which they follow: of a
MetaImage file ITK takes TransformMatrix before Orientation but Origin before Offset.
Sources: teem.sourceforge.net/nrrd/format.html; itk.org/Wiki/ITK/MetaIO/Documentation.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import prod
from pathlib import Path

import numpy as np

from benchmark.cohorts.nrrd_header import NrrdHeader
from benchmark.cohorts.pixel_files import parts_of
from benchmark.errors import UserError

TOLERANCE = 1e-3
"""Share that two spacings may differ by: numbers in text are rounded."""

_META_NAMES = (
    ("Offset", "Position", "Origin"),
    ("TransformMatrix", "Rotation", "Orientation"),
    ("BinaryDataByteOrderMSB", "ElementByteOrderMSB"),
)
"""Names of one thing in a MetaImage header."""

_SPACES = {
    "right-anterior-superior": 3, "ras": 3, "left-anterior-superior": 3, "las": 3,
    "left-posterior-superior": 3, "lps": 3, "right-anterior-superior-time": 4, "rast": 4,
    "left-anterior-superior-time": 4, "last": 4, "left-posterior-superior-time": 4, "lpst": 4,
    "scanner-xyz": 3, "scanner-xyz-time": 4, "3d-right-handed": 3, "3d-left-handed": 3,
    "3d-right-handed-time": 4, "3d-left-handed-time": 4,
}  # fmt: skip
"""Dimensions of the spaces that NRRD knows by name."""

_MILLIMETRES = ("mm", "millimeter", "millimeters", "millimetre", "millimetres", "", "?", "???")

_SCALARS = ("domain", "space", "???", "none", "")
"""Kinds of an axis of a scan; others count colours, vectors or times."""


def check_meta_twice(path: Path, fields: Mapping[str, str]) -> None:
    """Refuse a MetaImage header whose statements contradict each other.

    Parameters
    ----------
    path : Path
    fields : mapping of str
        Values by name in small letters.

    Raises
    ------
    UserError
        One line that names both fields and what each says.
    """
    for names in _META_NAMES:
        given = [name for name in names if name.lower() in fields]
        for other in given[1:]:
            if not _alike(fields[given[0].lower()], fields[other.lower()], rtol=1e-6, atol=1e-4):
                raise _contradict(path, fields, given[0], other)
    if "elementspacing" in fields and "elementsize" in fields:
        # along the third axis a slice may be thicker or thinner than slices lie apart
        spacing, size = (fields[name].split()[:2] for name in ("elementspacing", "elementsize"))
        if not _alike(" ".join(spacing), " ".join(size), rtol=TOLERANCE, atol=0):
            raise _contradict(path, fields, "ElementSpacing", "ElementSize")
    units = fields.get("distanceunits", "mm")
    if units.strip().lower() not in _MILLIMETRES:
        raise UserError(
            f"{path}: its lengths are in {units[:20]!r} (DistanceUnits), not mm; save it in mm"
        )


def meta_notes(fields: Mapping[str, str]) -> tuple[str, ...]:
    """What else a MetaImage header says twice: the way that its axes run.

    ITK passes over AnatomicalOrientation, and some programs write one and the same word into every
    file; so a contradiction is a warning. Both ways of reading the word are in use: where an axis
    comes from, and where it goes.
    """
    word = fields.get("anatomicalorientation", "").strip().upper()
    matrix = next((fields[n.lower()] for n in _META_NAMES[1] if n.lower() in fields), "")
    rows = _numbers(matrix)
    if rows is None or len(rows) != 9 or not re.fullmatch("[RLAPIS]{3}", word):
        return ()
    rows = rows.reshape(3, 3)
    axes = np.abs(rows).argmax(axis=1)
    to = "".join(
        ("RL", "AP", "IS")[axis][int(row[axis] > 0)] for axis, row in zip(axes, rows, strict=True)
    )
    from_ = to.translate(str.maketrans("RLAPIS", "LRPASI"))
    if word in (to, from_):
        return ()
    return (
        f"AnatomicalOrientation says {word}, TransformMatrix says {from_}; the latter was followed",
    )


def check_nrrd_twice(path: Path, header: NrrdHeader) -> None:
    """Refuse an NRRD header whose statements contradict each other, or its pixels.

    Raises
    ------
    UserError
        One line that names both fields and what each says.
    """
    fields = header.fields
    space = fields.get("space", "").lower().replace(" ", "-")
    known = _SPACES.get(space)
    if known and fields.get("space dimension", str(known)) != str(known):
        raise _contradict(path, fields, "space", "space dimension")
    axes = len(header.size)
    for name in ("spacings", "kinds", "space directions", "thicknesses", "units"):
        if name in fields and len(_items(fields[name])) != axes:
            raise _contradict(path, fields, "sizes", name)
    lengths = _lengths(fields)
    if lengths is not None and "spacings" in fields:
        spacings = _numbers(fields["spacings"])
        if spacings is not None and len(spacings) == len(lengths):
            there = np.isfinite(spacings) & np.isfinite(lengths)
            if not np.allclose(spacings[there], lengths[there], rtol=TOLERANCE, atol=0):
                raise _contradict(path, fields, "spacings", "space directions")
    _check_units(path, fields)
    _check_extent(path, header, lengths)
    _check_pixels(path, header)


def _check_units(path: Path, fields: Mapping[str, str]) -> None:
    for name in ("space units", "units"):
        for unit in re.findall(r'"([^"]*)"', fields.get(name, "")):
            kind = unit.strip().lower()
            if kind in ("cm", "m", "um", "µm", "μm", "nm", "in", "inch", "micron", "microns",
                        "centimeter", "centimetre", "meter", "metre"):  # fmt: skip
                raise UserError(f"{path}: its lengths are in {unit!r} ({name}), not mm; save it "
                                "in mm")  # fmt: skip


def _check_extent(path: Path, header: NrrdHeader, lengths: np.ndarray | None) -> None:
    """Compare where axes begin and end with the spacing: of samples, or of cells around them."""
    fields = header.fields
    low, high = (_numbers(fields.get(name, "")) for name in ("axis mins", "axis maxs"))
    spacing = _numbers(fields.get("spacings", ""))
    spacing = lengths if spacing is None else spacing
    size = np.array(header.size, float)
    if low is None or high is None or spacing is None:
        return
    if not len(low) == len(high) == len(spacing) == len(size):
        return
    for steps in (size, np.maximum(size - 1, 1)):
        found = np.abs(high - low) / steps
        there = np.isfinite(found) & np.isfinite(spacing)
        if np.allclose(found[there], np.abs(spacing[there]), rtol=TOLERANCE, atol=0):
            return
    raise _contradict(
        path, fields, "axis maxs", "spacings" if "spacings" in fields else "space directions"
    )


def _check_pixels(path: Path, header: NrrdHeader) -> None:
    """Compare the size with the pixels that are there, where they are not packed."""
    fields = header.fields
    named = "data file" in fields
    expected = prod(header.size) * header.bytes_each
    if (
        named
        and path.stat().st_size > header.pixels_begin
        and not fields["data file"].startswith("LIST")
    ):
        raise UserError(
            f"{path}: names a pixel file ({fields['data file'][:80]}), but holds "
            f"{path.stat().st_size - header.pixels_begin} bytes of pixels of its own; keep one"
        )
    skips = fields.get("line skip", "0") != "0" or fields.get("byte skip", "0") != "0"
    if fields["encoding"] != "raw" or skips:
        return
    if named:
        parts = parts_of(path)[1:]
        found = sum(part.stat().st_size for part in parts) if parts else expected
    else:
        found = path.stat().st_size - header.pixels_begin
    plane = prod(header.size[:2]) * header.bytes_each
    if not expected <= found < expected + max(plane, 1):
        what = "is cut short" if found < expected else "is too long"
        raise UserError(
            f"{path}: {what}: {found} bytes of pixels, but sizes {fields['sizes']} of type "
            f"{fields['type']} are {expected}; copy it again"
        )


def _lengths(fields: Mapping[str, str]) -> np.ndarray | None:
    """Lengths of the space directions; NaN for an axis that has none."""
    if "space directions" not in fields:
        return None
    found = []
    for item in _items(fields["space directions"]):
        numbers = None if item == "none" else _numbers(item.strip("()"))
        found.append(float("nan") if numbers is None else float(np.linalg.norm(numbers)))
    return np.array(found)


def _items(text: str) -> list[str]:
    """Values of the axes: words, or vectors in brackets, or texts in quotation marks."""
    return re.findall(r'\([^)]*\)|"[^"]*"|[^\s()"]+', text)


def _numbers(text: str) -> np.ndarray | None:
    """Numbers in a text; None if there is none, or something else."""
    try:
        found = np.array([float(word) for word in re.split(r"[\s,]+", text.strip()) if word])
    except ValueError:
        return None
    return found if len(found) else None


def _alike(one: str, other: str, rtol: float, atol: float) -> bool:
    first, second = _numbers(one), _numbers(other)
    if first is None or second is None:
        return one.strip().lower() == other.strip().lower()
    return first.shape == second.shape and np.allclose(first, second, rtol=rtol, atol=atol)


def _contradict(path: Path, fields: Mapping[str, str], one: str, other: str) -> UserError:
    def said(name: str) -> str:
        return f"{name} says {fields[name.lower()][:80]}"

    return UserError(
        f"{path}: {said(one)}, but {said(other)}; save it anew with the right one in both"
    )
