import re

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


def test_ranks_and_their_spread_by_hand():
    # 400 resamples of 3 methods: the first leads in 300, ties with the second in 60, is last in 40
    first, second = np.full(400, 0.9), np.full(400, 0.8)
    first[300:360] = 0.8
    first[360:] = 0.1
    made = [
        Replicates(np.array([value]), drawn, 9, (400, 1), "")
        for value, drawn in ((0.85, first), (0.8, second), (0.5, np.full(400, 0.5)))
    ]
    found = rank_methods(made)
    assert found.rank.tolist() == [1, 2, 3]
    np.testing.assert_allclose(found.first, [330 / 400, 70 / 400, 0])
    assert found.low.tolist() == [1, 1, 2]
    assert found.high.tolist() == [3, 2, 3]
    assert found.note == "tau undefined: one seed"
    assert found.by_seed.tolist() == [[1, 2, 3]]
    turned = rank_methods(made, lower_is_better=True)
    assert turned.rank.tolist() == [3, 2, 1]
    assert turned.by_seed.tolist() == [[3, 2, 1]]
    np.testing.assert_allclose(turned.first, [40 / 400, 0, 360 / 400])


def test_why_there_is_no_tau_word_for_word():
    notes = [
        rank_methods([figure(one), figure(other)]).note
        for one, other in (
            ([0.1], [0.2]), ([0.1, 0.2], [0.2]), ([0.1, 0.2], [0.1, 0.3]), ([0.1, 0.2], [0.3, 0.4]),
        )
    ]  # fmt: skip
    assert notes == [
        "tau undefined: one seed",
        "tau undefined: the methods have different numbers of seeds",
        "tau undefined: all figures of a seed are equal",
        "",
    ]
    uneven = rank_methods([figure([0.1, 0.2]), figure(0.2)])
    assert uneven.by_seed.shape == (0, 2)
    assert uneven.tau.shape == (0, 0)
    alone = rank_methods([figure([0.1, 0.2]), figure(np.nan, note="lost")])
    assert np.isnan([alone.rank, alone.low, alone.high, alone.first]).all()
    assert (alone.by_seed.shape, alone.tau.shape) == ((0, 2), (0, 0))
    assert np.isnan(alone.mean_tau)
    assert [one.value for one in alone.figures[:1]] == [pytest.approx(0.15)]
    assert alone.figures[1].note == "lost"
    # the seeds of a method without a rank do not count
    with_lost = rank_methods([figure([0.1, 0.2]), figure([0.2, 0.3]), figure(np.nan, note="lost")])
    assert with_lost.mean_tau == 1
    np.testing.assert_array_equal(with_lost.by_seed, [[2, 1, np.nan]] * 2)


def test_mean_tau_is_over_the_pairs_of_unlike_seeds():
    # seeds order three methods abc, abc, acb: taus 1, 1/3, 1/3
    found = rank_methods(
        [figure([0.9, 0.8, 0.9]), figure([0.5, 0.6, 0.1]), figure([0.1, 0.2, 0.3])]
    )
    np.testing.assert_allclose(found.tau, [[1, 1, 1 / 3], [1, 1, 1 / 3], [1 / 3, 1 / 3, 1]])
    assert found.mean_tau == pytest.approx(5 / 9)


@pytest.mark.parametrize("weights", [[], [[0.5]], [-0.1, 0.5], [0.5, 1.1], [0.5, 0.5], [0.5, 0.1]])
def test_weights_that_are_refused(weights):
    with pytest.raises(ValueError, match=r"^weights must ascend from 0 to 1$"):
        joint_ranking([figure(0.5)], [figure(0.5)], weights)


def test_joint_values_and_stretches_by_hand():
    # a: 0.9 w + 0.5 (1 - w); b: 0.7 w + 0.8 (1 - w); equal at w = 0.6, where the first stands
    masks, heads = [figure(0.9), figure(0.7)], [figure(0.5), figure(0.8)]
    found = joint_ranking(masks, heads, [0.0, 0.5, 0.7, 1.0])
    np.testing.assert_allclose(found.values, [[0.5, 0.8], [0.7, 0.75], [0.78, 0.73], [0.9, 0.7]])
    assert found.ranks.tolist() == [[2, 1], [2, 1], [1, 2], [1, 2]]
    assert found.leaders == ((0.0, 0.5, 1), (0.7, 1.0, 0))
    assert found.low.tolist() == [1, 1]
    assert found.high.tolist() == [2, 2]
    assert [one.value for one in found.equal.figures] == [pytest.approx(0.7), pytest.approx(0.75)]
    assert joint_ranking(masks, heads).weights.tolist() == [round(0.05 * k, 2) for k in range(21)]


def test_nobody_with_both_tasks():
    found = joint_ranking([None, figure(0.5)], [figure(0.5), None], [0.5])
    assert {(e.n, e.note) for e in found.equal.figures} == {(0, "no method has both tasks")}
    assert found.equal.note == "no method has both tasks"
    assert (found.equal.by_seed.shape, found.equal.tau.shape) == ((0, 2), (0, 0))
    for nothing in (found.equal.first, found.low, found.high, found.values, found.ranks):
        assert np.isnan(nothing).all()
    assert np.isnan(found.equal.mean_tau)
    with pytest.raises(ValueError, match=r"shorter|longer"):
        joint_ranking([figure(0.5)], [figure(0.5)] * 2)


def test_refusals_of_ranks_word_for_word():
    words = r"^ranks need the same scans and the same resamples for all methods$"
    with pytest.raises(ValueError, match=words):
        rank_methods([figure(0.9), figure(0.8, n=40)])
    words = re.escape("tau needs two lists of one length, got (2,) and (3,)")
    with pytest.raises(ValueError, match=f"^{words}$"):
        kendall_tau([1, 2], [1, 2, 3])
    with pytest.raises(ValueError, match="two lists"):
        kendall_tau([[1, 2]], [[1, 2]])


def test_ends_of_a_rank_are_ranks_that_occurred_and_the_wider_ones():
    # one draw of 31 goes the other way: 2.5 % of draws lie between it and the next
    drawn = np.zeros(31)
    drawn[7] = 1.0
    a, b = (Replicates(np.array([v]), d, 9, (31, 1)) for v, d in ((0.4, drawn), (0.5, 1 - drawn)))
    found = rank_methods([a, b])
    assert (found.rank.tolist(), found.low.tolist(), found.high.tolist()) == (
        [2, 1],
        [1, 1],
        [2, 2],
    )
