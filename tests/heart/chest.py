"""A person of the phantom on any grid, without calcium, the heart where a test wants it."""

from functools import cache

import numpy as np

from benchmark.phantom import Patient, plan
from benchmark.phantom.draw import paint_body
from benchmark.phantom.shapes import Grid

SPACING = (4.0, 3.0, 3.0)
SHAPE = (75, 100, 120)
"""300 x 300 x 360 mm: a whole chest CT."""
HEART = (130.0, 120.0, 195.0)
"""Middle of the heart, (z, y, x) mm from the first voxel."""


@cache
def person(size: float):
    """The plan of one of forty people whose heart has about this size; not one to learn from."""
    people = [Patient.of(index, seed=77, protocol="wide") for index in range(40)]
    return plan(min(people, key=lambda one: abs(one.size - size)))


def chest(heart=HEART, size=1.0, shape=SHAPE, spacing=SPACING, seed=0) -> np.ndarray:
    """A scan (z, y, x, HU) with noise."""
    one = person(size)
    offset = [0.5 * (n - 1) * s - h for n, s, h in zip(shape, spacing, heart, strict=True)]
    centre = tuple(m + o for m, o in zip(one.heart.middle, offset[::-1], strict=True))
    volume = paint_body(one, Grid.centred(shape, spacing, centre))
    noise = np.random.default_rng(seed).normal(0, 20, volume.shape)
    return np.clip(volume + noise, -1024, 3071).astype(np.int16)
