import numpy as np
import pytest

from benchmark.phantom.beads import Bead, add_bead
from benchmark.phantom.shapes import Grid


@pytest.mark.parametrize("pixel", [0.4, 1.0])
@pytest.mark.parametrize("depth", [0.0, 0.7, 1.25, 2.0])
@pytest.mark.parametrize("radius", [0.5, 1.0, 2.5])
def test_partial_volume_conserves_excess_times_volume(pixel, depth, radius):
    grid = Grid.centred((9, round(24 / pixel), round(24 / pixel)), (2.5, pixel, pixel))
    field = np.zeros(grid.shape, np.float32)
    add_bead(field, grid, Bead((0.3, -0.2, depth), radius, 1000.0), blur=0.75)
    painted = field.sum() * 2.5 * pixel * pixel
    assert painted == pytest.approx(1000.0 * 4 / 3 * np.pi * radius**3, rel=0.02)


def test_a_bead_outside_the_scan_leaves_it_unchanged():
    grid = Grid.centred((4, 8, 8), (2.5, 1.0, 1.0))
    field = np.zeros(grid.shape, np.float32)
    add_bead(field, grid, Bead((40.0, 0.0, 0.0), 1.0, 1000.0), blur=0.75)
    assert not field.any()


def test_blur_lowers_the_peak_and_widens_the_lesion():
    grid = Grid.centred((5, 60, 60), (2.5, 0.4, 0.4))
    fields = []
    for blur in (0.6, 0.9):
        field = np.zeros(grid.shape, np.float32)
        add_bead(field, grid, Bead((0.0, 0.0, 0.0), 1.0, 1000.0), blur)
        fields.append(field)
    assert fields[1].max() < fields[0].max()
    assert (fields[1] > 1).sum() > (fields[0] > 1).sum()
