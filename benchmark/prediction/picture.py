"""A picture of one prediction: the slice with most calcium, whole and near, and the scores."""

from __future__ import annotations

import io

import numpy as np

from benchmark.calcium import ARTERIES, RISK_NAMES, label_candidates, risk_category
from benchmark.cohorts.base import Scan
from benchmark.figures.examples import HIT
from benchmark.figures.marks import mark
from benchmark.figures.slices import View, label_places, outline, scale_bar, show_slice, view_of
from benchmark.figures.style import (
    ARTERY_COLOURS,
    ARTERY_MARKERS,
    DOUBLE_COLUMN,
    MIN_FONT,
    QUIET,
    new_figure,
    styled,
)
from benchmark.prediction.predictor import Prediction

NEAR_MM = (60.0, 80.0)
"""Height and width of the near view, at least."""
DPI = 150
"""A screen's: there is a picture for every scan."""


def draw_picture(scan: Scan, prediction: Prediction, title: str) -> bytes:
    """One scan's prediction as PNG; the same prediction gives the same bytes.

    Parameters
    ----------
    scan : Scan
    prediction : Prediction
    title : str
        Whose prediction it is.
    """
    with styled():
        figure = new_figure(DOUBLE_COLUMN, 2.9)
        whole, near, words = figure.subplots(1, 3, width_ratios=(1.0, 1.25, 0.8))
        level, text = _level(scan, prediction)
        _draw(whole, near, scan, prediction, level)
        figure.suptitle(
            f"{title}: {scan.id}, slice {level + 1} of {len(scan.voxels)}{text}",
            x=0.01,
            ha="left",
            fontsize=8,
        )
        _write(words, prediction)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    return buffer.getvalue()


def _level(scan: Scan, prediction: Prediction) -> tuple[int, str]:
    """The slice shown, and what must be said of it."""
    middle = len(scan.voxels) // 2
    if prediction.labels is None:
        return middle, " (the middle: this network gives scores alone)"
    area = (prediction.labels > 0).sum(axis=(1, 2))
    if not area.any():
        return middle, " (the middle: no coronary calcium found)"
    return int(area.argmax()), " (most calcium)"


def _draw(whole, near, scan: Scan, prediction: Prediction, level: int) -> None:
    image, pixel = scan.voxels[level], scan.spacing[1:]
    labels = None if prediction.labels is None else prediction.labels[level]
    found = np.zeros(image.shape, bool) if labels is None else labels > 0
    everything = View(0, image.shape[0], 0, image.shape[1])
    view = view_of(found, pixel, NEAR_MM, NEAR_MM[0] / NEAR_MM[1])
    show_slice(whole, image, pixel, everything)
    scale_bar(whole, text=True)
    left, right, bottom, top = view.extent(pixel)
    whole.plot(
        [left, right, right, left, left],
        [top, top, bottom, bottom, top],
        color="white",
        linewidth=0.6,
    )
    whole.set_xlabel("front is up, the patient's left is right", color=QUIET)
    show_slice(near, image, pixel, view)
    scale_bar(near, text=True)
    if not found.any():
        return
    # candidates of the slice alone: a mark stands beside each of its pieces
    pieces, count = label_candidates(np.where(found, image, -1000)[None])
    masks = [pieces[0] == number for number in range(1, count + 1)]
    places = label_places(masks, pixel, view, gap=0.04 * (right - left))
    for mask, place in zip(masks, places, strict=True):
        artery = ARTERIES[int(labels[mask][0]) - 1]
        outline(near, mask, pixel, ARTERY_COLOURS[artery], width=0.8)
        mark(near, artery, HIT, place)


def _write(axes, prediction: Prediction) -> None:
    """The scores in words."""
    axes.axis("off")
    lines, height = [], 0.98
    for kind, scores in (("labels", prediction.scores_mask), ("head", prediction.scores_head)):
        if scores is None:
            continue
        lines.append((f"Agatston, by the {kind}", None))
        for artery, value in zip(ARTERIES, scores[0], strict=False):
            lines.append((f"{artery}  {_number(value)}", artery))
        lines.append((f"whole  {_number(scores[0, 3])}{_risk(scores[0, 3])}", None))
        lines.append((f"{_number(scores[1, 3])} mm³, {_number(scores[2, 3])} mg", None))
        lines.append(("", None))
    for text, artery in lines:
        if artery is not None:
            axes.plot(
                0.03,
                height - 0.022,
                marker=ARTERY_MARKERS[artery],
                color=ARTERY_COLOURS[artery],
                markersize=4.2,
                transform=axes.transAxes,
            )
        axes.text(
            0.0 if artery is None else 0.1,
            height,
            text,
            va="top",
            fontsize=MIN_FONT,
            transform=axes.transAxes,
        )
        height -= 0.075


def _number(value: float) -> str:
    return f"{value:.0f}" if np.isfinite(value) else "no estimate"


def _risk(agatston: float) -> str:
    return f" ({RISK_NAMES[risk_category(agatston)]})" if np.isfinite(agatston) else ""
