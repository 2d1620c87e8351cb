"""Landmarks of calcified arteries: heat maps of where lesions lie, and their loss."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmark.contract import device_count, gathers, sum_over_devices

ARTERIES = 3
FORMS = ("lesions", "slices", "centroid")

SIGMA = 2.0
"""Width of a landmark's Gaussian, cells."""

SWEEPS = 12
"""Rounds of :func:`lesion_numbers`. The lesions of phantoms need four; one that winds so much that
twelve do not reach its ends would count as several."""


def landmark_maps(target: Tensor, form: str = "lesions", sigma: float = SIGMA) -> Tensor:
    """Gaussian heat maps of the landmarks of each artery.

    Parameters
    ----------
    target : Tensor, (B, Z, Y, X), int64
    form : "lesions", "slices" or "centroid"
        A landmark at the centroid of each lesion (6-connected cells of one artery), to the nearest
        cell; at the centroid of the artery's lesion cells in each slice, within that slice alone;
        or one for each artery, at the centroid of all of its lesion cells.
    sigma : float
        Cells.

    Returns
    -------
    Tensor, (B, 3, Z, Y, X)
        0 to 1; all zero for an artery without lesions.

    Raises
    ------
    ValueError
        If the form is another.
    """
    if form == "lesions":
        return _spread(_lesion_points(target), sigma)
    kinds = torch.arange(1, ARTERIES + 1, device=target.device).view(1, -1, 1, 1, 1)
    mine = (target[:, None] == kinds).float()
    if form == "centroid":
        return _at_centroid(mine, (2, 3, 4), sigma)
    if form == "slices":
        return _at_centroid(mine, (3, 4), sigma)
    raise ValueError(f"landmarks must be one of {', '.join(FORMS)}, not {form!r}")


def _at_centroid(mine: Tensor, axes: tuple[int, ...], sigma: float) -> Tensor:
    """A Gaussian along ``axes`` at the centroid of the ones of ``mine``, zero without ones."""
    count = mine.sum(dim=axes, keepdim=True)
    heat = (count > 0).to(mine.dtype)
    for axis in axes:
        place = _places(mine, axis)
        centre = (mine * place).sum(dim=axes, keepdim=True) / count.clamp(min=1)
        heat = heat * torch.exp(-((place - centre) ** 2) / (2 * sigma**2))
    return heat


def _places(like: Tensor, axis: int) -> Tensor:
    """0, 1, 2, ... along an axis."""
    shape = [1] * like.dim()
    shape[axis] = like.shape[axis]
    return torch.arange(like.shape[axis], device=like.device).to(like.dtype).view(shape)


def lesion_numbers(target: Tensor) -> Tensor:
    """A number for each lesion: 6-connected cells of one artery.

    Done with operations whose shapes do not depend on the lesions, so that a GPU is not waited for
    and a compiled loss is compiled once.

    Parameters
    ----------
    target : Tensor, (B, Z, Y, X), int64

    Returns
    -------
    Tensor, (B, Z, Y, X), int64
        The largest flat index (over the whole tensor) of the lesion's cells; -1 outside lesions.
    """
    lesion = target > 0
    own = torch.arange(target.numel(), device=target.device).view_as(target)
    number = torch.where(lesion, own, -1)
    together = {
        axis: lesion.narrow(axis, 1, n - 1)
        & (target.narrow(axis, 1, n - 1) == target.narrow(axis, 0, n - 1))
        for axis, n in enumerate(target.shape)
        if axis and n > 1
    }
    for _ in range(SWEEPS):
        for axis, joined in together.items():
            n = target.shape[axis]
            low, high = number.narrow(axis, 0, n - 1), number.narrow(axis, 1, n - 1)
            best = torch.where(joined, torch.maximum(low, high), -1)
            # the first cell has no neighbour before it, the last none after it
            edge = torch.full_like(number.narrow(axis, 0, 1), -1)
            before, after = torch.cat([edge, best], axis), torch.cat([best, edge], axis)
            number = torch.maximum(number, torch.maximum(before, after))
        # a cell takes the number that the cell of its number has by now
        number = torch.where(lesion, number.flatten()[number.clamp(min=0)], -1)
    return number


def _lesion_points(target: Tensor) -> Tensor:
    """(B, 3, Z, Y, X): one in the cell nearest to each lesion's centroid, zero elsewhere."""
    if gathers(target):  # only the box that holds all lesions: a tenth of the cells
        points = torch.zeros(len(target), ARTERIES, *target.shape[1:])
        found = target.nonzero()[:, 1:]
        if not len(found):
            return points
        begin, end = found.amin(dim=0).tolist(), (found.amax(dim=0) + 1).tolist()
        z, y, x = (slice(b, e) for b, e in zip(begin, end, strict=True))
        points[:, :, z, y, x] = _points_among(target[:, z, y, x].contiguous())
        return points
    return _points_among(target)


def _points_among(target: Tensor) -> Tensor:
    """The same, from all cells of ``target``."""
    lesion, number = (target > 0).flatten(), lesion_numbers(target).flatten()
    where = number.clamp(min=0)
    weight = lesion.float()
    empty = torch.zeros_like(weight)
    count = empty.index_add(0, where, weight).clamp(min=1)
    first = lesion & (number == torch.arange(len(number), device=number.device))
    scan = torch.arange(len(target), device=target.device).view(-1, 1, 1, 1).expand_as(target)
    cell = scan.flatten() * ARTERIES + (target.flatten() - 1).clamp(min=0)
    for axis in (1, 2, 3):
        place = _places(target, axis).expand_as(target).flatten()
        centre = empty.index_add(0, where, weight * place) / count
        cell = cell * target.shape[axis] + torch.floor(centre + 0.5).long()
    shape = (len(target), ARTERIES, *target.shape[1:])
    points = empty.new_zeros(math.prod(shape)).index_add(0, cell, first.to(weight.dtype))
    return points.clamp(max=1).view(shape)


def _spread(points: Tensor, sigma: float) -> Tensor:
    """Gaussians of height 1 at the ones of (B, 3, Z, Y, X); where they overlap at most 1."""
    for axis in (2, 3, 4):
        place = _places(points, axis).flatten()
        reach = torch.exp(-((place[:, None] - place[None]) ** 2) / (2 * sigma**2))
        points = (points.movedim(axis, -1) @ reach).movedim(-1, axis)
    return points.clamp(max=1)


def landmark_loss(logits: Tensor, heat: Tensor) -> Tensor:
    """Sigmoid cross entropy; heat and its absence weigh the same over the batch.

    Parameters
    ----------
    logits, heat : Tensor, (B, 3, Z, Y, X)

    Returns
    -------
    Tensor
        Scalar.
    """
    hot = sum_over_devices(heat.sum())
    share = (hot / (heat.numel() * device_count())).clamp(1e-6, 1 - 1e-6)
    logits = logits.float()
    present = F.logsigmoid(logits)
    absent = present - logits  # log sigmoid(-x) = log sigmoid(x) - x: one slow function, not two
    positive = present * heat / share
    negative = absent * (1 - heat) / (1 - share)
    return -0.5 * (positive + negative).mean()
