import numpy as np
import pytest

from benchmark.calcium import label_candidates
from benchmark.phantom import Patient, plan
from benchmark.phantom.reader import READER, Reader, read, true_owners
from benchmark.phantom.shapes import Grid

NEVER = Reader(
    majority=0.0,
    bifurcation=(0.0, 1.0),
    crux=(0.0, 1.0),
    ostium=(0.0, 1.0),
    overlooked=(0.0, 3, 160),
)


def scene():
    voxels = np.zeros((1, 5, 12), np.int16)
    calcium = {owner: np.zeros(voxels.shape, np.float32) for owner in range(4)}
    return voxels, calcium, np.zeros(voxels.shape, bool)


def owners(voxels, calcium, bone):
    return true_owners(voxels, calcium, bone, label_candidates(voxels)[0])


def test_a_component_of_two_arteries_belongs_to_both_voxel_by_voxel():
    voxels, calcium, bone = scene()
    voxels[0, 2, 2:6] = 300
    calcium[1][0, 2, 2:5] = (300, 300, 90)
    calcium[2][0, 2, 4:6] = (150, 300)
    found = owners(voxels, calcium, bone)
    assert found[0, 2, 2:6].tolist() == [1, 1, 2, 2]
    assert found.astype(bool).sum() == 4


def test_calcium_of_the_valve_stays_background_where_it_touches_a_lesion():
    voxels, calcium, bone = scene()
    voxels[0, 2, 2:6] = 300
    calcium[3][0, 2, 2:4] = 300
    calcium[0][0, 2, 4:6] = 300
    assert owners(voxels, calcium, bone)[0, 2, 2:6].tolist() == [3, 3, 0, 0]


def test_noise_at_the_rim_follows_the_majority_and_bone_never_does():
    voxels, calcium, bone = scene()
    voxels[0, 2, 2:7] = 200
    calcium[2][0, 2, 2:4] = 200
    bone[0, 2, 5:7] = True
    assert owners(voxels, calcium, bone)[0, 2, 2:7].tolist() == [2, 2, 2, 0, 0]


def test_components_without_coronary_calcium_are_background():
    voxels, calcium, bone = scene()
    voxels[0, 0, 0] = 200  # noise
    voxels[0, 4, 8:10] = 400  # annulus
    calcium[0][0, 4, 8:10] = 400
    calcium[1][0, 2, 2] = 100  # coronary, but not above 130 HU in the image
    voxels[0, 2, 2] = 120
    assert not owners(voxels, calcium, bone).any()


def test_without_any_calcium_nothing_is_owned():
    voxels, _, bone = scene()
    voxels[:] = 200
    assert not owners(voxels, {}, bone).any()


@pytest.fixture(scope="module")
def tree():
    return plan(Patient.of(0)).tree


def at(tree, place, label, reader, index):
    """Read a lesion of five voxels whose middle lies at a place."""
    grid = Grid.centred((3, 9, 9), (3.0, 1.0, 1.0), place)
    voxels = np.zeros(grid.shape, np.int16)
    voxels[1, 4, 2:7] = 300
    calcium = {label: np.where(voxels > 0, np.float32(300), np.float32(0))}
    bone = np.zeros(grid.shape, bool)
    draw = Patient.of(index).stream("reader")
    return read(voxels, calcium, bone, grid, tree, draw, reader)


def share(tree, place, label, wanted, reader=READER):
    found = [at(tree, place, label, reader, index) for index in range(400)]
    assert all((truth[labels > 0] == label).all() for labels, truth in found if label)
    assert all(truth.max() == label for _, truth in found)
    return np.mean([labels.max() == wanted for labels, _ in found])


def test_readers_err_where_arteries_meet_and_nowhere_else(tree):
    """Rates of `READER` at each landmark, within three standard errors of 400 readings."""
    lad, rca = tree.arteries["LAD"], tree.arteries["RCA"]
    far = lad.points[len(lad.points) // 2]
    assert share(tree, far, 1, 1) == 1.0
    assert share(tree, tree.bifurcation, 1, 2) == pytest.approx(READER.bifurcation[0], abs=0.07)
    assert share(tree, tree.bifurcation, 2, 1) == pytest.approx(READER.bifurcation[0], abs=0.07)
    assert share(tree, tree.crux, 3, 2) == pytest.approx(READER.crux[0], abs=0.05)
    assert share(tree, rca.points[0], 3, 0) == pytest.approx(READER.ostium[0], abs=0.07)
    assert share(tree, rca.points[0], 3, 3, NEVER) == 1.0


def test_wall_calcium_at_an_ostium_is_sometimes_called_coronary(tree):
    found = [at(tree, tree.arteries["RCA"].points[0], 0, READER, k) for k in range(400)]
    assert all(not truth.any() for _, truth in found)
    called = np.mean([labels.max() == 3 for labels, _ in found])
    assert called == pytest.approx(READER.ostium[0], abs=0.07)


def test_the_smallest_lesions_are_overlooked_at_times(tree):
    grid = Grid.centred((3, 9, 9), (3.0, 1.0, 1.0), tree.arteries["LAD"].points[30])
    voxels = np.zeros(grid.shape, np.int16)
    voxels[1, 4, 4] = 140
    calcium = {1: np.where(voxels > 0, np.float32(140), np.float32(0))}
    missed = []
    for index in range(400):
        draw = Patient.of(index).stream("reader")
        labels, truth = read(voxels, calcium, np.zeros(grid.shape, bool), grid, tree, draw, READER)
        assert truth.sum() == 1
        missed.append(not labels.any())
    assert np.mean(missed) == pytest.approx(READER.overlooked[0], abs=0.07)
