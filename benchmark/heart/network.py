"""A small network that says of each cell of 10 mm whether it is heart, in NumPy alone.

It learned from the phantom, whose hearts are known, and from no patient: ``python -m
benchmark.heart.learn`` makes its weights again. The processes that prepare scans need no torch.
"""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import numpy as np
from scipy.special import expit

from benchmark.errors import UserError

CELL_MM = 10.0
SAMPLES = 3
"""A cell is looked at in so many places along each axis."""
BINS_HU = (-950.0, -400.0, -20.0, 110.0)
"""Air, lung, fat (and half-filled voxels), soft tissue, bone and calcium."""
CHANNELS = len(BINS_HU) + 2
"""Shares of the five tissues, and whether the cell lies inside the scan."""
DILATIONS = (1, 2, 3, 2)
"""Of the layers of 3 x 3 x 3; together they see 80 mm to each side."""
REACH = sum(DILATIONS)
ROOM = 0.9
"""A cell with more air than this is none of the body's: of the room, or of an airway."""
WEIGHTS = Path(__file__).with_name("weights.npz")
WEIGHTS_SHA256 = "17dbf15b2e4380de12195d282a981800089f6bfb889b175b2179f5ec373fa947"
"""Of that file. It stands in the code so that runs of other weights are other runs."""


def cells_of(voxels: np.ndarray, spacing: tuple[float, float, float]) -> np.ndarray:
    """Return what each cell of 10 mm holds.

    Parameters
    ----------
    voxels : ndarray of int16, (z, y, x), HU
    spacing : (z, y, x), mm

    Returns
    -------
    ndarray of float32, (6, Z, Y, X)
        The first cell begins at the scan's first corner; what is left at the end is left out.
    """
    index, count = [], []
    for number, step in zip(voxels.shape, spacing, strict=True):
        whole = max(1, int(number * step / CELL_MM))
        places = (np.arange(whole * SAMPLES) + 0.5) * (CELL_MM / SAMPLES) / step
        index.append(np.minimum(places.astype(int), number - 1))
        count.append(whole)
    samples = voxels[np.ix_(*index)]
    kind = np.zeros(samples.shape, np.uint8)
    for edge in BINS_HU:
        kind += samples > edge
    out = np.ones((CHANNELS, *count), np.float32)
    for channel in range(CHANNELS - 1):
        here = (kind == channel).view(np.uint8)
        for axis in (2, 1, 0):
            part = [slice(None)] * 3
            part[axis] = slice(0, None, SAMPLES)
            total = here[tuple(part)].copy()
            for k in range(1, SAMPLES):
                part[axis] = slice(k, None, SAMPLES)
                total += here[tuple(part)]
            here = total
        np.multiply(here, np.float32(1 / SAMPLES**3), out=out[channel])
    return out


def body_box(cells: np.ndarray) -> tuple[slice, slice, slice]:
    """Return the part of the cells that holds the body: all but the room's air round it."""
    body = cells[0] < ROOM
    box = []
    for axis in range(3):
        where = np.flatnonzero(body.any(axis=tuple(k for k in range(3) if k != axis)))
        box.append(slice(int(where[0]), int(where[-1]) + 1) if where.size else slice(0, 1))
    return box[0], box[1], box[2]


@cache
def _weights() -> tuple[tuple[np.ndarray, np.ndarray], ...]:
    try:
        content = WEIGHTS.read_bytes()
    except OSError as error:
        raise UserError(f"{WEIGHTS}: {error.strerror}; install the package again") from None
    if sha256(content).hexdigest() != WEIGHTS_SHA256:
        raise UserError(f"{WEIGHTS}: not the weights this version knows; install the package again")
    with np.load(BytesIO(content)) as kept:
        return tuple((kept[f"w{k}"], kept[f"b{k}"]) for k in range(len(DILATIONS) + 1))


def heart_share(cells: np.ndarray) -> np.ndarray:
    """Return the probability that a cell is heart, float32, (Z, Y, X).

    Cells beyond the scan are looked at too, as unknown: a heart may reach over the scan's edge.
    """
    data = np.pad(cells, [(0, 0), *[(REACH, REACH)] * 3])
    layers = _weights()
    for (weight, bias), dilation in zip(layers, DILATIONS, strict=False):
        data = _convolved(data, weight, dilation)
        data += bias[:, None, None, None]
        np.maximum(data, 0.0, out=data)
    weight, bias = layers[-1]
    return expit(np.tensordot(weight[0, :, 0, 0, 0], data, 1) + bias[0]).astype(np.float32)


def _convolved(data: np.ndarray, weight: np.ndarray, dilation: int) -> np.ndarray:
    """Return the valid 3 x 3 x 3 convolution, as 27 products of matrices."""
    shape = [n - 2 * dilation for n in data.shape[1:]]
    out = np.zeros((weight.shape[0], int(np.prod(shape))), np.float32)
    for z in range(3):
        for y in range(3):
            for x in range(3):
                part = data[
                    :,
                    z * dilation : z * dilation + shape[0],
                    y * dilation : y * dilation + shape[1],
                    x * dilation : x * dilation + shape[2],
                ]
                out += weight[:, :, z, y, x] @ part.reshape(part.shape[0], -1)
    return out.reshape(-1, *shape)
