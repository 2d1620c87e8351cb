import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from benchmark.metrics import TASKS, gains, pairwise_gain, replicate, single_gain, task_keys

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
