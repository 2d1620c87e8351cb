"""References beside the ranked masks: what a network is more than, and how far any could go.

A network that is not told apart from two convolutions, or from its neighbours' classes, was not
shown to be more than these on such scans. The rule is that of the marks: the paired 95 % interval
of the difference, over patients and trainings, or over patients alone with one seed.
"""

from __future__ import annotations

import math

from benchmark.methods import is_reference, ranked
from benchmark.metrics.verdict import contrast, holds_zero
from benchmark.report.board import LED_BY, Against, Board, Column, heading, interval, number
from benchmark.report.measure import Measured, figures_of
from benchmark.report.noise import UNKNOWN, Noise

HEADINGS = (
    "reference",
    "figure",
    "its own",
    "best network less it",
    "above it",
    "not told apart from it",
    "below it",
)
NARROWER = ((0, 1, 2, 3, 5), (0, 1, 2, 3), (0, 1, 2), (0, 2))
"""Fewer columns for narrow terminals."""
TWO_CONVOLUTIONS = "two-convolutions"


def beside_references(
    methods: list[dict],
    sources: list[list[str]],
    measured: list[list[Measured]],
    noise: Noise,
) -> tuple[Against, ...]:
    """Each reference that labels, in each figure that masks are ranked by.

    Parameters
    ----------
    methods, sources, measured, noise
        As for `benchmark.report.ablations.compare_to_bases`.
    """
    masks = [
        (method, figures)
        for method, own, lines in zip(methods, sources, measured, strict=True)
        for source, figures in zip(own, lines, strict=True)
        if source == "mask"
    ]
    rivals = [mask for mask in masks if ranked(mask[0])]
    return tuple(
        _against(method, figures, rivals, column, noise)
        for method, figures in masks
        if is_reference(method)
        for column in LED_BY
        if column in figures
    )


def _against(
    method: dict,
    own: Measured,
    rivals: list[tuple[dict, Measured]],
    column: Column,
    noise: Noise,
) -> Against:
    figure = figures_of({column: own[column]}, {})[column]
    plain = Against(method["name"], method["title"], column, figure)
    known = noise.get(("mask", column), UNKNOWN)
    # of too few patients no difference is told
    told = [
        (rival["title"], figures[column])
        for rival, figures in rivals
        if column in figures and math.isfinite(figures[column].value) and not figures[column].few
    ]
    if not told or not figure.defined or own[column].few:
        return plain
    mine = (-1, own[column], known if method["trained"] else None)
    places: dict[str, list[str]] = {"above": [], "level": [], "below": []}
    for title, theirs in told:
        gap = theirs.value - own[column].value
        if gap == 0 or holds_zero([(1, theirs, known), mine]):
            places["level"].append(title)
        else:
            places["above" if gap > 0 else "below"].append(title)
    best, figures = max(told, key=lambda one: one[1].value)
    return Against(
        method["name"],
        method["title"],
        column,
        figure,
        best,
        contrast([(1, figures, known), mine]),
        **{name: tuple(titles) for name, titles in places.items()},
    )


def against_cells(one: Against, line_break: str = " ") -> tuple[str, ...]:
    """The texts of one row under `HEADINGS`."""
    bounds = interval(one.figure)
    own = number(one.figure.value) if one.figure.defined else "undefined"
    gap = ""
    if one.gap is not None:
        ends = interval(one.gap, between=" to ")
        gap = f"{one.gap.value:+.3f}" + (f"{line_break}[{ends}]" if ends else "")
        gap += f"{line_break}({one.best})"
    return (
        one.title,
        heading(one.column),
        own + (f"{line_break}[{bounds}]" if bounds else ""),
        gap,
        *(f",{line_break}".join(part) for part in (one.above, one.level, one.below)),
    )


def as_lines(board: Board) -> list[str]:
    """The sentences under the tables: what the references say, and of two convolutions most."""
    if not board.against:
        return []
    lines = [
        "References are not ranked. Not told apart from a reference: the paired 95 % interval of "
        "the difference, as for the marks, holds 0; such scans do not show what the network is "
        "more than that."
    ]
    for one in board.against:
        if one.name != TWO_CONVOLUTIONS or one.gap is None:
            continue
        count = len(one.above) + len(one.level) + len(one.below)
        if one.level:
            lines.append(
                f"not told apart from two convolutions in {heading(one.column)}: "
                f"{len(one.level)} of {count} networks ({', '.join(one.level)})"
            )
        else:
            lines.append(
                f"every network is told apart from two convolutions in {heading(one.column)}"
            )
    return lines
