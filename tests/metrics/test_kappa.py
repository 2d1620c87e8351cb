import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.inter_rater import cohens_kappa

from benchmark.metrics.kappa import categories_of, linear_kappa, weighted_kappa

CATEGORY_PAIRS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=3, max_size=30)


def test_kappa_matches_r_irr(anxiety):
    # irr numbers the categories it meets, so that 4 and 6 become neighbours: done here by hand
    met = {1: 0, 2: 1, 3: 2, 4: 3, 6: 4}
    raters = np.vectorize(met.get)(anxiety[:, 1:])
    assert linear_kappa(raters[:, 0], raters[:, 1]).value == pytest.approx(0.1459075, abs=1e-7)


def test_kappa_matches_sas(sas_table):
    reference, estimate = np.repeat(np.indices((3, 3)).reshape(2, -1), sas_table.ravel(), axis=1)
    assert linear_kappa(reference, estimate).value == pytest.approx(0.4701, abs=5e-5)


@settings(max_examples=80, deadline=None)
@given(CATEGORY_PAIRS)
def test_kappa_matches_scikit_learn(pairs):
    reference, estimate = np.array(pairs).T
    found = linear_kappa(reference, estimate, resamples=20)
    if len(set(reference)) == 1:
        assert "same risk category" in found.note
        return
    known = cohen_kappa_score(reference, estimate, weights="linear", labels=range(5))
    assert found.value == pytest.approx(known, abs=1e-12)
    assert -1 - 1e-12 <= found.value <= 1


def test_interval_comes_near_the_asymptotic_one_in_a_large_cohort():
    rng = np.random.default_rng(4)
    reference = rng.integers(0, 5, 1500)
    estimate = np.clip(reference + rng.integers(-1, 2, 1500), 0, 4)
    found = linear_kappa(reference, estimate)
    table = np.zeros((5, 5))
    np.add.at(table, (reference, estimate), 1)
    known = cohens_kappa(table, wt="linear")
    assert found.low == pytest.approx(known.kappa_low, abs=0.004)
    assert found.high == pytest.approx(known.kappa_upp, abs=0.004)


def test_empty_categories_keep_their_distance():
    # categories 0 and 4 are as far apart as before although nobody is in 1, 2 or 3
    near = linear_kappa([0, 0, 1, 1, 4], [0, 1, 1, 0, 4]).value
    far = linear_kappa([0, 0, 1, 1, 4], [0, 4, 1, 0, 4]).value
    assert far < near


def test_kappa_in_resamples_is_kappa_of_the_resampled_scans():
    rng = np.random.default_rng(9)
    reference, estimate = rng.integers(0, 5, (2, 25))
    drawn = rng.integers(0, 25, (10, 25))
    weights = np.stack([np.bincount(d, minlength=25) for d in drawn]).astype(float)
    expected = [
        cohen_kappa_score(reference[d], estimate[d], weights="linear", labels=range(5))
        for d in drawn
    ]
    np.testing.assert_allclose(weighted_kappa(reference, estimate, weights), expected, atol=1e-12)


def test_degenerate_categories():
    assert linear_kappa([0, 2, 4], [0, 2, 4]).as_text() == "1.000 (1.000 to 1.000)"
    assert linear_kappa([0, 2, 4], [1, 1, 1]).value == 0
    assert linear_kappa([4, 2, 0], [0, 2, 4]).value < 0
    assert "same risk category" in linear_kappa([1, 1, 1], [1, 1, 1]).note
    assert "same risk category" in linear_kappa([1, 1, 1], [0, 1, 2]).note
    assert "fewer than 3" in linear_kappa([1, 2], [1, 2]).note


@pytest.mark.parametrize("bad", [[0, 1, 5], [-1, 0, 1], [0.0, 1.0, 2.0]])
def test_other_than_five_categories_are_refused(bad):
    with pytest.raises(ValueError, match="whole numbers 0 to 4"):
        linear_kappa([0, 1, 2], bad)


def test_risk_categories_begin_at_their_edges():
    assert categories_of([0, 0.99, 1, 9.9, 10, 99, 100, 399, 400, 5000]).tolist() == [
        0, 0, 1, 1, 2, 2, 3, 3, 4, 4,
    ]  # fmt: skip


def test_risk_categories_are_those_of_the_scores():
    from benchmark.calcium import risk_category

    agatston = np.array([0, 0.5, 1, 5, 10, 50, 100, 250, 400, 2000])
    np.testing.assert_array_equal(categories_of(agatston), risk_category(agatston))


def test_every_rule_says_itself_word_for_word():
    found = [linear_kappa(r, e) for r, e in (([1, 2], [1, 2]), ([3] * 4, [0, 1, 2, 3]))]
    assert [(estimate.n, estimate.note) for estimate in found] == [
        (2, "fewer than 3 scans"),
        (4, "every reference scan is in the same risk category"),
    ]
    perfect = linear_kappa([0, 1, 2, 3, 4] * 8, [0, 1, 2, 3, 4] * 8)
    assert perfect.note == "no disagreement: the interval has no width"
    assert perfect.n == 40
    with pytest.raises(ValueError, match=r"^3 reference categories but 2 estimated ones$"):
        linear_kappa([0, 1, 2], [0, 1])


def test_resamples_of_one_category_are_told_beside_other_notes():
    # one scan of two in another category: (2/3)^3 + (1/3)^3 = 1/3 of all resamples lack one
    share = r"3\d\.\d% of resamples undefined"
    assert re.fullmatch(share, linear_kappa([0, 0, 4], [0, 1, 4]).note)
    assert re.fullmatch(
        f"no disagreement: the interval has no width; {share}",
        linear_kappa([0, 0, 4], [0, 0, 4]).note,
    )


def test_interval_follows_its_seed():
    reference, estimate = np.random.default_rng(5).integers(0, 5, (2, 30))
    first, again, other = (
        linear_kappa(reference, estimate, resamples=50, seed=seed) for seed in (1, 1, 2)
    )
    assert first == again
    assert first.value == other.value
    assert (first.low, first.high) != (other.low, other.high)


def test_without_weights_there_is_one_kappa():
    assert weighted_kappa(np.array([0, 1, 4]), np.array([0, 2, 4])).shape == (1,)
    assert np.isnan(weighted_kappa(np.array([2, 2, 2]), np.array([2, 2, 2]))).tolist() == [True]
