import numpy as np

from benchmark.cohorts.phantom.reference import reference_labels


def scene():
    voxels = np.zeros((1, 5, 12), np.int16)
    calcium = {owner: np.zeros(voxels.shape, np.float32) for owner in range(4)}
    return voxels, calcium, np.zeros(voxels.shape, bool)


def test_a_component_of_two_arteries_is_divided_voxel_by_voxel():
    voxels, calcium, bone = scene()
    voxels[0, 2, 2:6] = 300
    calcium[1][0, 2, 2:5] = (300, 300, 90)
    calcium[2][0, 2, 4:6] = (150, 300)
    labels = reference_labels(voxels, calcium, bone)
    assert labels[0, 2, 2:6].tolist() == [1, 1, 2, 2]
    assert labels.astype(bool).sum() == 4


def test_calcium_of_the_valve_stays_background_where_it_touches_a_lesion():
    voxels, calcium, bone = scene()
    voxels[0, 2, 2:6] = 300
    calcium[3][0, 2, 2:4] = 300
    calcium[0][0, 2, 4:6] = 300
    assert reference_labels(voxels, calcium, bone)[0, 2, 2:6].tolist() == [3, 3, 0, 0]


def test_noise_at_the_rim_follows_the_majority_and_bone_never_does():
    voxels, calcium, bone = scene()
    voxels[0, 2, 2:7] = 200
    calcium[2][0, 2, 2:4] = 200
    bone[0, 2, 5:7] = True
    assert reference_labels(voxels, calcium, bone)[0, 2, 2:7].tolist() == [2, 2, 2, 0, 0]


def test_components_without_coronary_calcium_are_background():
    voxels, calcium, bone = scene()
    voxels[0, 0, 0] = 200  # noise
    voxels[0, 4, 8:10] = 400  # annulus
    calcium[0][0, 4, 8:10] = 400
    calcium[1][0, 2, 2] = 100  # coronary, but not above 130 HU in the image
    voxels[0, 2, 2] = 120
    assert not reference_labels(voxels, calcium, bone).any()


def test_without_any_calcium_nothing_is_labelled():
    voxels, _, bone = scene()
    voxels[:] = 200
    assert not reference_labels(voxels, {}, bone).any()
