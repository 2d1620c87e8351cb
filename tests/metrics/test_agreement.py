import warnings

import numpy as np
import pandas as pd
import pingouin
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from benchmark.metrics.agreement import icc, icc_of_ratings, mae, pearson

SCORES = st.floats(0, 3000, allow_nan=False).map(lambda v: round(v, 2))


def pingouin_icc(ratings):
    """ICC(A,1) and its interval from pingouin, which rounds the interval to two decimals."""
    n, k = ratings.shape
    table = pd.DataFrame(
        {
            "scan": np.repeat(np.arange(n), k),
            "rater": np.tile(np.arange(k), n),
            "score": ratings.ravel(),
        }
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = pingouin.intraclass_corr(table, targets="scan", raters="rater", ratings="score")
    # older versions of pingouin call these ICC2 and CI95%
    row = found[found["Type"].isin(["ICC(A,1)", "ICC2"])].iloc[0]
    return row["ICC"], row.filter(like="CI95").iloc[0]


def skewed_pair(rng, n):
    reference = np.exp(rng.normal(4, 1.5, n)) * (rng.random(n) > 0.3)
    return reference, reference * np.exp(rng.normal(0.1, 0.3, n)) + rng.exponential(5, n)


def test_icc_matches_shrout_and_fleiss(shrout_fleiss):
    found = icc_of_ratings(shrout_fleiss)
    assert round(found.value, 2) == 0.29
    assert round(found.low, 3) == 0.019
    assert round(found.high, 2) == 0.76


def test_icc_matches_r_irr(anxiety):
    found = icc_of_ratings(anxiety)
    assert (round(found.value, 3), round(found.low, 3), round(found.high, 3)) == (
        0.198,
        -0.039,
        0.494,
    )


@pytest.mark.parametrize("n", [3, 5, 40])
def test_icc_matches_pingouin(n):
    rng = np.random.default_rng(n)
    for _ in range(3):
        reference, estimate = skewed_pair(rng, n)
        found = icc(reference, estimate)
        value, interval = pingouin_icc(np.stack([reference, estimate], axis=1))
        assert found.value == pytest.approx(value, rel=1e-9)
        np.testing.assert_allclose([found.low, found.high], interval, atol=0.0051)


def test_negative_icc_is_kept_and_matches_pingouin():
    reference = np.array([0.0, 10, 20, 30, 45])
    found = icc(reference, reference[::-1])
    assert found.value < -0.5
    value, _ = pingouin_icc(np.stack([reference, reference[::-1]], axis=1))
    assert found.value == pytest.approx(value, rel=1e-9)


def test_icc_counts_an_offset_that_pearson_forgives():
    reference = np.array([2.0, 4, 6])
    # McGraw & Wong (1996): paired scores (2,4), (4,6), (6,8) have absolute agreement 0.67
    assert icc(reference, reference + 2).value == pytest.approx(2 / 3)
    assert pearson(reference, reference + 2).value == pytest.approx(1)


def test_columns_give_what_each_column_gives():
    rng = np.random.default_rng(0)
    reference, estimate = rng.exponential(size=(2, 20, 3))
    for figure in (icc, pearson, mae):
        together = figure(reference, estimate)
        assert together == [figure(reference[:, j], estimate[:, j]) for j in range(3)]


def test_pearson_matches_scipy():
    rng = np.random.default_rng(2)
    for n in (4, 12, 100):
        reference, estimate = skewed_pair(rng, n)
        known = stats.pearsonr(reference, estimate)
        interval = known.confidence_interval()
        found = pearson(reference, estimate)
        np.testing.assert_allclose(
            [found.value, found.low, found.high],
            [known.statistic, interval.low, interval.high],
            rtol=1e-9,
        )


def test_mae_is_the_mean_error_with_an_interval_around_it():
    reference, estimate = skewed_pair(np.random.default_rng(3), 60)
    found = mae(reference, estimate)
    assert found.value == pytest.approx(np.abs(reference - estimate).mean())
    assert 0 < found.low < found.value < found.high
    assert found == mae(reference, estimate)


PERFECT, ZEROS = np.array([0.0, 5, 9, 30]), np.zeros(4)


@pytest.mark.parametrize(
    ("figure", "reference", "estimate", "expected", "note"),
    [
        (icc, PERFECT, PERFECT, (1, 1, 1), "perfect"),
        (icc, ZEROS, ZEROS, None, "every reference value is the same"),
        (icc, ZEROS, PERFECT, None, "every reference value is the same"),
        (icc, PERFECT[:2], PERFECT[:2], None, "fewer than 3"),
        (pearson, PERFECT, PERFECT, (1, 1, 1), "perfect"),
        (pearson, PERFECT, -PERFECT, (-1, -1, -1), "perfect"),
        (pearson, ZEROS, PERFECT, None, "every reference value is the same"),
        (pearson, PERFECT, ZEROS, (0, np.nan, np.nan), "taken as 0"),
        (pearson, PERFECT[:2], PERFECT[:2], None, "fewer than 3"),
        (mae, PERFECT, PERFECT, (0, 0, 0), ""),
        (mae, PERFECT[:2], PERFECT[:2] + 1, (1, np.nan, np.nan), "fewer than 3"),
        (mae, PERFECT[:0], PERFECT[:0], None, "no scans"),
    ],
)
def test_degenerate_columns(figure, reference, estimate, expected, note):
    found = figure(reference, estimate)
    assert note in found.note
    if expected is None:
        assert not found.is_defined
    else:
        np.testing.assert_allclose([found.value, found.low, found.high], expected, atol=1e-12)


def test_constant_estimate_has_icc_zero():
    found = icc(PERFECT, ZEROS + 3)
    assert found.value == 0
    assert "taken as 0" in found.note


@pytest.mark.parametrize("figure", [icc, pearson, mae])
def test_missing_values_are_refused_with_advice(figure):
    with pytest.raises(ValueError, match="fill_missing"):
        figure(PERFECT, np.array([1, np.nan, 2, 3]))


def test_unlike_shapes_are_refused():
    with pytest.raises(ValueError, match="share a shape"):
        icc(PERFECT, PERFECT[:3])


def test_absurd_estimate_does_not_become_undefined():
    for figure in (icc, pearson):
        found = figure(PERFECT, np.array([0.0, 5, 1e300, 30]))
        assert found.value == pytest.approx(0, abs=0.35)


@settings(max_examples=80, deadline=None)
@given(
    table=st.integers(3, 15).flatmap(lambda n: arrays(float, (n, 2), elements=SCORES)),
    order=st.randoms(use_true_random=False),
)
def test_bounds_and_order_of_scans(table, order):
    n = len(table)
    shuffled = list(range(n))
    order.shuffle(shuffled)
    for figure, lowest in ((icc, -n / (n - 2)), (pearson, -1.0)):
        found = figure(table[:, 0], table[:, 1])
        if not found.is_defined:
            assert np.ptp(table[:, 0]) == 0
            continue
        assert lowest - 1e-9 <= found.value <= 1 + 1e-12
        again = figure(table[shuffled, 0], table[shuffled, 1])
        assert again.value == pytest.approx(found.value, abs=1e-9)
    assert mae(table[:, 0], table[:, 1], resamples=20).value >= 0


def test_f_interval_holds_the_truth_for_normal_scores():
    rng = np.random.default_rng(8)
    true = 4 / (4 + 1)  # between-scan variance 4, error variance 1, no rater effect
    held = 0
    for _ in range(400):
        scan = rng.normal(0, 2, 30)
        found = icc(scan + rng.normal(0, 1, 30), scan + rng.normal(0, 1, 30))
        held += found.low <= true <= found.high
    assert 0.92 <= held / 400 <= 0.985
