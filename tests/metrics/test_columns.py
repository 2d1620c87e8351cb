import warnings

import numpy as np
import pandas as pd
import pingouin
import pytest

from benchmark.metrics.agreement import icc
from benchmark.metrics.columns import _constant, weighted_icc, weighted_mae, weighted_pearson


@pytest.fixture
def drawn(cohort):
    """Reference and estimate (60, 12), drawn scans (4, 60) and their counts (4, 60)."""
    reference, estimate, _ = cohort
    scans = np.random.default_rng(7).integers(0, 60, (4, 60))
    weights = np.stack([np.bincount(s, minlength=60) for s in scans]).astype(float)
    return reference.reshape(60, 12), estimate.reshape(60, 12), scans, weights


def test_icc_in_resamples_equals_pingouin_on_the_resampled_scans(drawn):
    reference, estimate, scans, weights = drawn
    found = weighted_icc(reference, estimate, weights)
    assert found.shape == (4, 12)
    for b, j in ((0, 0), (1, 5), (2, 11), (3, 6)):
        pair = np.stack([reference[scans[b], j], estimate[scans[b], j]], axis=1)
        table = pd.DataFrame(
            {
                "scan": np.repeat(np.arange(60), 2),
                "rater": np.tile([0, 1], 60),
                "score": pair.ravel(),
            }
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            known = pingouin.intraclass_corr(table, "scan", "rater", "score")
        known = known[known["Type"].isin(["ICC(A,1)", "ICC2"])]["ICC"].item()
        assert found[b, j] == pytest.approx(known, abs=1e-9)


def test_other_figures_in_resamples_equal_those_of_the_resampled_scans(drawn):
    reference, estimate, scans, weights = drawn
    correlation = weighted_pearson(reference, estimate, weights)
    error = weighted_mae(reference, estimate, weights)
    for b in range(4):
        for j in range(12):
            r, e = reference[scans[b], j], estimate[scans[b], j]
            assert correlation[b, j] == pytest.approx(np.corrcoef(r, e)[0, 1], abs=1e-9)
            assert error[b, j] == pytest.approx(np.abs(r - e).mean(), rel=1e-12)


def test_without_weights_each_scan_counts_once(drawn):
    reference, estimate, _, _ = drawn
    single = icc(reference, estimate)
    for figure in (weighted_icc, weighted_pearson, weighted_mae):
        once = figure(reference, estimate)
        np.testing.assert_allclose(once, figure(reference, estimate, np.ones((1, 60))), rtol=1e-12)
    np.testing.assert_allclose(
        weighted_icc(reference, estimate)[0], [s.value for s in single], rtol=1e-12
    )


def test_resample_of_one_repeated_reference_value_is_undefined_despite_rounding():
    reference = np.array([[0.1], [0.1], [0.1], [2000.3]])
    estimate = np.array([[0.2], [0.3], [0.4], [1900.0]])
    weights = np.array([[2.0, 1, 1, 0], [1, 1, 1, 1]])
    for figure in (weighted_icc, weighted_pearson):
        assert np.isnan(figure(reference, estimate, weights)[:, 0]).tolist() == [True, False]
    # whereas a constant estimate is a fault of the method and scores 0
    assert weighted_pearson(estimate, reference, weights)[0, 0] == 0
    assert weighted_icc(estimate, reference, weights)[0, 0] == 0


def test_a_resample_is_constant_just_where_its_scans_are_alike():
    """Against the values drawn: ties of any size, few scans, whole resamples of one scan."""
    rng = np.random.default_rng(6)
    for n in (3, 4, 9, 40):
        columns = np.stack(
            [rng.integers(0, 2, n), rng.integers(0, 8, n), np.full(n, 0.1), rng.random(n)], axis=1
        ).astype(float)
        columns[: n // 2, 3] = 0.3
        weights = rng.multinomial(n, np.full(n, 1 / n), size=400).astype(float)
        weights[0] = 0
        weights[0, 0] = n
        found = _constant(columns, weights)
        for b, row in enumerate(weights):
            drawn = np.repeat(columns, row.astype(int), axis=0)
            assert found[b].tolist() == (drawn == drawn[0]).all(axis=0).tolist()


def test_rounding_never_carries_a_figure_beyond_its_bounds():
    rng = np.random.default_rng(21)
    reference = rng.exponential(100, (12, 8))
    weights = rng.multinomial(12, np.full(12, 1 / 12), 500).astype(float)
    nearly = np.nextafter(reference, np.inf)  # variances and covariance then round apart
    for counts in (None, weights):
        assert np.nanmax(weighted_icc(reference, nearly, counts)) <= 1
    for factor in (1.0, 3.7):
        assert np.nanmax(weighted_icc(reference, reference, weights)) <= 1
        assert np.nanmax(weighted_pearson(reference, factor * reference, weights)) <= 1
        assert np.nanmin(weighted_pearson(reference, -factor * reference, weights)) >= -1


def test_columns_of_zeros_are_constant_and_no_division_by_zero():
    zeros, some = np.zeros((4, 1)), np.array([[0.0], [1], [2], [5]])
    for figure in (weighted_icc, weighted_pearson):
        assert np.isnan(figure(zeros, zeros)).tolist() == [[True]]
        assert np.isnan(figure(zeros, some)).tolist() == [[True]]
        assert figure(some, zeros).tolist() == [[0.0]]


def test_an_absurd_estimate_overflows_nowhere():
    # at 1e300 the square is infinite; the figures do not depend on the unit
    reference = np.array([[1.0], [2], [4], [8]])
    estimate = np.array([[1.0], [2], [4], [1e300]])
    weights = np.array([[1.0, 1, 1, 1], [0, 2, 1, 1]])
    for counts in (None, weights):
        for figure in (weighted_icc, weighted_pearson):
            found = figure(reference, estimate, counts)
            assert np.isfinite(found).all()
            small = figure(reference * 1e-300, estimate * 1e-300, counts)
            np.testing.assert_allclose(found, small, atol=1e-12)
    # beside 1e300 the reference has no spread that could be squared: no correlation
    assert weighted_pearson(reference, estimate).tolist() == [[0.0]]
