import numpy as np
import pytest
from scipy.stats import kendalltau, rankdata

from benchmark.metrics import replicate
from benchmark.metrics.ranking import joint_ranking, kendall_tau, rank_methods, ranks_of
from benchmark.metrics.replicates import Replicates


def figure(by_seed, spread=0.0, n=50, seed=0, note=""):
    """A made figure with normal resamples around its mean."""
    by_seed = np.atleast_1d(np.asarray(by_seed, dtype=float))
    noise = np.random.default_rng(seed).normal(0, spread, 400) if spread else np.zeros(400)
    return Replicates(by_seed, by_seed.mean() + noise, n, (400, 1), note)


@pytest.mark.parametrize("lower", [False, True])
def test_ranks_agree_with_scipy(lower):
    rng = np.random.default_rng(1)
    values = rng.integers(0, 6, (40, 9)).astype(float)  # many ties
    expected = rankdata(values if lower else -values, axis=-1)
    np.testing.assert_array_equal(ranks_of(values, lower), expected)


def test_undefined_figures_come_last_together():
    np.testing.assert_array_equal(ranks_of([np.nan, 0.1, np.nan, 0.9]), [3.5, 2, 3.5, 1])
    np.testing.assert_array_equal(ranks_of([np.nan, 0.1, 0.9], lower_is_better=True), [3, 1, 2])


def test_tau_agrees_with_scipy_ties_included():
    rng = np.random.default_rng(2)
    for _ in range(30):
        x, y = rng.integers(0, 5, (2, 12)).astype(float)
        assert kendall_tau(x, y) == pytest.approx(kendalltau(x, y, variant="b").statistic)


def test_tau_without_pairs_is_undefined():
    assert np.isnan(kendall_tau([1, 1, 1], [1, 2, 3]))
    assert np.isnan(kendall_tau([1.0], [2.0]))
    assert np.isnan(kendall_tau([1, np.nan, 3], [np.nan, 2, 3]))
    assert kendall_tau([1, np.nan, 3], [4, 2, 6]) == 1
    with pytest.raises(ValueError, match="one length"):
        kendall_tau([1, 2], [1, 2, 3])


def test_clear_methods_keep_their_ranks_in_all_resamples():
    found = rank_methods([figure(0.7), figure(0.9), figure(0.8)])
    np.testing.assert_array_equal(found.rank, [3, 1, 2])
    np.testing.assert_array_equal(found.low, found.rank)
    np.testing.assert_array_equal(found.high, found.rank)
    np.testing.assert_array_equal(found.first, [0, 1, 0])
    assert [one.value for one in found.figures] == [0.7, 0.9, 0.8], "values stand beside ranks"
    assert rank_methods([figure(0.7), figure(0.9)], lower_is_better=True).rank[0] == 1


def test_methods_that_overlap_share_their_ranks():
    same = [figure(0.8, 0.05, seed=k) for k in range(3)]
    found = rank_methods(same)
    assert (found.low == 1).all()
    assert (found.high == 3).all()
    np.testing.assert_allclose(found.first, 1 / 3, atol=0.1)
    np.testing.assert_array_equal(found.rank, [2, 2, 2])
    assert found.first.sum() == pytest.approx(1)


def test_an_undefined_figure_has_no_rank_and_lifts_nobody():
    bad = figure(np.nan, note="nothing predicted")
    found = rank_methods([figure(0.9), bad, figure(0.7)])
    np.testing.assert_array_equal(found.rank, [1, np.nan, 2])
    assert found.figures[1].note == "nothing predicted"
    alone = rank_methods([figure(0.9), bad])
    assert np.isnan(alone.rank).all()
    assert alone.note == "fewer than two methods to rank"


def test_undefined_in_a_resample_is_last_there():
    shaky = figure(0.9)
    shaky.resampled[:200] = np.nan
    found = rank_methods([shaky, figure(0.5)])
    assert (found.low[0], found.high[0], found.first[0]) == (1, 2, 0.5)


def test_tau_between_seeds_sees_a_reversal():
    up, down = [0.1, 0.3], [0.2, 0.2]
    found = rank_methods([figure(up), figure(down)])
    assert found.mean_tau == -1
    np.testing.assert_array_equal(found.by_seed, [[2, 1], [1, 2]])
    steady = rank_methods([figure([0.1, 0.12, 0.11]), figure([0.2, 0.21, 0.2])])
    assert steady.mean_tau == 1
    assert steady.tau.shape == (3, 3)


@pytest.mark.parametrize(
    ("one", "other", "reason"),
    [
        ([0.1], [0.2], "one seed"),
        ([0.1, 0.2], [0.2], "different numbers of seeds"),
        ([0.1, 0.2], [0.1, 0.3], "all figures of a seed are equal"),
    ],
)
def test_tau_says_why_it_is_undefined(one, other, reason):
    found = rank_methods([figure(one), figure(other)])
    assert np.isnan(found.mean_tau)
    assert reason in found.note


def test_other_resamples_are_refused():
    with pytest.raises(ValueError, match="same resamples"):
        rank_methods([figure(0.9), figure(0.8, n=40)])


def test_joint_ranks_turn_with_the_weights():
    masks, heads = [figure(0.9), figure(0.7), None], [figure(0.5), figure(0.8), figure(0.99)]
    found = joint_ranking(masks, heads)
    np.testing.assert_array_equal(found.ranks[0], [2, 1, np.nan])
    np.testing.assert_array_equal(found.ranks[-1], [1, 2, np.nan])
    np.testing.assert_array_equal(found.low[:2], [1, 1])
    np.testing.assert_array_equal(found.high[:2], [2, 2])
    assert np.isnan(found.low[2]), "a method without masks has no joint rank"
    # 0.9 w + 0.5 (1 - w) = 0.7 w + 0.8 (1 - w) at w = 0.6
    assert [stretch[2] for stretch in found.leaders] == [1, 0]
    assert found.leaders[0][1] == pytest.approx(0.55, abs=0.051)
    assert found.equal.figures[0].value == pytest.approx(0.7)
    assert found.equal.figures[2].note == "a task is missing"


def test_joint_ranks_without_both_tasks():
    found = joint_ranking([None, figure(0.5)], [figure(0.5), None])
    assert np.isnan(found.equal.rank).all()
    assert found.leaders == ()
    with pytest.raises(ValueError, match="ascend"):
        joint_ranking([figure(0.5)], [figure(0.5)], [0.5, 0.1])


def test_ranks_of_real_figures(cohort):
    reference, _, overlap = cohort
    worse = tuple(a * f for a, f in zip(overlap, (0.7, 2, 1.5), strict=True))
    figures = [replicate(reference, None, part)["F1", "whole"] for part in (worse, overlap)]
    np.testing.assert_array_equal(rank_methods(figures).rank, [2, 1])
