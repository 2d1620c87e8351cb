"""On what the training grid is centred: the heart, the scan, or a place from a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmark.cohorts.base import Scan
from benchmark.errors import UserError
from benchmark.heart.finder import Heart, find_heart
from benchmark.heart.places import Places, read_places
from benchmark.training.settings import CENTRES, HEART, SCAN

NOT_FOUND = "no heart was found"
HEART_SIZED_MM = 120.0
"""An adult's heart is as long (Gray, 1918): in a scan that is nowhere longer its middle cannot lie
far from the scan's, and nothing hangs on whether it was found."""


@dataclass(frozen=True)
class Middle:
    """The middle of the training grid in one scan.

    Attributes
    ----------
    offset : (z, y, x), mm
        From the middle of the scan.
    heart : Heart or None
        What was found, where the heart was sought.
    warning : str
        That the heart was not found; "" if nothing is to be said.
    """

    offset: tuple[float, float, float]
    heart: Heart | None = None
    warning: str = ""


def chosen_centre(text: str) -> tuple[str, Places | None]:
    """What ``--centre`` asks for: a word of a recipe, and the places of a file.

    Raises
    ------
    UserError
        If it is neither heart or scan nor a table of places.
    """
    if text in CENTRES:
        return text, None
    path = Path(text)
    if not path.is_file():
        raise UserError(f"--centre {text}: no such file; write heart, scan or a CSV file's name")
    places = read_places(path)
    return places.name, places


def middle_of(scan: Scan, centre: str, places: Places | None = None) -> Middle:
    """The middle of the grid in a scan.

    Parameters
    ----------
    scan : Scan
        Its labels are not read.
    centre : str
        "heart", "scan" or `Places.name`.
    places : Places, optional
        Of a file, where `centre` names one.

    Raises
    ------
    UserError
        If a file is needed and not given, or does not hold a place within the scan.
    """
    middle = (np.array(scan.voxels.shape) - 1) / 2 * np.array(scan.spacing)
    if centre == SCAN:
        return Middle((0.0, 0.0, 0.0))
    if centre != HEART:
        if places is None:
            raise UserError(f"the grid is centred on places of a {centre}: name it with --centre")
        return Middle(tuple((np.array(places.of(scan)) - middle).tolist()))
    heart = find_heart(scan.voxels, scan.spacing)
    if not heart.found:
        return Middle((0.0, 0.0, 0.0), heart, missed(heart, scan))
    return Middle(tuple((np.array(heart.centre) - middle).tolist()), heart)


def missed(heart: Heart, scan: Scan) -> str:
    """The warning on a scan in which no heart was found; "" if one was, or nothing hangs on it."""
    size = np.array(scan.voxels.shape) * np.array(scan.spacing)
    if heart.found or size.max() <= HEART_SIZED_MM:
        return ""
    return (
        f"{NOT_FOUND} (confidence {heart.confidence:.2f}): unless --centre names a file, the "
        "training grid is centred on the scan"
    )
