import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from benchmark.metrics import TASKS, gains, pairwise_gain, replicate, single_gain, task_keys
from benchmark.metrics.replicates import Replicates

PERFORMANCE = arrays(np.float64, 6, elements=st.floats(0.01, 1))


def test_by_hand():
    matrix = pairwise_gain([0.8, 0.9], [0.4, 0.6])  # gains 2 and 1.5
    assert matrix[0, 0] == pytest.approx(2)
    assert matrix[1, 1] == pytest.approx(1.5)
    assert matrix[0, 1] == pytest.approx(math.sqrt(0.8 * 0.9 / (0.4 * 0.6)))
    assert matrix[0, 1] == pytest.approx(math.sqrt(3))


@given(PERFORMANCE, PERFORMANCE)
def test_matrix_has_rank_one_and_is_the_printed_formula(together, alone):
    matrix = pairwise_gain(together, alone)
    printed = np.sqrt(np.outer(together, together) / np.outer(alone, alone))
    np.testing.assert_allclose(matrix, printed)
    np.testing.assert_allclose(matrix, matrix.T)
    singular = np.linalg.svd(matrix, compute_uv=False)
    assert singular[1] <= 1e-12 * singular[0]
    np.testing.assert_allclose(np.diag(matrix), together / alone)


@pytest.mark.parametrize("bad", [0.0, -0.3, np.nan])
@pytest.mark.parametrize("side", [0, 1])
def test_performance_not_above_zero_is_never_computed_with(bad, side):
    sides = np.array([[0.8, 0.9, 0.7], [0.4, 0.6, 0.5]])
    sides[side, 1] = bad
    with np.errstate(all="raise"):
        matrix = pairwise_gain(*sides)
    assert np.isnan(matrix[1]).all()
    assert np.isnan(matrix[:, 1]).all()
    assert np.isfinite(matrix[np.ix_([0, 2], [0, 2])]).all()


def test_two_negative_performances_do_not_make_a_gain():
    assert np.isnan(single_gain([-0.5], [-0.1])).all()
    assert np.isnan(pairwise_gain([-0.5, -0.4], [0.5, 0.4])).all()


def test_tasks_and_keys_are_in_one_order():
    keys = task_keys("PPV", "PCC")
    assert len(TASKS) == len(keys) == 16
    for task, (measure, target) in zip(TASKS, keys, strict=True):
        assert task.endswith(f"_{target}")
        assert measure == ("PPV" if task.startswith("C_") else f"PCC_{task[:2]}")
    with pytest.raises(ValueError, match="score measure"):
        task_keys("F1", "MAE")
    with pytest.raises(ValueError, match="segmentation measure"):
        task_keys("dice")


@pytest.fixture
def two_models(cohort):
    """Figures of a joint and of a poorer model of the same 60 scans."""
    reference, estimate, (tp, fp, fn) = cohort
    drawn = {"resamples": 300, "seed": 4}
    together = replicate(reference, estimate, (tp, fp, fn), **drawn)
    noise = np.exp(np.random.default_rng(2).normal(0, 0.6, estimate.shape))
    alone = replicate(reference, estimate * noise, (tp * 0.8, fp, fn + tp * 0.2), **drawn)
    return together, alone


def test_values_and_intervals_are_of_paired_resamples(two_models):
    together, alone = two_models
    found = gains(together, alone)
    for j, key in enumerate(task_keys()):
        assert found.single[j].value == pytest.approx(together[key].value / alone[key].value)
        ratio = together[key].resampled / alone[key].resampled
        ratio = ratio[(together[key].resampled > 0) & (alone[key].resampled > 0)]
        low, high = np.quantile(ratio, [0.025, 0.975])
        assert (found.single[j].low, found.single[j].high) == pytest.approx((low, high))
    a, b = task_keys()[3], task_keys()[7]
    pair = np.sqrt(
        together[a].resampled * together[b].resampled / alone[a].resampled / alone[b].resampled
    )
    assert found.low[3, 7] == pytest.approx(np.quantile(pair, 0.025))
    assert found.high[7, 3] == pytest.approx(np.quantile(pair, 0.975))
    np.testing.assert_allclose(found.pairs, found.pairs.T)


def test_equal_models_gain_nothing(two_models):
    together, _ = two_models
    found = gains(together, together)
    np.testing.assert_allclose(found.pairs, 1)
    assert all((one.low, one.high) == (1, 1) for one in found.single)


def test_reason_says_which_performance_is_not_above_zero(cohort):
    reference, estimate, overlap = cohort
    worse = estimate.copy()
    worse[:, 0, 1] = reference[:, 0, 1].max() - reference[:, 0, 1]
    together = replicate(reference, estimate, overlap, resamples=100)
    found = gains(together, replicate(reference, worse, overlap, resamples=100))
    at = TASKS.index("AS_LCX")
    assert found.reasons[at] == "ICC alone <= 0"
    assert not found.single[at].is_defined
    assert np.isnan(found.pairs[at]).all()
    assert sum(bool(reason) for reason in found.reasons) == 1


def test_unlike_resamples_are_refused(cohort):
    reference, estimate, overlap = cohort
    one = replicate(reference, estimate, overlap, resamples=50, seed=1)
    other = replicate(reference, estimate, overlap, resamples=50, seed=2)
    with pytest.raises(ValueError, match="same resamples"):
        gains(one, other)


def performance(value, drawn, note="", n=9, seed=1):
    return Replicates(np.array([value]), np.asarray(drawn, float), n, (len(drawn), seed), note)


def test_gains_by_hand_and_resamples_without_a_gain():
    keys = [("F1", "LAD"), ("ICC_AS", "LAD"), ("ICC_AS", "LCX"), ("ICC_AS", "RCA")]
    forty = np.linspace(0.5, 0.9, 40)
    dips = np.where(np.arange(40) < 4, -0.1, forty)
    mostly = np.where(np.arange(40) < 30, -0.1, forty)
    together = dict(zip(keys, (
        performance(0.8, forty), performance(0.6, dips), performance(0.6, mostly),
        performance(np.nan, np.full(40, np.nan), "every reference value is the same"),
    ), strict=True))  # fmt: skip
    alone = dict(zip(keys, (
        performance(0.4, np.full(40, 0.5)), performance(0.4, np.full(40, 0.5)),
        performance(0.4, np.full(40, 0.5)), performance(-0.1, np.full(40, 0.5), "a note"),
    ), strict=True))  # fmt: skip
    found = gains(together, alone, keys)
    assert [one.value for one in found.single[:3]] == [pytest.approx(v) for v in (2, 1.5, 1.5)]
    assert (found.single[0].low, found.single[0].high) == pytest.approx(
        tuple(2 * np.quantile(forty, [0.025, 0.975]))
    )
    assert [one.note for one in found.single] == [
        "",
        "10.0% of resamples undefined",
        "75.0% of resamples undefined: no interval",
        "ICC together is undefined; ICC alone <= 0; every reference value is the same; a note",
    ]
    assert {one.n for one in found.single} == {9}
    assert found.reasons == ("", "", "", "ICC together is undefined; ICC alone <= 0")
    assert found.measures == ("F1", "ICC", "ICC", "ICC")
    assert found.tasks == TASKS
    assert [one.value for one in found.alone[:3]] == [0.4, 0.4, 0.4]
    assert [one.value for one in found.together[:3]] == [0.8, 0.6, 0.6]
    assert found.pairs[0, 1] == pytest.approx(np.sqrt(3))
    assert np.isfinite(found.low[:2, :2]).all()
    assert found.low[0, 0] == pytest.approx(found.single[0].low)
    assert np.isnan(found.low[2]).all()
    assert np.isnan(found.pairs[3]).all()
    np.testing.assert_array_equal(found.high, found.high.T)


def test_refusals_of_gains_word_for_word():
    forty = np.linspace(0.5, 0.9, 40)
    key = ("F1", "LAD")
    words = r"^gains need the same scans and the same resamples for both models$"
    for other in (performance(0.5, forty, n=8), performance(0.5, forty, seed=2)):
        with pytest.raises(ValueError, match=words):
            gains({key: performance(0.5, forty)}, {key: other}, [key])
    words = r"^segmentation measure must be one of sensitivity, PPV, F1$"
    with pytest.raises(ValueError, match=words):
        task_keys("dice")
    with pytest.raises(ValueError, match=r"^score measure must be one of ICC, PCC$"):
        task_keys("F1", "MAE")


def test_performance_of_exactly_zero_has_no_gain_and_lists_are_spread():
    found = gains(
        {("F1", "LAD"): performance(0.0, np.zeros(40))},
        {("F1", "LAD"): performance(0.5, np.full(40, 0.5))},
        [("F1", "LAD")],
    )
    assert found.reasons == ("F1 together <= 0",)
    np.testing.assert_array_equal(single_gain([0.5, 1.0], 0.5), [1.0, 2.0])
    assert task_keys()[0] == ("F1", "LAD")
    assert task_keys()[4] == ("ICC_AS", "LAD")
    assert pairwise_gain(np.ones((7, 3)), np.ones((7, 3))).shape == (7, 3, 3)
