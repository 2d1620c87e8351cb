"""Quantum noise correlated in the plane, from random bytes and elementwise arithmetic alone."""

from __future__ import annotations

import math

import numpy as np

from benchmark.phantom.stream import raw_bytes

#: Variance of a uniform byte 0..255.
_BYTE_VARIANCE = (256.0 * 256.0 - 1.0) / 12.0


def add_noise(
    volume: np.ndarray,
    pixel: float,
    sd: float,
    kernel: float,
    seed: int,
    index: int,
    across: float = 0.0,
) -> None:
    """Add noise to `volume` (Z, Y, X, HU, float32, changed in place).

    Two random bytes a voxel are summed and smoothed by passes of a three-point kernel along
    x and y; the sum of many bytes is close to normal.

    Parameters
    ----------
    pixel : float
        In-plane pixel in mm.
    sd : float
        Standard deviation of the result, HU.
    kernel : float
        SD of the smoothing kernel, mm.
    across : float
        Correlation of neighbouring slices, 0 to 0.5.
    """
    depth, height, width = volume.shape
    variance = kernel * kernel / (pixel * pixel)
    passes = max(1, math.ceil(variance / 0.5))
    side = variance / passes / 2.0  # weights side, 1 - 2 side, side: variance 2 side
    edge = passes
    shape = (depth, height + 2 * edge, width + 2 * edge)
    count = shape[0] * shape[1] * shape[2]
    pairs = raw_bytes(seed, index, "noise", 2 * count)
    field = pairs[:count].astype(np.float32)
    field += pairs[count:]
    field -= 255.0
    field = field.reshape(shape)
    middle = 1.0 - 2.0 * side
    weights = [1.0]
    for _ in range(passes):
        padded = [0.0, 0.0, *weights, 0.0, 0.0]
        weights = [
            side * padded[k - 1] + middle * padded[k] + side * padded[k + 1]
            for k in range(1, len(padded) - 1)
        ]
        field = _smooth(field, side, middle, 1)
        field = _smooth(field, side, middle, 2)
    power = math.fsum(weight * weight for weight in weights)
    field *= sd / (math.sqrt(2.0 * _BYTE_VARIANCE) * power)
    if across > 0 and depth > 2:
        _share(field, across)
    volume += field


def _share(field: np.ndarray, across: float) -> None:
    """Give each slice a part of the one below it, so that neighbours correlate by `across`."""
    # slice k = own + a * the one below it: correlation a / (1 + a^2)
    part = (1.0 - math.sqrt(max(0.0, 1.0 - 4.0 * across * across))) / (2.0 * across)
    below = field[:-1] * part
    field[1:] += below
    field[1:] *= 1.0 / math.sqrt(1.0 + part * part)


def _smooth(field: np.ndarray, side: float, middle: float, axis: int) -> np.ndarray:
    """Return the field after one three-point pass, two samples shorter along `axis`."""
    before, here, after = (
        field[:, k : field.shape[1] - 2 + k, :]
        if axis == 1
        else field[:, :, k : field.shape[2] - 2 + k]
        for k in range(3)
    )
    result = before + after
    result *= side
    result += here * middle
    return result
