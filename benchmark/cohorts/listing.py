"""The image files of a folder, and what else lies there: passed over, but never in silence."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from benchmark.cohorts.label_tables import is_table
from benchmark.cohorts.pixel_files import is_file, parts_of
from benchmark.cohorts.volumes import id_of
from benchmark.errors import UserError

PassOver = Callable[[str, str], None]
"""Called as ``pass_over(what, name)``, as `DiskCohort._pass_over`."""


def ordinary(path: Path) -> bool:
    """Whether a file is none of those that systems leave in folders by themselves."""
    return not path.name.startswith("._") and path.name.lower() not in (
        ".ds_store", "thumbs.db", "desktop.ini",
    )  # fmt: skip


def image_files(folder: Path, pass_over: PassOver, where: str = "") -> dict[str, list[Path]]:
    """Return the image files of a folder by id, in order of names.

    Pixel files that a header names belong to it, and so do tables that name labels.

    Parameters
    ----------
    folder : Path
    pass_over : callable
        Hears of hidden files, of folders, and of files that are no image.
    where : str
        How the folder is called there; by default its name.
    """
    where = where or f"{folder.name}/"
    found, rest = defaultdict(list), []
    for path in sorted(folder.iterdir()):
        if not ordinary(path):
            continue
        if path.name.startswith("."):
            pass_over(f"hidden files in {where}", path.name)
        elif path.is_dir():
            pass_over(f"folders in {where}", path.name)
        elif id_of(path) is not None and is_file(path):
            found[id_of(path)].append(path)
        else:
            rest.append(path)
    named = pixel_files(path for paths in found.values() for path in paths) if rest else set()
    for path in rest:
        if path not in named and not is_table(path):
            pass_over(f"files in {where} that are no image file", path.name)
    return dict(found)


def pixel_files(headers) -> set[Path]:
    """Return the pixel files that some headers name; one that cannot be read names none."""
    named = set()
    for path in headers:
        try:
            named.update(parts_of(path)[1:])
        except UserError:
            continue  # reading it will say what is wrong
    return named


def folder_named(parent: Path, name: str) -> Path:
    """Return the folder of that name, or the one whose name differs in case alone.

    Raises
    ------
    UserError
        If there are two such folders.
    """
    if (parent / name).is_dir() or not parent.is_dir():
        return parent / name
    others = [path for path in parent.iterdir() if path.name.lower() == name and path.is_dir()]
    if len(others) > 1:
        raise UserError(f"{others[0]} and {others[1].name}: keep one, named {name}")
    return others[0] if others else parent / name
