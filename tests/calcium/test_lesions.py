"""The table of lesions, on scans worked out by hand; one voxel is 0.25 mm2 and 0.75 mm3."""

import numpy as np
import pytest

from benchmark.calcium import Conventions, label_candidates, lesion_table

SPACING = (3.0, 0.5, 0.5)


def scan(calcium, shape=(6, 12, 12)):
    voxels = np.full(shape, 40, np.int16)
    labels = np.zeros(shape, np.uint8)
    for place, (hu, label) in calcium.items():
        voxels[place] = hu
        labels[place] = label
    return voxels, labels


def test_scan_without_labels_has_no_lesions():
    assert lesion_table(*scan({(1, 1, 1): (500, 0)}), SPACING) == ()


def test_row_of_a_lesion_over_two_slices():
    # Slice 1: 2 pixels, peak 320 -> 0.5 * 3; slice 2: 1 pixel of 140 HU -> 0.25. Volume 3 * 0.75.
    calcium = {(1, 4, 4): (320, 3), (1, 4, 5): (200, 3), (2, 4, 5): (140, 3)}
    (row,) = lesion_table(*scan(calcium), SPACING)
    assert row.label == 3
    assert row.agatston == pytest.approx(1.75)
    assert row.volume == pytest.approx(2.25)
    assert row.mass == pytest.approx(0.00078 * 660 * 0.75)
    assert row.max_hu == 320
    assert row.centroid == pytest.approx((4 / 3, 4, 14 / 3))
    assert not row.mixed
    assert row.labelled_share == 1


def test_majority_names_the_lesion_and_mixed_says_that_there_was_a_vote():
    calcium = {(0, 0, 0): (200, 1), (0, 0, 1): (200, 2), (0, 0, 2): (200, 2), (5, 9, 9): (200, 1)}
    first, second = lesion_table(*scan(calcium), SPACING)
    assert (first.label, first.mixed, first.labelled_share) == (2, True, 1.0)
    assert (second.label, second.mixed) == (1, False)


def test_component_that_runs_on_without_label_is_mixed_but_its_rest_does_not_count():
    # Coronary calcium grown together with the aortic wall: 1 voxel of 4 is coronary.
    calcium = {(0, 0, 0): (250, 1)} | {(0, 0, x): (900, 0) for x in (1, 2, 3)}
    (row,) = lesion_table(*scan(calcium), SPACING)
    assert row.mixed
    assert row.labelled_share == 0.25
    assert row.volume == pytest.approx(0.75)
    assert row.max_hu == 250


def test_corner_neighbours_are_two_lesions_in_3d():
    calcium = {(0, 0, 0): (200, 1), (0, 1, 1): (200, 1)}
    assert len(lesion_table(*scan(calcium), SPACING)) == 2


def test_lesion_of_which_nothing_counts_is_left_out():
    calcium = {(0, 0, 0): (200, 1)} | {(4, 5, x): (200, 2) for x in range(4)}
    (row,) = lesion_table(*scan(calcium), SPACING, Conventions(min_area_mm2=1.0))
    assert row.label == 2


def test_another_threshold_finds_other_components():
    # At 130 HU the middle voxel parts the two; at 100 HU it joins them.
    calcium = {(1, 4, 4): (200, 1), (1, 4, 5): (120, 1), (1, 4, 6): (200, 1)}
    assert len(lesion_table(*scan(calcium), SPACING)) == 2
    (row,) = lesion_table(*scan(calcium), SPACING, Conventions(threshold=100))
    assert row.volume == pytest.approx(3 * 0.75)
    assert row.labelled_share == 1


def test_rows_name_the_component_that_they_are():
    # An unlabelled candidate comes first: numbers are those of all candidates, not of the rows.
    places = {(0, 2, 2): (900, 0), (2, 4, 4): (200, 1), (4, 8, 8): (300, 2)}
    voxels, labels = scan(places)
    components, _ = label_candidates(voxels)
    rows = lesion_table(voxels, labels, SPACING)
    assert [row.component for row in rows] == [components[2, 4, 4], components[4, 8, 8]]
    assert all(type(row.component) is int for row in rows)
