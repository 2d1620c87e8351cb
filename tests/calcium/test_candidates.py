"""Candidates: 3D components of six neighbours above the threshold."""

import numpy as np
import pytest
from scipy import ndimage

from benchmark.calcium import Conventions, label_candidates


def test_faces_join_and_edges_do_not():
    voxels = np.zeros((3, 4, 4), np.int16)
    voxels[0, 0, 0] = voxels[1, 0, 0] = 131
    voxels[1, 1, 1] = 500
    components, n = label_candidates(voxels)
    assert n == 2
    assert components[0, 0, 0] == components[1, 0, 0] != components[1, 1, 1] != 0
    assert components.dtype == np.uint32
    assert (components > 0).sum() == 3


def test_threshold_itself_counts_only_if_inclusive():
    voxels = np.full((1, 1, 1), 130, np.int16)
    assert label_candidates(voxels)[1] == 0
    assert label_candidates(voxels, Conventions(inclusive=True))[1] == 1


def test_soft_tissue_has_no_candidates():
    components, n = label_candidates(np.full((2, 3, 4), 40, np.int16))
    assert n == 0
    assert components.shape == (2, 3, 4)
    assert not components.any()


def test_same_components_as_scipy():
    voxels = np.random.default_rng(0).normal(100, 40, (12, 40, 40)).astype(np.int16)
    components, n = label_candidates(voxels)
    reference, n_reference = ndimage.label(voxels > 130)
    assert n == n_reference > 100
    # The same partition: each number of ours goes with exactly one of SciPy's.
    pairs = np.unique(np.stack([components.ravel(), reference.ravel()]), axis=1)
    assert pairs.shape[1] == n + 1


def test_slice_instead_of_volume_is_refused():
    with pytest.raises(ValueError, match="three axes"):
        label_candidates(np.zeros((4, 4), np.int16))
