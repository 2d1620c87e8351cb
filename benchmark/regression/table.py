"""From a run's cells to the figures that are watched, one value a seed."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass

from benchmark.errors import UserError
from benchmark.metrics.overlap import MEAN_F1
from benchmark.report.board import Column
from benchmark.report.measure import Measured, measure
from benchmark.runs.store import KeptCell

TRAINED, EXACT, CONTRAST = "trained", "exact", "contrast"
"""Kinds of figures: of a network, of a row that learns nothing, of a part of a network.

The mean of the arteries' F1 is none of them: the three that it is a mean of are watched one by one.
"""

_TARGETS = ("LAD", "LCX", "RCA", "whole")
OF_MASK: tuple[Column, ...] = tuple(
    (ratio, target) for ratio in ("F1", "sensitivity", "PPV") for target in _TARGETS
)
OF_SCORES: tuple[Column, ...] = (
    ("ICC", "mean"),
    ("PCC", "mean"),
    ("kappa", "whole"),
    ("MAE_AS", "whole"),
    ("MAE_VS", "whole"),
    ("MAE_MS", "whole"),
)
OF_CONTRAST: dict[str, tuple[Column, ...]] = {
    "mask": (("F1", "whole"), ("ICC", "mean")),
    "head": (("ICC", "mean"),),
}
"""What a part gives: the base's figure less that of its own weights without the part."""


@dataclass(frozen=True, order=True)
class Name:
    """Which figure.

    Attributes
    ----------
    method : str
        Name of the method; "mmwfanet less no-gates" for a contrast.
    source : str
        "mask" or "head".
    metric, target : str
        As in the columns of a leaderboard.
    """

    method: str
    source: str
    metric: str
    target: str

    def __str__(self) -> str:
        return f"{self.method}, {self.source}: {self.metric} {self.target}"


@dataclass(frozen=True)
class Figures:
    """One figure in every seed.

    Attributes
    ----------
    kind : str
        `TRAINED`, `EXACT` or `CONTRAST`.
    values : tuple of float
        One a seed; NaN where it is undefined.
    note : str
        Why it is undefined.
    """

    kind: str
    values: tuple[float, ...]
    note: str = ""


Table = dict[Name, Figures]


def make_table(plan: dict, cells: tuple[KeptCell, ...]) -> Table:
    """All watched figures of a run.

    Parameters
    ----------
    plan : dict
        Contents of plan.json.
    cells : tuple of KeptCell
        As the run gave them. Failed ones have no figures: see `failures`.

    Raises
    ------
    UserError
        If no cell finished.
    """
    by_method: dict[str, list[KeptCell]] = defaultdict(list)
    for cell in cells:
        by_method[cell.method].append(cell)
    pattern = next((cell for cell in cells if cell.state == "finished"), None)
    if pattern is None:
        raise UserError(f"no run of suite {plan['suite']} finished: {cells[0].reason}")
    measured = {}
    for name, own in by_method.items():
        if all(cell.state == "finished" for cell in own):
            for source in own[0].outputs:
                measured[name, source] = measure(own, source, pattern)[0]
    table: Table = {}
    for method in plan["methods"]:
        for source in method["outputs"]:
            found = measured.get((method["name"], source))
            if found is None:
                continue
            if not method["retrain"]:
                base = measured.get((method["base"], source))
                if base is not None:
                    table |= _contrast(method, source, base, found)
                continue
            kind = TRAINED if method["trained"] else EXACT
            columns = (*(OF_MASK if source == "mask" else ()), *OF_SCORES)
            for column in columns if kind == TRAINED else (c for c in found if c != MEAN_F1):
                replicates = found[column]
                table[Name(method["name"], source, *column)] = Figures(
                    kind, tuple(float(v) for v in replicates.by_seed), replicates.note
                )
    return table


def _contrast(method: dict, source: str, base: Measured, without: Measured) -> Table:
    title = f"{method['base']} less {method['name']}"
    return {
        Name(title, source, *column): Figures(
            CONTRAST,
            tuple(
                float(a - b)
                for a, b in zip(base[column].by_seed, without[column].by_seed, strict=True)
            ),
            base[column].note or without[column].note,
        )
        for column in OF_CONTRAST[source]
    }


def failures(cells: tuple[KeptCell, ...]) -> list[tuple[str, str]]:
    """(method and seed, reason) of every cell that failed."""
    return [
        (f"{cell.method}, seed {cell.seed}", cell.reason or "no reason given")
        for cell in cells
        if cell.state == "failed"
    ]


def as_json(table: Table) -> list[dict]:
    """The table as plain values; undefined is null."""
    return [
        {
            "method": name.method,
            "source": name.source,
            "metric": name.metric,
            "target": name.target,
            "kind": figures.kind,
            "values": [None if math.isnan(v) else v for v in figures.values],
        }
        for name, figures in table.items()
    ]


def from_json(rows: list[dict]) -> Table:
    """The table that `as_json` wrote.

    Raises
    ------
    ValueError, KeyError, TypeError
        If it is not one.
    """
    table: Table = {}
    for row in rows:
        name = Name(*(str(row[key]) for key in ("method", "source", "metric", "target")))
        if row["kind"] not in (TRAINED, EXACT, CONTRAST):
            raise ValueError(f"{name}: kind {row['kind']!r}")
        values = tuple(math.nan if v is None else float(v) for v in row["values"])
        if any(math.isinf(v) for v in values):
            raise ValueError(f"{name}: an infinite figure")
        table[name] = Figures(row["kind"], values)
    counts = {len(figures.values) for figures in table.values()}
    if len(counts) != 1 or min(counts) < 2:
        raise ValueError("every figure needs the same number of seeds, two or more")
    return table
