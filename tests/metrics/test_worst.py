import itertools
import tracemalloc

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from benchmark.metrics.columns import weighted_icc, weighted_mae, weighted_pearson
from benchmark.metrics.kappa import categories_of, weighted_kappa
from benchmark.metrics.overlap import pooled_ratios
from benchmark.metrics.worst import (
    farthest_category,
    fill_missing,
    fill_missing_categories,
    fill_missing_overlap,
    worst_overlap,
    worst_scores,
)

FIGURES = {"ICC": weighted_icc, "PCC": weighted_pearson, "MAE": weighted_mae}
SCORE = st.floats(0, 3000).map(lambda v: round(v, 1))
MASK = st.lists(st.booleans(), min_size=8, max_size=8).filter(any)


def figure_of(name, reference, estimate):
    """One figure of one column, as a loss: less is better."""
    value = FIGURES[name](reference[:, None], estimate[:, None])[0, 0]
    return value if name == "MAE" else -value


def test_worst_score_is_the_further_end_of_the_plausible_range():
    reference = np.array([[0.0, 5], [40, 0], [60, 20], [100, 10]])
    expected = [[100, 20], [100, 20], [0, 0], [0, 20]]
    assert worst_scores(reference).tolist() == expected
    cube = np.zeros((2, 3, 4))
    cube[1] = 7
    assert worst_scores(cube)[:, 0, 0].tolist() == [7, 0]
    assert worst_scores(np.array([0.0, 5]), maximum=20).tolist() == [20, 20]


@pytest.mark.parametrize("bad", [[1.0, np.nan], [-1.0, 2.0], []])
def test_bad_references_are_refused(bad):
    with pytest.raises(ValueError, match="reference scores"):
        worst_scores(np.array(bad))


def test_maximum_below_a_reference_is_refused():
    with pytest.raises(ValueError, match="plausible maximum"):
        worst_scores(np.array([1.0, 9.0]), maximum=5)


def test_missing_scores_are_replaced_and_counted():
    reference = np.array([[0.0, 5], [40, 0], [100, 10]])
    estimate = np.array([[1.0, np.nan], [np.inf, -np.inf], [90, 9]])
    filled = fill_missing(reference, estimate)
    assert filled.values.tolist() == [[1, 10], [100, 10], [90, 9]]
    assert filled.missing.tolist() == [[False, True], [True, True], [False, False]]
    assert filled.scans == 2
    assert filled.note == "2 missing, given the worst value"
    assert fill_missing(reference, reference).note == ""
    assert np.isnan(estimate[0, 1])  # the caller's array is left alone


@pytest.mark.parametrize("metric", FIGURES)
def test_no_estimate_at_all_is_worse_than_no_skill(metric):
    reference = np.array([0.0, 3, 50, 400])
    filled = fill_missing(reference, None, metric)
    assert filled.scans == 4
    no_skill = np.full(4, reference.mean())
    assert figure_of(metric, reference, filled.values) > figure_of(metric, reference, no_skill)


def test_unknown_metric_and_shape_are_refused():
    with pytest.raises(ValueError, match="metric must be one of"):
        fill_missing(np.ones(3), np.ones(3), "F1")
    with pytest.raises(ValueError, match="do not match"):
        fill_missing(np.ones(3), np.ones(4))


@pytest.mark.parametrize("metric", FIGURES)
@settings(max_examples=120, deadline=None)
@given(reference=arrays(float, 8, elements=SCORE), estimate=arrays(float, 8, elements=SCORE),
       missing=MASK)  # fmt: skip
def test_a_miss_never_helps(metric, reference, estimate, missing):
    estimate = np.minimum(estimate, reference.max())  # a plausible one
    assume(np.ptp(reference) > 0)
    before = figure_of(metric, reference, estimate)
    assume(metric == "MAE" or before <= 0)  # a negative ICC or PCC: outside the guarantee
    filled = fill_missing(reference, np.where(missing, np.nan, estimate), metric)
    assert figure_of(metric, reference, filled.values) >= before - 1e-9
    assert (filled.values[~filled.missing] == estimate[~filled.missing]).all()


@pytest.mark.parametrize("metric", FIGURES)
@settings(max_examples=60, deadline=None)
@given(reference=arrays(float, 8, elements=SCORE), scan=st.integers(0, 7))
def test_a_perfect_method_loses_by_a_miss(metric, reference, scan):
    assume(np.ptp(reference) > 1)
    estimate = reference.copy()
    estimate[scan] = np.nan
    filled = fill_missing(reference, estimate, metric)
    assert figure_of(metric, reference, filled.values) > figure_of(metric, reference, reference)


@pytest.mark.parametrize("metric", ["ICC", "PCC"])
@settings(max_examples=60, deadline=None)
@given(reference=arrays(float, 7, elements=SCORE), estimate=arrays(float, 7, elements=SCORE),
       count=st.integers(1, 5))  # fmt: skip
def test_no_other_choice_of_ends_is_worse(metric, reference, estimate, count):
    assume(np.ptp(reference) > 0)
    gaps = np.where(np.arange(7) < count, np.nan, estimate)
    found = figure_of(metric, reference, fill_missing(reference, gaps, metric).values)
    for ends in itertools.product([0.0, reference.max()], repeat=count):
        trial = estimate.copy()
        trial[:count] = ends
        assert found >= figure_of(metric, reference, trial) - 1e-9


def test_the_further_end_alone_would_let_a_miss_help():
    reference = np.array([0.0] * 8 + [500, 3000])
    zeros = np.zeros(10)
    gap = np.where(reference == 500, np.nan, zeros)
    further = fill_missing(reference, gap, "MAE").values
    lowest = fill_missing(reference, gap, "ICC").values
    assert figure_of("ICC", reference, further) < figure_of("ICC", reference, zeros) == 0
    assert figure_of("ICC", reference, lowest) >= 0


def test_farthest_category():
    assert farthest_category([0, 1, 2, 3, 4]).tolist() == [4, 4, 0, 0, 0]


def test_missing_categories_of_a_good_method_become_the_farthest():
    reference = np.repeat(np.arange(5), 8)
    missing = np.arange(40) % 8 == 0
    filled = fill_missing_categories(reference, reference, missing)
    assert (filled[~missing] == reference[~missing]).all()
    distance = np.abs(filled - reference)[missing]
    assert distance.tolist() == [4, 3, 2, 3, 4]


def test_the_worst_score_alone_is_not_the_worst_category():
    # far from Agatston 200 lies 3000, one category off; a miss must cost three
    agatston = np.array([0.0, 5, 50, 200, 3000])
    category = categories_of(agatston)
    by_score = categories_of(worst_scores(agatston))
    by_rule = fill_missing_categories(category, category, agatston == 200)
    assert abs(by_score[3] - category[3]) == 1
    assert abs(by_rule[3] - category[3]) == 3


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=4, max_size=12),
       st.integers(1, 3))  # fmt: skip
def test_no_choice_of_categories_is_worse(pairs, count):
    reference, estimate = np.array(pairs).T
    assume(len(set(reference)) > 1)
    missing = np.arange(len(reference)) < count
    found = weighted_kappa(reference, fill_missing_categories(reference, estimate, missing))[0]
    for guess in itertools.product(range(5), repeat=count):
        trial = estimate.copy()
        trial[:count] = guess
        assert found <= weighted_kappa(reference, trial)[0] + 1e-12


def test_no_choice_for_a_scan_in_three_is_worse_even_where_the_method_is_bad():
    rng = np.random.default_rng(5)
    for _ in range(60):
        reference, estimate = rng.integers(0, 5, (2, 9))
        if (reference == reference[0]).all():
            continue
        missing = rng.permutation(9) < 4
        filled = fill_missing_categories(reference, estimate, missing)
        assert (filled[~missing] == estimate[~missing]).all()
        trials = np.tile(estimate, (5**4, 1))
        trials[:, missing] = list(itertools.product(range(5), repeat=4))
        lowest = min(weighted_kappa(reference, trial)[0] for trial in trials)
        assert weighted_kappa(reference, filled)[0] == pytest.approx(lowest, abs=1e-12)


@pytest.mark.parametrize("category", range(5))
def test_one_reference_category_takes_the_farthest_and_stays_undefined(category):
    reference = np.full(6, category)
    estimate = np.array([0, 1, 2, 3, 4, category])
    missing = np.array([True, False, True, False, False, False])
    filled = fill_missing_categories(reference, estimate, missing)
    assert (filled[missing] == farthest_category(reference)[missing]).all()
    assert (filled[~missing] == estimate[~missing]).all()
    assert np.isnan(weighted_kappa(reference, filled)[0])


def test_nothing_missing_changes_nothing():
    estimate = np.array([0, 4, 2, 2])
    filled = fill_missing_categories([0, 1, 2, 3], estimate, np.zeros(4, bool))
    assert filled.tolist() == estimate.tolist()
    filled[0] = 3
    assert estimate[0] == 0  # the caller's array is left alone


REFERENCE_VOLUME = np.array([[10.0, 0, 5, 15], [0, 0, 0, 0]])


def test_worst_overlap_misses_all_and_calls_the_rest_coronary():
    tp, fp, fn = worst_overlap(REFERENCE_VOLUME, [40.0, 7.0])
    assert tp.tolist() == [[0] * 4, [0] * 4]
    assert fp.tolist() == [[30, 40, 35, 25], [7, 7, 7, 7]]
    assert fn.tolist() == REFERENCE_VOLUME.tolist()


def test_reference_beyond_the_candidates_is_refused():
    with pytest.raises(ValueError, match="scan 0: more reference than candidate"):
        worst_overlap(REFERENCE_VOLUME, [14.0, 7.0])


def test_missing_overlap_is_replaced_and_counted():
    given_tp = np.array([[9.0, 0, 5, 14], [np.nan] * 4])
    rest = np.zeros((2, 4))
    tp, fp, _, scans = fill_missing_overlap(given_tp, rest, rest, REFERENCE_VOLUME, [40.0, 7.0])
    assert scans == 1
    assert tp.tolist() == [[9, 0, 5, 14], [0] * 4]
    assert fp[1].tolist() == [7] * 4
    with pytest.raises(ValueError, match="1 scans have no overlap"):
        fill_missing_overlap(given_tp, rest, rest)


VOLUME = st.floats(0, 500).map(lambda v: round(v, 2))


@settings(max_examples=100, deadline=None)
@given(
    parts=arrays(float, (4, 3, 5), elements=VOLUME),  # tp, fn, fp, spared of three arteries
    missing=st.lists(st.booleans(), min_size=5, max_size=5).filter(any),
)
def test_a_miss_never_helps_overlap(parts, missing):
    tp, fn, fp, spared = (np.append(p, p.sum(axis=0)[None], axis=0).T for p in parts)  # (5, 4)
    candidates = (tp + fn + fp + spared)[:, 3]
    before = pooled_ratios(tp, fp, fn)
    gaps = np.where(np.array(missing)[:, None], np.nan, tp)
    *filled, scans = fill_missing_overlap(gaps, fp, fn, tp + fn, candidates)
    after = pooled_ratios(*filled)
    assert scans == sum(missing)
    for ratio, was in before.items():
        for was_one, is_one in zip(was[0], after[ratio][0], strict=True):
            # undefined may become 0 or stay undefined, and nothing may rise
            assert np.isnan(is_one) or is_one <= (0 if np.isnan(was_one) else was_one + 1e-12)


def test_a_maximum_of_its_own_for_each_column():
    # the largest reference itself will do; the middle of the range is as far from either end
    reference = np.array([[0.0, 1.0], [4.0, 5.0], [2.0, 5.0]])
    assert worst_scores(reference, [4.0, 10.0]).tolist() == [[4, 10], [0, 10], [4, 10]]
    filled = fill_missing(reference, np.full((3, 2), np.nan), "MAE", [4.0, 10.0])
    assert filled.values.tolist() == [[4, 10], [0, 10], [4, 10]]


@pytest.mark.parametrize("metric", ["ICC", "PCC"])
def test_each_column_of_a_cube_is_filled_by_its_own_maximum(metric):
    rng = np.random.default_rng(3)
    reference = rng.exponential(10, (6, 3, 4)).round(1)
    estimate = np.where(rng.random((6, 3, 4)) < 0.3, np.nan, reference)
    top = reference.max(axis=0) * np.arange(1, 13).reshape(3, 4)
    filled = fill_missing(reference, estimate, metric, top)
    assert filled.values.shape == (6, 3, 4)
    for row, column in np.ndindex(3, 4):
        own = (slice(None), row, column)
        alone = fill_missing(reference[own], estimate[own], metric, top[row, column])
        np.testing.assert_array_equal(filled.values[own], alone.values)
        if np.isnan(estimate[own]).any():
            ends = filled.values[own][np.isnan(estimate[own])]
            assert set(ends) <= {0.0, top[row, column]}


def test_a_reference_a_rounding_above_its_candidates_is_taken():
    # sums of the same voxels in another order
    tp, fp, fn = worst_overlap(np.full((1, 4), 1000.0001), [1000.0])
    assert (tp == 0).all()
    assert (fp == 0).all()
    assert (fn == 1000.0001).all()
    worst_overlap(np.full((1, 4), 1e-10), [0.0])
    fn[:] = 7


def test_whole_volumes_take_a_worst_value_that_is_not_whole():
    tp = np.array([[3.0] * 4, [np.nan] * 4])
    whole = np.array([[1, 1, 1, 1], [0, 0, 0, 0]])
    reference = np.array([[4.0] * 4, [2.5] * 4])
    _, fp, fn, _ = fill_missing_overlap(tp, whole, whole, reference, [9.0, 9.75])
    assert fp.tolist() == [[1] * 4, [7.25] * 4]
    assert fn.tolist() == [[1] * 4, [2.5] * 4]
    assert whole[1, 0] == 0  # the caller's array is left alone


@pytest.mark.parametrize("metric", ["ICC", "PCC"])
def test_thousands_of_missing_scans_take_memory_in_proportion(metric):
    def peak(n):
        reference = np.random.default_rng(0).lognormal(3, 2, (n, 2))
        tracemalloc.start()
        try:
            fill_missing(reference, None, metric)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    # a table of all scans in all trials would grow 64 times
    assert peak(8000) < 12 * peak(1000)
