import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import f1_score, precision_score, recall_score

from benchmark.metrics.overlap import (
    RATIOS,
    TARGETS,
    overlap_estimates,
    overlap_volumes,
    pooled_ratios,
)

LABELS = arrays(np.uint8, (2, 3, 4), elements=st.integers(0, 3))


def four(*scans):
    """The same volume for each of the four targets: (n, 4)."""
    return np.repeat(np.array(scans, dtype=float)[:, None], 4, axis=1)


def test_volumes_of_a_small_scan():
    reference = np.array([[[1, 1, 2, 0, 3]]])
    predicted = np.array([[[1, 2, 2, 3, 0]]])
    tp, fp, fn = overlap_volumes(reference, predicted, voxel_volume=0.5)
    assert tp.tolist() == [0.5, 0.5, 0, 1.5]  # whole: LAD called LCX is still coronary
    assert fp.tolist() == [0, 0.5, 0.5, 0.5]
    assert fn.tolist() == [0.5, 0, 0.5, 0.5]


@settings(max_examples=25, deadline=None)
@given(reference=LABELS, predicted=LABELS)
def test_volumes_add_up_and_match_scikit_learn(reference, predicted):
    tp, fp, fn = overlap_volumes(reference, predicted, 2.0)
    found = pooled_ratios(tp[None], fp[None], fn[None])
    for j, label in enumerate((1, 2, 3, None)):
        truth = reference.ravel() == label if label else reference.ravel() > 0
        guess = predicted.ravel() == label if label else predicted.ravel() > 0
        assert tp[j] + fn[j] == 2 * truth.sum()
        assert tp[j] + fp[j] == 2 * guess.sum()
        for name, known in (
            ("sensitivity", recall_score),
            ("PPV", precision_score),
            ("F1", f1_score),
        ):
            expected = known(truth, guess, zero_division=np.nan)
            np.testing.assert_allclose(found[name][0, j], expected, atol=1e-12)


@pytest.mark.parametrize(
    ("reference", "predicted", "voxel_volume", "message"),
    [
        (np.zeros((2, 2, 2)), np.zeros((2, 2, 3)), 1.0, "grids differ"),
        (np.zeros((2, 2, 2)), np.full((2, 2, 2), 4), 1.0, "predicted labels"),
        (np.full((2, 2, 2), 1.5), np.zeros((2, 2, 2)), 1.0, "reference labels"),
        (np.zeros((2, 2, 2)), np.zeros((2, 2, 2)), 0.0, "above 0"),
    ],
)
def test_bad_labels_are_refused(reference, predicted, voxel_volume, message):
    with pytest.raises(ValueError, match=message):
        overlap_volumes(reference, predicted, voxel_volume)


@pytest.mark.parametrize(
    ("tp", "fp", "fn", "expected"),
    [
        (0, 0, 0, {"sensitivity": None, "PPV": None, "F1": None}),
        (0, 3, 0, {"sensitivity": None, "PPV": 0, "F1": 0}),
        (0, 0, 3, {"sensitivity": 0, "PPV": None, "F1": 0}),
        (0, 2, 3, {"sensitivity": 0, "PPV": 0, "F1": 0}),
        (4, 0, 0, {"sensitivity": 1, "PPV": 1, "F1": 1}),
        (4, 1, 4, {"sensitivity": 0.5, "PPV": 0.8, "F1": 8 / 13}),
    ],
)
def test_degenerate_table(tp, fp, fn, expected):
    found = overlap_estimates(four(tp, 0), four(0, fp), four(fn, 0))
    for ratio, value in expected.items():
        estimate = found[ratio, "LCX"]
        assert estimate.n == 2
        if value is None:
            assert not estimate.is_defined
            assert "no reference calcium" in estimate.note or "nothing predicted" in estimate.note
        else:
            assert estimate.value == pytest.approx(value)


def test_volumes_are_pooled_over_scans_not_averaged():
    found = overlap_estimates(four(90, 0), four(0, 0), four(0, 10))
    assert found["sensitivity", "whole"].value == pytest.approx(0.9)


def test_interval_is_that_of_resampled_scans():
    rng = np.random.default_rng(1)
    tp, fp, fn = rng.exponential(size=(3, 30, 4))
    found = overlap_estimates(tp, fp, fn, resamples=4000)["F1", "RCA"]
    drawn = rng.integers(0, 30, (4000, 30))
    t, p, n = (a[:, 2][drawn].sum(axis=1) for a in (tp, fp, fn))
    expected = np.quantile(2 * t / (2 * t + p + n), [0.025, 0.975])
    np.testing.assert_allclose([found.low, found.high], expected, atol=0.01)


def test_resamples_without_reference_are_left_out_and_counted():
    hits, misses = four(5, 4, 3, 0, 0, 0), four(1, 2, 3, 0, 0, 0)
    found = overlap_estimates(hits, misses, misses)["sensitivity", "LAD"]
    assert found.value == pytest.approx(12 / 18)
    # (1/2)^6 of resamples miss all three scans with calcium
    assert float(found.note.split("%")[0]) == pytest.approx(100 / 64, abs=1)


def test_a_ratio_that_rests_on_fewer_than_three_patients_has_no_interval():
    found = overlap_estimates(four(5, 0, 0), four(1, 0, 0), four(1, 0, 0))["sensitivity", "LAD"]
    assert found.value == pytest.approx(5 / 6)
    assert np.isnan(found.low)
    assert np.isnan(found.high)
    assert found.note == "rests on 1 patient: no interval"


def test_no_scans_give_undefined_figures():
    empty = np.zeros((0, 4))
    assert overlap_estimates(empty, empty, empty)["F1", "LAD"].note == "no scans"


def test_missing_or_negative_volumes_are_refused():
    with pytest.raises(ValueError, match="fill_missing_overlap"):
        overlap_estimates(four(1, np.nan), four(1, 1), four(1, 1))
    with pytest.raises(ValueError, match="negative"):
        overlap_estimates(four(1, -1), four(1, 1), four(1, 1))
    with pytest.raises(ValueError, match="shape"):
        overlap_estimates(np.ones((3, 3)), np.ones((3, 3)), np.ones((3, 3)))


VOLUMES = arrays(float, (3, 6, 4), elements=st.floats(0, 1000).map(lambda v: round(v, 3)))


@settings(max_examples=60, deadline=None)
@given(volumes=VOLUMES, order=st.permutations(range(6)))
def test_bounds_and_order_of_scans(volumes, order):
    found = overlap_estimates(*volumes, resamples=50)
    again = overlap_estimates(*volumes[:, order], resamples=50)
    assert set(found) == {(r, t) for r in RATIOS for t in TARGETS}
    for key, estimate in found.items():
        if estimate.is_defined:
            assert 0 <= estimate.value <= 1
            assert again[key].value == pytest.approx(estimate.value)
            if not np.isnan(estimate.low):
                assert 0 <= estimate.low <= estimate.high <= 1
        else:
            assert not again[key].is_defined


def test_f1_interval_holds_the_truth_most_times():
    rng = np.random.default_rng(6)
    found_share = 0
    for _ in range(200):
        volume = np.exp(rng.normal(3, 0.8, 60)) * (rng.random(60) > 0.3)
        share = rng.beta(16, 4, 60)  # mean 0.8: pooled sensitivity 0.8, and no false positives
        low_high = overlap_estimates(
            four(*(volume * share)), four(*(volume * 0)), four(*(volume * (1 - share))), 400
        )["F1", "LAD"]
        found_share += low_high.low <= 2 * 0.8 / 1.8 <= low_high.high
    assert 0.87 <= found_share / 200 <= 0.99


def test_a_cohort_without_scans_has_no_overlap():
    found = overlap_estimates(*np.zeros((3, 0, 4)))
    assert set(found) == {(r, t) for r in RATIOS for t in TARGETS}
    assert {(e.n, e.note) for e in found.values()} == {(0, "no scans")}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (([1], [1, 1], 1.0), "label grids differ: (1,) and (2,)"),
        (([1], [1], 0.0), "voxel volume must be above 0 mm3, got 0.0"),
        (([1], [1], np.inf), "voxel volume must be above 0 mm3, got inf"),
        (([4], [1], 1.0), "reference labels must be 0, 1, 2 or 3"),
        (([1], [-1], 1.0), "predicted labels must be 0, 1, 2 or 3"),
    ],
)
def test_labels_that_cannot_be_compared(arguments, words):
    with pytest.raises(ValueError, match=f"^{re.escape(words)}$"):
        overlap_volumes(*arguments)


def test_volumes_that_cannot_be_pooled():
    good = np.ones((2, 4))
    cases = [
        ((good, good, good[:1]),
         "tp, fp and fn must each have shape (n_scans, 4), got [(1, 4), (2, 4)]"),
        ((good[0],) * 3, "tp, fp and fn must each have shape (n_scans, 4), got [(4,)]"),
        ((good[:, :3],) * 3, "tp, fp and fn must each have shape (n_scans, 4), got [(2, 3)]"),
        ((good, good, good * np.inf),
         "NaN or infinite volumes: give them to fill_missing_overlap first"),
        ((good, -good, good), "volumes must not be negative"),
    ]  # fmt: skip
    for volumes, words in cases:
        with pytest.raises(ValueError, match=f"^{re.escape(words)}$"):
            overlap_estimates(*volumes)


def test_each_undefined_ratio_says_why():
    # no reference and nothing predicted of the LAD; a false positive of the LCX; a miss of the RCA
    found = overlap_estimates(
        np.zeros((3, 4)), [[0, 1.0, 0, 1]] * 3, [[0, 0, 1.0, 1]] * 3, resamples=20
    )
    notes = {key: e.note for key, e in found.items() if not e.is_defined}
    assert notes == {
        ("sensitivity", "LAD"): "no reference calcium",
        ("PPV", "LAD"): "nothing predicted",
        ("F1", "LAD"): "no reference calcium and nothing predicted",
        ("sensitivity", "LCX"): "no reference calcium",
        ("PPV", "RCA"): "nothing predicted",
    }
    assert {e.n for e in found.values()} == {3}
    assert found["F1", "LCX"].value == found["F1", "RCA"].value == found["F1", "whole"].value == 0
