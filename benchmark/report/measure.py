"""From kept predictions to figures; the only file of the reports that calls the metrics.

Every figure is computed in the same resamples of the test patients for all methods and seeds, so
that differences between methods are paired: a patient who is hard is hard for both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np

from benchmark.metrics import Replicates, paired_difference, replicate, seed_spread
from benchmark.metrics.summary import as_estimate
from benchmark.metrics.verdict import SeedNoise, holds_zero
from benchmark.report.board import LED_BY, LOWER_IS_BETTER, Column, Figure
from benchmark.report.noise import UNKNOWN
from benchmark.runs.store import KeptCell

Measured = dict[Column, Replicates]


def measure(cells: list[KeptCell], source: str, pattern: KeptCell) -> tuple[Measured, int]:
    """All figures of one method from one source.

    Parameters
    ----------
    cells : list of KeptCell
        One per seed. A failed one counts as a method that missed every scan.
    source : {"mask", "head"}
    pattern : KeptCell
        Any finished cell of the board: its reference serves failed cells too, and its patients
        all.

    Returns
    -------
    figures : dict
    filled : int
        Scans, over all seeds, without a usable prediction.
    """
    # All finished cells of a board have its reference: with one of their own, boards, ranks and
    # claims of several runs ask for the same, and it is computed once.
    own = next((cell for cell in cells if cell.state == "finished"), pattern)
    figures, filled = _measured(tuple(cells), source, own, pattern.patients)
    return dict(figures), filled


@lru_cache(maxsize=128)  # some 0.8 MB each
def _measured(
    cells: tuple[KeptCell, ...],
    source: str,
    pattern: KeptCell,
    patients: tuple[int, ...] | None,
) -> tuple[Measured, int]:
    """As `measure`, by the identity of the cells, which are never changed."""
    n = len(pattern.ids)
    scores = np.stack([_array(getattr(cell, source), (n, 3, 4)) for cell in cells])
    missing = ~np.isfinite(scores).all(axis=(2, 3))  # (s, n)
    overlap = None
    reference_volume = pattern.reference[:, 1]  # (n, 4) mm3
    candidate_volume = None
    if source == "mask":
        overlap = tuple(
            np.stack([_array(getattr(cell, name), (n, 4)) for cell in cells])
            for name in ("tp", "fp", "fn")
        )
        missing |= ~np.isfinite(np.stack(overlap)).all(axis=(0, 3))
        # All candidates: those outside the reference of the whole heart, and the reference.
        candidate_volume = pattern.worst_fp[:, 3] + reference_volume[:, 3]
    figures = replicate(
        pattern.reference,
        scores,
        overlap,
        reference_volume=reference_volume,
        candidate_volume=candidate_volume,
        patients=patients,
    )
    for figure in figures.values():  # shared by all who ask again
        figure.by_seed.flags.writeable = figure.resampled.flags.writeable = False
    return figures, int(missing.sum())


def figures_of(measured: Measured, paper: dict[Column, float]) -> dict[Column, Figure]:
    """Values with intervals, the spread over seeds and the paper's figures."""
    spread = seed_spread(measured)
    figures = {}
    for column, replicates in measured.items():
        found = as_estimate(replicates)
        figures[column] = Figure(
            found.value,
            found.low,
            found.high,
            found.n,
            found.note,
            spread[column],
            paper.get(column),
            found.patients,
        )
    return figures


def difference(a: Replicates, b: Replicates) -> Figure:
    """a - b on the same scans, with its paired interval."""
    found = paired_difference(a, b)
    return Figure(
        found.difference, found.low, found.high, found.n, found.note, patients=found.patients
    )


def differences_to_best(
    lines: Sequence[Measured], rivals: Sequence[Measured], marked: Sequence[dict[Column, str]]
) -> list[tuple[Figure | None, Figure | None]]:
    """Each line's paired difference to the best rival, in F1 whole and in mean artery F1.

    Parameters
    ----------
    lines : sequence of dict
        Whose differences are asked for.
    rivals, marked : sequence of dict
        Lines among which one is the best, and what :func:`marks` says of each.

    Returns
    -------
    list of tuple
        None for the best itself, and where there is no such figure or no best.
    """
    best = {
        column: own[column]
        for own, found in zip(rivals, marked, strict=True)
        for column in LED_BY
        if found.get(column) == "best"
    }

    def gap(line: Measured, column: Column) -> Figure | None:
        own, other = line.get(column), best.get(column)
        if own is None or other is None or own is other:
            return None
        return difference(own, other)

    return [(gap(line, ("F1", "whole")), gap(line, ("F1", "mean"))) for line in lines]


def marks(
    lines: list[Measured],
    sources: list[str],
    columns: tuple[Column, ...],
    noise: Mapping[tuple[str, Column], SeedNoise],
) -> list[dict[Column, str]]:
    """Best of each column, and those whose paired difference to it may be nothing.

    Parameters
    ----------
    lines : list of dict
        One per trained line of the board.
    sources : list of str
        "mask" or "head", one per line.
    columns : tuple of Column
    noise : mapping
        Of training, by source and column. Where it is not known, patients alone are counted.

    Returns
    -------
    list of dict
        "best" or "tied" by column, in the order of `lines`.
    """
    found: list[dict[Column, str]] = [{} for _ in lines]
    for column in columns:
        sign = -1 if column[0] in LOWER_IS_BETTER else 1
        values = {
            place: sign * line[column].value
            for place, line in enumerate(lines)
            if column in line and _has_interval(line[column])  # one without takes no part
        }
        if len(values) < 2:
            continue
        best = max(values, key=values.get)
        for place in values:
            if place == best:
                found[place][column] = "best"
                continue
            terms = [
                (weight, lines[own][column], noise.get((sources[own], column), UNKNOWN))
                for weight, own in ((1, place), (-1, best))
            ]
            same = values[place] == values[best]
            apart = _has_interval(lines[place][column], lines[best][column])
            # what cannot be told is not told apart
            if same or not apart or holds_zero(terms):
                found[place][column] = "tied"
    return found


def _has_interval(*figures: Replicates) -> bool:
    """Whether figures are defined, alone or in their difference, in at least half the resamples."""
    if not all(np.isfinite(figure.value) for figure in figures):
        return False
    together = sum(figure.resampled for figure in figures)
    return 2 * np.isfinite(together).sum() >= together.size


def _array(values: np.ndarray | None, shape: tuple[int, ...]) -> np.ndarray:
    return np.full(shape, np.nan) if values is None else values
