"""What is refused is told word for word: these lines end up before a user's eyes."""

import re

import numpy as np
import pytest

from benchmark.calcium import Conventions, lesion_table, risk_category, score_scan

VOXELS = np.zeros((2, 3, 4), np.int16)
LABELS = np.zeros((2, 3, 4), np.uint8)
SPACING = (3.0, 0.5, 0.5)


def labelled(value, dtype=np.int16):
    labels = LABELS.astype(dtype)
    labels[0, 0, 0] = value
    return labels


@pytest.mark.parametrize(
    ("voxels", "labels", "spacing", "words"),
    [
        (VOXELS[0], LABELS[0], SPACING, "voxels must have three axes (z, y, x), not shape (3, 4)"),
        (VOXELS > 0, LABELS, SPACING, "voxels must be HU numbers, not bool"),
        (
            VOXELS,
            LABELS[:1],
            SPACING,
            "labels of shape (1, 3, 4) do not lie on the voxels' grid (2, 3, 4)",
        ),
        (VOXELS, LABELS * 1.0, SPACING, "labels must be whole numbers 0 to 4, not float64"),
        (
            VOXELS,
            labelled(5),
            SPACING,
            "unknown labels [5]; use 0 background, 1 LAD, 2 LCX, 3 RCA, 4 undetermined",
        ),
        (
            VOXELS,
            labelled(-1),
            SPACING,
            "unknown labels [-1]; use 0 background, 1 LAD, 2 LCX, 3 RCA, 4 undetermined",
        ),
        (
            VOXELS,
            LABELS,
            (3, 0.5),
            "spacing must be three lengths (z, y, x) above 0 mm, not (3.0, 0.5)",
        ),
        (
            VOXELS,
            LABELS,
            (3, 0, 0.5),
            "spacing must be three lengths (z, y, x) above 0 mm, not (3.0, 0.0, 0.5)",
        ),
        (
            VOXELS,
            LABELS,
            (3, float("inf"), 0.5),
            "spacing must be three lengths (z, y, x) above 0 mm, not (3.0, inf, 0.5)",
        ),
        (
            np.full(VOXELS.shape, np.inf),
            labelled(1),
            SPACING,
            "voxels holds values that are not finite; HU must be numbers",
        ),
    ],
)
@pytest.mark.parametrize("function", [score_scan, lesion_table])
def test_scans_that_cannot_be_scored(function, voxels, labels, spacing, words):
    with pytest.raises(ValueError, match=f"^{re.escape(words)}$"):
        function(voxels, labels, spacing)


def test_five_unknown_labels_are_named():
    labels = LABELS.astype(np.int16)
    labels[0, 0] = 6, 7, 8, 9
    labels[0, 1] = 10, 11, 4, 0
    with pytest.raises(ValueError, match=re.escape("unknown labels [6, 7, 8, 9, 10]; use")):
        score_scan(VOXELS, labels, SPACING)


def test_label_4_and_smallest_settings_are_taken():
    voxels = VOXELS.copy()
    voxels[0, 0, 0] = 200
    scores = score_scan(voxels, labelled(4), SPACING)
    assert scores[:, :3].sum() == 0  # of no artery
    np.testing.assert_allclose(scores[:, 3], [0.5, 0.75, 200 * 0.75 * 0.00078])
    Conventions(min_area_mm2=0.0, reference_thickness=1e-9, mass_calibration=1e-9)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"threshold": float("inf")}, "threshold must be a finite number of HU, not inf"),
        ({"in_plane_connectivity": 6}, "in_plane_connectivity must be 4 or 8, not 6"),
        ({"min_area_mm2": -0.1}, "min_area_mm2 must be 0 or more, not -0.1"),
        ({"min_area_mm2": float("inf")}, "min_area_mm2 must be 0 or more, not inf"),
        ({"whole": "both"}, "whole must be 'sum' or 'union', not 'both'"),
        ({"reference_thickness": 0.0}, "reference_thickness must be above 0, not 0.0"),
        ({"mass_calibration": float("nan")}, "mass_calibration must be above 0, not nan"),
    ],
)
def test_settings_outside_their_range(setting, words):
    with pytest.raises(ValueError, match=f"^{re.escape(words)}$"):
        Conventions(**setting)


def test_a_failed_prediction_has_no_risk():
    words = "an Agatston score is NaN or infinite and has no risk category"
    with pytest.raises(ValueError, match=f"^{words}$"):
        risk_category(float("nan"))
    # a column of a table: objects, with None where there is no score
    np.testing.assert_array_equal(risk_category(np.array([5, 500.0], object)), [1, 4])
    with pytest.raises(ValueError, match=f"^{words}$"):
        risk_category(np.array([5, None], object))
