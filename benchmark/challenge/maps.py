"""One label map of a submission: found, measured against its scan's grid, then read."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from benchmark.calcium import UNDETERMINED
from benchmark.challenge.source import Source, printable
from benchmark.cohorts.geometry import Geometry, cause
from benchmark.cohorts.headers import LONGEST_HEADER
from benchmark.cohorts.volumes import (
    DIRECTION_TOLERANCE,
    ORIGIN_TOLERANCE,
    SPACING_TOLERANCE,
    grid_of,
    labels_of,
    read_volume,
)
from benchmark.errors import UserError

SHORT = "MET_SHORT"
_BYTES = {
    "MET_CHAR": 1, "MET_UCHAR": 1, "MET_SHORT": 2, "MET_USHORT": 2, "MET_INT": 4, "MET_UINT": 4,
    "MET_LONG": 4, "MET_ULONG": 4, "MET_LONG_LONG": 8, "MET_ULONG_LONG": 8, "MET_FLOAT": 4,
    "MET_DOUBLE": 8,
}  # fmt: skip


@dataclass(frozen=True)
class Naming:
    """How the files of a submission are called and where they lie in its zip.

    The challenge asks for one result per test image in `.mhd` and `.raw`; neither the names nor
    the folders of the archive are stated on its pages.

    Parameters
    ----------
    pattern : str, default "{id}R"
        Name without suffix; ``{id}`` is the scan (TEV1P1). The default is how the challenge
        itself names reference labels (TRV1P1R).
    folder : str, default ""
        Folder in the zip or in the output folder; by default the files lie at the top.

    Raises
    ------
    UserError
        If the pattern lacks ``{id}``, or either cannot be part of a file's name.
    """

    pattern: str = "{id}R"
    folder: str = ""

    def __post_init__(self) -> None:
        if self.pattern.count("{id}") != 1:
            raise UserError(f"--names {self.pattern!r}: must hold {{id}} once, as in {{id}}R")
        plain = r"[A-Za-z0-9_-][A-Za-z0-9._-]*"
        if not re.fullmatch(plain, self.pattern.replace("{id}", "x")):
            raise UserError(
                f"--names {self.pattern!r}: letters, digits, '.', '_' and '-' alone make a name"
            )
        if self.folder and not all(re.fullmatch(plain, part) for part in self.folder.split("/")):
            raise UserError(
                f"--inside {self.folder!r}: a folder's name of letters, digits, '.', '_' and '-'"
            )

    def stem(self, id: str) -> str:
        """Name of a scan's map, without suffix."""
        return self.pattern.replace("{id}", id)

    def header(self, id: str) -> str:
        """Path of a scan's `.mhd` inside the submission."""
        return f"{self.folder}/{self.stem(id)}.mhd" if self.folder else f"{self.stem(id)}.mhd"


NAMING = Naming()
"""Our reading of how the files are to be called."""


@dataclass(frozen=True, eq=False)
class MapReading:
    """What came of reading one map.

    Attributes
    ----------
    labels : numpy.ndarray of uint8, shape (z, y, x), or None
        In memory's orientation; None if the map is missing or cannot be used.
    faults : tuple of str
        One line each; a map that is only not in the form asked for has both labels and faults.
    """

    labels: np.ndarray | None
    faults: tuple[str, ...] = ()


def read_map(source: Source, header: str | None, expected: str, geometry: Geometry) -> MapReading:
    """Read the label map of one scan; no pixel takes memory before all sizes are right.

    Parameters
    ----------
    source : Source
    header : str or None
        The `.mhd` in the submission; None if there is none.
    expected : str
        Name it ought to have, for the message.
    geometry : Geometry
        Grid of the scan's own file.
    """
    if header is None:
        return MapReading(None, (f"{source.path}: {expected} is missing",))
    faults: list[str] = []
    try:
        pixels = _check_pair(source, header, geometry, faults)
        with source.pair(header, pixels) as path:
            labels = _read(path, source.where(header), geometry)
    except UserError as error:
        return MapReading(None, (*faults, str(error)))
    return MapReading(labels, tuple(faults))


def _check_pair(source: Source, header: str, geometry: Geometry, faults: list[str]) -> str:
    """Judge a map by its header and the sizes of its files; return the name of its pixel file.

    Raises
    ------
    UserError
        If it cannot be used; what is only not in the form asked for is added to `faults`.
    """
    where = source.where(header)
    if source.files[header] > LONGEST_HEADER:
        raise UserError(f"{where}: is no MetaImage header, it is too long")
    fields = _fields(source.read_header(header), where)
    try:
        size = tuple(int(number) for number in fields["dimsize"].split())
        kind = fields["elementtype"].upper()
        each = _BYTES[kind] * int(fields.get("elementnumberofchannels", "1"))
        named = fields["elementdatafile"]
    except (KeyError, ValueError):
        raise UserError(
            f"{where}: lacks DimSize, a known ElementType or ElementDataFile; write it again"
        ) from None
    if size != geometry.size:
        raise UserError(
            f"{where}: size {_list(size)} differs from its scan's {_list(geometry.size)} "
            "(x, y, z); write it on the scan's own grid"
        )
    if named == "LOCAL" or not re.fullmatch(r"[^/\\:%\s]+", named) or named in (".", ".."):
        raise UserError(f"{where}: does not name one pixel file beside it; write .mhd with .raw")
    pixels = str(PurePosixPath(header).parent / named)
    if pixels not in source.files:
        raise UserError(f"{where}: its pixel file {printable(named)!r} is missing")
    packed = fields.get("compresseddata", "").lower() == "true"
    stem = PurePosixPath(header).stem
    if kind != SHORT:
        faults.append(f"{where}: pixels are {printable(kind)}; the challenge asks for {SHORT}")
    if packed:
        faults.append(f"{where}: pixels are compressed; write them as .raw")
    elif named != f"{stem}.raw":
        faults.append(f"{where}: names the pixel file {printable(named)!r}; {stem}.raw is expected")
    found, whole = source.files[pixels], math.prod(size) * each
    # Deflate never makes more of random bytes than a few in a thousand.
    if found != whole if not packed else found > whole + whole // 100 + 1024:
        raise UserError(
            f"{source.where(pixels)}: holds {found} bytes, but {_list(size)} voxels of {each} "
            f"bytes are {whole}; write it again"
        )
    return pixels


def _read(path: Path, where: str, geometry: Geometry) -> np.ndarray:
    """Return the labels of a map whose files have the right sizes."""
    try:
        _check_geometry(grid_of(path), geometry, where)
        image, _ = read_volume(path)
    except RuntimeError as error:
        raise UserError(f"{where}: cannot be read ({cause(error)}); write it again") from error
    except UserError as error:  # of a zip, the file has another name on the disk
        text = str(error).replace(str(path.with_suffix("")), where.removesuffix(".mhd"))
        raise UserError(text) from None
    return labels_of(image, where, UNDETERMINED)


def _check_geometry(found: Geometry, scan: Geometry, where: str) -> None:
    """Raise UserError unless both are one grid, axes in one order."""
    rules = (
        ("size", found.size, scan.size, 0),
        ("spacing", found.spacing, scan.spacing, SPACING_TOLERANCE * np.array(scan.spacing)),
        ("direction", found.direction, scan.direction, DIRECTION_TOLERANCE),
        ("origin", found.origin, scan.origin, ORIGIN_TOLERANCE),
    )
    for what, ours, theirs, tolerance in rules:
        if not (np.abs(np.subtract(ours, theirs)) <= tolerance).all():
            raise UserError(
                f"{where}: {what} {_list(ours)} differs from its scan's {_list(theirs)}; "
                "write it on the scan's own grid"
            )


def _fields(text: str, where: str) -> dict[str, str]:
    """Return the fields of a MetaImage header, names in small letters.

    A field said twice is refused: two readers might take different ones.
    """
    fields: dict[str, str] = {}
    for line in text.splitlines():
        key, equals, value = line.partition("=")
        name = key.strip().lower()
        if equals and name in fields:
            raise UserError(f"{where}: says {printable(key.strip())} twice; write it again")
        if equals:
            fields[name] = value.strip()
    return fields


def _list(values: tuple[float, ...]) -> str:
    return "(" + ", ".join(f"{value:.6g}" for value in values) + ")"
