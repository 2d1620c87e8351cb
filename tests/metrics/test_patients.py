"""Several scans a patient: resamples of whole patients, and none of fewer than three.

Checked against a bootstrap written once more in plain NumPy, which copies scans instead of weighing
them, and against the cluster-robust standard error of statsmodels.
"""

import math

import numpy as np
import pytest

from benchmark.metrics import (
    bland_altman,
    gains,
    icc,
    joint_ranking,
    linear_kappa,
    mae,
    overlap_estimates,
    paired_overlap,
    paired_scores,
    pearson,
    rank_methods,
    replicate,
    summarise,
)
from benchmark.metrics.consistency import agreement_figures, inside_figures
from benchmark.metrics.patients import (
    FEW_PATIENTS,
    SEVERAL_SCANS,
    grouping_of,
    scan_weights,
)
from benchmark.metrics.verdict import SeedNoise, contrast, decide

PINNED = {
    ("F1", "whole"): (0.9213415264630476, 0.9094293955871428, 0.9304710492697699),
    ("PPV", "LCX"): (0.9447285410087661, 0.9421107035084015, 0.9475698397965003),
    ("ICC", "mean"): (0.9780804016809744, 0.9697781507629665, 0.983625841008389),
    ("kappa", "whole"): (0.9174690508940853, 0.8291154248517959, 0.9816969922392594),
    ("MAE_AS", "RCA"): (5.564646554243179, 2.8535145511738587, 9.18427523829986),
    ("PCC_MS", "LAD"): (0.9933528062732886, 0.9885272519685275, 0.9972260722465979),
}
"""Figures of the fixture `cohort` before patients could have several scans."""


def copied(draw, patients, places):
    """Places of the scans of one resample, each patient's as often as the patient was drawn."""
    unique = np.unique(patients)
    chosen = draw.choice(unique, unique.size)
    return np.concatenate([places[patients == patient] for patient in chosen])


def by_hand(patients, figure, resamples=3000):
    """Percentile interval of a figure of places, by copying whole patients."""
    draw, places = np.random.default_rng(1), np.arange(len(patients))
    found = [figure(copied(draw, patients, places)) for _ in range(resamples)]
    return np.nanquantile(found, [0.025, 0.975])


@pytest.fixture
def clustered():
    """40 patients of 1 to 6 scans: patients, reference, estimate, overlap; alike in a patient."""
    rng = np.random.default_rng(11)
    patients = np.repeat(np.arange(40), rng.integers(1, 7, 40))
    own = np.exp(rng.normal(3.5, 1.0, (40, 3, 3))) * (rng.random((40, 1, 3)) > 0.2)
    arteries = own[patients] * np.exp(rng.normal(0, 0.05, (len(patients), 3, 3)))
    reference = np.concatenate([arteries, arteries.sum(axis=2, keepdims=True)], axis=2)
    skill = np.exp(rng.normal(0, 0.5, (40, 3, 4)))[patients]
    estimate = reference * skill
    volume, share = reference[:, 1], rng.beta(3, 2, (40, 4))[patients]
    overlap = (volume * share, volume * 0.1 + 0.1, volume * (1 - share))
    return patients, reference, estimate, overlap


def test_one_scan_a_patient_is_bit_for_bit_what_it_was(cohort):
    reference, estimate, overlap = cohort
    for patients in (None, [f"p{i}" for i in range(60)], np.arange(60)[::-1]):
        found = summarise(reference, estimate, overlap, patients=patients)
        for key, (value, low, high) in PINNED.items():
            one = found[key]
            assert [one.value, one.low, one.high] == pytest.approx([value, low, high], rel=1e-12)
    unknown = replicate(reference, estimate, overlap)
    known = replicate(reference, estimate, overlap, patients=range(60))
    for key, figure in unknown.items():
        assert np.array_equal(figure.resampled, known[key].resampled, equal_nan=True), key
        assert figure.sample == known[key].sample
    assert scan_weights(60) is scan_weights(60, grouping_of(range(60), 60))


def test_intervals_are_those_of_copied_patients(clustered):
    patients, reference, estimate, overlap = clustered
    found = summarise(reference, estimate, overlap, patients=patients)
    tp, fp, fn = (part[:, 3] for part in overlap)

    def f1(at):
        return 2 * tp[at].sum() / (2 * tp[at].sum() + fp[at].sum() + fn[at].sum())

    def icc_of(at):
        return icc(reference[at, 0, 3], estimate[at, 0, 3]).value

    def error(at):
        return np.abs(reference[at, 0, 3] - estimate[at, 0, 3]).mean()

    for key, figure, scale in (
        (("F1", "whole"), f1, 1),
        (("ICC_AS", "whole"), icc_of, 1),
        (("MAE_AS", "whole"), error, 200),
    ):
        one = found[key]
        assert one.value == pytest.approx(figure(np.arange(len(patients))))
        assert [one.low, one.high] == pytest.approx(
            by_hand(patients, figure, 8000), abs=0.02 * scale
        )
        assert (one.n, one.patients) == (len(patients), 40)
        alone = summarise(reference, estimate, overlap)[key]
        assert one.value == alone.value, "values are over scans"
        assert one.high - one.low > 1.2 * (alone.high - alone.low), "and scans alone too sure"


def test_the_spread_of_a_mean_is_the_cluster_robust_standard_error():
    sm = pytest.importorskip("statsmodels.api")
    rng = np.random.default_rng(3)
    patients = np.repeat(np.arange(120), rng.integers(1, 6, 120))
    values = rng.normal(0, 1, 120)[patients] + rng.normal(0, 0.3, len(patients))
    drawn = scan_weights(len(values), grouping_of(patients, len(values)))
    means = (drawn @ values) / drawn.sum(axis=1)
    ols = sm.OLS(values, np.ones(len(values)))
    robust = ols.fit(cov_type="cluster", cov_kwds={"groups": patients}).bse[0]
    assert means.std() == pytest.approx(robust, rel=0.06)
    assert means.std() > 1.5 * ols.fit().bse[0]


def test_limits_of_agreement_with_unlike_numbers_of_scans(clustered):
    patients, reference, estimate, _ = clustered
    r, e = reference[:, 0, 3], estimate[:, 0, 3]
    found = bland_altman(r, e, patients=patients)
    plain = bland_altman(r, e)

    def limit(sign):
        return lambda at: (e - r)[at].mean() + sign * 1.959964 * (e - r)[at].std(ddof=1)

    def inside(at):
        d = (e - r)[at]
        return (np.abs(d - d.mean()) <= 1.959964 * d.std(ddof=1)).mean()

    for one, figure, scale in (
        (found.bias, limit(0), 1),
        (found.lower, limit(-1), 1),
        (found.upper, limit(1), 1),
        (found.inside, inside, 0.001),
    ):
        assert [one.low, one.high] == pytest.approx(by_hand(patients, figure), abs=25 * scale)
    assert [one.value for one in (found.bias, found.lower, found.upper, found.inside)] == [
        one.value for one in (plain.bias, plain.lower, plain.upper, plain.inside)
    ]
    normal = bland_altman(r, e, "normal", patients=patients)
    assert math.isnan(normal.bias.low)
    assert normal.bias.note == SEVERAL_SCANS
    assert not math.isnan(bland_altman(r, e, "normal", patients=range(len(r))).bias.low)


def test_a_textbook_interval_of_independent_scans_is_not_given(clustered):
    patients, reference, estimate, _ = clustered
    for figure in (icc, pearson):
        plain = figure(reference[:, 0, 3], estimate[:, 0, 3])
        found = figure(reference[:, 0, 3], estimate[:, 0, 3], patients=patients)
        assert found.value == plain.value
        assert math.isnan(found.low)
        assert found.note == SEVERAL_SCANS
        assert figure(reference[:, 0], estimate[:, 0], patients=patients)[3] == found


def test_scans_copied_four_times_tell_nothing_new(cohort):
    reference, estimate, overlap = cohort
    four = np.repeat(np.arange(60), 4)
    once = summarise(reference, estimate, overlap, patients=range(60))
    often = summarise(
        reference[four], estimate[four], tuple(part[four] for part in overlap), patients=four
    )
    for key in (("F1", "whole"), ("sensitivity", "LAD"), ("MAE_VS", "whole"), ("kappa", "whole")):
        assert [often[key].low, often[key].high] == pytest.approx([once[key].low, once[key].high])
    categories = np.repeat([0, 1, 2, 3, 4, 2, 1], 3), np.repeat([0, 2, 2, 3, 3, 2, 0], 3)
    few = linear_kappa(*(part[::3] for part in categories))
    many = linear_kappa(*categories, patients=np.repeat(np.arange(7), 3))
    assert (many.low, many.high) == (few.low, few.high)
    one = mae(reference[four, 0, 3], estimate[four, 0, 3], patients=four)
    assert (one.low, one.high) == pytest.approx((once["MAE_AS", "whole"].low, one.high))


def test_differences_are_of_the_same_patients(clustered):
    patients, reference, estimate, overlap = clustered
    tp, fp, fn = overlap
    worse = (tp * 0.9, fp, fn + tp * 0.1)
    found = paired_overlap(overlap, worse, patients=patients)["F1", "whole"]
    own = replicate(reference, None, overlap, patients=patients)["F1", "whole"]
    other = replicate(reference, None, worse, patients=patients)["F1", "whole"]
    gap = contrast([(1, own, None), (-1, other, None)])
    assert (found.low, found.high) == pytest.approx((gap.low, gap.high))
    assert found.patients == gap.patients == 40
    scores = paired_scores(reference, estimate, estimate * 0.8, patients=patients)
    assert scores["MAE_AS", "whole"].patients == 40
    alone = replicate(reference, None, worse)["F1", "whole"]
    for compare in (
        lambda: contrast([(1, own, None), (-1, alone, None)]),
        lambda: rank_methods([own, alone]),
    ):
        with pytest.raises(ValueError, match="same scans"):
            compare()


def test_agreement_and_shares_inside_draw_patients(clustered):
    patients, reference, estimate, _ = clustered
    both = agreement_figures(reference, estimate[None], (estimate * 1.1)[None], patients=patients)
    inside = inside_figures(reference, estimate[None], patients=patients)
    for figure in (both["agreement_AS", "whole"], inside["inside_AS", "whole"]):
        assert figure.patients == 40
    found = bland_altman(reference[:, 0, 3], estimate[:, 0, 3], patients=patients).inside
    assert inside["inside_AS", "whole"].interval()[:2] == (found.low, found.high)


@pytest.mark.parametrize("whose", [[0], [0] * 8, [0, 0, 0, 1, 1, 1, 1, 1]])
def test_fewer_than_three_patients_give_values_alone(whose, cohort):
    n = len(whose)
    reference, estimate, overlap = cohort
    reference, estimate = reference[-n:] + 1, estimate[-n:] + 1
    overlap = tuple(part[-n:] + 1 for part in overlap)
    found = summarise(reference, estimate, overlap, patients=whose)
    assert found["F1", "whole"].value > 0.5
    for key, one in found.items():
        assert np.isnan([one.low, one.high]).all(), key
        assert FEW_PATIENTS in one.note or not one.is_defined
    a, b = (
        replicate(reference, own, overlap, patients=whose)
        for own in (estimate, estimate * 0.3)
    )  # fmt: skip
    noise = SeedNoise(0.01, 4)
    for known in (noise, None):
        gap = contrast([(1, a["F1", "whole"], known), (-1, b["F1", "whole"], known)])
        assert gap.value == 0
        gap = contrast([(1, a["MAE_AS", "whole"], known), (-1, b["MAE_AS", "whole"], known)])
        assert gap.value < 0
        assert all(map(math.isnan, (gap.low, gap.patients_high, gap.p, gap.detectable)))
        assert FEW_PATIENTS in gap.note
        assert decide([[gap]])[0].verdict == "undecided"
    ranks = rank_methods([a["F1", "whole"], b["F1", "whole"]])
    assert np.isnan(ranks.rank).all()
    assert np.isnan(ranks.low).all()
    assert ranks.figures[0].value == a["F1", "whole"].value
    joint = joint_ranking([a["F1", "whole"]] * 2, [a["F1", "LAD"], b["F1", "LAD"]])
    assert np.isnan(joint.ranks).all()
    assert not joint.leaders
    both = bland_altman(reference[:, 0, 3], estimate[:, 0, 3], patients=whose)
    assert math.isnan(both.bias.low)
    ratios = overlap_estimates(*overlap, patients=whose)
    assert math.isnan(ratios["PPV", "LCX"].low)


def test_gains_of_few_patients_have_no_interval(clustered):
    _, reference, estimate, overlap = clustered
    whose = np.arange(len(reference)) % 2
    own = replicate(reference, estimate, overlap, patients=whose)
    found = gains(own, own)
    assert found.single[3].value == 1
    assert math.isnan(found.single[3].low)
    assert np.isnan(found.low).all()


def test_three_patients_have_intervals(clustered):
    _, reference, estimate, overlap = clustered
    whose = np.arange(len(reference)) % 3
    found = summarise(reference, estimate, overlap, patients=whose)["F1", "whole"]
    assert found.low <= found.value <= found.high
    assert found.patients == 3


def test_a_figure_that_two_patients_carry_is_not_ranked_or_compared(cohort):
    reference, _, (tp, fp, fn) = cohort
    alone = np.zeros_like(tp)
    alone[-2:] = tp[-2:] + 1
    own = replicate(reference, None, (alone, alone * 0, alone * 0.5))["F1", "LCX"]
    other = replicate(reference, None, (tp, fp, fn))["F1", "LCX"]
    assert own.few == "rests on 2 patients: no interval"
    gap = contrast([(1, own, None), (-1, other, None)])
    assert math.isnan(gap.low)
    assert own.few in gap.note
    assert np.isnan(rank_methods([own, other, other]).rank[0])


def test_patients_are_numbered_in_the_order_of_scans_and_counted():
    assert grouping_of(None, 4) is None
    assert grouping_of(["b", "a", "b", "c"], 4) == (0, 1, 0, 2)
    assert grouping_of(["b", "a"], 2) == ()
    with pytest.raises(ValueError, match="patients of 2 scans, but there are 3"):
        grouping_of(["b", "a"], 3)
    weights = scan_weights(4, (0, 1, 0, 2), 50)
    assert np.array_equal(weights[:, 0], weights[:, 2])
    assert (weights[:, [0, 1, 3]].sum(axis=1) == 3).all()
