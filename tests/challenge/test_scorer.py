"""The measures of orCaScore: cases worked by hand, and what must hold for all scans."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from benchmark.calcium import Conventions, label_candidates
from benchmark.challenge.scorer import (
    BY_NUMBER,
    BY_VOLUME,
    KEYS,
    Rules,
    label_lesions,
    measures,
    score_patient,
)

SPACING = (3.0, 1.0, 1.0)  # a voxel is 3 mm3; 1 mm2 in plane at 3 mm: Agatston = weight
LAD, LCX, RCA, WHOLE = range(4)
TP, FP, FN = range(3)


def scan(**lesions):
    """HU with lesions at (z, y, first x, voxels, HU), and the mask of each by name."""
    voxels = np.full((4, 8, 8), 40, np.int16)
    masks = {}
    for name, (z, y, x, n, hu) in lesions.items():
        masks[name] = np.zeros(voxels.shape, bool)
        masks[name][z, y, x : x + n] = True
        voxels[masks[name]] = hu
    return voxels, masks


def labelled(masks, **labels):
    found = np.zeros(next(iter(masks.values())).shape, np.uint8)
    for name, label in labels.items():
        found[masks[name]] = label
    return found


@pytest.fixture
def three():
    """Lesions of 1, 2 and 4 voxels (3, 6, 12 mm3; weights 1, 2, 4) and a bone of 5 (15 mm3)."""
    return scan(
        small=(0, 1, 1, 1, 150), middle=(1, 3, 1, 2, 250), large=(2, 5, 1, 4, 450),
        bone=(3, 7, 1, 5, 600),
    )  # fmt: skip


def test_case_worked_by_hand(three):
    voxels, masks = three
    reference = labelled(masks, small=1, middle=1, large=3)
    # small: missed; middle: called LCX; large: right; bone: a false RCA
    submitted = labelled(masks, middle=2, large=3, bone=3)
    found = score_patient(voxels, reference, submitted, SPACING)
    np.testing.assert_array_equal(
        found.lesions, [[0, 0, 1, 2], [0, 1, 1, 1], [2, 0, 0, 1]]
    )  # tp, fp, fn x LAD, LCX, RCA, whole
    np.testing.assert_allclose(found.volumes, [[0, 0, 12, 18], [0, 6, 15, 15], [9, 0, 0, 3]])
    # weights by peak: 150 -> 1, 250 -> 2, 450 and 600 -> 4; times mm2
    np.testing.assert_allclose(found.reference[0], [1 + 2 * 2, 0, 4 * 4, 21])
    np.testing.assert_allclose(found.scores[0], [0, 4, 16 + 4 * 5, 40])
    np.testing.assert_allclose(found.reference[1], [9, 0, 12, 21])
    np.testing.assert_allclose(found.scores[1], [0, 6, 27, 33])
    assert (found.candidates, found.candidates_mm3) == (4, 36)

    figures = measures([found] * 3)
    value = {key: estimate.value for key, estimate in figures.items()}
    assert value["sensitivity number", "whole"] == pytest.approx(2 / 3)
    assert value["PPV number", "whole"] == pytest.approx(2 / 3)
    assert value["sensitivity volume", "whole"] == pytest.approx(18 / 21)
    assert value["PPV volume", "whole"] == pytest.approx(18 / 33)
    harmonic = 2 / (21 / 18 + 33 / 18)
    assert value["F1 volume", "whole"] == pytest.approx(harmonic)
    assert value["PPV number", "RCA"] == pytest.approx(1 / 2)
    assert value["PPV volume", "RCA"] == pytest.approx(12 / 27)
    assert value["sensitivity volume", "LAD"] == 0
    assert figures["sensitivity number", "LCX"].note == "no reference calcium"
    assert set(figures) == set(KEYS)


def test_agreement_over_patients_worked_by_hand(three):
    voxels, masks = three
    references = ({"small": 1}, {"middle": 1}, {"large": 1})
    estimates = ({"small": 1}, {"middle": 1, "small": 1}, {"large": 1})
    found = [
        score_patient(voxels, labelled(masks, **r), labelled(masks, **e), SPACING)
        for r, e in zip(references, estimates, strict=True)
    ]
    figures = measures(found)
    # Agatston 1, 4, 16 and 1, 5, 16; volumes 3, 6, 12 and 3, 9, 12. ICC(A,1) from mean squares:
    for name, pairs in (
        ("ICC Agatston", np.array([[1, 1], [4, 5], [16, 16]], float)),
        ("ICC volume", np.array([[3, 3], [6, 9], [12, 12]], float)),
    ):
        n, k = pairs.shape
        rows, columns, grand = pairs.mean(1), pairs.mean(0), pairs.mean()
        ms_r = k * ((rows - grand) ** 2).sum() / (n - 1)
        ms_c = n * ((columns - grand) ** 2).sum() / (k - 1)
        residual = pairs - rows[:, None] - columns + grand
        ms_e = (residual**2).sum() / ((n - 1) * (k - 1))
        icc = (ms_r - ms_e) / (ms_r + (k - 1) * ms_e + k / n * (ms_c - ms_e))
        assert figures[name, "whole"].value == pytest.approx(icc)
    # categories 1, 1, 2 against 1, 1, 2
    assert figures["kappa", "whole"].value == 1


def test_kappa_counts_categories_by_their_distance(three):
    voxels, masks = three
    references = ({}, {"middle": 1}, {"large": 1}, {"large": 1})
    estimates = ({}, {"middle": 1}, {"large": 1}, {"middle": 1})
    found = [
        score_patient(voxels, labelled(masks, bone=0, **r), labelled(masks, bone=0, **e), SPACING)
        for r, e in zip(references, estimates, strict=True)
    ]
    # categories 0, 1, 2, 2 and 0, 1, 2, 1: observed distance 1 / 4; expected from the margins
    # (1, 1, 2) and (1, 2, 1) of 4: (1*(2*1 + 1*2) + 1*(1*1 + 1*1) + 2*(1*2 + 2*1)) / 16
    expected = (1 * (2 * 1 + 1 * 2) + 1 * (1 * 1 + 1 * 1) + 2 * (1 * 2 + 2 * 1)) / 16
    kappa = measures(found)["kappa", "whole"]
    assert kappa.value == pytest.approx(1 - (1 / 4) / expected)


def test_undetermined_counts_for_the_whole_heart_alone(three):
    voxels, masks = three
    reference = labelled(masks, large=3)
    found = score_patient(voxels, reference, labelled(masks, large=4), SPACING)
    assert found.lesions[TP, WHOLE] == 1
    assert found.lesions[FN, RCA] == 1
    assert found.lesions[:, :WHOLE].sum() == 1  # the miss alone: no artery gets a false positive
    np.testing.assert_allclose(found.scores[1], [0, 0, 0, 12])


def test_majority_label_is_given_to_the_whole_component(three):
    voxels, masks = three
    components, n = label_candidates(voxels)
    submitted = np.zeros_like(voxels)
    submitted[2, 5, 1:5] = (0, 2, 3, 3)  # of 4 voxels: one unlabelled, one LCX, two RCA
    number = components[2, 5, 1]
    labels = label_lesions(components, submitted, 3.0)
    assert labels.shape == (n + 1,)
    assert labels[number] == 3
    assert labels.sum() == 3
    found = score_patient(voxels, labelled(masks, large=3), submitted, SPACING)
    assert found.volumes[TP, RCA] == 12  # all four voxels
    submitted[2, 5, 1:5] = (2, 2, 1, 1)  # equal: the lower label
    assert label_lesions(components, submitted, 3.0)[number] == 1


def test_background_votes_where_the_rules_say_so(three):
    voxels, _ = three
    components, _ = label_candidates(voxels)
    submitted = np.zeros_like(voxels)
    submitted[2, 5, 1] = 3  # one of four voxels
    number = components[2, 5, 1]
    assert label_lesions(components, submitted, 3.0)[number] == 3
    everyone = Rules(majority="all")
    assert label_lesions(components, submitted, 3.0, everyone)[number] == 0
    submitted[2, 5, 1:4] = 3
    assert label_lesions(components, submitted, 3.0, everyone)[number] == 3


def test_minimum_lesion_holds_for_both_sides_and_all_amounts(three):
    voxels, masks = three
    both = labelled(masks, small=1, middle=1, large=3)
    found = score_patient(voxels, both, both, SPACING, Rules(min_lesion_mm3=6))
    assert found.lesions[TP].tolist() == [1, 0, 1, 2]  # the lesion of exactly 6 mm3 stays
    assert found.reference[1, WHOLE] == found.scores[1, WHOLE] == 18
    assert (found.candidates, found.candidates_mm3) == (3, 33)


def test_agatston_formula_is_a_setting(three):
    voxels, masks = three
    both = labelled(masks, small=1, large=1)
    rules = Rules(Conventions(min_area_mm2=2, thickness_correction=False))
    found = score_patient(voxels, both, both, (1.5, 1.0, 1.0), rules)
    assert found.scores[0, WHOLE] == 4 * 4  # the small one is below 2 mm2
    assert found.lesions[TP, WHOLE] == 2  # but a lesion all the same


def test_labels_below_the_threshold_count_for_nothing(three):
    voxels, masks = three
    reference = labelled(masks, large=3)
    loose = reference.copy()
    loose[0, 0] = 1
    tight, wide = (score_patient(voxels, reference, s, SPACING) for s in (reference, loose))
    np.testing.assert_array_equal(tight.lesions, wide.lesions)
    np.testing.assert_array_equal(tight.scores, wide.scores)


def test_without_a_map_a_patient_takes_the_worst(three):
    voxels, masks = three
    reference = labelled(masks, small=1, middle=1, large=3)
    none = score_patient(voxels, reference, None, SPACING)
    good = score_patient(voxels, reference, reference, SPACING)
    figures = measures([good, good, none])
    # each good patient: 3 found; the missing one: 3 missed and the bone called calcium
    assert figures["sensitivity number", "whole"].value == pytest.approx(6 / 9)
    assert figures["PPV number", "whole"].value == pytest.approx(6 / 7)
    assert figures["PPV volume", "whole"].value == pytest.approx(42 / 57)
    assert "1 missing" in figures["PPV volume", "whole"].note
    assert "1 missing" in figures["F1 volume", "LAD"].note


def test_empty_maps_and_empty_patients(three):
    voxels, masks = three
    nothing = np.zeros_like(voxels)
    found = score_patient(voxels, labelled(masks, large=3), nothing, SPACING)
    figures = measures([found] * 3)
    assert figures["sensitivity number", "whole"].value == 0
    assert figures["PPV number", "whole"].note == "nothing predicted"
    assert figures["F1 volume", "whole"].value == 0
    with pytest.raises(ValueError, match="no patient"):
        measures([])


def test_intervals_hold_the_value_and_come_from_patients(three):
    voxels, masks = three
    reference = labelled(masks, small=1, middle=2, large=3)
    whole, part = (
        score_patient(voxels, reference, s, SPACING)
        for s in (reference, labelled(masks, small=1, bone=2))
    )
    found = measures([whole, part] * 10)["F1 volume", "whole"]
    assert found.low < found.value < found.high
    assert found.n == 20
    again = measures([whole, part] * 10)["F1 volume", "whole"]
    assert (again.low, again.high) == (found.low, found.high)


@pytest.mark.parametrize(
    ("setting", "message"),
    [({"min_lesion_mm3": -1}, "min_lesion_mm3"), ({"majority": "most"}, "majority")],
)
def test_settings_outside_their_range_are_refused(setting, message):
    with pytest.raises(ValueError, match=message):
        Rules(**setting)


SHAPE = (3, 5, 6)
HU = arrays(np.int16, SHAPE, elements=st.sampled_from([40, 130, 131, 250, 450]))
TRUTH = arrays(np.uint8, SHAPE, elements=st.integers(0, 3))
SAID = arrays(np.uint8, SHAPE, elements=st.integers(0, 4))
RULES = st.builds(
    Rules, min_lesion_mm3=st.sampled_from([0.0, 4.0]), majority=st.sampled_from(["labelled", "all"])
)
few = settings(max_examples=60, deadline=None)


def plain_outcomes(voxels, reference, submitted, spacing, rules):
    """Lesion by lesion with scipy.ndimage, as one would on paper."""
    components, count = ndimage.label(voxels > 130)
    lesions, volumes = np.zeros((3, 4)), np.zeros((3, 4))
    for number in range(1, count + 1):
        here = components == number
        volume = here.sum() * np.prod(spacing)
        if volume < rules.min_lesion_mm3:
            continue
        names = []
        for labels in (reference, submitted):
            votes = labels[here] if rules.majority == "all" else labels[here & (labels > 0)]
            names.append(np.bincount(votes).argmax() if len(votes) else 0)
        real, said = names
        for column in range(4):
            is_real = real > 0 if column == WHOLE else real == column + 1
            is_said = said > 0 if column == WHOLE else said == column + 1
            if is_real or is_said:
                row = TP if is_real and is_said else FP if is_said else FN
                lesions[row, column] += 1
                volumes[row, column] += volume
    return lesions, volumes


@settings(max_examples=150, deadline=None)
@given(HU, TRUTH, SAID, RULES)
def test_agrees_with_a_plain_implementation(voxels, reference, submitted, rules):
    found = score_patient(voxels, reference, submitted, (2.0, 1.0, 0.5), rules)
    lesions, volumes = plain_outcomes(voxels, reference, submitted, (2.0, 1.0, 0.5), rules)
    np.testing.assert_array_equal(found.lesions, lesions)
    np.testing.assert_allclose(found.volumes, volumes)


@few
@given(HU, TRUTH, SAID, RULES)
def test_what_holds_for_all_submissions(voxels, reference, submitted, rules):
    found = score_patient(voxels, reference, submitted, SPACING, rules)
    hits, extra, missed = found.lesions
    # an artery's hits are hits of the whole heart; all that is real is found or missed
    assert hits[:WHOLE].sum() <= hits[WHOLE]
    np.testing.assert_array_equal(hits + missed, found.reference_lesions)
    np.testing.assert_allclose(found.volumes[TP] + found.volumes[FN], found.reference_mm3)
    assert hits[WHOLE] + extra[WHOLE] + missed[WHOLE] <= found.candidates
    assert missed[:WHOLE].sum() >= missed[WHOLE]
    # volume of the scores is that of the lesions
    assert found.scores[1, WHOLE] == pytest.approx((found.volumes[TP] + found.volumes[FP])[WHOLE])


@few
@given(HU, TRUTH, SAID, st.sampled_from([0, 1, 2]))
def test_turning_the_scan_over_changes_nothing(voxels, reference, submitted, axis):
    turned = (np.ascontiguousarray(np.flip(a, axis)) for a in (voxels, reference, submitted))
    one = score_patient(voxels, reference, submitted, SPACING)
    other = score_patient(*turned, SPACING)
    np.testing.assert_array_equal(one.lesions, other.lesions)
    np.testing.assert_allclose(one.scores, other.scores)


@few
@given(HU, TRUTH)
def test_the_reference_itself_is_perfect(voxels, reference):
    found = score_patient(voxels, reference, reference, SPACING)
    other = replace(found, reference=found.reference * 2 + 150, scores=found.scores * 2 + 150)
    figures = measures([found, other, found, other], resamples=20)
    for key, estimate in figures.items():
        assert not estimate.is_defined or estimate.value == pytest.approx(1), key
    for name in (*BY_NUMBER, *BY_VOLUME):
        assert figures[name, "whole"].is_defined == bool(found.reference_lesions[WHOLE])


@few
@given(HU, TRUTH, SAID)
def test_a_missing_map_is_no_better_than_any_map(voxels, reference, submitted):
    found = score_patient(voxels, reference, submitted, SPACING)
    none = score_patient(voxels, reference, None, SPACING)
    some, missing = (measures([one] * 3, resamples=20) for one in (found, none))
    for measure in (*BY_NUMBER, *BY_VOLUME):
        for target in ("LAD", "whole"):
            a, b = some[measure, target], missing[measure, target]
            assert not b.is_defined or not a.is_defined or b.value <= a.value
