import numpy as np
import pytest
from statsmodels.stats.multitest import multipletests

from benchmark.metrics.paired import (
    PairedDifference,
    holm,
    paired_difference,
    paired_differences,
    paired_overlap,
    paired_scores,
    two_sided_p,
)
from benchmark.metrics.replicates import Replicates, replicate
from benchmark.metrics.summary import summarise


def test_a_method_does_not_differ_from_itself(cohort):
    reference, estimate, overlap = cohort
    method = replicate(reference, estimate, overlap)
    for found in paired_differences(method, method).values():
        assert (found.difference, found.low, found.high, found.p) == (0, 0, 0, 1)


def test_swapping_the_methods_changes_the_sign_alone(cohort):
    reference, estimate, _ = cohort
    one = paired_scores(reference, estimate, reference * 1.3)
    other = paired_scores(reference, reference * 1.3, estimate)
    for key, found in one.items():
        assert found.difference == pytest.approx(-other[key].difference)
        assert (found.low, found.high) == pytest.approx((-other[key].high, -other[key].low))
        assert found.p == other[key].p


def test_differences_are_those_of_the_single_figures(cohort):
    reference, estimate, overlap = cohort
    worse = tuple(a * f for a, f in zip(overlap, (0.7, 2, 1.5), strict=True))
    a, b = summarise(reference, estimate, overlap), summarise(reference, reference * 2, worse)
    found = paired_differences(
        replicate(reference, estimate, overlap), replicate(reference, reference * 2, worse)
    )
    assert set(found) == set(a)
    for key, difference in found.items():
        assert difference.difference == pytest.approx(a[key].value - b[key].value)
    for key, difference in paired_overlap(overlap, worse).items():
        assert difference == found[key]


def test_clear_differences_are_found(cohort):
    reference, estimate, overlap = cohort
    worse = (overlap[0] * 0.8, overlap[1], overlap[2] + overlap[0] * 0.2)
    found = paired_overlap(overlap, worse)["F1", "whole"]
    assert found.low > 0
    assert found.p == pytest.approx(2 / 2001)
    noise = np.random.default_rng(1).permutation(estimate)
    assert paired_scores(reference, estimate, noise)["ICC", "mean"].p < 0.01


def test_pairing_sharpens_the_comparison(cohort):
    # two methods that share their faults differ by a little on every scan
    _, _, overlap = cohort
    worse = (overlap[0] * 0.99, overlap[1], overlap[2] + overlap[0] * 0.01)
    found = paired_overlap(overlap, worse)["F1", "whole"]
    assert found.high - found.low < 0.01
    assert found.p < 0.05


def test_a_missing_scan_counts_against_a_method(cohort):
    reference, estimate, _ = cohort
    broken = estimate.copy()
    broken[0] = np.nan
    found = paired_scores(reference, estimate, broken)
    assert found["ICC_AS", "whole"].difference > 0
    assert found["ICC_AS", "whole"].note == "b: 1 missing, given the worst value"
    assert found["MAE_AS", "whole"].difference < 0


def test_numbers_of_seeds_may_differ(cohort):
    reference, estimate, _ = cohort
    found = paired_scores(reference, np.stack([estimate, estimate]), estimate)
    assert found["ICC", "mean"].difference == pytest.approx(0)
    assert found["kappa", "whole"].p == 1


def test_undefined_figures_give_no_verdict(cohort):
    _, _, overlap = cohort
    nothing = (overlap[0] * 0, overlap[1] * 0, overlap[0] + overlap[2])
    found = paired_overlap(overlap, nothing)["PPV", "LAD"]
    assert found.as_text() == "undefined: b: nothing predicted"
    assert np.isnan(found.p)


def test_other_scans_or_resamples_are_refused(cohort):
    reference, estimate, _ = cohort
    method = replicate(reference, estimate)["ICC", "mean"]
    for other in (
        replicate(reference[:50], estimate[:50])["ICC", "mean"],
        replicate(reference, estimate, seed=9)["ICC", "mean"],
    ):
        with pytest.raises(ValueError, match="same resamples"):
            paired_difference(method, other)


def test_p_value_agrees_with_the_interval():
    rng = np.random.default_rng(0)
    for shift in (0.0, 1.0, 1.8, 2.1, 4.0):
        differences = rng.normal(shift, 1, 5000)
        low = np.quantile(differences, 0.025)
        assert (two_sided_p(differences) < 0.05) == (low > 0)


def test_equal_methods_are_called_different_about_5_times_in_100():
    rng = np.random.default_rng(3)
    called = 0
    for _ in range(200):
        volume = np.exp(rng.normal(3, 0.8, (50, 1)))
        pair = []
        for _ in range(2):
            share = rng.beta(8, 2, (50, 1))
            ones = np.ones((1, 4))
            pair.append((volume * share * ones, 0 * volume * ones, volume * (1 - share) * ones))
        called += paired_overlap(*pair, resamples=300)["F1", "LAD"].p < 0.05
    assert 2 <= called <= 24


def test_holm_matches_statsmodels():
    p = np.array([0.01, 0.04, 0.03, 0.005, 0.9, 0.03])
    np.testing.assert_allclose(holm(p), multipletests(p, method="holm")[1])
    # the worked example of R's p.adjust(c(0.01, 0.02, 0.03), "holm")
    np.testing.assert_allclose(holm([0.01, 0.02, 0.03]), [0.03, 0.04, 0.04])


def test_holm_counts_comparisons_that_could_not_be_made():
    adjusted = holm([0.01, np.nan, 0.02])
    np.testing.assert_allclose(adjusted, [0.03, np.nan, 0.04])
    assert holm([]).size == 0
    with pytest.raises(ValueError, match="0 to 1"):
        holm([0.5, 1.5])


def test_p_is_counted_by_hand():
    # 2 of 19 at or below 0: 2 (1 + 2) / (1 + 19)
    assert two_sided_p(np.array([-1.0, 0.0] + [1.0] * 17)) == pytest.approx(0.3)
    assert two_sided_p(-np.array([-1.0, 0.0] + [1.0] * 17)) == pytest.approx(0.3)
    assert two_sided_p(np.ones(19)) == pytest.approx(0.1)  # never 0
    assert two_sided_p(np.zeros(19)) == 1
    # undefined ones are left out; just half of them may be
    assert two_sided_p(np.array([1.0] * 19 + [np.nan] * 19)) == pytest.approx(0.1)
    assert np.isnan(two_sided_p(np.array([1.0] * 19 + [np.nan] * 20)))


def test_text_of_a_difference():
    found = PairedDifference(0.12345, -0.01, 0.2567, 0.0421, 9)
    assert found.as_text() == "+0.123 (-0.010 to +0.257), p = 0.042"
    assert found.as_text(1) == "+0.1 (-0.0 to +0.3), p = 0.042"
    assert found.note == ""


def test_undefined_differences_have_no_numbers_and_every_reason():
    lost = Replicates(np.array([np.nan]), np.full(20, np.nan), 7, (20, 1), "nothing predicted")
    good = Replicates(np.array([0.5]), np.linspace(0.4, 0.6, 20), 7, (20, 1), "1 missing")
    found = paired_difference(good, lost)
    assert np.isnan([found.difference, found.low, found.high, found.p]).all()
    assert (found.n, found.note) == (7, "a: 1 missing; b: nothing predicted")
    half = good.resampled.copy()
    half[:5] = np.nan
    partly = Replicates(np.array([0.3]), half, 7, (20, 1), "")
    found = paired_difference(good, partly)
    assert (found.n, found.note) == (7, "a: 1 missing; 25.0% of resamples undefined")
    words = "a paired comparison needs the same scans and the same resamples for both methods"
    other = Replicates(np.array([0.5]), good.resampled, 8, (20, 1), "")
    with pytest.raises(ValueError, match=f"^{words}$"):
        paired_difference(good, other)


def test_resamples_and_seed_of_a_comparison_are_those_asked_for(cohort):
    reference, estimate, overlap = cohort
    worse = (overlap[0] * 0.8, overlap[1], overlap[2] + overlap[0] * 0.2)

    def scores(**asked):
        return paired_scores(reference, estimate, reference * 1.3, **asked)["ICC", "mean"]

    def volumes(**asked):
        return paired_overlap(overlap, worse, **asked)["F1", "LAD"]

    def ends(found):
        return found.low, found.high

    for compare in (scores, volumes):
        first = compare(resamples=60, seed=5)
        assert first == compare(resamples=60, seed=5)
        assert ends(first) != ends(compare(resamples=60, seed=6))
        assert ends(first) != ends(compare(resamples=61, seed=5))


def test_undefined_overlap_says_why_for_each_side(cohort):
    _, _, overlap = cohort
    none = tuple(np.zeros_like(part) for part in overlap)
    found = paired_overlap(none, none)
    assert found["sensitivity", "RCA"].note == "a: no reference calcium; b: no reference calcium"
    assert found["PPV", "whole"].note == "a: nothing predicted; b: nothing predicted"
    reason = "no reference calcium and nothing predicted"
    assert found["F1", "LAD"].note == f"a: {reason}; b: {reason}"


def test_p_values_of_one_and_zero_are_taken_and_none_beyond():
    assert holm([0.0, 1.0]).tolist() == [0.0, 1.0]
    words = "p values must be a list of numbers from 0 to 1"
    for bad in ([-0.01], [1.01], [[0.5]], 0.5):
        with pytest.raises(ValueError, match=f"^{words}$"):
            holm(bad)
