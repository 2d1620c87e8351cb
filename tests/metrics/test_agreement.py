import math
import re
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
from benchmark.metrics.bootstrap import percentile_interval, resample_weights

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


def test_icc_with_one_degree_of_freedom():
    # By hand: mean squares 2/3 of scans, 3/2 of raters, 0 of error; k MSC = 3. One degree of
    # freedom, and F tables give F(0.975; 2, 1) = 799.5 and F(0.975; 1, 2) = 38.506.
    found = icc_of_ratings([[0, 1], [0, 1], [1, 2]])
    assert found.value == pytest.approx(0.4)
    assert found.low == pytest.approx(2 / (3 * 799.5 + 2), rel=1e-4)
    assert found.high == pytest.approx(2 * 38.506 / (3 + 2 * 38.506), rel=1e-4)
    assert (found.n, found.note) == (3, "")


@pytest.mark.parametrize(
    ("ratings", "value"), [([[0, 1], [0, 1], [0, 1]], 0), ([[0, 1], [1, 0], [1, 0]], -2)]
)
def test_icc_without_degrees_of_freedom_has_no_interval_and_says_so(ratings, value):
    # -n / (n - 2) = -3 is the smallest possible; here the denominator of the degrees is next to 0
    found = icc_of_ratings(ratings)
    assert found.value == pytest.approx(value)
    assert np.isnan([found.low, found.high]).all()
    assert found.note == "no interval: no degrees of freedom"


def test_confidence_reaches_every_interval():
    rng = np.random.default_rng(12)
    reference, estimate = skewed_pair(rng, 25)
    for other in (estimate, np.full(25, 7.0)):
        wide, narrow = icc(reference, other), icc(reference, other, confidence=0.5)
        known = icc_of_ratings(np.stack([reference, other], axis=1), 0.5)
        assert (narrow.low, narrow.high) == (known.low, known.high)
        assert wide.low < narrow.low < narrow.high < wide.high
    known = stats.pearsonr(reference, estimate).confidence_interval(0.5)
    found = pearson(reference, estimate, confidence=0.5)
    np.testing.assert_allclose([found.low, found.high], [known.low, known.high], rtol=1e-9)


def test_correlation_of_three_scans_may_be_anything():
    found = pearson([1, 2, 3], [1, 3, 2])
    assert (found.value, found.low, found.high, found.n) == (pytest.approx(0.5), -1.0, 1.0, 3)


@pytest.mark.parametrize(
    ("figure", "reference", "estimate", "n", "note"),
    [
        (icc, PERFECT, PERFECT, 4, "perfect agreement: the interval has no width"),
        (icc, PERFECT, ZEROS, 4, "every estimated value is the same: taken as 0"),
        (icc, ZEROS, PERFECT, 4, "every reference value is the same"),
        (icc, PERFECT[:2], PERFECT[:2], 2, "fewer than 3 scans"),
        (pearson, PERFECT, 2 * PERFECT, 4, "perfect line: the interval has no width"),
        (pearson, PERFECT, ZEROS, 4, "every estimated value is the same: taken as 0"),
        (pearson, ZEROS, PERFECT, 4, "every reference value is the same"),
        (pearson, PERFECT[:2], PERFECT[:2], 2, "fewer than 3 scans"),
        (pearson, PERFECT, PERFECT**2, 4, ""),
        (mae, PERFECT, ZEROS, 4, ""),
        (mae, PERFECT[:2], ZEROS[:2], 2, "no interval: fewer than 3 scans"),
        (mae, PERFECT[:0], ZEROS[:0], 0, "no scans"),
    ],
)
def test_notes_word_for_word(figure, reference, estimate, n, note):
    found = figure(reference, estimate)
    assert (found.n, found.note) == (n, note)


def test_tables_that_are_none_are_refused_word_for_word():
    words = re.escape("reference and estimate must share a shape (n,) or (n, k), got (4,) and (3,)")
    with pytest.raises(ValueError, match=f"^{words}$"):
        mae(PERFECT, PERFECT[:3])
    with pytest.raises(ValueError, match="share a shape"):
        mae(np.ones((2, 2, 2)), np.ones((2, 2, 2)))
    words = "NaN or infinite scores: give the estimate to fill_missing first"
    for r, e in ((PERFECT, [0, 5, 9, np.inf]), ([0, 5, np.nan, 1], PERFECT)):
        with pytest.raises(ValueError, match=f"^{words}$"):
            pearson(r, e)
    words = "ratings must be a finite table of n scans by 2 or more raters"
    for table in ([1, 2, 3], [[1], [2], [3]], [[1, 2], [3, np.nan], [1, 1]]):
        with pytest.raises(ValueError, match=f"^{words}$"):
            icc_of_ratings(table)
    assert icc_of_ratings([[2, 2]] * 3).note == "all values are the same"


def test_two_ratings_are_too_few():
    found = icc_of_ratings([[1, 2], [3, 4]])
    assert (found.n, found.note) == (2, "fewer than 3 scans")


def test_the_interval_of_a_mean_error_is_of_the_scans_that_were_drawn():
    reference, estimate = skewed_pair(np.random.default_rng(3), 20)
    errors = np.abs(reference - estimate)
    found = mae(reference, estimate, resamples=60, seed=4)
    drawn = resample_weights(20, 60, 4) @ errors / 20
    assert (found.low, found.high) == pytest.approx(percentile_interval(drawn)[:2])
    other = mae(reference, estimate, resamples=60, seed=5)
    assert (found.low, found.high) != (other.low, other.high)
    assert math.isfinite(mae(reference[:3], estimate[:3]).low)
