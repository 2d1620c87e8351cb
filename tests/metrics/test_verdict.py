import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import t as student

from benchmark.metrics.paired import paired_difference
from benchmark.metrics.replicates import Replicates
from benchmark.metrics.verdict import (
    Contrast,
    Decision,
    SeedNoise,
    combine,
    conjunction,
    contrast,
    decide,
    holds_zero,
    pooled_noise,
    verdict,
)

SILENT = SeedNoise(0.0, 5)


def figure(by_seed, spread=0.01, seed=0, n=50):
    by_seed = np.atleast_1d(np.asarray(by_seed, dtype=float))
    noise = np.random.default_rng(seed).normal(0, spread, 2000)
    return Replicates(by_seed, by_seed.mean() + noise, n, (2000, 1), "")


def difference(a, b, noise):
    return contrast([(1, a, noise), (-1, b, noise)])


def test_without_noise_of_training_it_is_the_paired_difference():
    a, b = figure([0.9, 0.91], seed=1), figure([0.88, 0.89], seed=2)
    plain, found = paired_difference(a, b), difference(a, b, SILENT)
    assert found.value == pytest.approx(plain.difference)
    assert (found.low, found.high, found.p) == (plain.low, plain.high, plain.p)
    untrained = contrast([(1, a, None), (-1, b, None)])
    assert (untrained.p, untrained.known) == (plain.p, True)


def test_noise_of_training_widens_the_interval_and_not_that_of_patients():
    a, b = figure([0.9, 0.91], seed=1), figure([0.88, 0.89], seed=2)
    plain, found = paired_difference(a, b), difference(a, b, SeedNoise(0.02, 4))
    assert found.low < plain.low < plain.high < found.high
    assert (found.patients_low, found.patients_high) == (plain.low, plain.high)
    assert found.p > plain.p
    assert found.seed_se == pytest.approx(0.02)  # sqrt(0.02^2 (1/2 + 1/2))


def test_with_hardly_any_patient_noise_it_is_a_t_test():
    noise = SeedNoise(0.01, 6)
    a, b = figure([0.93] * 3, 1e-9), figure([0.9] * 3, 1e-9, seed=2)
    found = difference(a, b, noise)
    se = 0.01 * np.sqrt(2 / 3)
    assert found.p == pytest.approx(2 * student.sf(0.03 / se, 6), abs=1.1e-3)
    expected = student.interval(0.95, 6, 0.03, se)
    assert (found.low, found.high) == pytest.approx(expected, abs=1e-6)


def test_more_seeds_decide_sooner():
    noise = SeedNoise(0.02, 10)
    few = difference(figure([0.92]), figure([0.9], seed=1), noise)
    many = difference(figure([0.92] * 9), figure([0.9] * 9, seed=1), noise)
    assert many.p < few.p
    assert many.detectable < few.detectable


def test_two_pools_have_degrees_of_freedom_between_them():
    a, b = figure([0.9] * 2, 1e-9), figure([0.8] * 2, 1e-9, seed=1)
    noises = SeedNoise(0.02, 3), SeedNoise(0.04, 3)
    found = contrast([(1, a, noises[0]), (-1, b, noises[1])])
    v = np.array([0.02, 0.04]) ** 2 / 2
    df = v.sum() ** 2 / (v**2 / 3).sum()  # Welch-Satterthwaite
    half = student.ppf(0.975, df) * np.sqrt(v.sum())
    assert found.high - found.value == pytest.approx(half, rel=1e-4)


def test_one_seed_leaves_it_undecided_however_clear():
    a, b = figure(0.9), figure(0.5, seed=1)
    found = difference(a, b, pooled_noise([a, b]))
    assert not found.known
    assert found.p < 0.01
    assert decide([[found]])[0].verdict == "undecided"
    assert "one seed" in found.note


def test_noise_is_pooled_over_methods():
    groups = [[0.90, 0.92], [0.70, 0.71, 0.75], [0.5], [0.4, np.nan]]
    found = pooled_noise(figure(group) for group in groups)
    squares = sum(((np.array(g) - np.mean(g)) ** 2).sum() for g in groups[:2])
    assert found.df == 3
    assert found.sd == pytest.approx(np.sqrt(squares / 3))
    assert pooled_noise([figure(0.5)]).df == 0


def test_an_undefined_figure_decides_nothing_and_stays_in_the_family():
    bad = Replicates(np.array([np.nan]), np.full(2000, np.nan), 50, (2000, 1), "nothing predicted")
    lost = difference(figure([0.9, 0.9]), bad, SILENT)
    clear = difference(figure([0.9, 0.9]), figure([0.8, 0.8], seed=1), SILENT)
    alone, both = decide([[clear]])[0], decide([[clear], [lost]])
    assert lost.note == "nothing predicted"
    assert both[1].verdict == "undecided"
    assert np.isnan(both[1].p)
    assert both[0].p == pytest.approx(2 * alone.p)


def test_a_statement_holds_only_if_all_its_parts_do():
    def part(shift, seed):
        return difference(figure([0.8 + shift] * 2, seed=seed), figure([0.8] * 2, seed=9), SILENT)

    high, low, under = part(0.2, 1), part(0.03, 2), part(-0.2, 3)
    assert conjunction([high, low]) == (max(high.p, low.p), True)
    p, holds = conjunction([high, low, under])
    assert not holds
    assert p == pytest.approx(3 * under.p)
    assert [one.verdict for one in decide([[high], [high, under]])] == ["supported", "contradicted"]


def test_combined_figures_keep_seeds_and_resamples_together():
    a, b = figure([0.9, 0.8]), figure([0.5, 0.6], seed=3)
    found = combine([(1, a), (-1, b)], offset=0.1)
    np.testing.assert_allclose(found.by_seed, [0.5, 0.3])
    np.testing.assert_allclose(found.resampled, a.resampled - b.resampled + 0.1)
    with pytest.raises(ValueError, match="same seeds"):
        combine([(1, a), (1, figure(0.5))])
    with pytest.raises(ValueError, match="same resamples"):
        contrast([(1, a, None), (-1, figure([0.9, 0.8], n=40), None)])


@pytest.mark.parametrize("noise", [None, SILENT, SeedNoise(0.004, 3), SeedNoise(np.nan, 0)])
def test_whether_0_is_in_the_interval_needs_no_interval(noise):
    rng = np.random.default_rng(3)
    seen = set()
    for seed in range(60):
        gap = rng.normal(0, 0.03)
        a, b = (
            figure([0.8 + gap, 0.801 + gap], seed=2 * seed),
            figure([0.8, 0.8], seed=2 * seed + 1),
        )
        terms = [(1, a, noise), (-1, b, noise)]
        found = contrast(terms)
        assert holds_zero(terms) == (found.low <= 0 <= found.high)
        seen.add(holds_zero(terms))
    assert seen == {True, False}


def test_an_interval_that_does_not_exist_holds_nothing():
    a = figure([0.8, 0.9])
    a.resampled[:1500] = np.nan
    for noise in (None, SeedNoise(0.01, 4)):
        assert not holds_zero([(1, a, noise), (-1, figure([0.8, 0.9]), noise)])


def a_contrast(value, p, known=True):
    return Contrast(value, value - 1, value + 1, value - 0.5, value + 0.5, p, 0.1, known, 9)


def test_direction_and_p_of_a_statement_by_hand():
    up, up_too, down, down_too = (
        a_contrast(*pair) for pair in ((0.3, 0.01), (0.1, 0.04), (-0.2, 0.03), (-0.1, 0.2))
    )
    zero, lost = a_contrast(0.0, 1.0), a_contrast(np.nan, np.nan)
    assert conjunction([up, up_too]) == (0.04, True)
    assert conjunction([up, down, down_too]) == (pytest.approx(3 * 0.03), False)
    assert conjunction([down_too] * 6) == (1.0, False)  # 6 x 0.2, and no p is above 1
    assert conjunction([up, zero]) == (1.0, False)  # neither above 0 nor against
    for parts in ([up, lost], [a_contrast(0.3, np.nan)]):
        p, holds = conjunction(parts)
        assert np.isnan(p)
        assert holds is False


def test_decisions_by_hand():
    clear, other = [a_contrast(0.3, 0.01)], [a_contrast(-0.3, 0.03)]
    # Holm: 2 x 0.01 and 1 x 0.03
    assert decide([clear, other]) == (
        Decision("supported", 0.02, True),
        Decision("contradicted", 0.03, False),
    )
    assert [d.verdict for d in decide([clear, other], level=0.025)] == ["supported", "undecided"]
    unknown = [a_contrast(0.3, 0.001), a_contrast(0.3, 0.001, known=False)]
    assert decide([unknown]) == (Decision("undecided", 0.001, True),)
    assert verdict(0.05, True) == "undecided"  # below the level, not at it
    assert verdict(0.0499, False) == "contradicted"
    assert verdict(float("nan"), True) == "undecided"


def test_detectable_difference_of_a_normal_test():
    # half an interval is 1.96 standard errors; (1.96 + 0.84) of them are found 4 times in 5
    assert a_contrast(0.0, 1.0).detectable == pytest.approx((1.959964 + 0.841621) / 1.959964)


def test_notes_of_a_contrast_word_for_word():
    a, b = figure([0.9, 0.9]), figure([0.8, 0.8], seed=1)
    assert difference(a, b, SILENT).note == ""
    assert difference(a, b, SILENT).n == 50
    unknown = difference(a, b, SeedNoise(float("nan"), 0))
    assert unknown.note == "one seed each: the noise of training is not known"
    assert np.isnan(unknown.seed_se)
    assert unknown.known is False
    a.resampled[:200] = np.nan
    for noise in (SILENT, SeedNoise(0.01, 4)):
        found = difference(a, b, noise)
        assert found.note == "10.0% of resamples undefined"
        assert found.low < found.value < found.high
    lost = Replicates(np.array([np.nan]), np.full(2000, np.nan), 50, (2000, 1), "")
    found = difference(lost, b, SILENT)
    assert (found.note, found.known, found.n) == ("undefined", True, 50)
    assert np.isnan(
        [found.value, found.low, found.high, found.patients_low, found.patients_high, found.p,
         found.seed_se]
    ).all()  # fmt: skip
    a.resampled[:1500] = np.nan
    found = difference(a, b, SeedNoise(0.01, 4))
    assert np.isnan([found.low, found.high, found.p]).all()
    assert found.note == "75.0% of resamples undefined: no interval"


def test_an_offset_moves_all_of_a_contrast():
    a, b, noise = figure([0.9, 0.9]), figure([0.8, 0.8], seed=1), SeedNoise(0.01, 4)
    plain, moved = difference(a, b, noise), contrast([(1, a, noise), (-1, b, noise)], offset=-0.07)
    for name in ("value", "low", "high", "patients_low", "patients_high"):
        assert getattr(moved, name) == pytest.approx(getattr(plain, name) - 0.07, abs=1e-9)
    assert moved.p > plain.p


def test_weights_and_seeds_of_the_noise_of_training():
    noise = SeedNoise(0.02, 8)
    a, b, c = figure([0.9] * 4, 1e-9), figure([0.8] * 2, 1e-9, 1), figure([0.7], 1e-9, 2)
    found = contrast([(1, a, noise), (-0.5, b, noise), (-0.5, c, None)])
    # 1/4 + 0.25/2, and nothing of the row that trains nothing; one pool keeps its 8 degrees
    assert found.seed_se == pytest.approx(0.02 * np.sqrt(1 / 4 + 1 / 8))
    half = student.ppf(0.975, 8) * found.seed_se
    assert found.high - found.value == pytest.approx(half, rel=1e-4)


def test_combined_figures_must_be_alike_and_keep_their_notes():
    a = Replicates(np.array([0.5]), np.full(20, 0.5), 7, (20, 1), "1 missing")
    b = Replicates(np.array([0.4]), np.full(20, 0.4), 7, (20, 1), "2 missing")
    found = combine([(1, a), (2, b)])
    assert (found.n, found.drawn, found.note) == (7, (20, 1), "1 missing; 2 missing")
    assert found.by_seed.tolist() == [pytest.approx(1.3)]
    words = "^needs the same scans and the same resamples for all figures$"
    for other in (
        Replicates(np.array([0.4]), np.full(20, 0.4), 8, (20, 1), ""),
        Replicates(np.array([0.4]), np.full(20, 0.4), 7, (20, 2), ""),
    ):
        with pytest.raises(ValueError, match=words):
            combine([(1, a), (1, other)])
        with pytest.raises(ValueError, match=words):
            holds_zero([(1, a, None), (1, other, None)])
    two = Replicates(np.array([0.4, 0.4]), np.full(20, 0.4), 7, (20, 1), "")
    with pytest.raises(ValueError, match=r"^figures of one method must have the same seeds$"):
        combine([(1, a), (1, two)])


@pytest.mark.parametrize("noise", [None, SILENT, SeedNoise(0.01, 4)])
def test_an_interval_that_ends_at_0_holds_it(noise):
    same = figure([0.8, 0.9])
    assert holds_zero([(1, same, noise), (-1, same, noise)])
    up = Replicates(same.by_seed, np.abs(same.resampled - 0.85), 50, (2000, 1), "")
    up.resampled[:100] = 0
    for sign in (1, -1):  # from 0 up, or from below up to 0
        assert holds_zero([(sign, up, None)])


def test_count_and_patients_interval_do_not_depend_on_the_noise():
    a, b = figure([0.9, 0.91], seed=1), figure([0.88, 0.89], seed=2)
    found = [difference(a, b, noise) for noise in (None, SILENT, SeedNoise(0.02, 4))]
    assert [one.n for one in found] == [50] * 3
    assert len({(one.patients_low, one.patients_high) for one in found}) == 1
    assert contrast([(1, a, None)]).n == 50


def test_notes_of_the_figures_stay_with_their_contrast():
    a, b = figure([0.9, 0.91], seed=1), figure([0.88, 0.89], seed=2)
    noted = replace(a, note="1 missing, given the worst value")
    for noise, known in (
        (SeedNoise(0.02, 4), True),
        (SILENT, True),
        (SeedNoise(math.nan, 0), False),
    ):
        found = difference(noted, b, noise)
        assert found.note.startswith("1 missing, given the worst value")
        assert found.known is known


def test_an_interval_of_less_than_half_the_draws_does_not_exist():
    a = figure([0.8, 0.9])
    a.resampled[:1200] = np.nan  # two fifths are left: between a third and a half
    assert not holds_zero(
        [(1, a, SeedNoise(0.01, 4)), (-1, figure([0.8, 0.9]), SeedNoise(0.01, 4))]
    )
