import re

import numpy as np
import pytest

from benchmark.metrics.agreement import icc
from benchmark.metrics.bland_altman import bland_altman
from benchmark.metrics.bootstrap import resample_weights
from benchmark.metrics.consistency import agreement_figures, inside_figures
from benchmark.metrics.overlap import TARGETS


def test_agreement_is_the_icc_of_head_and_mask(cohort):
    reference, estimate, _ = cohort
    head = estimate * 1.1
    found = agreement_figures(reference, estimate[None], head[None])["agreement_VS", "LCX"]
    assert found.by_seed[0] == pytest.approx(icc(estimate[:, 1, 1], head[:, 1, 1]).value)
    same = agreement_figures(reference, estimate[None], estimate[None])
    assert all(one.value == pytest.approx(1) for one in same.values())


@pytest.mark.parametrize("missing", ["mask", "head", "both"])
def test_missing_scans_look_like_no_agreement(cohort, missing):
    reference, estimate, _ = cohort
    mask, head = estimate.copy(), estimate.copy()
    if missing != "head":
        mask[:5] = np.nan
    if missing != "mask":
        head[:5] = np.nan
    found = agreement_figures(reference, mask[None], head[None])["agreement_AS", "whole"]
    assert found.value < 0.9
    assert found.note == "5 missing, given the worst value"


def test_a_constant_mask_leaves_agreement_undefined(cohort):
    reference, estimate, _ = cohort
    found = agreement_figures(reference, estimate[None] * 0, estimate[None])
    assert np.isnan(found["agreement_AS", "whole"].value)
    assert "every score of the mask" in found["agreement_AS", "whole"].note


def test_share_inside_is_that_of_bland_and_altman(cohort):
    reference, estimate, _ = cohort
    seeds = np.stack([estimate, estimate * 1.2])
    found = inside_figures(reference, seeds)["inside_MS", "whole"]
    single = [bland_altman(reference[:, 2, 3], one[:, 2, 3]).inside for one in seeds]
    np.testing.assert_allclose(found.by_seed, [one.value for one in single])
    low, high = np.quantile(
        inside_figures(reference, estimate[None])["inside_MS", "whole"].resampled, [0.025, 0.975]
    )
    assert (low, high) == pytest.approx((single[0].low, single[0].high))


def test_degenerate_shares(cohort):
    reference, estimate, _ = cohort
    perfect = inside_figures(reference, reference[None])
    assert all(one.value == 1 for one in perfect.values())
    few = inside_figures(reference[:2], estimate[None, :2])
    assert all(np.isnan(one.value) for one in few.values())
    with pytest.raises(ValueError, match="do not match"):
        inside_figures(reference, estimate)


def test_only_the_targets_asked_for_are_made():
    rng = np.random.default_rng(1)
    reference = rng.lognormal(3, 1, (30, 3, 4))
    estimate = reference[None] * rng.normal(1, 0.1, (2, 30, 3, 4))
    whole, every = (
        inside_figures(reference, estimate, 100, **more) for more in ({"targets": ["whole"]}, {})
    )
    assert set(whole) == {key for key in every if key[1] == "whole"}
    for key, figure in whole.items():
        assert figure.resampled.tolist() == every[key].resampled.tolist()


def test_every_figure_has_its_scans_draws_and_notes(cohort):
    reference, estimate, _ = cohort
    seeds = np.stack([estimate, estimate * 1.3])
    for name, found in (
        ("agreement", agreement_figures(reference, seeds, seeds[::-1], resamples=30, seed=9)),
        ("inside", inside_figures(reference, seeds, resamples=30, seed=9)),
    ):
        keys = [(f"{name}_{s}", t) for s in ("AS", "VS", "MS") for t in TARGETS]
        assert list(found) == keys
        for figure in found.values():
            assert figure.by_seed.shape == (2,)
            assert figure.resampled.shape == (30,)
            assert (figure.n, figure.drawn, figure.note) == (60, (30, 9), "")


def test_resamples_are_means_over_seeds_of_the_drawn_scans(cohort):
    reference, estimate, _ = cohort
    seeds, heads = np.stack([estimate, estimate * 1.3]), np.stack([estimate * 1.1, reference])
    weights = resample_weights(60, 10, 9).astype(int)
    agreement = agreement_figures(reference, seeds, heads, 10, 9)["agreement_AS", "RCA"]
    inside = inside_figures(reference, seeds, 10, 9)["inside_AS", "RCA"]
    for b in range(10):
        drawn = np.repeat(np.arange(60), weights[b])
        known = np.mean(
            [icc(m[drawn, 0, 2], h[drawn, 0, 2]).value for m, h in zip(seeds, heads, strict=True)]
        )
        assert agreement.resampled[b] == pytest.approx(known)
        shares = []
        for one in seeds:
            d = (one - reference)[drawn, 0, 2]
            shares.append(np.mean(np.abs(d - d.mean()) <= 1.959963984540054 * d.std(ddof=1)))
        assert inside.resampled[b] == pytest.approx(np.mean(shares))


def test_a_missing_head_is_set_to_the_largest_reference_and_the_mask_to_zero(cohort):
    reference, estimate, _ = cohort
    head = estimate.copy()
    head[3, 0, 1] = np.inf
    found = agreement_figures(reference, estimate[None], head[None], 20)
    mask, far = estimate[:, 0, 1].copy(), estimate[:, 0, 1].copy()
    mask[3], far[3] = 0, reference[:, 0, 1].max()
    assert found["agreement_AS", "LCX"].value == pytest.approx(icc(mask, far).value)
    assert found["agreement_VS", "LCX"].value == pytest.approx(1)


def test_why_there_is_no_agreement_word_for_word(cohort):
    reference, estimate, _ = cohort
    mask = estimate[None] * 0
    assert agreement_figures(reference, mask, estimate[None], 20)["agreement_AS", "LAD"].note == (
        "every score of the mask is the same"
    )
    mask[0, 0, 0, 0] = np.nan  # a miss is told beside the reason
    assert agreement_figures(reference, mask, estimate[None], 20)["agreement_AS", "LAD"].note == (
        "every score of the mask is the same; 1 missing, given the worst value"
    )
    few = agreement_figures(reference[:2], estimate[None, :2], estimate[None, :2], 20)
    assert {figure.note for figure in few.values()} == {"fewer than 3 scans"}
    few = inside_figures(reference[:2], estimate[None, :2], 20)
    assert {figure.note for figure in few.values()} == {"fewer than 3 scans"}
    gaps = np.stack([estimate, estimate])
    gaps[0, 1], gaps[1, 2] = np.nan, np.nan
    told = {figure.note for figure in inside_figures(reference, gaps, 20).values()}
    assert told == {"2 missing, given the worst value"}


def test_shapes_that_are_refused_word_for_word(cohort):
    reference, estimate, _ = cohort
    for bad in (reference[0], reference[:, :2], reference[..., :3], reference[:0]):
        words = f"reference scores must have shape (n_scans, 3, 4), got {bad.shape}"
        with pytest.raises(ValueError, match=f"^{re.escape(words)}$"):
            inside_figures(bad, estimate[None])
    for bad in (estimate, estimate[None, :5]):
        words = f"scores {bad.shape} do not match reference scores (60, 3, 4)"
        with pytest.raises(ValueError, match=f"^{re.escape(words)}$"):
            agreement_figures(reference, estimate[None], bad)


def test_differences_that_are_all_the_same_lie_inside_in_every_resample():
    reference = np.arange(60.0).reshape(5, 3, 4)
    seeds = np.stack([reference + 7, reference])
    for figure in inside_figures(reference, seeds, 20).values():
        assert figure.by_seed.tolist() == [1, 1]
        assert (figure.resampled == 1).all()


def test_three_scans_are_enough():
    rng = np.random.default_rng(4)
    reference = rng.lognormal(3, 1, (3, 3, 4))
    seeds = reference[None] * rng.normal(1, 0.1, (1, 3, 3, 4))
    for found in (inside_figures(reference, seeds, 20), agreement_figures(reference, seeds, seeds)):
        assert all(np.isfinite(figure.value) and not figure.note for figure in found.values())


def test_mask_and_head_have_the_same_seeds(cohort):
    reference, estimate, _ = cohort
    two = np.stack([estimate, estimate])
    with pytest.raises(ValueError, match=r"^mask and head must be of the same seeds, got 2 and 1$"):
        agreement_figures(reference, two, estimate[None], 20)
