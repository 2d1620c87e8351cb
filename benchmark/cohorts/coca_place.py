"""Where the gated part of COCA lies: above, at or below the folder that somebody names."""

from __future__ import annotations

import os
from pathlib import Path

from benchmark.errors import UserError

RELEASE = "Gated_release_final"

DEPTH = 3
"""Folders below the one given that are looked into: archives are unpacked in various ways."""

MOST_FOLDERS = 2000
"""Folders that are looked at."""


def coca_root(path: Path) -> Path | None:
    """Return the folder with ``patient`` and ``calcium_xml`` that a path names, or None.

    The path is that folder, the one above it with the release's name in it, or one of the two.
    """
    for root in (path, path / RELEASE):
        if _is_root(root):
            return root
    place = Path(os.path.abspath(path))
    return (
        path.parent if place.name in ("patient", "calcium_xml") and _is_root(place.parent) else None
    )


def coca_below(path: Path) -> Path | None:
    """Return the one such folder that lies further down, or None.

    Raises
    ------
    UserError
        If there are two.
    """
    found: list[Path] = []
    level, seen = [path], 0
    for _ in range(DEPTH):
        below = []
        for place in level:
            for folder in _folders(place):
                seen += 1
                if seen > MOST_FOLDERS:
                    return found[0] if found else None
                if _is_root(folder):
                    found.append(folder)
                else:
                    below.append(folder)
        level = below
    if len(found) > 1:
        raise UserError(f"{path}: holds COCA more than once; name {found[0]} or {found[1]}")
    return found[0] if found else None


def coca_around(path: Path) -> Path | None:
    """Return the folder of COCA that a patient's or a series' folder lies in, or None."""
    place = Path(os.path.abspath(path))
    for folder in place.parents[:DEPTH]:
        if folder.name == "patient" and _is_root(folder.parent):
            return folder.parent
    return None


def _is_root(path: Path) -> bool:
    return (path / "patient").is_dir() and (path / "calcium_xml").is_dir()


def _folders(place: Path) -> list[Path]:
    try:
        with os.scandir(place) as entries:
            return sorted(
                Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False)
            )
    except OSError:
        return []
