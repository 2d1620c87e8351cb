"""The component vote and the volumes that follow from it, worked by hand."""

import numpy as np

from benchmark import inference
from benchmark.training.grid import Candidates


def candidates() -> Candidates:
    """1: three voxels, LAD; 2: two voxels, half RCA; 3: off the grid."""
    return Candidates(
        voxel=np.array([0, 1, 2, 10, 11, 20]),
        component=np.array([1, 1, 1, 2, 2, 3], np.int32),
        cell=np.array([0, 0, 1, 2, 2, -1]),
        hu=np.full(6, 200, np.int16),
        label=np.array([1, 1, 1, 3, 0, 2], np.uint8),
    )


def shares(*cells) -> np.ndarray:
    return np.array(cells, float).T.reshape(4, 1, 1, len(cells))


def test_the_mean_log_probability_of_the_voxels_decides():
    # cell 0 holds two voxels of component 1 and says LAD; cell 1 holds one and says LCX, surer
    classes = inference.vote(
        shares((0.1, 0.8, 0.05, 0.05), (0.02, 0.03, 0.9, 0.05), (0.1, 0.1, 0.1, 0.7)), candidates()
    )
    # LAD: 2 ln .8 + ln .03 = -3.95; LCX: 2 ln .05 + ln .9 = -6.10
    assert classes.tolist() == [0, 1, 3, 0]


def test_volumes_of_hits_misses_and_false_alarms():
    tp, fp, fn = inference.overlap(np.array([0, 1, 3, 0], np.uint8), candidates(), 2.0)
    assert tp.tolist() == [6, 0, 2, 8]
    assert fp.tolist() == [0, 0, 2, 2]
    assert fn.tolist() == [0, 2, 0, 2]


def test_whole_counts_a_coronary_voxel_of_the_wrong_artery_as_a_hit():
    tp, fp, fn = inference.overlap(np.array([0, 2, 0, 0], np.uint8), candidates(), 1.0)
    assert (tp[3], fp[3]) == (3, 0)
    assert (tp[0], fn[0], fp[1]) == (0, 3, 3)


def test_no_classification_costs_more_than_a_failure():
    worst = inference.worst_false_positives(candidates(), 1.0)
    for a in range(4):
        for b in range(4):
            for c in range(4):
                classes = np.array([0, a, b, c], np.uint8)
                assert (inference.overlap(classes, candidates(), 1.0)[1] <= worst).all()


def test_dense_labels_put_classes_back_on_the_scan():
    labels = inference.dense_labels(np.array([0, 1, 0, 2], np.uint8), candidates(), (3, 2, 4))
    assert labels.ravel()[[0, 1, 2, 10, 20]].tolist() == [1, 1, 1, 0, 2]
