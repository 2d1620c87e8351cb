"""Ablations beside their bases: paired differences, judged, and the noise of seeds beside them."""

from __future__ import annotations

import math

import numpy as np

from benchmark.metrics import holm, paired_difference, seed_spread
from benchmark.report.board import Ablation, Column, Figure, interval, number
from benchmark.report.measure import Measured

COMPARED: tuple[Column, ...] = (
    ("F1", "whole"),
    ("ICC_AS", "whole"),
    ("ICC", "mean"),
    ("kappa", "whole"),
)
"""What is compared, where a line has it."""

JUDGED: dict[str, Column] = {"mask": ("F1", "whole"), "head": ("ICC", "mean")}
"""The figure an ablation is judged by: one for each source, chosen before anything ran."""

LEVEL = 0.05


def seed_noise(
    methods: list[dict],
    sources: list[list[str]],
    measured: list[list[Measured]],
    seeds: int,
) -> dict[tuple[str, Column], float]:
    """How far a network's mean over seeds lies from its mean over as many other seeds.

    Parameters
    ----------
    methods : list of dict
        Rows of plan.json.
    sources : list of list of str
        "mask" or "head" of each row's lines.
    measured : list of list of Measured
        Figures of each row's lines.
    seeds : int
        Number of seeds that each figure is a mean over.

    Returns
    -------
    dict
        By source and judged column, 1.96 * sqrt(2 / seeds) * SD over seeds, the SD pooled over all
        trained rows (root of the mean variance); empty with one seed.
    """
    variances: dict[tuple[str, Column], list[float]] = {}
    for method, names, lines in zip(methods, sources, measured, strict=True):
        if not method["trained"] or not method.get("retrain", True):
            continue
        for source, line in zip(names, lines, strict=True):
            column = JUDGED[source]
            if column in line:
                sd = seed_spread({column: line[column]})[column]
                if math.isfinite(sd):
                    variances.setdefault((source, column), []).append(sd**2)
    return {
        key: 1.96 * math.sqrt(2 / seeds * float(np.mean(own))) for key, own in variances.items()
    }


def compare_to_bases(
    methods: list[dict],
    sources: list[list[str]],
    measured: list[list[Measured]],
    noise: dict[tuple[str, Column], float],
) -> tuple[Ablation, ...]:
    """Every ablation whose base is on the board, source by source.

    Parameters
    ----------
    methods, sources, measured
        See :func:`seed_noise`.
    noise : dict
        What :func:`seed_noise` gave.
    """
    by_name = {
        method["name"]: (method, dict(zip(names, lines, strict=True)))
        for method, names, lines in zip(methods, sources, measured, strict=True)
    }
    found = []
    for method, lines in by_name.values():
        if method.get("base") not in by_name:
            continue
        base, base_lines = by_name[method["base"]]
        for source in (s for s in lines if s in base_lines):
            found.append(_compare(method, base, source, lines[source], base_lines[source]))
    adjusted = holm([p for _, p in found])
    return tuple(
        _judge(ablation, float(p), noise) for (ablation, _), p in zip(found, adjusted, strict=True)
    )


def _compare(
    method: dict, base: dict, source: str, own: Measured, other: Measured
) -> tuple[Ablation, float]:
    judged = JUDGED[source]
    differences, p = {}, math.nan
    for column in COMPARED:
        if column not in own or column not in other:
            continue
        gap = paired_difference(own[column], other[column])
        differences[column] = Figure(gap.difference, gap.low, gap.high, gap.n, gap.note)
        if column == judged:
            p = gap.p
    ablation = Ablation(
        title=method["title"],
        base=base["title"],
        change=method.get("change") or "",
        source=source,
        differences=differences,
        judged=judged,
        expect=method.get("expect") or "",
        found="undecided",
        p=math.nan,
    )
    return ablation, p


def _judge(ablation: Ablation, p: float, noise: dict[tuple[str, Column], float]) -> Ablation:
    gap = ablation.differences.get(ablation.judged)
    value = gap.value if gap is not None else math.nan
    found = "undecided"
    if math.isfinite(p) and p < LEVEL and value:
        found = "higher" if value > 0 else "lower"
    floor = noise.get((ablation.source, ablation.judged))
    within = None if floor is None or not math.isfinite(value) else abs(value) <= floor
    values = {**ablation.__dict__, "found": found, "p": p, "within_noise": within}
    return Ablation(**values)


HEADINGS = (
    "method",
    "from",
    "change",
    "F1 whole",
    "ICC AS whole",
    "mean ICC",
    "kappa",
    "p (Holm)",
    "expected",
    "found",
)


def ablation_cells(ablation: Ablation, line_break: str = " ") -> tuple[str, ...]:
    """The texts of one row under `HEADINGS`."""

    def text(column: Column) -> str:
        gap = ablation.differences.get(column)
        if gap is None:
            return ""
        if not gap.defined:
            return "undefined"
        bounds = interval(gap, between=" to ")
        return f"{gap.value:+.3f}" + (f"{line_break}[{bounds}]" if bounds else "")

    found = ablation.found
    if found != "undecided":
        found += {True: ", within seed noise", None: ", in one seed alone"}.get(
            ablation.within_noise, ""
        )
    p = (
        ""
        if not math.isfinite(ablation.p)
        else ("<.001" if ablation.p < 5e-4 else number(ablation.p))
    )
    return (
        ablation.title,
        ablation.source,
        ablation.change,
        *(text(column) for column in COMPARED),
        p,
        ablation.expect,
        found,
    )


def explanation(base: str) -> str:
    """The sentence under the table."""
    return (
        f"Difference to {base} on the same scans and seeds, with its paired 95 % interval. Judged "
        "by F1 whole of masks and mean ICC of the 12 scores of heads; p adjusted after Holm."
    )
