"""The noise of training on a board: the spread over seeds of each figure, pooled over methods.

One rule for all that compares methods (marks, ablations, differences, `compare`): see
`benchmark.metrics.verdict`.
"""

from __future__ import annotations

from collections.abc import Iterable

from benchmark.metrics.replicates import Replicates
from benchmark.metrics.verdict import SeedNoise, pooled_noise
from benchmark.report.board import Column
from benchmark.runs.store import KeptCell

Noise = dict[tuple[str, Column], SeedNoise]
"""By source ("mask" or "head") and column."""


def lends(method: dict, cells: Iterable[KeptCell]) -> bool:
    """Whether a method's spread over seeds is news of training: trained itself, no seed failed.

    Parameters
    ----------
    method : dict
        Row of plan.json.
    cells : iterable of KeptCell
        Its cells, one a seed.
    """
    trains = method["trained"] and method.get("retrain", True)
    return trains and all(cell.state == "finished" for cell in cells)


def pool(lines: Iterable[tuple[str, dict[Column, Replicates]]]) -> Noise:
    """Pool the spread over seeds of every figure.

    Parameters
    ----------
    lines : iterable of (str, dict)
        Source and figures of every line that `lends`.
    """
    figures: dict[tuple[str, Column], list[Replicates]] = {}
    for source, measured in lines:
        for column, figure in measured.items():
            figures.setdefault((source, column), []).append(figure)
    return {key: pooled_noise(own) for key, own in figures.items()}


UNKNOWN = pooled_noise(())
"""Of a pool without lines."""
