"""The training grid keeps what it should, for any spacing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.calcium import label_candidates
from benchmark.training.grid import TrainingGrid, cell_targets, list_candidates, pool

SPACING = (3.0, 1.0, 1.0)


def test_a_cell_holds_mean_maximum_and_share_of_its_voxels():
    voxels = np.zeros((8, 32, 32), np.int16)
    voxels[4, 16, 16] = 400
    grid = TrainingGrid((3.0, 4.0, 4.0), (8, 8, 8))
    image = pool(voxels, SPACING, grid).astype(float)
    # 400 / 16 voxels = 25 HU of -250..250; 400 HU of -150..650; 1/16 above 130 HU
    assert image[0, 4, 4, 4] == pytest.approx(2 * (25 + 250) / 500 - 1, abs=1e-3)
    assert image[1, 4, 4, 4] == pytest.approx(2 * (400 + 150) / 800 - 1, abs=1e-3)
    assert image[2, 4, 4, 4] == pytest.approx(2 * np.sqrt(1 / 16), abs=1e-3)
    assert np.count_nonzero(image[2]) == 1


def test_beyond_the_scan_is_air():
    grid = TrainingGrid((3.0, 4.0, 4.0), (12, 12, 12))
    image = pool(np.full((8, 32, 32), 40, np.int16), SPACING, grid)
    assert (image[0, 0] == -1).all()
    assert (image[0, 2:10, 2:10, 2:10] > 0).all()


@settings(max_examples=30, deadline=None)
@given(
    spacing=st.tuples(st.floats(0.7, 5), st.floats(0.3, 2), st.floats(0.3, 2)),
    shape=st.tuples(st.integers(3, 12), st.integers(8, 40), st.integers(8, 40)),
    seed=st.integers(0, 99),
)
def test_no_bright_voxel_is_lost_on_a_grid_that_covers_the_scan(spacing, shape, seed):
    voxels = np.zeros(shape, np.int16)
    place = tuple(np.random.default_rng(seed).integers(0, shape))
    voxels[place] = 500
    grid = TrainingGrid.covering((3.0, 4.0, 4.0), [(shape, spacing)])
    labels = (voxels > 0).astype(np.uint8) * 2
    components, _ = label_candidates(voxels)
    found = list_candidates(voxels, labels, spacing, components, grid)
    assert (found.cell >= 0).all()
    cell = np.unravel_index(found.cell[0], grid.shape)
    assert pool(voxels, spacing, grid)[(1, *cell)] > 0
    target, candidate = cell_targets(found, grid)
    assert target[cell] == 2
    assert candidate.sum() == 1


def test_a_tie_in_a_cell_goes_to_the_artery():
    voxels = np.zeros((8, 32, 32), np.int16)
    voxels[4, 16, 16:18] = 300
    labels = np.zeros_like(voxels, np.uint8)
    labels[4, 16, 16] = 3
    grid = TrainingGrid((3.0, 4.0, 4.0), (8, 8, 8))
    components, _ = label_candidates(voxels)
    target, _ = cell_targets(list_candidates(voxels, labels, SPACING, components, grid), grid)
    assert target[4, 4, 4] == 3


def test_voxels_outside_the_grid_have_no_cell():
    voxels = np.full((8, 80, 80), 300, np.int16)
    grid = TrainingGrid((3.0, 4.0, 4.0), (8, 8, 8))
    components, _ = label_candidates(voxels)
    found = list_candidates(voxels, np.ones_like(voxels, np.uint8), SPACING, components, grid)
    assert np.count_nonzero(found.cell >= 0) == 8 * 32 * 32
