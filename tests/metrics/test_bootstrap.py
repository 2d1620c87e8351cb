import numpy as np
import pytest

from benchmark.metrics.bootstrap import percentile_interval, resample_weights


def test_resamples_are_seeded_and_hold_n_patients_each():
    weights = resample_weights(17, 50, seed=3)
    assert weights.shape == (50, 17)
    assert (weights.sum(axis=1) == 17).all()
    resample_weights.cache_clear()
    np.testing.assert_array_equal(weights, resample_weights(17, 50, seed=3))
    assert (weights != resample_weights(17, 50, seed=4)).any()


def test_shared_resamples_cannot_be_overwritten():
    with pytest.raises(ValueError, match="read-only"):
        resample_weights(5, 10, 0)[0, 0] = 9


def test_empty_cohort_is_refused():
    with pytest.raises(ValueError, match="at least one patient"):
        resample_weights(0)


def test_percentile_interval_leaves_undefined_resamples_out_and_says_so():
    replicates = np.concatenate([np.linspace(0, 1, 901), np.full(99, np.nan)])
    low, high, note = percentile_interval(replicates)
    assert (low, high) == (pytest.approx(0.025), pytest.approx(0.975))
    assert note == "9.9% of resamples undefined"


def test_no_interval_when_most_resamples_are_undefined():
    low, high, note = percentile_interval(np.array([1.0, np.nan, np.nan]))
    assert np.isnan([low, high]).all()
    assert "no interval" in note


def test_interval_of_a_mean_holds_the_truth_about_95_times_in_100():
    rng = np.random.default_rng(11)
    held = 0
    for _ in range(300):
        sample = rng.exponential(size=80)
        low, high, _ = percentile_interval(resample_weights(80, 500, 1) @ sample / 80)
        held += low <= 1.0 <= high
    # 0.95 less the known shortness for skewed samples, plus or minus three standard errors
    assert 0.88 <= held / 300 <= 0.98


def test_an_interval_as_long_as_half_of_the_resamples_are_defined():
    assert percentile_interval(np.array([1.0, 1.0, np.nan, np.nan])) == (
        1.0, 1.0, "50.0% of resamples undefined",
    )  # fmt: skip
    low, high, note = percentile_interval(np.array([1.0, np.nan, np.nan, np.nan]))
    assert np.isnan([low, high]).all()
    assert note == "75.0% of resamples undefined: no interval"
