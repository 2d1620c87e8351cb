"""The 12 scores of one scan as text."""

from __future__ import annotations

import json

import numpy as np

SCORE_TITLES = ("Agatston", "volume (mm3)", "mass (mg)")
_TARGETS = ("LAD", "LCX", "RCA", "whole")


def write_scores(id: str, scores: np.ndarray, risk: int, risk_name: str, form: str) -> str:
    """Scores of a scan in one of four forms.

    Parameters
    ----------
    id : str
    scores : ndarray, (3, 4)
        Agatston, volume (mm3), mass (mg) x LAD, LCX, RCA, whole.
    risk : int
        Category 0 to 4.
    risk_name : str
    form : {"terminal", "markdown", "csv", "json"}
    """
    if form == "json":
        values = {
            name: dict(zip(_TARGETS, map(float, row), strict=True))
            for name, row in zip(("agatston", "volume", "mass"), scores, strict=True)
        }
        values = {"id": id, **values, "risk": risk, "risk_name": risk_name}
        return json.dumps(values, indent=1) + "\n"
    if form == "csv":
        lines = ["id,score,target,value"]
        for name, row in zip(("agatston", "volume", "mass"), scores, strict=True):
            lines += [f"{id},{name},{t},{v:.6g}" for t, v in zip(_TARGETS, row, strict=True)]
        return "\n".join(lines) + "\n"
    cells = [["", *_TARGETS]]
    for title, row in zip(SCORE_TITLES, scores, strict=True):
        cells.append([title, *(f"{value:.1f}" for value in row)])
    closing = f"risk category {risk}: {risk_name}"
    if form == "markdown":
        rows = ["| " + " | ".join(row) + " |" for row in cells]
        return "\n".join([rows[0], "|---|--:|--:|--:|--:|", *rows[1:], "", closing]) + "\n"
    lines = [f"{row[0]:<14}" + "".join(f"{value:>12}" for value in row[1:]) for row in cells]
    return "\n".join([id, *lines, closing]) + "\n"
