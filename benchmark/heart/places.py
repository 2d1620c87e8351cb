"""Middles of hearts from a file, and places of a patient in a scan's own mm and back."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmark.cohorts.base import Scan
from benchmark.cohorts.geometry import Geometry
from benchmark.csv_tables import load_table
from benchmark.errors import UserError

COLUMNS = ("id", "x", "y", "z")

Place = tuple[float, float, float]


@dataclass(frozen=True)
class Places:
    """What a file says.

    Attributes
    ----------
    source : str
        The file, for messages.
    by_id : dict of (x, y, z)
        Patient coordinates in mm as DICOM and ITK have them: x grows to the patient's left, y to
        the back, z to the head.
    """

    source: str
    by_id: dict[str, Place] = field(repr=False)

    @property
    def name(self) -> str:
        """``"file <16 hex>"``: the same for the same places, wherever the file lies."""
        text = json.dumps(sorted(self.by_id.items()))
        return f"file {hashlib.sha256(text.encode()).hexdigest()[:16]}"

    def of(self, scan: Scan) -> Place:
        """The place in a scan, (z, y, x) mm from the middle of its first voxel.

        Raises
        ------
        UserError
            If the file does not name the scan, or the place lies outside it.
        """
        if scan.id not in self.by_id:
            raise UserError(f"{self.source}: names no place for scan {scan.id!r}")
        given = self.by_id[scan.id]
        place = from_patient(geometry_of(scan), given)
        size, step = np.array(scan.voxels.shape), np.array(scan.spacing)
        if not ((place >= -step / 2) & (place <= (size - 0.5) * step)).all():
            low = to_patient(geometry_of(scan), (0, 0, 0))
            high = to_patient(geometry_of(scan), (size - 1) * step)
            spans = ", ".join(
                f"{axis} {a:.1f} to {b:.1f}" for axis, a, b in zip("xyz", low, high, strict=True)
            )
            said = ", ".join(f"{value:g}" for value in given)
            raise UserError(
                f"{self.source}: the place ({said}) of scan {scan.id!r} lies outside it, which "
                f"spans {spans} mm; x grows to the patient's left, y to the back, z to the head"
            )
        return tuple(place.tolist())

    def require(self, known: Iterable[str], needed: Iterable[str]) -> None:
        """Compare the file's ids with the scans.

        Parameters
        ----------
        known : iterable of str
            All scans there are.
        needed : iterable of str
            Those that need a place.

        Raises
        ------
        UserError
            If the file names another scan, or lacks one.
        """
        unknown = sorted(set(self.by_id) - set(known))
        if unknown:
            raise UserError(f"{self.source}: there is no scan {_some(unknown)}")
        missing = sorted(set(needed) - set(self.by_id))
        if missing:
            raise UserError(f"{self.source}: names no place for scan {_some(missing)}")


def _some(ids: list[str]) -> str:
    more = f" (and {len(ids) - 1} more)" if len(ids) > 1 else ""
    return f"{ids[0]!r}{more}"


def read_places(path: Path) -> Places:
    """Read a CSV table with the columns id, x, y and z; others are passed over.

    Raises
    ------
    UserError
        If it is no such table, names a scan twice, or a coordinate is no finite number.
    """
    table = load_table(path)
    names = {name.lower(): name for name in table.names}
    absent = [name for name in COLUMNS if name not in names]
    if absent:
        raise UserError(
            f"{path}: the first line must name the columns {', '.join(COLUMNS)}; there is no "
            f"{absent[0]}"
        )
    found: dict[str, Place] = {}
    for line, row in table.rows:
        id, *texts = (row[names[name]] for name in COLUMNS)
        if not id:
            raise UserError(f"{path}: line {line} names no scan")
        if id in found:
            raise UserError(f"{path}: line {line} names scan {id!r} a second time")
        found[id] = tuple(
            _number(text, table.separator, f"{path}: line {line}: {axis}")
            for axis, text in zip("xyz", texts, strict=True)
        )
    if not found:
        raise UserError(f"{path}: names no scan")
    return Places(str(path), found)


def kept_places(plan: dict, source: str) -> Places | None:
    """The places that a run's plan holds; None if it holds none, or nothing of the kind."""
    try:
        found = {
            str(id): tuple(float(value) for value in place) for id, place in plan["places"].items()
        }
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    usable = all(len(p) == 3 and all(map(math.isfinite, p)) for p in found.values())
    return Places(source, found) if usable else None


def _number(text: str, separator: str, where: str) -> float:
    # where fields stand between semicolons, the comma is the decimal sign
    plain = text.replace(",", ".") if separator == ";" else text
    try:
        value = float(plain)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise UserError(f"{where} is {text[:40]!r}, not a number of mm")
    return value


def geometry_of(scan: Scan) -> Geometry:
    """Where a scan lies in the patient; one that was never a file begins at zero."""
    return scan.geometry or Geometry.upright(scan.voxels.shape, scan.spacing)


def to_patient(geometry: Geometry, place: Iterable[float]) -> Place:
    """Patient coordinates (x, y, z) of a place (z, y, x) mm from the middle of the first voxel.

    The first voxel is memory's, see `benchmark.cohorts.base.Scan`.
    """
    along = np.empty(3)
    for own, axis, turned in _axes(geometry):
        value = np.asarray(tuple(place))[2 - axis]
        along[own] = _length(geometry, own) - value if turned else value
    point = np.asarray(geometry.origin) + _directions(geometry) @ along
    return tuple(point.tolist())


def from_patient(geometry: Geometry, point: Iterable[float]) -> np.ndarray:
    """The reverse of `to_patient`: (z, y, x) mm from the middle of memory's first voxel."""
    shifted = np.asarray(tuple(point)) - geometry.origin
    along = np.linalg.solve(_directions(geometry), shifted)
    place = np.empty(3)
    for own, axis, turned in _axes(geometry):
        place[2 - axis] = _length(geometry, own) - along[own] if turned else along[own]
    return place


def _axes(geometry: Geometry):
    """For each axis of the file: which of x, y, z it is in memory, and whether it is turned."""
    for own, letter in enumerate(geometry.code):
        yield own, "RLAPIS".index(letter) // 2, letter in "RAI"


def _length(geometry: Geometry, own: int) -> float:
    return (geometry.size[own] - 1) * geometry.spacing[own]


def _directions(geometry: Geometry) -> np.ndarray:
    return np.asarray(geometry.direction, float).reshape(3, 3)
