"""Which methods and which test scans stand as examples in figure 6, chosen by rule."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from benchmark.calcium import ARTERIES, RISK_NAMES, risk_category
from benchmark.errors import UserError
from benchmark.metrics.overlap import pooled_ratios
from benchmark.npz import load_arrays
from benchmark.runs.finished import FinishedRun
from benchmark.runs.store import KeptCell

HIT, MISS, FALSE_ALARM, WRONG_ARTERY = "hit", "miss", "false alarm", "wrong artery"
MAIN = "mmwfanet"


class Choice(NamedTuple):
    """A scan to be shown, why, and what its slice must show: an artery, "lesions", "errors"."""

    row: int
    reason: str
    focus: str


def choose_cells(run: FinishedRun, cells: Sequence[KeptCell]) -> list[KeptCell]:
    """The main method, and the best and the worst of the others by F1 of the whole heart.

    Ranked methods alone, if there are any, and of each its lowest seed. The main one is MMWFAnet,
    or the first of the plan.

    Raises
    ------
    UserError
        If no finished method gives labels.
    """
    usable = [cell for cell in cells if cell.state == "finished" and cell.tp is not None]
    references = {entry["name"] for entry in run.plan["methods"] if entry.get("reference")}
    ranked = [cell for cell in usable if cell.trained and cell.method not in references]
    usable = ranked or usable
    first = {}
    for cell in sorted(usable, key=lambda cell: cell.seed):
        first.setdefault(cell.method, cell)
    order = [m["name"] for m in run.plan["methods"] if m["name"] in first]
    if not order:
        raise UserError(f"{run.folder}: no finished method that labels voxels, nothing to draw")
    main = MAIN if MAIN in order else order[0]
    others = [name for name in order if name != main]
    others.sort(key=lambda name: -_whole_f1(first[name]))
    if len(others) > 2:
        others = [others[0], others[-1]]
    return [first[name] for name in (main, *others)]


def choose_scans(
    reference: np.ndarray, tp: np.ndarray, fp: np.ndarray, fn: np.ndarray
) -> list[Choice]:
    """Up to six scans by the rule of the caption.

    Parameters
    ----------
    reference : ndarray, (n, 3, 4)
        Reference scores.
    tp, fp, fn : ndarray, (n, 4), mm3
    """
    by_artery = _f1(tp, fp, fn)[:, :3]
    pooled = _f1(*(volumes[:, :3].sum(axis=1) for volumes in (tp, fp, fn)))
    volume, risk = reference[:, 1], risk_category(reference[:, 0, 3])
    diseased = np.flatnonzero(volume[:, 3] > 0)
    if not len(diseased):
        return []
    worst = int(min(diseased, key=lambda i: (pooled[i], -volume[i, 3])))
    taken, chosen = {worst}, []

    def add(eligible: np.ndarray, f1: np.ndarray, reason: str, focus: str) -> None:
        left = sorted((i for i in eligible if i not in taken), key=lambda i: (f1[i], i))
        if left:
            row = int(left[(len(left) - 1) // 2])
            taken.add(row)
            chosen.append(Choice(row, reason, focus))

    for k, artery in enumerate(ARTERIES):
        of_artery = diseased[volume[diseased, k] > 0]
        add(of_artery, by_artery[:, k], f"{artery}: median F1", artery)
    extremes = dict.fromkeys((int(risk[diseased].min()), int(risk[diseased].max())))
    for category in extremes:
        name = RISK_NAMES[category]
        add(diseased[risk[diseased] == category], pooled, f"{name} risk:\nmedian F1", "lesions")
    return [*chosen, Choice(worst, "lowest F1", "errors")]


def kept_classes(run: FinishedRun, cell: KeptCell) -> dict[str, np.ndarray]:
    """Class of each candidate (n + 1,) of each test scan by id, as the run kept them.

    Raises
    ------
    UserError
        If they are not there or damaged.
    """
    path = run.folder.resolve().parents[1] / "cells" / cell.folder / "predictions.npz"
    try:
        arrays = load_arrays(path)
        parts = np.split(arrays["components"], arrays["components_start"][1:-1])
        return dict(zip((str(id) for id in arrays["ids"]), parts, strict=True))
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise UserError(
            f"{path}: holds no classes of candidates ({type(error).__name__}); delete its folder "
            "and run the suite again"
        ) from None


def statuses(reference: np.ndarray, estimate: np.ndarray) -> np.ndarray:
    """Hit, miss, false alarm, wrong artery or "" of each candidate.

    Parameters
    ----------
    reference, estimate : ndarray of int, (n,)
        Its artery, 1 to 3, or 0.

    Returns
    -------
    ndarray of str, (n,)
    """
    return np.select(
        [
            (reference > 0) & (reference == estimate),
            (reference > 0) & (estimate == 0),
            (reference == 0) & (estimate > 0),
            (reference > 0) & (estimate > 0),
        ],
        [HIT, MISS, FALSE_ALARM, WRONG_ARTERY],
        default="",
    )


def overlap_of(cell: KeptCell) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """tp, fp and fn (n, 4), mm3; a scan without an answer has all missed, all else called."""
    lost = ~np.isfinite([cell.tp, cell.fp, cell.fn]).all(axis=(0, 2))[:, None]
    return (
        np.where(lost, 0.0, cell.tp),
        np.where(lost, cell.worst_fp, cell.fp),
        np.where(lost, cell.reference[:, 1], cell.fn),
    )


def _whole_f1(cell: KeptCell) -> float:
    value = pooled_ratios(*overlap_of(cell))["F1"][0, 3]
    return 0.0 if np.isnan(value) else float(value)


def _f1(tp: np.ndarray, fp: np.ndarray, fn: np.ndarray) -> np.ndarray:
    """F1 of each entry; 0 where there is nothing at all."""
    total = 2 * tp + fp + fn
    return np.divide(2 * tp, total, out=np.zeros_like(total, dtype=float), where=total > 0)
