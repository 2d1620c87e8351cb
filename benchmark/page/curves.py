"""Learning curves, and scores against what they cost."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from benchmark.page.differences import plain
from benchmark.page.lines import PageRun
from benchmark.report.board import Board, Column
from benchmark.report.devices import COSTS_OF_DEVICE, one_machine
from benchmark.runs.store import KeptCell

POINTS = 120
"""Most points of a curve on the page; a screen shows no more."""

COSTS = (
    ("flops", "TFLOP spent", 1e-12),
    ("samples", "training samples seen", 1.0),
    ("device_seconds", "device-seconds", 1.0),
    ("parameters", "parameters", 1.0),
    ("step_seconds", "ms a training step", 1e3),
    ("peak_memory_bytes", "peak memory, MB", 1e-6),
)
"""Ledger entry, its name on the axis, factor."""

WORTH: tuple[tuple[Column, str], ...] = (
    (("F1", "whole"), "F1 whole"),
    (("F1", "mean"), "mean artery F1"),
    (("ICC", "mean"), "mean ICC"),
    (("ICC_AS", "whole"), "ICC AS whole"),
    (("kappa", "whole"), "kappa"),
)


def curve_data(run: PageRun) -> list[dict]:
    """Loss of each trained method, by seed and stage.

    The kept points know the share of the budget that was spent and the samples seen. Device-seconds
    are that share of the seconds spent: exact under a budget of time, in proportion otherwise.
    """
    found = []
    timed = one_machine(run.cells)  # otherwise seconds are left out, as in the ledger
    for method in run.run.plan["methods"]:
        cells = [c for c in run.cells if c.method == method["name"] and c.curve]
        stages = [line for cell in cells for line in _stages(cell, timed)]
        if stages:
            found.append({"title": method["title"], "lines": stages})
    return found


def _stages(cell: KeptCell, timed: bool) -> list[dict]:
    total = cell.ledger.get("device_seconds") if timed else None
    by_stage: dict[str, list] = {}
    for stage, share, samples, loss in cell.curve:
        if isinstance(loss, int | float) and math.isfinite(loss):
            by_stage.setdefault(str(stage), []).append((share, samples, loss))
    lines = []
    for stage, points in by_stage.items():
        kept = thin(points, POINTS)
        seconds = [plain(p[0] * total, 4) if isinstance(total, int | float) else None for p in kept]
        lines.append(
            {
                "seed": cell.seed,
                "stage": stage,
                "share": [plain(100 * p[0], 4) for p in kept],
                "seconds": seconds,
                "samples": [p[1] for p in kept],
                "loss": [plain(p[2], 4) for p in kept],
            }
        )
    return lines


def thin(points: Sequence, most: int) -> list:
    """At most so many points, evenly taken, the first and the last among them."""
    if len(points) <= most:
        return list(points)
    step = (len(points) - 1) / (most - 1)
    return [points[round(k * step)] for k in range(most)]


def cost_data(board: Board) -> dict:
    """Points of score against cost, one a line of the board, and the best for each cost."""
    points = []
    trained = [row for row in board.rows if row.trained]
    # on a board of unlike machines no row has times or memory
    known = [
        cost
        for cost in COSTS
        if cost[0] not in COSTS_OF_DEVICE or any(cost[0] in row.spent for row in trained)
    ]
    for row in trained:
        if row.spent.get("weights_from"):
            continue  # what was not trained cost nothing, which is no merit
        costs = [
            plain(row.spent[name] * factor)
            if isinstance(row.spent.get(name), int | float)
            else None
            for name, _, factor in known
        ]
        for line in row.lines:
            figures = [line.figures.get(column) for column, _ in WORTH]
            points.append(
                {
                    "label": row.title,
                    "source": line.source,
                    "costs": costs,
                    "values": [plain(f.value) if f else None for f in figures],
                    "low": [plain(f.low) if f else None for f in figures],
                    "high": [plain(f.high) if f else None for f in figures],
                }
            )
    frontiers = [
        [frontier((p["costs"][i], p["values"][j]) for p in points) for j in range(len(WORTH))]
        for i in range(len(known))
    ]
    return {
        "costs": [name for _, name, _ in known],
        "worth": [name for _, name in WORTH],
        "points": points,
        "frontiers": frontiers,
    }


def frontier(points: Iterable[tuple[float | None, float | None]]) -> list[int]:
    """Places of the points that no other beats in both: cheaper and better (Pareto).

    Parameters
    ----------
    points : iterable of (cost, value)
        None: not known, and not on the frontier.

    Returns
    -------
    list of int
        By ascending cost.
    """
    known = [
        (cost, -value, place)
        for place, (cost, value) in enumerate(points)
        if cost is not None and value is not None
    ]
    found, best = [], math.inf
    for _, loss, place in sorted(known):
        if loss < best:
            best = loss
            found.append(place)
    return found
