"""Example slices and maximum intensity projections of the phantom."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmark.calcium import RISK_NAMES
from benchmark.cohorts.base import Record, Scan
from benchmark.cohorts.phantom.cohort import PhantomCohort

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Okabe and Ito's palette, told apart with any colour vision: LAD, LCX, RCA.
COLOURS = {1: "#E69F00", 2: "#56B4E9", 3: "#CC79A7"}
NAMES = {1: "LAD (with left main)", 2: "LCX", 3: "RCA"}
SOFT_TISSUE = (-160.0, 240.0)  # HU, as at the reading desk
BRIGHT = (-100.0, 700.0)


def draw(cohort: PhantomCohort, ids: Iterable[str], folder: str | Path) -> list[Path]:
    """Draw example patients into PNG and PDF files.

    Parameters
    ----------
    cohort : PhantomCohort
        Where the scans come from.
    ids : iterable of str
        Scans to choose from: up to four are drawn, with calcium in as many arteries as possible.
    folder : str or Path
        Where the files go; made if missing.

    Returns
    -------
    list of Path
        ``COHORT-slices`` and ``COHORT-projections``, each as .png and .pdf.
    """
    from matplotlib.figure import Figure

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    wanted = set(ids)
    records = {record.id: record for record in cohort.records() if record.id in wanted}
    scans = _choose(cohort, sorted(records.values(), key=lambda record: -record.agatston))
    titles = [
        f"{scan.id}, {scan.centre}\nAgatston {records[scan.id].agatston:.0f} "
        f"({RISK_NAMES[records[scan.id].risk]})"
        for scan in scans
    ]
    paths = []
    for name, painter, columns in (
        ("slices", _slices, 4),
        ("projections", _projections, 3),
    ):
        figure = Figure(figsize=(3.3 * columns, 3.4 * len(scans) + 0.7), layout="constrained")
        grid = figure.subplots(len(scans), columns, squeeze=False)
        for row, scan, title in zip(grid, scans, titles, strict=True):
            painter(row, scan)
            row[0].text(
                -0.04,
                0.5,
                title,
                rotation=90,
                ha="right",
                va="center",
                fontsize=10,
                transform=row[0].transAxes,
            )
            for axes in row:
                axes.set_xticks([])
                axes.set_yticks([])
        _legend(figure)
        for suffix in (".png", ".pdf"):
            path = folder / f"{cohort.name}-{name}{suffix}"
            figure.savefig(path, dpi=110)
            paths.append(path)
    return paths


def _choose(cohort: PhantomCohort, ranked: list[Record]) -> list[Scan]:
    """Return three scans with calcium in many arteries and one with little, as far as there are.

    `ranked` begins with the highest score; the twelve highest with less than 1,200 are looked at.
    """
    clear = [record for record in ranked if record.agatston < 1200][:12] or ranked[:12]
    scans = [cohort.load(record.id) for record in clear]
    scans.sort(key=lambda scan: -np.unique(scan.labels).size)
    faint = [record for record in ranked if record.risk in (1, 2) and record not in clear]
    if faint:
        return [*scans[:3], cohort.load(faint[0].id)]
    return scans[:4]


def _legend(figure: Figure) -> None:
    from matplotlib.patches import Patch

    handles = [Patch(color=COLOURS[k], label=NAMES[k]) for k in COLOURS]
    figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=3,
        fontsize=11,
        frameon=False,
        title="Reference labels; white spots without colour are not coronary calcium",
    )


def _show(
    axes: Axes,
    image: np.ndarray,
    labels: np.ndarray,
    window: tuple[float, float],
    pixel: tuple[float, float],
) -> None:
    """Show an image (rows, columns) with its labels outlined; pixel (row, column) in mm."""
    aspect = pixel[0] / pixel[1]
    axes.imshow(
        image, cmap="gray", vmin=window[0], vmax=window[1], aspect=aspect, interpolation="nearest"
    )
    for label, colour in COLOURS.items():
        mask = (labels == label).astype(float)
        if mask.any():
            axes.contour(mask, levels=[0.5], colors=[colour], linewidths=1.6)


def _slices(row: np.ndarray, scan: Scan) -> None:
    """Draw slices that show each artery's calcium best, filled up with evenly spaced ones."""
    depth = scan.voxels.shape[0]
    levels: list[int] = []
    for label in (1, 2, 3):
        counts = (scan.labels == label).sum((1, 2))
        if counts.any():
            levels.append(int(np.argmax(counts)))
    for gap in (3, 1):  # not too near each other, unless there is nothing else
        for share in (0.8, 0.62, 0.45, 0.28, 0.12):
            level = round(share * (depth - 1))
            if all(abs(level - other) >= gap for other in levels):
                levels.append(level)
    levels = list(dict.fromkeys(levels))[: len(row)]
    levels.sort(reverse=True)
    for axes, level in zip(row, levels, strict=False):
        _show(axes, scan.voxels[level], scan.labels[level], SOFT_TISSUE, scan.spacing[1:])
        axes.set_title(f"slice {level + 1} of {depth}", fontsize=10)


def _projections(row: np.ndarray, scan: Scan) -> None:
    """Draw maximum intensity projections along z, y and x; chest wall and spine are left out."""
    z, y, x = scan.spacing
    height, width = scan.voxels.shape[1:]
    middle = (height - 1) / 2
    front, back = (max(0, round(middle - 52 / y)), min(height, round(middle + 52 / y)))
    right, left = (
        max(0, round((width - 1) / 2 - 62 / x)),
        min(width, round((width - 1) / 2 + 70 / x)),
    )
    voxels, labels = scan.voxels[:, front:back], scan.labels[:, front:back]
    for axes, axis, name, pixel in (
        (row[0], 0, "axial", (y, x)),
        (row[1], 1, "coronal", (z, x)),
        (row[2], 2, "sagittal", (z, y)),
    ):
        part, mask = voxels, labels
        if axis == 2:
            part, mask = voxels[:, :, right:left], labels[:, :, right:left]
        image, outline = part.max(axis), mask.max(axis)
        if axis:
            image, outline = image[::-1], outline[::-1]  # head upwards
        _show(axes, image, outline, BRIGHT, pixel)
        axes.set_title(f"{name} projection", fontsize=10)
