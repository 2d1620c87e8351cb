"""Figure 8: which features speak for an artery, by Grad-CAM, on axial slices of test scans.

The paper shows the axial, coronal, sagittal and fused features of MMWFAnet; see
`benchmark.figures.gradcam` for how they come to lie on one slice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from benchmark.calcium import ARTERIES
from benchmark.cohorts.base import Cohort, Scan
from benchmark.errors import UserError
from benchmark.figures.gradcam import choose_cell, grad_cam, grid_of, on_slice, rebuild
from benchmark.figures.slices import check_cohort, outline, scale_bar, show_slice, view_of
from benchmark.figures.style import DOUBLE_COLUMN, INK, MIN_FONT, new_figure, save, styled
from benchmark.heart.centring import middle_of
from benchmark.heart.places import Places, kept_places
from benchmark.methods import find
from benchmark.runs.currency import changed_since
from benchmark.runs.finished import FinishedRun
from benchmark.runs.store import KeptCell
from benchmark.training.grid import TrainingGrid
from benchmark.training.prepare import Example, example
from benchmark.training.settings import SCAN

if TYPE_CHECKING:
    from torch import nn

COLOUR_MAP = "magma"
"""Perceptually uniform, its lightness grows with the value."""
OPACITY = 0.7
"""Of a map's largest value; lower values let more of the scan through."""
OTHERS = (0, (1.6, 1.2))
"""Line around calcium of the other arteries: dashed."""
LEAST_MM = (100.0, 125.0)
"""Height and width of a panel: the map's cells are large, and bone must be in view."""

CAPTION = """Figure 8. Grad-CAM of {title}, seed {seed}, on axial slices of test scans.
Rows: for each artery, of the test scans with calcium in it, the one of median calcium volume (the
lower of two) and the one at the 90th percentile; the slice is that with most of the artery's
calcium. No scan is chosen by hand.
Columns: the slice, and the maps of {views} features. Coronal and sagittal
features are put back into the volume first, so that all maps lie on the same axial slice.
Target: the sum of the artery's logits over all candidate cells that the reference or the network
gives to the artery. Map: channels weighted by the mean gradient of the target over the whole
volume, summed, negative values set to 0 (Selvaraju et al. 2017, by Captum), then interpolated
linearly to the slice's pixels. Colours of a panel go from 0 to its own largest value; the number in
the panel is that value divided by the largest of the row, without which faint maps would look as
strong as others (0: no positive value in view). Opacity grows with the value.
Full line: calcium of the row's artery; dashed line: calcium of the other arteries (reference).
Grad-CAM shows where features that raise the target are strong. It does not show that the network
needs them.
"""


class Place(NamedTuple):
    """A scan to be shown for an artery, 0 to 2, and why."""

    row: int
    artery: int
    reason: str


@dataclass(frozen=True, eq=False)
class Row:
    """What a row of panels shows.

    Attributes
    ----------
    place : Place
    scan : Scan
    example : Example
    level : int
        Slice shown, from 0.
    maps : dict of ndarray, (Z, Y, X)
        Grad-CAM on the training grid, by view and for the fused features.
    """

    place: Place
    scan: Scan
    example: Example
    level: int
    maps: dict[str, np.ndarray]


def attention_figures(
    run: FinishedRun, cells: tuple[KeptCell, ...], folder: Path, cohort: Cohort
) -> list[Path]:
    """Draw figure 8 from a kept network; only the scans that are shown are read.

    Parameters
    ----------
    run : FinishedRun
    cells : tuple of KeptCell
        All cells of the run.
    folder : Path
        Where ``fig8.pdf``, ``.png``, ``.csv`` (mean of each map inside and outside each lesion) and
        ``fig8.txt`` (how to read it) go.
    cohort : Cohort
        That of the run.

    Returns
    -------
    list of Path

    Raises
    ------
    UserError
        If the cohort is another one, or the run holds no finished MMWFAnet with a mask head.
    """
    check_cohort(run, cohort)
    cell = choose_cell(run, cells)
    places = choose_places(cell.reference[:, 1, :3])
    if not places:
        raise UserError(f"{run.folder}: no test scan holds coronary calcium, nothing to draw")
    grid = grid_of(cell)
    model = rebuild(run, cell, grid)
    hearts = kept_places(run.plan, f"{run.folder}")
    made = (_row(place, cell, cohort, grid, model, hearts) for place in places)
    rows = [row for row in made if row is not None]
    if not rows:
        raise UserError(f"{run.folder}: all calcium lies outside the training grid {grid.shape}")
    views = list(rows[0].maps)
    with styled():
        figure = _draw(rows, grid)
    named = f"{', '.join(views[:-1])} and {views[-1]}"
    caption = CAPTION.format(title=cell.title, seed=cell.seed, views=named)
    changed = changed_since(cell.key, find(cell.key["method"]))
    if changed:
        what = " and ".join(changed).capitalize()
        caption += (
            f" {what} changed since this network was trained: the maps are its weights' in the "
            "code as it is now."
        )
    table = [values for row in rows for values in attention_rows(row)]
    return save(figure, folder, "fig8", table, caption)


def choose_places(volume: np.ndarray) -> list[Place]:
    """Two scans for each artery by the rule of the caption.

    Parameters
    ----------
    volume : ndarray, (n, 3), mm3
        Reference volume of each artery in each test scan.
    """
    places = []
    for k, artery in enumerate(ARTERIES):
        order = sorted(np.flatnonzero(volume[:, k] > 0), key=lambda i: (volume[i, k], i))
        last = len(order) - 1
        chosen = {}
        for share, words in ((0.5, "median"), (0.9, "90th pct.")):
            if order:
                chosen.setdefault(int(order[int(share * last)]), f"{artery}, {words}")
        places += [Place(row, k, reason) for row, reason in chosen.items()]
    return places


def attention_rows(row: Row) -> list[dict]:
    """One dict for each view and reference lesion: mean of the map inside it, and elsewhere."""
    held = row.example.candidates
    lesion = (held.label > 0) & (held.cell >= 0)
    elsewhere = np.ones(row.example.target.size, bool)
    elsewhere[held.cell[lesion]] = False
    pairs = np.unique(np.stack([held.component[lesion], held.label[lesion]], axis=1), axis=0)
    table = []
    for view, map_ in row.maps.items():
        flat = map_.ravel()
        for component, label in pairs:
            own = lesion & (held.component == component) & (held.label == label)
            table.append(
                {
                    "scan": row.scan.id,
                    "shown as": row.place.reason,
                    "slice": row.level + 1,
                    "target artery": ARTERIES[row.place.artery],
                    "features": view,
                    "lesion": int(component),
                    "lesion artery": ARTERIES[label - 1],
                    "lesion volume [mm3]": float(own.sum() * row.example.voxel_mm3),
                    "mean inside": float(flat[held.cell[own]].mean()),
                    "mean outside all lesions": float(flat[elsewhere].mean()),
                    "largest in the volume": float(flat.max()),
                }
            )
    return table


def _row(
    place: Place,
    cell: KeptCell,
    cohort: Cohort,
    grid: TrainingGrid,
    model: nn.Module,
    places: Places | None = None,
) -> Row | None:
    """Maps of one scan for one artery; None if its calcium lies outside the grid."""
    import torch

    scan = cohort.load(cell.ids[place.row])
    middle = middle_of(scan, cell.key["settings"].get("centre", SCAN), places)
    made = example(scan, grid, middle.offset)
    held = made.candidates
    own = (held.label == place.artery + 1) & (held.cell >= 0)
    if not own.any():
        return None
    per_slice = np.bincount(
        held.voxel[own] // (made.shape[1] * made.shape[2]), minlength=made.shape[0]
    )
    device = next(model.parameters()).device
    maps = grad_cam(
        model,
        torch.from_numpy(made.image[None]).float().to(device),
        torch.from_numpy(made.target.astype(np.int64)).to(device),
        torch.from_numpy(made.candidate).to(device),
        place.artery + 1,
    )
    return Row(place, scan, made, int(per_slice.argmax()), maps) if maps else None


def _draw(rows: Sequence[Row], grid: TrainingGrid):
    """The panels, a row an artery in a scan, and one colour bar."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.lines import Line2D
    from matplotlib.patheffects import withStroke

    views = list(rows[0].maps)
    panel = (DOUBLE_COLUMN - 0.75) / (len(views) + 1)
    height = len(rows) * (panel * LEAST_MM[0] / LEAST_MM[1] + 0.03) + 0.5
    figure = new_figure(DOUBLE_COLUMN, height)
    figure.get_layout_engine().set(w_pad=0.02, h_pad=0.02, wspace=0.01, hspace=0.01)
    panels = figure.subplots(len(rows), len(views) + 1, squeeze=False)
    for line, row in zip(panels, rows, strict=True):
        _draw_row(line, row, grid)
    for axes, title in zip(panels[0], ("slice", *views), strict=True):
        axes.set_title(title)
    bar = figure.colorbar(
        ScalarMappable(cmap=COLOUR_MAP), ax=panels, shrink=0.5, aspect=30, pad=0.01
    )
    bar.set_label("Grad-CAM / largest of the panel")
    line = {
        "color": "white",
        "linewidth": 0.9,
        "path_effects": [withStroke(linewidth=2.4, foreground=INK)],
    }
    figure.legend(
        handles=[
            Line2D([], [], label="calcium of the row's artery", **line),
            Line2D([], [], label="of the other arteries", linestyle=OTHERS, **line),
        ],
        loc="outside lower center",
        ncols=2,
    )
    return figure


def _draw_row(line, row: Row, grid: TrainingGrid) -> None:
    """The slice, then each map over it."""
    from matplotlib.patheffects import withStroke

    labels, pixel = row.scan.labels[row.level], row.scan.spacing[1:]
    own = labels == row.place.artery + 1
    view = view_of(own, pixel, LEAST_MM, LEAST_MM[0] / LEAST_MM[1])
    images = [
        on_slice(map_, grid, row.scan, row.level, row.example.offset) for map_ in row.maps.values()
    ]
    images = [np.nan_to_num(view.crop(image)) for image in images]
    largest = max(image.max() for image in images) or 1.0
    for axes, image in zip(line, (None, *images), strict=True):
        show_slice(axes, row.scan.voxels[row.level], pixel, view)
        if image is not None:
            share = image / (image.max() or 1.0)
            axes.imshow(
                share,
                cmap=COLOUR_MAP,
                vmin=0,
                vmax=1,
                alpha=OPACITY * np.sqrt(share),
                extent=view.extent(pixel),
                aspect=1,
            )
            axes.text(
                0.97,
                0.05,
                f"{image.max() / largest:.2g}",
                transform=axes.transAxes,
                color="white",
                fontsize=MIN_FONT,
                ha="right",
                path_effects=[withStroke(linewidth=1.4, foreground=INK)],
            )
        outline(axes, (labels > 0) & ~own, pixel, "white", OTHERS, 0.7)
        outline(axes, own, pixel, "white", width=0.7)
        scale_bar(axes, text=image is None)
    line[0].set_ylabel(f"{row.place.reason}\n{row.scan.id}\nslice {row.level + 1}", labelpad=3)
