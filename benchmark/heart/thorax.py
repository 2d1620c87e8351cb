"""A schematic chest round the heart: where soft tissue and where lung is to be expected.

Places are mm from the middle of the heart: z to the head, y to the back, x to the patient's left.
An adult's heart without its sac is 120 mm long, 80 to 90 mm broad and 60 mm thick (Gray, Anatomy
of the Human Body, 1918), and its long axis points to the left, the front and the feet. With sac,
fat, atria and roots it is taken here as an ellipsoid of 132 x 96 x 96 mm. All sizes below are round
numbers of ours; none is fitted to scans. What differs much between people (how high the right
dome of the diaphragm stands, how deep the chest is) is left open.
"""

from __future__ import annotations

import numpy as np

LONG_AXIS = (-0.35, -0.42, 0.82)
"""Direction (z, y, x) from base to apex."""
SEMI_AXES_MM = (66.0, 48.0)
"""Along the long axis, and across it."""
REACH_MM = (130.0, 110.0, 125.0)
"""How far the scheme reaches from the middle along (z, y, x)."""
NEAR_MM = 35.0
"""Lung counts by its distance from the heart: e-fold less over so many mm."""
OTHER_WEIGHT = 0.4
"""Of soft tissue that is not the heart's."""


def heart_half_mm() -> np.ndarray:
    """Half the size of the smallest box round the schematic heart, (z, y, x) mm."""
    axis = np.array(LONG_AXIS) / np.linalg.norm(LONG_AXIS)
    long, across = SEMI_AXES_MM
    return np.sqrt((long * axis) ** 2 + across**2 * (1 - axis**2))


def scheme(cell: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """The scheme on cells, the heart's middle in its middle cell.

    Parameters
    ----------
    cell : ndarray, (3,), mm
    scale : float
        1: an adult's heart of common size.

    Returns
    -------
    expected : ndarray of float32, (Z, Y, X), all odd
        Below 0 where soft tissue is expected, above 0 lung; both sum to 1 without the sign.
    heart : ndarray of bool, (Z, Y, X)
    """
    count = [int(reach * scale / size) for reach, size in zip(REACH_MM, cell, strict=True)]
    z, y, x = np.meshgrid(
        *(np.arange(-n, n + 1) * (size / scale) for n, size in zip(count, cell, strict=True)),
        indexing="ij",
    )
    # distances, about mm from the surface and negative inside
    heart = _heart(z, y, x)
    vessels = np.where(z > 0, (np.hypot((x + 8) / 30, (y - 3) / 42) - 1) * 30, np.inf)
    behind = np.minimum(
        np.maximum(abs(x + 8) - 24, 38 - y),  # oesophagus and descending aorta
        np.maximum(abs(x + 14) - 34, 72 - y),  # spine
    )
    below = np.maximum(z + np.where(x < 0, 50, 52), abs(y) - 50)  # liver and stomach
    wall = (1 - np.hypot((x + 14) / 132, (y - 25) / 90)) * 90
    wall = np.where((y < 10) & (wall > -25), wall, np.inf)
    distance = np.minimum.reduce([heart, vessels, behind, below, wall])

    expected = np.zeros(z.shape)
    soft = distance < -4
    expected[soft] = -np.where(heart[soft] < -4, 1.0, OTHER_WEIGHT)
    lung = (distance > 6) & (y > -55) & (y < 95) & (x > -115) & (x < 95) & (z < 105)
    lung &= z > np.where(x < 0, -5, -38)  # the right dome stands higher, and less surely
    lung &= (z < 70) | ((x > -90) & (x < 75))
    expected[lung] = np.exp(-np.minimum(distance, heart)[lung] / NEAR_MM)
    expected[soft] /= -expected[soft].sum()
    expected[lung] /= expected[lung].sum()
    return expected.astype(np.float32), soft & (heart < -4)


def _heart(z: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    axis = np.array(LONG_AXIS) / np.linalg.norm(LONG_AXIS)
    along = z * axis[0] + y * axis[1] + x * axis[2]
    aside = np.maximum(z * z + y * y + x * x - along**2, 0)
    long, across = SEMI_AXES_MM
    return (np.sqrt(along**2 / long**2 + aside / across**2) - 1) * across
