"""Ablations beside their bases: paired differences, judged as claims are."""

from __future__ import annotations

import math
from dataclasses import replace

from benchmark.metrics.verdict import (
    CONTRADICTED,
    SUPPORTED,
    UNDECIDED,
    Contrast,
    contrast,
    decide,
)
from benchmark.report.board import Ablation, Column, interval, number
from benchmark.report.measure import Measured
from benchmark.report.noise import UNKNOWN, Noise

COMPARED: tuple[Column, ...] = (
    ("F1", "whole"),
    ("F1", "mean"),
    ("ICC_AS", "whole"),
    ("ICC", "mean"),
    ("kappa", "whole"),
)
"""What is compared, where a line has it."""

JUDGED: dict[str, Column] = {"mask": ("F1", "whole"), "head": ("ICC", "mean")}
"""The figure an ablation is judged by: one for each source, chosen before anything ran."""

WORDS = {SUPPORTED: "higher", CONTRADICTED: "lower", UNDECIDED: UNDECIDED}


def compare_to_bases(
    methods: list[dict],
    sources: list[list[str]],
    measured: list[list[Measured]],
    noise: Noise,
) -> tuple[Ablation, ...]:
    """Every ablation whose base is on the board, source by source.

    Parameters
    ----------
    methods : list of dict
        Rows of plan.json.
    sources : list of list of str
        "mask" or "head" of each row's lines.
    measured : list of list of Measured
        Figures of each row's lines.
    noise : dict
        Of training, from `benchmark.report.noise.pool`. An ablation that is tested with its base's
        weights counts as a training of its own: to the safe side.
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
            found.append(_compare((method, base), source, lines[source], base_lines[source], noise))
    # all ablations of a board are one family
    decisions = decide([[one.differences[one.judged]] for one in found])
    return tuple(
        replace(
            one,
            found=WORDS[decision.verdict],
            p=decision.p,
            these_networks=_these_networks(one) if decision.verdict == UNDECIDED else "",
        )
        for one, decision in zip(found, decisions, strict=True)
    )


def _compare(
    pair: tuple[dict, dict], source: str, own: Measured, other: Measured, noise: Noise
) -> Ablation:
    """An ablation beside its base, before it is judged."""

    def term(weight: float, method: dict, line: Measured, column: Column) -> tuple:
        known = noise.get((source, column), UNKNOWN) if method["trained"] else None
        return weight, line[column], known

    method, base = pair
    return Ablation(
        title=method["title"],
        base=base["title"],
        change=method.get("change") or "",
        source=source,
        differences={
            column: contrast([term(1, method, own, column), term(-1, base, other, column)])
            for column in COMPARED
            if column in own and column in other
        },
        judged=JUDGED[source],
        expect=method.get("expect") or "",
        found=UNDECIDED,
        p=math.nan,
    )


def _these_networks(one: Ablation) -> str:
    """What the interval over patients alone says, not adjusted; nothing if it holds 0."""
    gap = one.differences[one.judged]
    if gap.patients_low > 0:
        return "higher"
    return "lower" if gap.patients_high < 0 else ""


HEADINGS = (
    "method",
    "from",
    "change",
    "F1 whole",
    "mean artery F1",
    "ICC AS whole",
    "mean ICC",
    "kappa",
    "p (Holm)",
    "detectable",
    "expected",
    "found",
)
FIGURES = range(3, 10)
"""Places of the numbers among `HEADINGS`."""
NARROWER = ((0, 1, 2, 3, 4, 6, 10, 11), (0, 1, 2, 3, 6, 10, 11), (0, 1, 3, 11))
"""Fewer columns for narrow terminals."""


def ablation_cells(ablation: Ablation, line_break: str = " ") -> tuple[str, ...]:
    """The texts of one row under `HEADINGS`."""

    def text(column: Column) -> str:
        gap = ablation.differences.get(column)
        if gap is None:
            return ""
        return difference_text(gap, line_break)

    found = ablation.found
    if ablation.these_networks:
        found += f"{line_break}(these networks: {ablation.these_networks})"
    return (
        ablation.title,
        ablation.source,
        ablation.change,
        *(text(column) for column in COMPARED),
        p_text(ablation.p),
        number(ablation.differences[ablation.judged].detectable),
        ablation.expect,
        found,
    )


def difference_text(gap: Contrast, line_break: str = " ") -> str:
    """``+.012 [.003 to .021]``, or "undefined"."""
    if math.isnan(gap.value):
        return "undefined"
    bounds = interval(gap, between=" to ")
    return f"{gap.value:+.3f}" + (f"{line_break}[{bounds}]" if bounds else "")


def p_text(p: float) -> str:
    """``<.001``, ``.034``, or nothing where it is undefined."""
    if not math.isfinite(p):
        return ""
    return "<.001" if p < 5e-4 else number(p)


def explanation(base: str) -> str:
    """The sentence under the table."""
    return (
        f"Difference to {base} on the same scans and seeds. Its 95 % interval counts test patients "
        "and, with two seeds or more, the noise of training; with one seed that noise is not "
        "known, and nothing is decided about methods. Judged by F1 whole of masks and mean ICC of "
        "the 12 scores of heads, p below 0.05 adjusted after Holm. Detectable: what such data find "
        "in 80 % of repetitions, before adjustment. These networks: what patients alone say, of "
        "these trained networks."
    )
