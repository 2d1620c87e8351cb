"""Scores of small scans worked out by hand; one pixel is 0.5 mm x 0.5 mm = 0.25 mm2."""

import numpy as np
import pytest

from benchmark.calcium import Conventions, score_scan

SPACING = (3.0, 0.5, 0.5)
LAD, LCX, RCA, WHOLE = range(4)
CALIBRATION = 0.00078


def scan(calcium, shape=(6, 12, 12), background=40):
    """Build voxels and labels from {(z, y, x): (HU, label)}."""
    voxels = np.full(shape, background, np.int16)
    labels = np.zeros(shape, np.uint8)
    for place, (hu, label) in calcium.items():
        voxels[place] = hu
        labels[place] = label
    return voxels, labels


def test_nothing_scores_zero():
    assert np.array_equal(score_scan(*scan({}), SPACING), np.zeros((3, 4)))


@pytest.mark.parametrize("shape", [(0, 3, 4), (2, 0, 4), (2, 3, 0), (0, 0, 0)])
@pytest.mark.parametrize("whole", ["sum", "union"])
def test_a_scan_without_voxels_scores_zero(shape, whole):
    # as a crop may be that lies outside the scan
    scores = score_scan(*scan({}, shape), SPACING, Conventions(whole=whole))
    assert np.array_equal(scores, np.zeros((3, 4)))


def test_single_voxel():
    # 1 pixel of 250 HU: area 0.25 mm2, weight 2 -> Agatston 0.5. Volume 3 * 0.25 = 0.75 mm3.
    # Mass 0.00078 * 250 * 0.75 = 0.14625 mg. It is the LCX's and, with it, the whole heart's.
    scores = score_scan(*scan({(2, 5, 5): (250, 2)}), SPACING)
    expected = np.array([[0, 0.5, 0, 0.5], [0, 0.75, 0, 0.75], [0, 0.14625, 0, 0.14625]])
    np.testing.assert_allclose(scores, expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("hu", "weight"),
    [(131, 1), (199, 1), (200, 2), (299, 2), (300, 3), (399, 3), (400, 4), (3000, 4)],
)
def test_weights_at_their_edges(hu, weight):
    scores = score_scan(*scan({(0, 0, 0): (hu, 3)}), SPACING)
    assert scores[0, RCA] == pytest.approx(0.25 * weight)


def test_each_slice_is_weighted_by_its_own_peak():
    # One lesion over two slices. Slice 1: two pixels, peak 450 -> 0.5 * 4 = 2.
    # Slice 2: three pixels, peak 180 -> 0.75 * 1 = 0.75. Agatston 2.75.
    # Weighted by the peak of the whole lesion it would be 1.25 * 4 = 5.
    # Volume 5 * 0.75 = 3.75. Mass 0.00078 * (450 + 140 + 180 + 150 + 135) * 0.75.
    calcium = {
        (1, 5, 5): (450, 1),
        (1, 5, 6): (140, 1),
        (2, 5, 5): (180, 1),
        (2, 5, 6): (150, 1),
        (2, 6, 6): (135, 1),
    }
    scores = score_scan(*scan(calcium), SPACING)
    np.testing.assert_allclose(scores[:, LAD], [2.75, 3.75, CALIBRATION * 1055 * 0.75], rtol=1e-12)


def test_two_lesions_of_a_slice_are_weighted_apart():
    # 2 pixels with peak 310 -> 0.5 * 3; 1 pixel of 150 HU elsewhere -> 0.25 * 1.
    calcium = {(0, 1, 1): (310, 1), (0, 1, 2): (150, 1), (0, 8, 8): (150, 1)}
    assert score_scan(*scan(calcium), SPACING)[0, LAD] == pytest.approx(1.75)


def test_diagonal_neighbours_are_one_lesion_only_with_eight_neighbours():
    # Together: 0.5 mm2 * 4 = 2. Apart: 0.25 * 4 + 0.25 * 1 = 1.25.
    voxels, labels = scan({(3, 4, 4): (500, 1), (3, 5, 5): (150, 1)})
    assert score_scan(voxels, labels, SPACING)[0, LAD] == pytest.approx(2)
    four = Conventions(in_plane_connectivity=4)
    assert score_scan(voxels, labels, SPACING, four)[0, LAD] == pytest.approx(1.25)


@pytest.mark.parametrize("gap", [1, 2])
def test_slices_are_never_joined(gap):
    # Pixels above each other, or two slices apart, keep their own peak: 0.25 * 4 + 0.25 * 1.
    voxels, labels = scan({(1, 4, 4): (500, 1), (1 + gap, 4, 4): (150, 1)})
    assert score_scan(voxels, labels, SPACING)[0, LAD] == pytest.approx(1.25)


def test_minimum_area_drops_a_small_lesion_from_all_scores():
    # 4 pixels = exactly 1 mm2 stay (weight 1 -> 1); 3 pixels = 0.75 mm2 go, at 2 slices' distance
    # and in the same slice alike.
    small = {(0, 9, 9): (500, 1), (0, 9, 10): (500, 1), (0, 10, 9): (500, 1), (3, 0, 0): (300, 2)}
    large = {(0, 1, x): (150, 1) for x in range(4)}
    one_mm2 = Conventions(min_area_mm2=1.0)
    both = score_scan(*scan({**small, **large}), SPACING, one_mm2)
    np.testing.assert_allclose(both, score_scan(*scan(large), SPACING))
    assert both[0, LAD] == pytest.approx(1)
    assert score_scan(*scan({**small, **large}), SPACING)[0, WHOLE] == pytest.approx(
        1 + 0.75 * 4 + 0.25 * 3
    )


def test_minimum_area_keeps_a_lesion_of_exactly_that_area_in_spite_of_rounding():
    # 10 pixels of 1/3 mm x 0.3 mm are 1 mm2; the product of the floats is 0.9999999999999999.
    calcium = {(0, 0, x): (150, 1) for x in range(10)}
    spacing = (3.0, 1 / 3, 0.3)
    scores = score_scan(*scan(calcium), spacing, Conventions(min_area_mm2=1.0))
    assert scores[0, LAD] == pytest.approx(1)


def test_agatston_follows_slice_spacing_and_can_be_told_not_to():
    voxels, labels = scan({(2, 5, 5): (250, 1)})
    # Half the spacing (1.5 mm, as with overlapping slices): 0.25 * 2 * 1.5 / 3 = 0.25.
    assert score_scan(voxels, labels, (1.5, 0.5, 0.5))[0, LAD] == pytest.approx(0.25)
    plain = Conventions(thickness_correction=False)
    assert score_scan(voxels, labels, (1.5, 0.5, 0.5), plain)[0, LAD] == pytest.approx(0.5)
    thin = Conventions(reference_thickness=2.5)
    assert score_scan(voxels, labels, (2.5, 0.5, 0.5), thin)[0, LAD] == pytest.approx(0.5)


def test_touching_arteries_share_the_peak_only_in_the_union():
    # LAD 450 HU beside LCX 150 HU. Apart: 0.25 * 4 and 0.25 * 1, sum 1.25. As one lesion of
    # 2 pixels with peak 450: 0.5 * 4 = 2. The arteries keep their own scores either way.
    voxels, labels = scan({(2, 5, 5): (450, 1), (2, 5, 6): (150, 2)})
    summed = score_scan(voxels, labels, SPACING)
    union = score_scan(voxels, labels, SPACING, Conventions(whole="union"))
    np.testing.assert_allclose(summed[0], [1, 0.25, 0, 1.25])
    np.testing.assert_allclose(union[0], [1, 0.25, 0, 2])
    np.testing.assert_allclose(union[1:], summed[1:])


def test_threshold_is_above_or_at():
    voxels, labels = scan({(2, 5, 5): (130, 1)})
    assert score_scan(voxels, labels, SPACING).sum() == 0
    assert score_scan(voxels, labels, SPACING, Conventions(inclusive=True))[0, LAD] == 0.25


def test_labels_on_soft_tissue_count_for_nothing():
    # A generous outline around one calcified pixel scores as that pixel alone.
    voxels, labels = scan({(2, 5, 5): (250, 1)})
    outlined = labels.copy()
    outlined[1:4, 3:8, 3:8] = 1
    np.testing.assert_array_equal(
        score_scan(voxels, outlined, SPACING), score_scan(voxels, labels, SPACING)
    )


def test_calcium_without_label_counts_for_nothing_and_lends_no_peak():
    # The labelled pixel touches a brighter one that nobody labelled.
    voxels, labels = scan({(2, 5, 5): (150, 1), (2, 5, 6): (900, 0)})
    assert score_scan(voxels, labels, SPACING)[0, LAD] == pytest.approx(0.25)


def test_undetermined_coronary_calcium_counts_for_the_whole_alone():
    voxels, labels = scan({(2, 5, 5): (250, 4), (4, 5, 5): (250, 3)})
    np.testing.assert_allclose(score_scan(voxels, labels, SPACING)[0], [0, 0, 0.5, 1.0])


def test_lesions_at_the_edges_of_the_scan():
    corners = {(z, y, x): (150, 1) for z in (0, 5) for y in (0, 11) for x in (0, 11)}
    assert score_scan(*scan(corners), SPACING)[0, LAD] == pytest.approx(8 * 0.25)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"labels": np.zeros((6, 12, 11), np.uint8)}, "do not lie on the voxels' grid"),
        ({"voxels": np.zeros((12, 12), np.int16)}, "three axes"),
        ({"voxels": np.zeros((6, 12, 12), bool)}, "HU numbers, not bool"),
        ({"labels": np.full((6, 12, 12), 5, np.uint8)}, r"unknown labels \[5\]"),
        ({"labels": np.full((6, 12, 12), -1, np.int16)}, r"unknown labels \[-1\]"),
        ({"labels": np.zeros((6, 12, 12), np.float32)}, "whole numbers"),
        ({"spacing": (3.0, 0.5)}, "three lengths"),
        ({"spacing": (3.0, 0.5, 0.0)}, "above 0 mm"),
        ({"spacing": (3.0, -0.5, 0.5)}, "above 0 mm"),
        ({"spacing": (float("nan"), 0.5, 0.5)}, "above 0 mm"),
        ({"spacing": (float("inf"), 0.5, 0.5)}, "above 0 mm"),
        (
            {
                "voxels": np.full((6, 12, 12), np.inf, np.float32),
                "labels": np.ones((6, 12, 12), np.uint8),
            },
            "not finite",
        ),
    ],
)
def test_wrong_input_is_refused_in_one_line(change, words):
    good = {
        "voxels": np.zeros((6, 12, 12), np.int16),
        "labels": np.zeros((6, 12, 12), np.uint8),
        "spacing": SPACING,
    }
    with pytest.raises(ValueError, match=words) as caught:
        score_scan(**{**good, **change})
    assert "\n" not in str(caught.value)
