import numpy as np
import pytest

from benchmark.metrics.agreement import icc
from benchmark.metrics.bland_altman import bland_altman
from benchmark.metrics.consistency import agreement_figures, inside_figures


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
