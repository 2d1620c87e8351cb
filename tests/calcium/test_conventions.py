"""Settings outside their range are refused when they are made, not when a scan is scored."""

import pytest

from benchmark.calcium import Conventions


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"threshold": float("nan")}, "threshold"),
        ({"in_plane_connectivity": 6}, "4 or 8"),
        ({"min_area_mm2": -1.0}, "0 or more"),
        ({"whole": "both"}, "'sum' or 'union'"),
        ({"reference_thickness": 0.0}, "reference_thickness must be above 0"),
        ({"mass_calibration": float("inf")}, "mass_calibration must be above 0"),
    ],
)
def test_impossible_settings_are_refused(setting, words):
    with pytest.raises(ValueError, match=words):
        Conventions(**setting)
