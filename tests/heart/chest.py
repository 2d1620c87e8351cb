"""A chest of ellipsoids: body, two lungs, heart, vessels, spine, liver; drawn in a millisecond."""

import numpy as np

SPACING = (4.0, 3.0, 3.0)
SHAPE = (75, 100, 120)
"""300 x 300 x 360 mm: a whole chest CT."""
HEART = (140.0, 120.0, 195.0)
"""Middle of the heart, (z, y, x) mm from the first voxel."""


def chest(heart=HEART, size=1.0, shape=SHAPE, spacing=SPACING, seed=0) -> np.ndarray:
    """A scan (z, y, x, HU) with noise; ``size`` scales the heart alone."""
    z, y, x = np.meshgrid(
        *(np.arange(n) * s - h for n, s, h in zip(shape, spacing, heart, strict=True)),
        indexing="ij",
    )
    body = ((x + 15) / 165) ** 2 + ((y - 25) / 115) ** 2 < 1
    voxels = np.where(body, -90.0, -1000.0)
    inner = ((x + 15) / 140) ** 2 + ((y - 25) / 92) ** 2 < 1
    right = ((x + 85) / 68) ** 2 + ((y - 25) / 85) ** 2 + (np.minimum(z, 0) / 300) ** 2 < 1
    left = ((x - 65) / 68) ** 2 + ((y - 25) / 85) ** 2 < 1
    voxels[inner] = 45
    voxels[inner & (right | left) & (z < 120)] = -860
    domes = z < -45 + 12 * np.cos(x / 60)
    voxels[inner & domes] = 60
    vessels = (np.hypot((x + 8) / 28, (y - 5) / 34) < 1) & (z > 0)
    ball = (z / 47) ** 2 + ((y + 0.25 * x) / 44) ** 2 + ((x + 0.2 * z) / 58) ** 2 < size**2
    voxels[inner & (vessels | ball)] = 42
    voxels[np.hypot((x + 15) / 24, (y - 92) / 22) < 1] = 180
    noise = np.random.default_rng(seed).normal(0, 20, voxels.shape)
    return np.clip(voxels + noise, -1024, 3071).astype(np.int16)
