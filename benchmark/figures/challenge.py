"""Figure 10: six measures on the orCaScore scans, ours with intervals, and what was published."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.challenge.score import ScoredSubmission, measure_rows, patient_rows
from benchmark.challenge.scorer import SIX, Key
from benchmark.figures.style import (
    DOUBLE_COLUMN,
    HEAD,
    MASK,
    QUIET,
    new_figure,
    save,
    styled,
)
from benchmark.report.paper import tables

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TITLES: dict[Key, str] = {
    ("sensitivity volume", "whole"): "sensitivity, volume",
    ("PPV volume", "whole"): "PPV, volume",
    ("F1 volume", "whole"): "F1, volume",
    ("ICC volume", "whole"): "ICC, volume",
    ("ICC Agatston", "whole"): "ICC, Agatston",
    ("kappa", "whole"): "kappa, risk category",
}
PRINTED_AS: dict[Key, tuple[str, str]] = {
    ("ICC volume", "whole"): ("ICC", "whole"),
    ("ICC Agatston", "whole"): ("ICC", "whole"),
    ("kappa", "whole"): ("kappa", "whole"),
}
"""Where the paper's printed figures stand. It says of its ICC not which score it is of, so that
the figure stands with both."""
COMPARED = (
    "MMWFAnet (orCaScore test)",
    "Cano-Espinosa (direct regression)",
    "de Vos (direct regression)",
)
"""Methods that the paper sets against each other here; other figures of its text are of its own
scans."""
LONGEST_NAME = 24
"""Letters of a name beside a panel."""


def published() -> dict[str, dict[tuple[str, str], float]]:
    """Figures that section 5.4.3 of the paper prints in its text, by method of `COMPARED`."""
    return {name: tables()["text", name] for name in COMPARED if ("text", name) in tables()}


def challenge_figure(
    submissions: Sequence[ScoredSubmission], folder: Path, folds: int | None = None
) -> list[Path]:
    """Draw figure 10 of some submissions.

    Parameters
    ----------
    submissions : sequence of ScoredSubmission
        Each gets a row in every panel.
    folder : Path
        Gets ``fig10`` as .pdf, .png, .txt and four .csv.
    folds : int, optional
        Of the cross-validation that made the label maps.

    Returns
    -------
    list of Path
    """
    printed = published()
    contents = {
        "": _shown_rows(submissions, printed),
        "measures": measure_rows(submissions),
        "patients": patient_rows(submissions),
    }
    figure = draw_challenge(submissions, printed)
    return save(figure, folder, "fig10", contents, caption(submissions, printed, folds))


def draw_challenge(
    submissions: Sequence[ScoredSubmission], printed: dict[str, dict[tuple[str, str], float]]
) -> Figure:
    """Six panels, a row for each submission and for each published method; two columns wide."""
    names = [_short(scored.name) for scored in submissions] + [_short(name) for name in printed]
    with styled():
        figure = new_figure(DOUBLE_COLUMN, 1.2 + 0.56 * len(names))
        panels = figure.subplots(2, 3, sharey=True)
        low = min([0.0, *(_lowest(scored) for scored in submissions)])
        for letter, axes, key in zip("abcdef", panels.flat, SIX, strict=True):
            axes.set_title(f"({letter}) {TITLES[key]}")
            _panel(axes, key, submissions, printed)
            axes.set_xlim(low - 0.03, 1.03)
            axes.set_ylim(len(names) - 0.5, -0.5)
            axes.set_yticks(range(len(names)), names)
            axes.tick_params(axis="y", length=0)
            axes.grid(axis="x")
            axes.set_axisbelow(True)
            if printed:
                axes.axhline(len(submissions) - 0.5, color=QUIET, linewidth=0.5)
        _legend(figure, bool(printed))
    return figure


def _panel(
    axes: Axes,
    key: Key,
    submissions: Sequence[ScoredSubmission],
    printed: dict[str, dict[tuple[str, str], float]],
) -> None:
    for row, scored in enumerate(submissions):
        found = scored.figures[key]
        if not found.is_defined:
            axes.text(0.5, row, "undefined", color=QUIET, ha="center", va="center")
            continue
        if found.low == found.low:  # no interval is NaN
            axes.plot([found.low, found.high], [row, row], color=MASK, linewidth=1.4)
        axes.plot([found.value], [row], "o", color=MASK, markersize=4.5)
    for row, figures in enumerate(printed.values(), start=len(submissions)):
        value = figures.get(PRINTED_AS.get(key, ("", "")))
        if value is None:
            axes.text(0.5, row, "not printed", color=QUIET, ha="center", va="center")
        else:
            axes.plot(
                [value], [row], "D", markerfacecolor="none", markeredgecolor=HEAD, markersize=4.5
            )


def _legend(figure: Figure, printed: bool) -> None:
    from matplotlib.lines import Line2D

    marks = [
        Line2D([], [], marker="o", color=MASK, markersize=4.5, label="measured here, 95 % interval")
    ]
    if printed:
        marks.append(
            Line2D(
                [],
                [],
                marker="D",
                color=HEAD,
                markerfacecolor="none",
                linestyle="none",
                markersize=4.5,
                label="printed in the paper's text",
            )
        )
    figure.legend(handles=marks, loc="outside lower center", ncols=2)


def _lowest(scored: ScoredSubmission) -> float:
    ends = [scored.figures[key] for key in SIX]
    values = [value for end in ends for value in (end.value, end.low) if value == value]
    return min(values, default=0.0)


def _short(name: str) -> str:
    """A name on two lines of a panel's margin, or cut."""
    head, bracket, tail = name.partition(" (")
    if bracket:
        return f"{head}\n({tail}"
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"


def _shown_rows(
    submissions: Sequence[ScoredSubmission], printed: dict[str, dict[tuple[str, str], float]]
) -> list[dict]:
    """What the panels show, and what they say is not printed."""
    rows = []
    for key in SIX:
        for scored in submissions:
            found = scored.figures[key]
            patients = found.n if found.patients is None else found.patients
            rows.append(
                _row(key, scored.name, "measured", found.value, found.low, found.high, patients)
            )
        for name, figures in printed.items():
            value = figures.get(PRINTED_AS.get(key, ("", "")))
            rows.append(_row(key, name, "printed in the paper", value, None, None, None))
    return rows


def _row(key: Key, name: str, source: str, value, low, high, patients) -> dict:
    return {
        "measure": TITLES[key],
        "method": name,
        "source": source,
        "value [1]": value,
        "95 % interval, low [1]": low,
        "95 % interval, high [1]": high,
        "patients": patients,
    }


def caption(
    submissions: Sequence[ScoredSubmission],
    printed: dict[str, dict[tuple[str, str], float]],
    folds: int | None = None,
) -> str:
    """The words that belong beside the figure."""
    ids = {id for scored in submissions for id in scored.patients}
    training = sum(id.startswith("TR") for id in ids)
    which = "training" if training == len(ids) else "test" if not training else "training and test"
    text = (
        f"Six measures of {len(ids)} orCaScore {which} scans, whole heart: sensitivity, PPV and F1 "
        "by volume of lesions; ICC (two-way, absolute agreement) of volume and Agatston score; "
        "linearly weighted kappa of the risk category. Dots: by this repository's scorer, with "
        "95 % intervals (percentile bootstrap over patients)."
    )
    if folds is not None:
        text += (
            f" Each scan was labelled by a network that had not seen it (cross-validation, {folds} "
            "folds); no figure here compares with one of the test scans."
        )
    elif which != "test":
        text += (
            " These scans come with their reference: what was trained or tuned on them does "
            "better here than it is, and no figure here compares with one of the test scans."
        )
    worst = {scored.name: len(scored.worst) for scored in submissions if scored.worst}
    for name, count in worst.items():
        scans = "1 scan" if count == 1 else f"{count} scans"
        text += f" {name}: {scans} without a usable map, scored by the worst value."
    if printed:
        text += (
            " Diamonds: what the text of the paper (Zhang et al., section 5.4.3) prints, without "
            f"intervals: {', '.join(printed)}. It does not say of its ICC which score it is of: "
            "the figure stands with both. It does not say either on which scans the two others "
            "were measured. For all else in its figure 10, bars without numbers, it prints "
            'nothing; that is left open here ("not printed") and not read off the bars.'
        )
    return text
