"""Quantiles and p of a mixture of t distributions, against SciPy's root finding and bisection."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.stats import t

from benchmark.metrics.mixture import mixture_p, mixture_quantile, mixture_share
from benchmark.metrics.paired import two_sided_p


def below(value, centres, se, df):
    """Share of the mixture below a value, by SciPy's distribution."""
    return float(t.cdf((value - centres) / se, df).mean())


def by_bisection(centres, se, df, share):
    reach = se * abs(t.ppf(share, df))
    low, high = centres.min() - reach, centres.max() + reach
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if below(middle, centres, se, df) < share else (low, middle)
    return (low + high) / 2


def centres_of(kind, rng, count=400):
    """Differences as boards have them, and shapes that would lead plain Newton astray."""
    return {
        "normal": lambda: rng.normal(0.01, 0.02, count),
        "one": lambda: np.full(count, 0.3),
        "two heaps": lambda: np.repeat([-1.0, 1.0], count // 2),
        "heavy tail": lambda: rng.standard_cauchy(count),
        "steps": lambda: rng.integers(0, 5, count) * 0.25,
        "far off": lambda: 1e6 + rng.normal(0, 1, count),
    }[kind]()


@pytest.mark.parametrize("kind", ["normal", "one", "two heaps", "heavy tail", "steps", "far off"])
@pytest.mark.parametrize("df", [1, 2, 2.7, 16, 400])
@pytest.mark.parametrize("relative", [1e-6, 0.01, 1.0, 1e4])
def test_the_quantile_is_that_of_root_finding(kind, df, relative):
    centres = centres_of(kind, np.random.default_rng(3))
    se = relative * 0.02
    for share in (1e-4, 0.025, 0.3, 0.975):
        found = mixture_quantile(centres, se, df, share)
        reach = se * abs(t.ppf(share, df)) + se
        ends = centres.min() - reach, centres.max() + reach
        root = brentq(lambda x, s=share: below(x, centres, se, df) - s, *ends, xtol=1e-15)
        spacing = 1e-12 * max(1.0, abs(root))
        # where hardly any of the mixture lies, values far apart have the same share below them
        same = below(found, centres, se, df) == pytest.approx(share, abs=1e-9)
        assert same or found == pytest.approx(root, abs=max(spacing, 1e-6 * se))


@settings(max_examples=150, deadline=None)
@given(
    centres=st.lists(st.floats(-1, 1), min_size=1, max_size=40),
    log_se=st.floats(-9, 3),
    df=st.floats(1, 1e6),
    share=st.floats(0.001, 0.999),
)
def test_any_mixture_agrees_with_bisection(centres, log_se, df, share):
    centres, se = np.array(centres), 10.0**log_se
    found = mixture_quantile(centres, se, df, share)
    known = by_bisection(centres, se, df, share)
    # compared as values, or by the share below both: in a gap between centres any value will do
    close = found == pytest.approx(known, rel=1e-9, abs=1e-9 * se)
    assert close or below(found, centres, se, df) == pytest.approx(share, abs=1e-8)


def test_a_gap_with_just_that_share_below_it_gives_a_value_of_the_gap():
    centres = np.array([0.0] * 25 + [1.0] * 75)
    assert 0 <= mixture_quantile(centres, 1e-6, 8, 0.25) <= 1
    assert mixture_quantile(centres, 1e-6, 8, 0.2) == pytest.approx(0, abs=1e-4)
    assert mixture_quantile(centres, 1e-6, 8, 0.3) == pytest.approx(1, abs=1e-4)


def test_quantiles_rise_with_the_share_and_mirror():
    centres = np.random.default_rng(0).normal(0, 1, 501)
    found = [mixture_quantile(centres, 0.3, 3, share) for share in np.linspace(0.01, 0.99, 50)]
    assert (np.diff(found) > 0).all()
    for share in (0.01, 0.025, 0.4):
        mirrored = -mixture_quantile(-centres, 0.3, 3, 1 - share)
        assert mixture_quantile(centres, 0.3, 3, share) == pytest.approx(mirrored, abs=1e-9)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("se", [1e-300, 1e-30, 1e-12, 1e12])
def test_no_warning_and_no_nonsense_at_extremes(se):
    centres = np.random.default_rng(1).normal(0, 1, 300)
    low, high = (mixture_quantile(centres, se, 2, share) for share in (0.025, 0.975))
    assert math.isfinite(low)
    assert math.isfinite(high)
    assert low < high
    if se < 1e-6:  # no noise: a value between the neighbours of the sample's quantile
        ordered = np.sort(centres)
        assert ordered[6] <= low <= ordered[8]
        assert ordered[291] <= high <= ordered[293]
    assert 0 < mixture_p(centres, se, 2) <= 1


def test_p_without_noise_is_that_of_the_resamples():
    centres = np.random.default_rng(2).normal(0.05, 0.03, 2000)
    assert mixture_p(centres, 1e-12, 5) == pytest.approx(two_sided_p(centres))
    assert mixture_p(centres, 0.05, 5) > mixture_p(centres, 0.01, 5)


def test_p_and_interval_say_the_same():
    rng = np.random.default_rng(4)
    for _ in range(50):
        centres = rng.normal(rng.normal(0, 0.05), 0.02, 2000)
        p = mixture_p(centres, 0.01, 6)
        low, high = (mixture_quantile(centres, 0.01, 6, share) for share in (0.025, 0.975))
        if abs(p - 0.05) > 0.002:  # the one added to counts
            assert (p < 0.05) == (low > 0 or high < 0)


@pytest.mark.parametrize("value", [-0.04, 0.0, 0.03])
def test_the_share_below_a_value_is_that_of_scipy(value):
    centres = np.random.default_rng(6).normal(0.02, 0.03, 200)
    assert mixture_share(centres, 0.01, 3, value) == pytest.approx(below(value, centres, 0.01, 3))
    assert mixture_share(centres, 0.01, 3) == pytest.approx(below(0.0, centres, 0.01, 3))
    assert mixture_share(centres, 0.01, 3) < 0.5 < mixture_share(-centres, 0.01, 3)


def test_p_by_hand():
    # no noise to speak of, 3 of 19 below 0: 2 (1 + 3) / (1 + 19); and never above 1
    centres = np.array([-1.0] * 3 + [1.0] * 16)
    assert mixture_p(centres, 1e-9, 4) == pytest.approx(0.4)
    assert mixture_p(-centres, 1e-9, 4) == pytest.approx(0.4)
    assert mixture_p(np.ones(19), 1e-9, 4) == pytest.approx(0.1)
    assert mixture_p(np.array([-1.0, 1.0]), 1e-9, 4) == 1.0


@pytest.mark.parametrize(("kind", "most"), [("normal", 8), ("one", 1), ("heavy tail", 30)])
@pytest.mark.parametrize("df", [2, 16])
def test_a_quantile_takes_few_steps(kind, most, df, monkeypatch):
    """A board asks for thousands: bisection alone would take some fifty steps for each."""
    import scipy.special

    real, steps = scipy.special.stdtr, []
    monkeypatch.setattr(scipy.special, "stdtr", lambda *a: steps.append(1) or real(*a))
    centres = centres_of(kind, np.random.default_rng(3))
    for share in (0.025, 0.5, 0.975):
        steps.clear()
        mixture_quantile(centres, 0.02, df, share)
        assert len(steps) <= most
