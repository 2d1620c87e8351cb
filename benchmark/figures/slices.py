"""An axial slice as a panel: window, crop, outlines, marks beside lesions, scale bar.

Axes are in mm from the scan's first voxel edge. Rows go from front to back and columns from the
patient's right to the left, so the picture is seen from the feet, as at the reading desk.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from benchmark.cohorts.base import Cohort
from benchmark.errors import UserError
from benchmark.figures.style import INK, MIN_FONT
from benchmark.runs.finished import FinishedRun

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CALCIUM_WINDOW = (-150.0, 450.0)
"""HU: fat, muscle and blood stay apart, calcium from 130 HU on is bright."""
MARGIN_MM = 10.0
BAR_MM = 10.0
_FINE = 8
"""Points to a voxel edge: outlines follow the voxels instead of cutting their corners."""


class View(NamedTuple):
    """Voxels of a slice that a panel shows: rows ``top`` to ``bottom``, columns ``left``.. ."""

    top: int
    bottom: int
    left: int
    right: int

    def crop(self, image: np.ndarray) -> np.ndarray:
        """The part of an image (y, x) in view."""
        return image[self.top : self.bottom, self.left : self.right]

    def extent(self, pixel: Sequence[float]) -> tuple[float, float, float, float]:
        """Left, right, bottom and top edge in mm, for pixels of (y, x) mm."""
        y, x = pixel
        return (self.left * x, self.right * x, self.bottom * y, self.top * y)


def check_cohort(run: FinishedRun, cohort: Cohort) -> None:
    """Raise UserError unless the scans are those that the run was made with."""
    if cohort.fingerprint() != run.plan["cohort"]["fingerprint"]:
        raise UserError(
            f"{run.folder}: made with cohort {run.plan['cohort']['name']} "
            f"({run.plan['cohort']['fingerprint'][:16]}), not with {cohort.name} "
            f"({cohort.fingerprint()[:16]}); give the scans of the run"
        )


def view_of(
    mask: np.ndarray, pixel: Sequence[float], least_mm: tuple[float, float], shape: float
) -> View:
    """The smallest view that holds a mask and a margin.

    Parameters
    ----------
    mask : ndarray of bool, (y, x)
        What must be seen; with nothing in it the view lies in the middle.
    pixel : (y, x), mm
    least_mm : (height, width)
        No view is smaller, unless the slice is.
    shape : float
        Height / width that all views share, as far as the slice reaches.
    """
    places = np.argwhere(mask) if mask.any() else (np.asarray(mask.shape)[None] - 1) / 2
    size = np.asarray(pixel, float)
    low, high = places.min(axis=0) * size - MARGIN_MM, (places.max(axis=0) + 1) * size + MARGIN_MM
    side = np.maximum(high - low, least_mm)
    side = np.maximum(side, (side[1] * shape, side[0] / shape))
    limit = np.asarray(mask.shape)
    cells = np.minimum(np.round(side / size).astype(int), limit)
    start = np.round(((low + high) / 2) / size - cells / 2).astype(int)
    start = np.clip(start, 0, limit - cells)
    end = start + cells
    return View(int(start[0]), int(end[0]), int(start[1]), int(end[1]))


def show_slice(axes: Axes, image: np.ndarray, pixel: Sequence[float], view: View) -> None:
    """Show HU (y, x) in the calcium window, without ticks."""
    low, high = CALCIUM_WINDOW
    axes.imshow(
        view.crop(image), cmap="gray", vmin=low, vmax=high, extent=view.extent(pixel), aspect=1
    )
    axes.set_xlim(*view.extent(pixel)[:2])
    axes.set_ylim(*view.extent(pixel)[2:])
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_visible(False)


def outline(
    axes: Axes,
    mask: np.ndarray,
    pixel: Sequence[float],
    colour: str,
    linestyle: object = "-",
    width: float = 1.0,
) -> None:
    """Draw the edge of a mask (y, x) along its voxels' edges, on a dark line that shows in gaps."""
    places = np.argwhere(mask)
    if not len(places):
        return
    low, high = places.min(axis=0) - 1, places.max(axis=0) + 2
    part = np.zeros(high - low, bool)
    part[tuple((places - low).T)] = True
    fine = np.kron(part, np.ones((_FINE, _FINE)))
    rows, columns = (
        (first + (np.arange(n) + 0.5) / _FINE) * size
        for first, n, size in zip(low, fine.shape, pixel, strict=True)
    )
    axes.contour(columns, rows, fine, [0.5], colors=[INK], linewidths=width + 0.6)
    axes.contour(
        columns, rows, fine, [0.5], colors=[colour], linewidths=width, linestyles=[linestyle]
    )


def scale_bar(axes: Axes, text: bool) -> None:
    """A bar of `BAR_MM` in the lower left corner, with its length if ``text``."""
    from matplotlib import patheffects

    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    x, y = left + 0.04 * (right - left), bottom + 0.06 * (top - bottom)
    dark = [patheffects.withStroke(linewidth=2.6, foreground=INK)]
    axes.plot([x, x + BAR_MM], [y, y], color="white", linewidth=1.4, path_effects=dark)
    if text:
        axes.text(
            x,
            y + 0.04 * (top - bottom),
            f"{BAR_MM:g} mm",
            color="white",
            fontsize=MIN_FONT,
            va="bottom",
            path_effects=[patheffects.withStroke(linewidth=1.4, foreground=INK)],
        )


def label_places(
    masks: Sequence[np.ndarray], pixel: Sequence[float], view: View, gap: float
) -> list[tuple[float, float]]:
    """Where a mark beside each mask hides neither a mask nor another mark, as far as it goes.

    Parameters
    ----------
    masks : sequence of ndarray of bool, (y, x)
        One lesion each, none empty.
    pixel : (y, x), mm
    view : View
    gap : float
        Room that a mark takes, mm.

    Returns
    -------
    list of (x, y), mm
        The free one of 16 places around each, the nearer ones first; the freest if none is free.
    """
    size = np.asarray(pixel, float)
    left, right, bottom, top = view.extent(pixel)
    points = [(np.argwhere(mask) + 0.5) * size for mask in masks]
    hidden = np.concatenate(points) if points else np.empty((0, 2))
    angles = np.deg2rad([-45, 0, 45, -90, 90, 180, -135, 135])
    taken: list[tuple[float, float]] = []
    for own in points:
        low, high = own.min(axis=0), own.max(axis=0)
        best, score = None, -np.inf
        for steps in (1.0, 1.8):
            for angle in angles:
                y, x = (low + high) / 2 + ((high - low) / 2 + steps * gap) * (
                    np.sin(angle),
                    np.cos(angle),
                )
                if not (left + gap < x < right - gap and top + gap < y < bottom - gap):
                    continue
                to_marks = min((np.hypot(x - a, y - b) for a, b in taken), default=np.inf)
                to_lesions = float(np.hypot(*(hidden - (y, x)).T).min())
                free = min(to_marks / 2, to_lesions)
                if min(free, 0.75 * gap) > score:
                    best, score = (float(x), float(y)), min(free, 0.75 * gap)
        y, x = (low + high) / 2
        taken.append(best or (float(x), float(y)))
    return taken
