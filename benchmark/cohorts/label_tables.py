"""Tables beside label maps that say what numbers mean: ITK-SNAP's and 3D Slicer's.

NIfTI and MetaImage files cannot name their labels, so these programs write a table beside them.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from urllib.parse import unquote

from benchmark.errors import UserError

SUFFIXES = (".txt", ".label", ".ctbl")

LARGEST_FILE = 1 << 20
"""Bytes of a table that is looked at."""

_SNAP = re.compile(r'\s*(\d{1,5})(?:\s+[\d.]{1,12}){6}\s+"([^"]*)"\s*')
_SLICER = re.compile(r"\s*(\d{1,5})\s+(\S+)(?:\s+[\d.]{1,12}){4}\s*")
_PLAIN = re.compile(r"(?i)(label|segment|clear label|background|none)?[\s_]*\d*")


def names_beside(path: Path) -> tuple[dict[int, str], Path | None]:
    """Return the names that a table beside a label map gives to its numbers, and the table.

    The table bears the label map's own name, or is the one table in its folder. Names that a
    program makes up itself (``Label 1``) are none.

    Raises
    ------
    UserError
        If there are several tables that say different things, none of which bears its name.
    """
    found = {place: names for place in _tables(path.parent) if (names := _read(place)) is not None}
    own = [place for place in found if path.name.startswith((f"{place.stem}.", f"{place.stem}_"))]
    places = own or list(found)
    if not places:
        return {}, None
    if any(found[place] != found[places[0]] for place in places):
        raise UserError(
            f"{path}: {places[0].name} and {places[1].name} beside it give its numbers different "
            "names; keep one of them"
        )
    return found[places[0]], places[0]


def tables_beside(path: Path) -> tuple[Path, ...]:
    """Return the files that `names_beside` reads; they belong to what a label map says."""
    return tuple(place for place in _tables(path.parent) if _read(place) is not None)


def is_table(path: Path) -> bool:
    """Whether a file is a table that names labels."""
    return path.suffix.lower() in SUFFIXES and _read(path) is not None


def _tables(folder: Path) -> tuple[Path, ...]:
    try:
        return _listed(folder, folder.stat().st_mtime_ns)
    except OSError:
        return ()


@lru_cache(maxsize=8)
def _listed(folder: Path, changed: int) -> tuple[Path, ...]:
    """Files of a folder that may be tables; listed anew once the folder has changed."""
    return tuple(
        place
        for place in sorted(folder.iterdir())
        if place.suffix.lower() in SUFFIXES and not place.name.startswith(".")
    )


def _read(place: Path) -> dict[int, str] | None:
    """Return number and name of each line of a table; None if it is none."""
    try:
        if not place.is_file() or place.stat().st_size > LARGEST_FILE:
            return None
        text = place.read_text(encoding="utf-8-sig", errors="replace")
    except OSError:
        return None
    beginning = text[:2000].lower()
    if "itk-snap label description" in beginning:
        pattern = _SNAP
    elif "# color table" in beginning or "# color table file" in beginning:
        pattern = _SLICER
    else:
        return None
    names = {}
    for line in text.splitlines():
        match = None if line.startswith("#") or len(line) > 1000 else pattern.fullmatch(line)
        if match:
            name = match[2] if pattern is _SNAP else unquote(match[2]).replace("_", " ")
            if not _PLAIN.fullmatch(name):
                names[int(match[1])] = name
    return names
