"""Files that a table or a list names: found below one folder, or refused."""

from __future__ import annotations

import os
from pathlib import Path

from benchmark.cohorts.pixel_files import is_file, parts_of
from benchmark.cohorts.volumes import SUFFIXES, id_of
from benchmark.errors import UserError


def named_file(root: Path, name: str) -> Path:
    """Return the file of that name below a folder.

    A table may come from somebody else; it shall not make the program read what lies outside.
    Links in the folder are the user's own and are followed.

    Parameters
    ----------
    root : Path
        Folder that all files lie in.
    name : str
        Path relative to `root`, or an absolute one below it.

    Raises
    ------
    UserError
        If the path leaves the folder, there is no such file, or it is no image file.
    """
    place = root / name
    home = Path(os.path.abspath(root))
    if not Path(os.path.abspath(place)).is_relative_to(home):
        raise UserError(f"{name}: lies outside {root}; name the folder that holds it as root")
    if id_of(place) is None:
        raise UserError(f"{name}: is no image file ({', '.join(SUFFIXES)})")
    if not is_file(place):
        raise UserError(f"{place}: no such file")
    parts_of(place)
    return place
