import math
import re
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from benchmark.metrics.bland_altman import bias_and_limits, bland_altman
from benchmark.metrics.bootstrap import resample_weights

SCORES = arrays(np.float64, st.integers(3, 30), elements=st.floats(0, 3000).map(round))


def bland_altman_1986():
    """Peak flow by two meters, l/min: 17 patients, table 1 of Bland & Altman (1986).

    They print a mean difference (large minus mini meter) of -2.1, SD 38.8, the bias's interval
    -22.0 to 17.8 and limits (with 2 SD) of -79.7 and 75.5.
    """
    large = [494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427]
    mini = [512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451]
    return np.array(mini, float), np.array(large, float)


def test_peak_flow_as_printed_in_1986():
    found = bland_altman(*bland_altman_1986(), interval="normal")
    assert round(found.bias.value, 1) == -2.1
    assert round((found.upper.value - found.lower.value) / (2 * 1.959964), 1) == 38.8
    # they take t = 2.12 and rounded summands
    assert found.bias.low == pytest.approx(-22.0, abs=0.15)
    assert found.bias.high == pytest.approx(17.8, abs=0.15)
    assert found.upper.value == pytest.approx(-2.1176 + 1.959964 * 38.7651, abs=1e-3)


def test_standard_error_of_a_limit_is_1_71_of_that_of_the_mean():
    """Bland & Altman (1999), section 2.1: SE of a limit about 1.71 s / sqrt(n)."""
    rng = np.random.default_rng(0)
    reference = rng.normal(100, 20, 2000)
    found = bland_altman(reference, reference + rng.normal(0, 5, 2000), interval="normal")
    width = [one.high - one.low for one in (found.bias, found.lower, found.upper)]
    assert width[1] == pytest.approx(1.71 * width[0], rel=2e-3)
    assert width[2] == pytest.approx(width[1])


def test_by_hand():
    found = bland_altman([0, 10, 20, 30], [1, 13, 21, 37], interval="normal")
    assert found.difference.tolist() == [1, 3, 1, 7]
    assert found.mean.tolist() == [0.5, 11.5, 20.5, 33.5]
    assert found.bias.value == 3
    spread = math.sqrt((4 + 0 + 4 + 16) / 3)
    assert found.upper.value == pytest.approx(3 + 1.959964 * spread, rel=1e-6)
    assert found.lower.value == pytest.approx(3 - 1.959964 * spread, rel=1e-6)
    assert found.inside.value == 1
    t = 3.182446  # 97.5 % point of t with 3 degrees of freedom
    assert found.bias.high == pytest.approx(3 + t * spread / 2, rel=1e-6)
    of_limit = spread * math.sqrt(1 / 4 + 1.959964**2 / 6)
    assert found.lower.low == pytest.approx(found.lower.value - t * of_limit, rel=1e-6)


def test_against_pingouin():
    import pingouin
    from matplotlib.figure import Figure

    reference, estimate = bland_altman_1986()
    axes = Figure().subplots()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pingouin.plot_blandaltman(estimate, reference, agreement=1.959963984540054, ax=axes)
    found = bland_altman(reference, estimate, interval="normal")
    lines = [line.get_ydata()[0] for line in axes.lines]
    for one in (found.bias, found.lower, found.upper):
        assert any(math.isclose(one.value, line, rel_tol=1e-9) for line in lines)
    points = axes.collections[0].get_offsets()
    np.testing.assert_allclose(points, np.stack([found.mean, found.difference], axis=1))
    spans = []
    for patch in axes.patches:
        corners = patch.get_path().vertices if not hasattr(patch, "get_y") else None
        low = patch.get_y() if corners is None else corners[:, 1].min()
        high = low + patch.get_height() if corners is None else corners[:, 1].max()
        spans.append((low, high))
    assert any(np.allclose(span, (found.bias.low, found.bias.high)) for span in spans)
    # pingouin keeps the approximation of 1986, 3 s^2 / n, which is within 2 % for n = 17
    half = (found.upper.high - found.upper.low) / 2
    assert any(math.isclose((h - low) / 2, half, rel_tol=0.02) for low, h in spans)


def test_bootstrap_interval_is_that_of_resampled_patients():
    rng = np.random.default_rng(3)
    reference = np.exp(rng.normal(4, 1.5, 30))
    estimate = reference * np.exp(rng.normal(0, 0.3, 30))
    found = bland_altman(reference, estimate, resamples=500, seed=11)
    weights = np.random.default_rng(11).multinomial(30, np.full(30, 1 / 30), size=500)
    drawn = []
    for counts in weights:
        d = np.repeat(estimate - reference, counts)
        low, high = d.mean() - 1.959964 * d.std(ddof=1), d.mean() + 1.959964 * d.std(ddof=1)
        drawn.append((d.mean(), low, high, np.mean((d >= low) & (d <= high))))
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    for j, one in enumerate((found.bias, found.lower, found.upper, found.inside)):
        assert one.low == pytest.approx(low[j], rel=1e-5)
        assert one.high == pytest.approx(high[j], rel=1e-5)


def test_points_on_a_limit_are_inside_and_outliers_are_not():
    reference = np.zeros(41)
    estimate = np.zeros(41)
    estimate[0] = 100
    assert bland_altman(reference, estimate).inside.value == pytest.approx(40 / 41)


def test_degenerate_data():
    few = bland_altman([1, 2], [1, 3])
    assert not few.bias.is_defined
    assert "fewer than 3" in few.upper.note
    same = bland_altman([1, 2, 3], [3, 4, 5])
    assert (same.bias.value, same.lower.value, same.upper.high) == (2, 2, 2)
    assert same.inside.value == 1
    perfect = bland_altman([1, 2, 3], [1, 2, 3])
    assert perfect.bias.value == 0
    for bad in ([1, np.nan, 2], [1, np.inf, 2]):
        with pytest.raises(ValueError, match="fill_missing"):
            bland_altman([1, 2, 3], bad)
    with pytest.raises(ValueError, match="lists"):
        bland_altman([1, 2, 3], [1, 2])
    with pytest.raises(ValueError, match="interval"):
        bland_altman([1, 2, 3], [1, 2, 4], interval="exact")


def test_an_absurd_estimate_does_not_overflow():
    with np.errstate(over="raise", invalid="raise"):
        found = bland_altman([1.0, 2.0, 3.0], [1.0, 2.0, 1e300])
    assert np.isfinite([found.bias.value, found.upper.value, found.lower.value]).all()


@settings(deadline=None, max_examples=40)
@given(SCORES, st.integers(0, 2**32 - 1), st.floats(-500, 500).map(round))
def test_properties(reference, seed, shift):
    estimate = reference + np.random.default_rng(seed).integers(-50, 50, reference.size)
    found = bland_altman(reference, estimate, resamples=50)
    assert found.lower.value <= found.bias.value <= found.upper.value
    assert 0 <= found.inside.value <= 1
    # Chebyshev: at most 1 / 1.96^2 of the points lie outside
    assert found.inside.value >= 1 - 1 / 1.959**2
    mirrored = bland_altman(estimate, reference, resamples=50)
    assert mirrored.bias.value == pytest.approx(-found.bias.value, abs=1e-9)
    assert mirrored.upper.value == pytest.approx(-found.lower.value, abs=1e-9)
    moved = bland_altman(reference, estimate + shift, resamples=50)
    assert moved.bias.value == pytest.approx(found.bias.value + shift, abs=1e-8)
    assert moved.upper.value == pytest.approx(found.upper.value + shift, abs=1e-8)


@pytest.mark.parametrize("spread", [0.0, 0.5, 2.0])
def test_shares_inside_are_those_of_comparing_every_scan_in_every_resample(spread):
    """Scans that never cross a limit are counted once; heavy tails leave few such."""
    rng = np.random.default_rng(8)
    difference = rng.standard_normal(61) * np.exp(rng.normal(0, spread, 61)) + 1e3
    weights = resample_weights(61, 300, 1)
    bias, lower, upper, share = bias_and_limits(difference, weights)
    for b in range(300):
        drawn = np.repeat(difference, weights[b].astype(int))
        assert bias[b] == pytest.approx(drawn.mean(), rel=1e-12)
        half = 1.959963984540054 * drawn.std(ddof=1)
        assert upper[b] - lower[b] == pytest.approx(2 * half, rel=1e-9)
        inside = (drawn >= lower[b]) & (drawn <= upper[b])
        assert share[b] == pytest.approx(inside.mean(), abs=1e-12)


def estimates_of(found):
    return found.bias, found.lower, found.upper, found.inside


def test_notes_counts_and_refusals_word_for_word():
    few = bland_altman([1, 2], [1, 3])
    assert {(e.n, e.note) for e in estimates_of(few)} == {(2, "fewer than 3 scans")}
    assert few.mean.tolist() == [1, 2.5]
    assert few.difference.tolist() == [0, 1]
    same = bland_altman([1, 2, 3], [3, 4, 5])
    width = "every difference is the same: the limits have no width"
    assert {(e.n, e.note) for e in estimates_of(same)} == {(3, width)}
    assert [(e.value, e.low, e.high) for e in estimates_of(same)] == [(2, 2, 2)] * 3 + [(1, 1, 1)]
    assert same.mean.tolist() == [2, 3, 4]
    assert same.difference.tolist() == [2, 2, 2]
    normal = bland_altman([1, 2, 3], [1, 2, 4], interval="normal")
    assert [e.note for e in estimates_of(normal)] == ["", "", "", "no interval under normality"]
    assert np.isnan([normal.inside.low, normal.inside.high]).all()
    assert {e.n for e in estimates_of(normal)} == {3}
    for arguments, words in (
        (([1, 2, 3], [1, 2]), "reference and estimate must be lists (n,), got (3,) and (2,)"),
        (([[1, 2]], [[1, 2]]), "reference and estimate must be lists (n,), got (1, 2) and (1, 2)"),
        (([1, 2, np.nan], [1, 2, 3]),
         "NaN or infinite scores: give the estimate to fill_missing first"),
        (([1, 2, 3], [1, 2, np.inf]),
         "NaN or infinite scores: give the estimate to fill_missing first"),
        (([1, 2, 3], [1, 2, 4], "exact"),
         "interval must be one of bootstrap, normal, got 'exact'"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=f"^{re.escape(words)}$"):
            bland_altman(*arguments)


def test_the_bootstrap_is_the_default_and_follows_its_seed():
    reference, estimate = bland_altman_1986()
    first = bland_altman(reference, estimate, resamples=60, seed=5)
    again = bland_altman(reference, estimate, "bootstrap", resamples=60, seed=5)
    other = bland_altman(reference, estimate, resamples=60, seed=6)
    assert estimates_of(first) == estimates_of(again)
    assert first.bias.low != other.bias.low
    assert first.bias.value == other.bias.value
    # limits of both kinds have the unit of the scores, the share has none
    for kind in ("bootstrap", "normal"):
        once, tenfold = (bland_altman(k * reference, k * estimate, kind) for k in (1, 10))
        for one, ten in zip(estimates_of(once)[:3], estimates_of(tenfold)[:3], strict=True):
            assert (ten.value, ten.low, ten.high) == pytest.approx(
                (10 * one.value, 10 * one.low, 10 * one.high)
            )
        assert once.inside.value == tenfold.inside.value


def test_a_resample_of_one_scan_alone_has_it_inside():
    difference = np.array([0.1, 0.7, 0.3])
    bias, lower, upper, share = bias_and_limits(difference, 3 * np.eye(3))
    np.testing.assert_allclose(bias, difference)
    np.testing.assert_allclose(upper, lower, atol=1e-7)
    assert share.tolist() == [1, 1, 1]
