"""Bland-Altman plots and confusion of risk categories, for each line of a run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmark.figures.agreement import SCORES, category_names, row_share
from benchmark.metrics import categories_of, fill_missing, fill_missing_categories
from benchmark.metrics.bland_altman import Agreement, bland_altman
from benchmark.metrics.estimate import Estimate
from benchmark.page.differences import plain
from benchmark.page.lines import PageLine, PageRun

WHOLE = 3


@dataclass(frozen=True, eq=False)
class LineAgreement:
    """What one line's scores of the whole heart are to the reference, for one seed.

    Attributes
    ----------
    key, label : str
        Of the line.
    seed : int
        The first that finished.
    scores : tuple of Agreement
        Agatston, volume, mass; missing scores hold the worst value.
    missing : numpy.ndarray of bool, shape (n, 3)
    confusion : numpy.ndarray of int, shape (5, 5)
        Scans by category of the reference (rows) and of the estimate (columns).
    """

    key: str
    label: str
    seed: int
    scores: tuple[Agreement, ...]
    missing: np.ndarray
    confusion: np.ndarray

    @property
    def right(self) -> str:
        """``"201 of 257"``: scans in the right category."""
        return f"{np.trace(self.confusion)} of {self.confusion.sum()}"

    def rows(self) -> list[tuple[str, list[tuple[int, str]]]]:
        """The confusion as text: name of the reference category, then scans and their share."""
        share = row_share(self.confusion)
        names = [name.replace("\n", ": ") for name in category_names()]
        return [
            (
                names[i],
                [
                    (int(count), "" if np.isnan(share[i, j]) else f"{100 * share[i, j]:.0f} %")
                    for j, count in enumerate(self.confusion[i])
                ],
            )
            for i in range(5)
        ]


def categories() -> list[str]:
    """Column heads of the confusion table."""
    return [name.replace("\n", ": ") for name in category_names()]


def agreements(run: PageRun) -> tuple[LineAgreement, ...]:
    """One for each line of which a seed finished."""
    return tuple(_agreement(line) for line in run.lines)


def _agreement(line: PageLine) -> LineAgreement:
    cell = next(cell for cell in line.cells if cell.state == "finished")
    given = getattr(cell, line.source)  # (n, 3, 4)
    filled = fill_missing(cell.reference, given, "MAE")
    scores = tuple(
        bland_altman(
            cell.reference[:, k, WHOLE], filled.values[:, k, WHOLE], patients=cell.patients
        )
        for k in range(len(SCORES))
    )
    truth = categories_of(cell.reference[:, 0, WHOLE])
    gaps = ~np.isfinite(given[:, 0, WHOLE])
    estimate = categories_of(np.where(gaps, 0.0, given[:, 0, WHOLE]))
    found = fill_missing_categories(truth, estimate, gaps)
    confusion = np.zeros((5, 5), dtype=int)
    np.add.at(confusion, (truth, found), 1)
    return LineAgreement(
        line.key, line.label, cell.seed, scores, filled.missing[:, :, WHOLE], confusion
    )


def agreement_data(found: tuple[LineAgreement, ...], ids: tuple[str, ...]) -> dict:
    """Points, bias and limits as plain values for the plot."""
    return {
        "ids": list(ids),
        "scores": [name for name, _ in SCORES],
        "units": [unit.replace("mm3", "mm³") for _, unit in SCORES],
        "lines": [
            {
                "key": one.key,
                "label": one.label,
                "seed": one.seed,
                "scores": [_points(one, k) for k in range(len(SCORES))],
            }
            for one in found
        ],
    }


def _points(one: LineAgreement, k: int) -> dict:
    score = one.scores[k]
    return {
        "mean": [plain(v, 4) for v in score.mean],
        "difference": [plain(v, 4) for v in score.difference],
        "missing": np.flatnonzero(one.missing[:, k]).tolist(),
        "bias": _ends(score.bias),
        "lower": _ends(score.lower),
        "upper": _ends(score.upper),
        "inside": plain(score.inside.value),
    }


def _ends(found: Estimate) -> list[float | None]:
    return [plain(found.value), plain(found.low), plain(found.high)]


def _percent(share: Estimate) -> str:
    if not share.is_defined:
        return f"undefined: {share.note}"
    bounds = "" if np.isnan(share.low) else f" [{100 * share.low:.1f} to {100 * share.high:.1f}]"
    return f"{100 * share.value:.1f} %{bounds}"


def limits_table(found: tuple[LineAgreement, ...]) -> list[tuple[str, ...]]:
    """The numbers of the plots: line, seed, score, bias, limits, share inside."""
    from benchmark.figures.style import number

    def text(one: Estimate) -> str:
        if not one.is_defined:
            return f"undefined: {one.note}"
        if np.isnan(one.low):
            return number(one.value)
        return f"{number(one.value)} [{number(one.low)} to {number(one.high)}]"

    rows = []
    for one in found:
        for (name, unit), score in zip(SCORES, one.scores, strict=True):
            title = f"{name} ({unit.replace('mm3', 'mm³')})" if unit else name
            inside = _percent(score.inside)
            limits = (text(e) for e in (score.bias, score.lower, score.upper))
            rows.append((one.label, str(one.seed), title, *limits, inside))
    return rows
