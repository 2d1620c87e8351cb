"""The rule: published factors, and the promise kept in simulation."""

import numpy as np
import pytest
from scipy.stats import nct, norm

from benchmark.regression.rule import LEAST_SD, Rule, bounds, off_scale, on_scale, tolerance_factor
from benchmark.regression.simulation import model_rate


@pytest.mark.parametrize(
    ("n", "tail", "confidence", "factor"),
    [
        # NIST/SEMATECH e-Handbook of Statistical Methods, 7.2.6.3: p = .90, gamma = .99, N = 43
        (43, 0.1, 0.99, 1.8740),
        # Hahn and Meeker, Statistical Intervals, tables of one-sided factors
        (10, 0.1, 0.95, 2.355),
        (20, 0.05, 0.95, 2.396),
    ],
)
def test_published_factors(n, tail, confidence, factor):
    assert tolerance_factor(n, 1, tail, confidence) == pytest.approx(factor, abs=6e-4)


@pytest.mark.parametrize(("n", "m"), [(20, 2), (6, 1), (40, 3)])
def test_as_scipys_noncentral_t(n, m):
    shift = norm.isf(0.01 / 60) * np.sqrt(n / m)
    expected = nct.ppf(0.95, n - 1, shift) / np.sqrt(n)
    assert tolerance_factor(n, m, 0.01 / 60, 0.95) == pytest.approx(expected, rel=1e-6)


def test_nineteen_of_twenty_baselines_keep_the_promise():
    random = np.random.default_rng(1)
    n, m, tail = 12, 2, 0.05
    drawn = random.normal(5, 3, (20_000, n))
    bound = drawn.mean(axis=1) - tolerance_factor(n, m, tail, 0.95) * drawn.std(axis=1, ddof=1)
    rate = norm.cdf(bound, 5, 3 / np.sqrt(m))
    assert np.mean(rate <= tail) == pytest.approx(0.95, abs=0.006)


def test_a_table_keeps_its_rate_even_if_all_figures_are_independent():
    mean, high = model_rate(60, 20, Rule(), np.random.default_rng(0))
    assert 0 < mean < high < 0.01


def test_more_seeds_and_fewer_figures_give_a_closer_bound():
    assert tolerance_factor(40, 2, 1e-4, 0.95) < tolerance_factor(10, 2, 1e-4, 0.95)
    assert tolerance_factor(20, 4, 1e-4, 0.95) < tolerance_factor(20, 1, 1e-4, 0.95)
    assert tolerance_factor(20, 2, 1e-2, 0.95) < tolerance_factor(20, 2, 1e-4, 0.95)


def test_errors_are_judged_by_their_logarithm_and_upside_down():
    assert on_scale("MAE_AS", [10.0])[0] > on_scale("MAE_AS", [20.0])[0]
    assert off_scale("MAE_AS", on_scale("MAE_AS", [12.5])[0]) == pytest.approx(12.5)
    assert off_scale("F1", on_scale("F1", [0.3])[0]) == 0.3
    assert np.isfinite(on_scale("MAE_AS", [0.0])).all()


def test_seeds_that_agree_leave_some_room():
    low, high = bounds("F1", [0.5] * 20, Rule(), 1e-4, factor=3.0)
    assert (low, high) == pytest.approx((0.5 - 3 * LEAST_SD, 0.5 + 3 * LEAST_SD))


@pytest.mark.parametrize("values", [(0, 0.95, 2), (0.01, 1, 2), (0.01, 0.95, 0)])
def test_rules_without_sense_are_refused(values):
    with pytest.raises(ValueError, match="a rule needs"):
        Rule(*values)


def test_one_seed_gives_no_bound():
    with pytest.raises(ValueError, match="n >= 2"):
        tolerance_factor(1, 1, 0.01, 0.95)
