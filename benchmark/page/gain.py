"""Pairwise performance gain as tables: what learning both tasks together changed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmark.errors import UserError
from benchmark.figures.gain import caption, find_models, measure_gains
from benchmark.metrics.gain import Gains
from benchmark.page.lines import PageRun
from benchmark.report.board import number


@dataclass(frozen=True, eq=False)
class GainPart:
    """The section, or why there is none.

    Attributes
    ----------
    why : str
        Empty if there are figures.
    singles : tuple of tuple of str
        Task, measure, alone, together, gain.
    heads : tuple of str
        Tasks of the matrix.
    pairs : tuple of (str, tuple of (str, str))
        A row of the matrix: task, then text and class of each cell.
    caption : str
    """

    why: str = ""
    singles: tuple = ()
    heads: tuple[str, ...] = ()
    pairs: tuple = ()
    caption: str = ""


def gain_part(run: PageRun) -> GainPart:
    """Gains of a run's joint model over its single-task models, kept in the same store."""
    try:
        models = find_models(run.run, run.cells)
        found = measure_gains(models)
    except UserError as error:
        return GainPart(why=str(error))
    # the caption was written for the figure, where the single gains stand beside the matrix
    text = caption(found, models).replace("on the right", "in the table")
    return GainPart("", _singles(found), found.tasks, _pairs(found), text)


def _singles(found: Gains) -> tuple:
    rows = []
    for place, task in enumerate(found.tasks):
        single = found.single[place]
        gain = single.as_text(3) if single.is_defined else f"undefined: {found.reasons[place]}"
        alone, together = found.alone[place], found.together[place]
        rows.append((task, found.measures[place], alone.as_text(3), together.as_text(3), gain))
    return tuple(rows)


def _pairs(found: Gains) -> tuple:
    rows = []
    for i, task in enumerate(found.tasks):
        cells = []
        for value, low, high in zip(found.pairs[i], found.low[i], found.high[i], strict=True):
            if not np.isfinite(value):
                cells.append(("undefined", "none"))
            elif low > 1:
                cells.append((f"{number(value)} +", "gain"))
            elif high < 1:
                cells.append((f"{number(value)} −", "loss"))
            else:
                cells.append((number(value), ""))
        rows.append((task, tuple(cells)))
    return tuple(rows)
