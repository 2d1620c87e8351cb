"""Cells of one folder of runs brought into another, whole or not at all."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np

from benchmark.errors import UserError
from benchmark.runs.references import ABSOLUTE, RELATIVE
from benchmark.runs.store import KeptCell, Store


def same_predictions(one: KeptCell, other: KeptCell) -> bool:
    """Whether two finished cells of one seed hold the same predictions, but for rounding."""
    if one.seed != other.seed or one.state != other.state or one.state != "finished":
        return False
    for name in ("mask", "head", "tp", "fp", "fn"):
        a, b = getattr(one, name), getattr(other, name)
        if (a is None) != (b is None):
            return False
        if a is not None and not np.allclose(a, b, RELATIVE, ABSOLUTE, equal_nan=True):
            return False
    return True


def refuse_other(source: Store, cell: KeptCell, store: Store) -> None:
    """Raise UserError if the folder of runs holds another result under a cell's name."""
    if _is(source, store) or cell.state != "finished" or not store.finished(cell.folder):
        return
    if not same_predictions(store.read(cell.folder), cell):
        raise UserError(
            f"{store.cells / cell.folder}: another result than that in {source.cells}, from "
            "another machine of the same kind; choose another folder with --out"
        )


def copy_cell(source: Store, cell: KeptCell, store: Store) -> None:
    """Bring a cell into a folder of runs; one that finished there, or failed as well, stays."""
    if _is(source, store) or store.finished(cell.folder):
        return
    if cell.state != "finished" and store.standing(cell.folder).state == "failed":
        return
    with store.draft(cell.folder) as draft:
        # a cell's files are never written again, so that a second name is as good as a copy
        _copy(source.cells / cell.folder, draft)
        store.place(cell.folder, draft)


def _is(source: Store, store: Store) -> bool:
    return source.cells.resolve() == store.cells.resolve()


def _copy(source: Path, target: Path) -> None:
    """Files and folders below one folder into another that is there, with the modes of new ones."""
    for path in sorted(source.iterdir()):
        if path.is_dir():
            (target / path.name).mkdir()
            _copy(path, target / path.name)
            continue
        try:
            os.link(path, target / path.name)
        except OSError:
            shutil.copyfile(path, target / path.name)
