"""The paper's figures, to stand in brackets beside ours."""

from __future__ import annotations

import csv
from functools import cache
from pathlib import Path

PLACES = (
    Path(__file__).parents[2] / "results" / "paper" / "tables.csv",
    Path(__file__).with_name("tables.csv"),
)
"""In a source tree, and in an installed package."""


@cache
def tables() -> dict[tuple[str, str], dict[tuple[str, str], float]]:
    """Figures by (table, model), then by (metric, target).

    Returns
    -------
    dict
        Empty if the file is not there: then no brackets are printed.
    """
    path = next((place for place in PLACES if place.is_file()), None)
    if path is None:
        return {}
    found: dict[tuple[str, str], dict[tuple[str, str], float]] = {}
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["value"]:
                figures = found.setdefault((row["table"], row["model"]), {})
                figures[row["metric"], row["target"]] = float(row["value"])
    for figures in found.values():
        arteries = [figures.get(("F1", artery)) for artery in ("LAD", "LCX", "RCA")]
        if None not in arteries:  # no table prints the mean
            figures["F1", "mean"] = sum(arteries) / 3
    return found


def figures(model: str | None, first: str | None = None) -> dict[tuple[str, str], float]:
    """All that the paper states of a model.

    Parameters
    ----------
    model : str or None
        As the paper calls it; None gives nothing.
    first : str, optional
        Table whose figures win where tables differ.

    Returns
    -------
    dict
        By (metric, target), ``("ICC_AS", "whole")`` for instance.
    """
    if model is None:
        return {}
    merged: dict[tuple[str, str], float] = {}
    order = sorted(tables(), key=lambda key: key[0] == first)
    for table, name in order:
        if name == model and table.startswith("table"):
            merged.update(tables()[table, name])
    return merged
