"""How an artery and an outcome look: colour and mark, line and sign, and the legend of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from benchmark.calcium import ARTERIES
from benchmark.figures.examples import FALSE_ALARM, HIT, MISS, WRONG_ARTERY
from benchmark.figures.style import ARTERY_COLOURS, ARTERY_MARKERS, INK, MIN_FONT, QUIET

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LINES = {
    HIT: "-",
    MISS: (0, (2.4, 1.2)),
    FALSE_ALARM: (0, (0.8, 0.8)),
    WRONG_ARTERY: (0, (3.6, 0.9, 0.8, 0.9)),
}
"""Line around a candidate: full, dashed, dotted, dash-dotted."""
SIGNS = {HIT: "", MISS: "−", FALSE_ALARM: "+", WRONG_ARTERY: "≠"}
"""Sign beside its mark."""


def mark(axes: Axes, artery: str, outcome: str, place: tuple[float, float]) -> None:
    """Put an artery's mark and an outcome's sign at (x, y) of the axes."""
    from matplotlib.patheffects import withStroke

    axes.plot(
        *([value] for value in place),
        marker=ARTERY_MARKERS[artery],
        markersize=4.2,
        markerfacecolor=ARTERY_COLOURS[artery],
        markeredgecolor="white",
        markeredgewidth=0.6,
        linestyle="none",
    )
    axes.annotate(
        SIGNS[outcome],
        place,
        xytext=(3.0, 0),
        textcoords="offset points",
        color="white",
        fontsize=MIN_FONT + 2,
        fontweight="bold",
        va="center",
        path_effects=[withStroke(linewidth=1.6, foreground=INK)],
    )


def legend(figure: Figure) -> None:
    """Arteries by mark and colour, outcomes by line and sign, below the panels."""
    from matplotlib.lines import Line2D

    arteries = [
        Line2D(
            [],
            [],
            linestyle="none",
            marker=ARTERY_MARKERS[artery],
            color=ARTERY_COLOURS[artery],
            markersize=4.5,
            label=artery,
        )
        for artery in ARTERIES
    ]
    outcomes = [
        Line2D([], [], color=QUIET, linestyle=line, label=f"{kind} {SIGNS[kind]}".strip())
        for kind, line in LINES.items()
    ]
    figure.legend(handles=[*arteries, *outcomes], loc="outside lower center", ncols=7)
