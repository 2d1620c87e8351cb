"""Grad-CAM of a kept MMWFAnet: the network built again, its maps, and a map on a scan's slice.

All maps are taken where the fusion receives and gives features. There the coronal and sagittal ones
have already been put back into the volume (`mmwfanet.encoders.from_slices`), so that an axial slice
can be cut from each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from benchmark.cohorts.base import Scan
from benchmark.errors import UserError
from benchmark.methods import find
from benchmark.runs.finished import FinishedRun
from benchmark.runs.store import KeptCell, Store
from benchmark.training.grid import ON_SCAN, TrainingGrid
from benchmark.training.settings import Settings

if TYPE_CHECKING:
    from torch import Tensor, nn

METHOD = "mmwfanet"
FUSED = "fused"


def choose_cell(run: FinishedRun, cells: Sequence[KeptCell]) -> KeptCell:
    """The finished MMWFAnet of the lowest seed, or the first of its variants with a mask head.

    Raises
    ------
    UserError
        If there is none.
    """
    usable = [
        cell
        for cell in cells
        if cell.state == "finished" and "mask" in cell.outputs and cell.key["method"] == METHOD
    ]
    if not usable:
        raise UserError(
            f"{run.folder}: no finished mmwfanet with a mask head, which figure 8 needs; run the "
            f"suite with mmwfanet among its --methods"
        )
    usable.sort(key=lambda cell: (cell.method != METHOD, cell.seed))
    return usable[0]


def grid_of(cell: KeptCell) -> TrainingGrid:
    """The training grid of a cell, from what was kept: no training scan is read for it."""
    cell_mm = tuple(float(size) for size in cell.key["settings"]["cell_mm"])
    return TrainingGrid(cell_mm, tuple(int(cells) for cells in cell.ledger["grid"]))


def rebuild(run: FinishedRun, cell: KeptCell, grid: TrainingGrid) -> nn.Module:
    """The trained network of a cell, in evaluation mode, on the GPU where there is one.

    Raises
    ------
    UserError
        If its weights are not there, or are not those of the network that this version builds.
    """
    import torch

    from benchmark.prediction.predictor import rebuilt
    from benchmark.runs.currency import changed_since

    store, kind = Store(run.folder.resolve().parents[1]), find(METHOD)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    # of the recipe the width and the number format alone matter here
    settings = Settings(
        **{"budget": "1 steps", "batch_size": 1, "learning_rate": 1.0} | cell.key["settings"]
    )
    model, _ = rebuilt(store, cell, kind, grid, settings, device, changed_since(cell.key, kind))
    return model


def grad_cam(
    model: nn.Module, image: Tensor, target: Tensor, candidate: Tensor, artery: int
) -> dict[str, np.ndarray]:
    """Maps of the features that enter and leave a network's fusion.

    Parameters
    ----------
    model : MMWFAnet
        In evaluation mode; left as it was.
    image : Tensor, (1, C, Z, Y, X)
    target : Tensor of int, (Z, Y, X)
        Reference class of each cell.
    candidate : Tensor of bool, (Z, Y, X)
    artery : int
        1 to 3.

    Returns
    -------
    dict of ndarray, (Z, Y, X)
        By view, in the order of the fusion's views, and ``"fused"``: not negative. Empty if no
        candidate cell is this artery's, by reference or by the network.

    Notes
    -----
    The mean gradient of a channel is taken over the whole volume for each view alike. Means over
    single slices, as hooks on the 2D encoders would give them, would weight the axial, coronal and
    sagittal features on different sets of cells, and the maps could not be compared.
    """
    import torch
    from captum.attr import LayerAttribution, LayerGradCam

    with torch.no_grad():
        found = model(image)["logits"].argmax(dim=1)[0]
    chosen = candidate & ((target == artery) | (found == artery))
    if not chosen.any():
        return {}
    fusion = model.fusion
    views = tuple(getattr(fusion, "used", fusion.views))
    taps = {view: torch.nn.Identity() for view in views}

    def tap(module, arguments):
        (features,) = arguments
        return ({v: taps[v](f) if v in taps else f for v, f in features.items()},)

    def score(image: Tensor) -> Tensor:
        return (model(image)["logits"][:, artery] * chosen).sum(dim=(1, 2, 3))

    maps = {}
    hook = fusion.register_forward_pre_hook(tap)
    try:
        for name, layer in (*taps.items(), (FUSED, fusion)):
            map_ = LayerGradCam(score, layer).attribute(image, relu_attributions=True)
            map_ = LayerAttribution.interpolate(map_, tuple(candidate.shape), "trilinear")
            maps[name] = map_[0, 0].detach().cpu().numpy().astype(np.float64)
    finally:
        hook.remove()
    return maps


def on_slice(
    map_: np.ndarray,
    grid: TrainingGrid,
    scan: Scan,
    level: int,
    offset: Sequence[float] = ON_SCAN,
) -> np.ndarray:
    """A map on the training grid as seen on one axial slice of a scan.

    Parameters
    ----------
    map_ : ndarray, (Z, Y, X)
    grid : TrainingGrid
    scan : Scan
    level : int
        Slice of the scan, from 0; within the grid.
    offset : (z, y, x), mm
        Of the grid's middle from the scan's.

    Returns
    -------
    ndarray, (y, x)
        Interpolated linearly between the cells' centres in the plane; NaN outside the grid.
    """
    from scipy.ndimage import map_coordinates

    depth = int(grid.cell_index(scan.voxels.shape[0], scan.spacing[0], 0, offset)[level])
    places, inside = [], []
    for axis in (1, 2):
        count, spacing = scan.voxels.shape[axis], scan.spacing[axis]
        centre_mm = (np.arange(count) - (count - 1) / 2) * spacing - offset[axis]
        places.append(centre_mm / grid.cell_mm[axis] + grid.shape[axis] / 2 - 0.5)
        index = grid.cell_index(count, spacing, axis, offset)
        inside.append((index >= 0) & (index < grid.shape[axis]))
    image = map_coordinates(
        map_[depth], np.meshgrid(*places, indexing="ij"), order=1, mode="nearest"
    )
    image[~np.logical_and.outer(*inside)] = np.nan
    return image
