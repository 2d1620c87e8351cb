import csv
from pathlib import Path

import numpy as np
import pytest

from benchmark.metrics.agreement import icc, pearson
from benchmark.metrics.bootstrap import SEED, resample_weights
from benchmark.metrics.columns import weighted_icc, weighted_mae, weighted_pearson
from benchmark.metrics.kappa import categories_of, linear_kappa
from benchmark.metrics.overlap import TARGETS, overlap_estimates
from benchmark.metrics.replicates import replicate
from benchmark.metrics.summary import KEYS, seed_spread, summarise
from benchmark.metrics.worst import fill_missing


def test_figures_are_those_of_the_single_functions(cohort):
    reference, estimate, overlap = cohort
    found = summarise(reference, estimate, overlap)
    assert tuple(found) == KEYS
    for key, expected in overlap_estimates(*overlap).items():
        assert found[key] == expected
    assert found["ICC_AS", "LAD"].value == pytest.approx(
        icc(reference[:, 0, 0], estimate[:, 0, 0]).value
    )
    assert found["PCC_MS", "whole"].value == pytest.approx(
        pearson(reference[:, 2, 3], estimate[:, 2, 3]).value
    )
    assert found["MAE_VS", "RCA"].value == pytest.approx(
        np.abs(reference - estimate)[:, 1, 2].mean()
    )
    agatston = categories_of(reference[:, 0, 3]), categories_of(estimate[:, 0, 3])
    assert found["kappa", "whole"] == linear_kappa(*agatston)
    twelve = [found[f"ICC_{s}", t].value for s in ("AS", "VS", "MS") for t in TARGETS]
    assert found["ICC", "mean"].value == pytest.approx(np.mean(twelve))


def test_every_figure_of_the_papers_tables_has_its_key():
    table = Path(__file__).parents[2] / "results" / "paper" / "tables.csv"
    rows = csv.DictReader(table.read_text().splitlines())
    # the rows called "text" are figures quoted from other cohorts
    names = {(r["metric"], r["target"]) for r in rows if r["table"].startswith("table")}
    assert len(names) > 15
    assert names <= set(KEYS)


def test_a_method_without_labels_or_scores_has_undefined_figures(cohort):
    reference, estimate, overlap = cohort
    direct = summarise(reference, estimate)
    assert direct["F1", "LAD"].note == "the method gives no labels"
    assert direct["ICC", "mean"].is_defined
    masks = summarise(reference, overlap=overlap)
    assert masks["kappa", "whole"].note == "the method gives no scores"
    assert masks["F1", "LAD"].is_defined


def test_an_artery_without_calcium_is_left_out_of_the_mean(cohort):
    reference, estimate, _ = (a.copy() if isinstance(a, np.ndarray) else a for a in cohort)
    reference[:, :, 2] = 0
    found = summarise(reference, estimate)
    assert "every reference value is the same" in found["ICC_AS", "RCA"].note
    assert found["ICC", "mean"].is_defined
    assert found["ICC", "mean"].note == "mean of 9 of 12 scores"
    estimate[0, :, 2] = np.nan
    assert "no reference above 0" in summarise(reference, estimate)["MAE_AS", "RCA"].note


def test_a_method_that_answers_always_the_same_scores_zero_not_undefined(cohort):
    reference, estimate, _ = cohort
    found = summarise(reference, np.zeros_like(estimate))
    for key in (("ICC", "mean"), ("PCC", "mean"), ("ICC_AS", "LAD"), ("kappa", "whole")):
        assert found[key].value == 0


def test_missing_scans_cost_every_figure(cohort):
    reference, estimate, overlap = cohort
    whole = summarise(reference, estimate, overlap)
    broken, tp = estimate.copy(), overlap[0].copy()
    broken[[3, 7]] = np.nan
    tp[[3, 7]] = np.nan
    volume = overlap[0] + overlap[2]
    found = summarise(
        reference,
        broken,
        (tp, *overlap[1:]),
        reference_volume=volume,
        candidate_volume=volume[:, 3] + 200,
    )
    for key in KEYS:
        assert "2 missing" in found[key].note
        if key[0].startswith("MAE"):
            assert found[key].value > whole[key].value
        else:
            assert found[key].value < whole[key].value


def test_order_of_scans_does_not_matter(cohort):
    reference, estimate, overlap = cohort
    estimate = estimate.copy()
    estimate[5] = np.nan
    order = np.random.default_rng(0).permutation(len(reference))
    found = summarise(reference, estimate, overlap, resamples=50)
    again = summarise(
        reference[order], estimate[order], tuple(a[order] for a in overlap), resamples=50
    )
    for key in KEYS:
        assert again[key].value == pytest.approx(found[key].value, abs=1e-12)


def test_seeds_are_averaged_and_their_spread_is_told_apart(cohort):
    reference, estimate, overlap = cohort
    seeds = np.stack([estimate, reference, estimate * 1.3])
    volumes = tuple(np.stack([a, a, a * 0.5]) for a in overlap)
    together = summarise(reference, seeds, volumes)
    single = [summarise(reference, s, tuple(v[i] for v in volumes)) for i, s in enumerate(seeds)]
    spread = seed_spread(replicate(reference, seeds, volumes))
    for key in KEYS:
        values = [s[key].value for s in single]
        assert together[key].value == pytest.approx(np.mean(values), rel=1e-12)
        assert spread[key] == pytest.approx(np.std(values, ddof=1), abs=1e-12)
    # the interval tells of patients: three equal seeds have that of one
    thrice = summarise(reference, np.stack([estimate] * 3))
    once = summarise(reference, estimate)
    for key in (("ICC_AS", "whole"), ("kappa", "whole"), ("PCC", "mean")):
        assert thrice[key].low == pytest.approx(once[key].low, abs=1e-12)
        assert thrice[key].high == pytest.approx(once[key].high, abs=1e-12)
    assert np.isnan(seed_spread(replicate(reference, estimate))["ICC", "mean"])


def test_a_failed_seed_is_not_dropped(cohort):
    reference, estimate, overlap = cohort
    seeds = np.stack([estimate, np.full_like(estimate, np.nan)])
    found, good = summarise(reference, seeds), summarise(reference, estimate)
    assert found["ICC", "mean"].value < good["ICC", "mean"].value / 2 + 1e-12
    # a seed that predicts nothing has no PPV, and must not leave the mean to the others
    nothing = tuple(np.stack([a, b]) for a, b in
                    zip(overlap, (overlap[0] * 0, overlap[1] * 0, overlap[0] + overlap[2]),
                        strict=True))  # fmt: skip
    ppv = summarise(reference, overlap=nothing)["PPV", "whole"]
    assert not ppv.is_defined


def test_tiny_cohorts_give_reasons_not_errors(cohort):
    reference, estimate, overlap = (tuple(a[:2] for a in c) if isinstance(c, tuple) else c[:2]
                                    for c in cohort)  # fmt: skip
    found = summarise(reference, estimate, overlap)
    assert "fewer than 3" in found["ICC_AS", "LAD"].note
    assert "fewer than 3" in found["kappa", "whole"].note
    assert found["F1", "whole"].is_defined


def test_unlike_shapes_are_refused(cohort):
    reference, estimate, overlap = cohort
    with pytest.raises(ValueError, match="reference scores must have shape"):
        summarise(reference.reshape(-1, 12), estimate)
    with pytest.raises(ValueError, match="do not match"):
        summarise(reference, estimate[:5])
    with pytest.raises(ValueError, match="overlap must be"):
        summarise(reference, overlap=tuple(a[:5] for a in overlap))


def test_icc_interval_holds_the_truth_most_times_for_skewed_scores():
    rng = np.random.default_rng(12)

    def draw(n):
        reference = np.exp(rng.normal(4, 1, (n, 1, 1))) * np.ones((1, 3, 4))
        return reference, reference * np.exp(rng.normal(0, 0.3, (n, 1, 1)))

    reference, estimate = draw(400_000)
    truth = icc(reference[:, 0, 0], estimate[:, 0, 0]).value
    held = held_by_f = 0
    for _ in range(100):
        reference, estimate = draw(80)
        found = summarise(reference, estimate, resamples=300)["ICC_AS", "LAD"]
        held += found.low <= truth <= found.high
        normal = icc(reference[:, 0, 0], estimate[:, 0, 0])
        held_by_f += normal.low <= truth <= normal.high
    assert held >= 80
    assert held > held_by_f  # the reason why the leaderboard does not use the F-based interval


@pytest.mark.parametrize("gaps", [(), ((0, 3, 0, 1),), ((1, 5, 2, 3), (0, 0, 0, 0))])
def test_moments_that_serve_two_figures_change_neither(cohort, gaps):
    """ICC and PCC of seeds and resamples, each from the single function of `columns`."""
    reference, estimate, _ = cohort
    rng = np.random.default_rng(0)
    seeds = estimate * rng.uniform(0.8, 1.2, (2, *estimate.shape))
    for place in gaps:
        seeds[place] = np.nan
    found = replicate(reference, seeds, resamples=50)
    n = len(reference)
    weights = resample_weights(n, 50, SEED)
    single = {"ICC": weighted_icc, "PCC": weighted_pearson, "MAE": weighted_mae}
    for name, figure in single.items():
        drawn = []
        for place, seed in enumerate(seeds):
            filled = fill_missing(reference, seed, name).values.reshape(n, 12)
            own = figure(reference.reshape(n, 12), filled)[0]
            drawn.append(figure(reference.reshape(n, 12), filled, weights))
            for j, value in enumerate(own):
                key = f"{name}_{('AS', 'VS', 'MS')[j // 4]}", TARGETS[j % 4]
                assert found[key].by_seed[place] == pytest.approx(value, rel=1e-12)
        for j, column in enumerate(np.mean(drawn, axis=0).T):
            key = f"{name}_{('AS', 'VS', 'MS')[j // 4]}", TARGETS[j % 4]
            assert found[key].resampled == pytest.approx(column, rel=1e-9, nan_ok=True)
