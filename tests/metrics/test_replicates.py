"""All figures of a method in the cohort and in resamples: seeds, notes, shapes and gaps."""

import re

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from benchmark.metrics.bootstrap import resample_weights
from benchmark.metrics.columns import weighted_icc, weighted_mae, weighted_pearson
from benchmark.metrics.kappa import categories_of
from benchmark.metrics.overlap import RATIOS, TARGETS
from benchmark.metrics.replicates import Replicates, replicate
from benchmark.metrics.summary import as_estimate, seed_spread, summarise
from benchmark.metrics.worst import fill_missing

MISSING = "{} missing, given the worst value"


@pytest.fixture
def small():
    """Reference and estimate (8, 3, 4), overlap of (8, 4) mm3; every category of risk."""
    rng = np.random.default_rng(2)
    reference = np.array([0, 5, 50, 200, 900, 3, 70, 450])[:, None, None] * np.ones((8, 3, 4))
    reference += rng.uniform(0, 0.5, reference.shape)
    estimate = reference * rng.uniform(0.5, 1.6, reference.shape)
    tp = reference[:, 1] * 0.8
    return reference, estimate, (tp, tp * 0.1, tp * 0.25)


def test_every_figure_has_its_scans_and_its_draws(small):
    reference, estimate, overlap = small
    found = replicate(reference, estimate, overlap, resamples=30, seed=9)
    assert len(found) == 12 + 1 + 36 + 3
    for figure in found.values():
        assert figure.by_seed.shape == (1,)
        assert figure.resampled.shape == (30,)
        assert (figure.n, figure.drawn, figure.note) == (8, (30, 9), "")


def test_resampled_kappa_and_overlap_are_those_of_the_drawn_scans(small):
    reference, estimate, (tp, fp, fn) = small
    weights = resample_weights(8, 30, 9).astype(int)
    found = replicate(reference, estimate, small[2], resamples=30, seed=9)
    truth, guess = (categories_of(scores[:, 0, 3]) for scores in (reference, estimate))
    for b in range(30):
        drawn = np.repeat(np.arange(8), weights[b])
        if len(set(truth[drawn])) > 1:
            known = cohen_kappa_score(truth[drawn], guess[drawn], weights="linear", labels=range(5))
            assert found["kappa", "whole"].resampled[b] == pytest.approx(known)
        hit, extra, lost = (part[drawn].sum(axis=0) for part in (tp, fp, fn))
        for j, target in enumerate(TARGETS):
            f1 = 2 * hit[j] / (2 * hit[j] + extra[j] + lost[j])
            assert found["F1", target].resampled[b] == pytest.approx(f1)


def test_figures_of_seeds_are_their_means_in_every_resample(small):
    reference, estimate, overlap = small
    seeds = np.stack([estimate, estimate[::-1], reference])
    volumes = tuple(np.stack([part, part[::-1], part * 0.5]) for part in overlap)
    together = replicate(reference, seeds, volumes, resamples=40)
    single = [
        replicate(reference, s, tuple(v[i] for v in volumes), resamples=40)
        for i, s in enumerate(seeds)
    ]
    for key, figure in together.items():
        assert figure.by_seed.tolist() == [pytest.approx(one[key].value) for one in single]
        mean = np.mean([one[key].resampled for one in single], axis=0)
        if key[1] != "mean":  # of those, each resample's mean is over what is defined there
            np.testing.assert_allclose(figure.resampled, mean, rtol=1e-9, equal_nan=True)


def test_mean_of_a_resample_is_over_the_scores_that_are_defined_there(small):
    reference, estimate, _ = small
    reference[:, :, 1] = 0
    reference[0, 0, 1] = 4.0  # constant wherever the first scan was not drawn
    found = replicate(reference, estimate, resamples=50)
    for name in ("ICC", "PCC"):
        columns = [found[f"{name}_{s}", t].resampled for s in ("AS", "VS", "MS") for t in TARGETS]
        np.testing.assert_allclose(found[name, "mean"].resampled, np.nanmean(columns, axis=0))
        assert found[name, "mean"].note == "mean of 10 of 12 scores"
        values = [found[f"{name}_{s}", t].value for s in ("AS", "VS", "MS") for t in TARGETS]
        assert found[name, "mean"].value == pytest.approx(np.nanmean(values))
    assert ("MAE", "mean") not in found


def test_a_gap_is_told_where_it_is_and_in_the_means(small):
    reference, estimate, _ = small
    seeds = np.stack([estimate, estimate])
    seeds[0, 2, 1, 0] = np.nan  # the LAD's volume, in another scan of each seed
    seeds[1, 5, 1, 0] = np.inf
    found = replicate(reference, seeds, resamples=20)
    noted = {key: figure.note for key, figure in found.items() if figure.note}
    assert noted == {
        (name, target): MISSING.format(2)
        for name, target in [
            ("ICC_VS", "LAD"), ("PCC_VS", "LAD"), ("MAE_VS", "LAD"), ("ICC", "mean"),
            ("PCC", "mean"),
        ]
    }  # fmt: skip
    seeds[0, 2, 0, 3] = np.nan
    assert replicate(reference, seeds, resamples=20)["kappa", "whole"].note == MISSING.format(1)


def test_why_a_figure_is_undefined_word_for_word(small):
    reference, estimate, overlap = small
    flat = np.full_like(reference, 3.0)
    found = replicate(flat, estimate, resamples=20)
    assert found["ICC_AS", "LAD"].note == found["PCC_MS", "RCA"].note
    assert found["ICC_AS", "LAD"].note == "every reference value is the same"
    assert found["kappa", "whole"].note == "every reference scan is in the same risk category"
    assert found["ICC", "mean"].note == "mean of 0 of 12 scores"
    assert np.isnan(found["ICC", "mean"].value)
    two = replicate(reference[:2], estimate[:2], tuple(v[:2] for v in overlap), resamples=20)
    for key in (("ICC_AS", "LAD"), ("PCC_MS", "RCA"), ("kappa", "whole")):
        assert two[key].note == "fewer than 3 scans"
    assert two["F1", "LAD"].note == ""
    zero = np.zeros_like(reference)
    seeds = estimate.copy()
    seeds[0] = np.nan
    lost = replicate(zero, seeds, resamples=20)["MAE_AS", "LAD"]
    assert lost.note == "scores missing, and no reference above 0 to take the worst value from"
    assert np.isnan(lost.value)
    assert np.isnan(lost.resampled).all()
    assert replicate(zero, estimate, resamples=20)["MAE_AS", "LAD"].note == ""


def test_overlap_notes_tell_the_seed_with_most_missing(small):
    _, _, overlap = small
    reference, whole = small[0], overlap[0] + overlap[2]
    volumes = [np.stack([part, part, part]) for part in overlap]
    volumes[0][1, [0, 3]] = np.nan
    volumes[0][2, 4] = np.nan
    found = replicate(
        reference,
        overlap=tuple(volumes),
        reference_volume=whole,
        candidate_volume=whole[:, 3] + 50,
        resamples=20,
    )
    keys = {(ratio, target) for ratio in RATIOS for target in TARGETS}
    assert set(found) == keys | {("F1", "mean")}
    assert {figure.note for figure in found.values()} == {MISSING.format(2)}
    one = found["F1", "LAD"].by_seed
    assert one[0] > one[1] > one[2]  # the fifth scan has most of the calcium
    nothing = tuple(np.zeros_like(part) for part in overlap)
    notes = {k[0]: f.note for k, f in replicate(reference, overlap=nothing, resamples=5).items()}
    assert notes == {
        "sensitivity": "no reference calcium",
        "PPV": "nothing predicted",
        "F1": "no reference calcium and nothing predicted",
    }


def test_shapes_that_are_refused_word_for_word(small):
    reference, estimate, overlap = small
    for bad in (reference[0], reference[:, :2], reference[..., :3], reference[:0]):
        words = f"reference scores must have shape (n_scans, 3, 4), got {bad.shape}"
        with pytest.raises(ValueError, match=f"^{re.escape(words)}$"):
            replicate(bad, estimate)
    for bad in (estimate[:5], estimate[None, None], estimate[0]):
        words = f"estimated scores {bad.shape} do not match reference scores (8, 3, 4)"
        with pytest.raises(ValueError, match=f"^{re.escape(words)}$"):
            replicate(reference, bad)
    words = re.escape("overlap must be tp, fp, fn of shape (8, 4) or (seeds, 8, 4)")
    tp = overlap[0]
    for bad in ((tp, tp), (tp, tp, tp[:5]), (tp[None, None],) * 3, (tp[:, :3],) * 3):
        with pytest.raises(ValueError, match=f"^{words}$"):
            replicate(reference, overlap=bad)


def test_unlike_numbers_of_seeds_are_refused_word_for_word(small):
    reference, estimate, overlap = small
    two, three = (tuple(np.stack([part] * s) for part in overlap) for s in (2, 3))
    for place in range(3):
        mixed = tuple(three[i] if i == place else two[i] for i in range(3))
        seeds = ", ".join("3" if i == place else "2" for i in range(3))
        words = f"tp, fp and fn must have the same number of seeds, got {seeds}"
        with pytest.raises(ValueError, match=f"^{re.escape(words)}$"):
            replicate(reference, overlap=mixed)
    words = "tp, fp and fn must have the same number of seeds, got 1, 2, 2"
    with pytest.raises(ValueError, match=f"^{words}$"):
        replicate(reference, overlap=(overlap[0], *two[1:]))
    words = "scores of 1 seeds and overlap of 2: figures of unlike seeds would stand in one row"
    with pytest.raises(ValueError, match=f"^{words}$"):
        replicate(reference, estimate, two)
    # one seed with an axis of its own is one seed
    one = tuple(part[None] for part in overlap)
    found = replicate(reference, estimate, (overlap[0], *one[1:]), resamples=5)
    assert found["F1", "LAD"].by_seed.shape == (1,)


def test_estimates_of_figures_word_for_word():
    same = Replicates(np.array([0.5]), np.full(40, 0.5), 9, (40, 1), "1 missing")
    found = as_estimate(same)
    assert (found.value, found.low, found.high, found.n) == (0.5, 0.5, 0.5, 9)
    assert found.note == "1 missing; all resamples agree: the interval has no width"
    spread = np.linspace(0, 1, 41)
    spread[:4] = np.nan
    found = as_estimate(Replicates(np.array([0.5]), spread, 9, (41, 1), "1 missing"))
    assert found.note == "1 missing; 9.8% of resamples undefined"
    lost = Replicates(np.array([0.5, np.nan]), spread, 9, (41, 1), "nothing predicted")
    assert as_estimate(lost).as_text() == "undefined: nothing predicted"
    assert as_estimate(lost).n == 9
    assert as_estimate(Replicates(np.array([np.nan]), spread, 9, (41, 1))).note == "undefined"


def test_a_summary_has_the_count_and_the_draws_it_was_asked_for(small):
    reference, estimate, overlap = small
    found = summarise(reference, estimate, overlap, resamples=30, seed=9)
    known = replicate(reference, estimate, overlap, resamples=30, seed=9)
    for key, figure in known.items():
        assert found[key] == as_estimate(figure)
    absent = summarise(reference, resamples=5)
    assert {e.n for e in absent.values()} == {8}
    assert {e.note for e in absent.values()} == {
        "the method gives no labels", "the method gives no scores",
    }  # fmt: skip


def test_both_notes_of_resamples_stand_side_by_side():
    drawn = np.full(40, 0.5)
    drawn[:10] = np.nan
    assert as_estimate(Replicates(np.array([0.5]), drawn, 9, (40, 1))).note == (
        "25.0% of resamples undefined; all resamples agree: the interval has no width"
    )


def test_spread_over_two_seeds_and_of_one():
    two = Replicates(np.array([0.5, 0.7]), np.full(4, 0.6), 9, (4, 1))
    one, lost = (
        Replicates(np.array(values), np.full(4, 0.6), 9, (4, 1))
        for values in ([0.5], [0.5, np.nan])
    )
    found = seed_spread({("F1", "LAD"): two, ("F1", "LCX"): one, ("F1", "RCA"): lost})
    assert found["F1", "LAD"] == pytest.approx(0.2 / np.sqrt(2))
    assert np.isnan([found["F1", "LCX"], found["F1", "RCA"]]).all()


def test_a_missing_score_takes_the_worst_value_of_each_figure(small):
    reference, estimate, _ = small
    estimate[7, 0, 1] = np.nan  # in the middle: what is worst depends on the figure
    found = replicate(reference, estimate, resamples=5)
    truth, own = reference[:, 0, 1:2], estimate[:, 0, 1:2]
    for figure, weighted in (
        ("ICC", weighted_icc),
        ("PCC", weighted_pearson),
        ("MAE", weighted_mae),
    ):
        filled = fill_missing(truth, own, figure).values
        assert found[f"{figure}_AS", "LCX"].value == pytest.approx(weighted(truth, filled)[0, 0])
    assert not np.array_equal(
        fill_missing(truth, own, "PCC").values, fill_missing(truth, own, "MAE").values
    ), "a test that cannot tell them apart"


def test_the_mean_over_arteries_is_that_of_three_pooled_f1(small):
    reference, _, overlap = small
    found = replicate(reference, overlap=overlap, resamples=300)
    mean, arteries = found["F1", "mean"], [found["F1", t] for t in ("LAD", "LCX", "RCA")]
    assert mean.value == pytest.approx(np.mean([one.value for one in arteries]))
    # seed by seed and resample by resample, so that differences in it are paired as all others
    drawn = np.mean([one.resampled for one in arteries], axis=0)
    np.testing.assert_allclose(mean.resampled, drawn)
    assert mean.interval()[:2] == pytest.approx(tuple(np.quantile(drawn, [0.025, 0.975])))


def test_an_artery_taken_for_another_costs_the_mean_and_not_the_whole(small):
    reference, _, (tp, fp, fn) = small
    right = replicate(reference, overlap=(tp, fp, fn), resamples=5)
    # all that was found of the LCX is called RCA: for the whole heart nothing changed
    tp, fp, fn = tp.copy(), fp.copy(), fn.copy()
    fn[:, 1] += tp[:, 1]
    fp[:, 2] += tp[:, 1]
    tp[:, 1] = 0
    wrong = replicate(reference, overlap=(tp, fp, fn), resamples=5)
    assert wrong["F1", "whole"].value == right["F1", "whole"].value
    assert wrong["F1", "mean"].value < right["F1", "mean"].value - 0.2


def test_an_artery_without_any_calcium_leaves_no_mean_over_arteries(small):
    reference, _, overlap = small
    overlap = tuple(part.copy() for part in overlap)
    for part in overlap:
        part[:, 1] = 0
    found = replicate(reference, overlap=overlap, resamples=20)
    assert np.isfinite(found["F1", "LAD"].value)
    assert np.isnan(found["F1", "mean"].value)
    assert found["F1", "mean"].note == (
        "F1 of LCX is undefined: no reference calcium and nothing predicted"
    )


def test_the_mean_over_arteries_rests_on_the_rarest(small):
    reference, _, overlap = small
    overlap = tuple(part.copy() for part in overlap)
    for part in overlap:
        part[2:, 1] = 0  # the LCX is in two patients
    found = replicate(reference, overlap=overlap, resamples=20)
    assert np.isfinite(found["F1", "mean"].value)
    assert found["F1", "mean"].few == found["F1", "LCX"].few == "rests on 2 patients: no interval"
    assert found["F1", "LAD"].few == ""
