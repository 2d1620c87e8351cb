"""Risk categories at their edges."""

import numpy as np
import pytest

from benchmark.calcium import RISK_EDGES, RISK_NAMES, risk_category


@pytest.mark.parametrize(
    ("agatston", "category"),
    [
        (0, 0),
        (0.99, 0),
        (1, 1),
        (9.99, 1),
        (10, 2),
        (99.9, 2),
        (100, 3),
        (399.9, 3),
        (400, 4),
        (9000, 4),
        (-3, 0),
    ],
)
def test_edges_belong_to_the_higher_category(agatston, category):
    assert risk_category(agatston) == category
    assert isinstance(risk_category(agatston), int)


def test_arrays_keep_their_shape():
    categories = risk_category(np.array([[0.5, 5.0], [50.0, 500.0]]))
    np.testing.assert_array_equal(categories, [[0, 1], [2, 4]])


def test_every_category_has_a_name():
    assert len(RISK_NAMES) == len(RISK_EDGES) + 1


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), np.array([1.0, float("nan")])])
def test_failed_prediction_has_no_category(bad):
    with pytest.raises(ValueError, match="no risk category"):
        risk_category(bad)
