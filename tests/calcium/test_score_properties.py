"""What must hold for the scores of any scan, and agreement with a plain second implementation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from benchmark.calcium import Conventions, lesion_table, score_scan

SHAPE = (4, 6, 6)
DENSITIES = st.sampled_from([-100, 40, 130, 131, 199, 200, 310, 400, 900])
HU = arrays(np.int16, SHAPE, elements=DENSITIES)
LABELS = arrays(np.uint8, SHAPE, elements=st.integers(0, 4))
SPACING = st.tuples(st.floats(0.5, 5), st.floats(0.2, 1), st.floats(0.2, 1))
CONVENTIONS = st.builds(
    Conventions,
    inclusive=st.booleans(),
    in_plane_connectivity=st.sampled_from([4, 8]),
    min_area_mm2=st.sampled_from([0.0, 0.5, 1.0]),
    thickness_correction=st.booleans(),
    whole=st.sampled_from(["sum", "union"]),
)
few = settings(max_examples=60, deadline=None)


def plain_scores(voxels, labels, spacing, conventions):
    """Score slice by slice and lesion by lesion with scipy.ndimage, as one would on paper."""
    above = voxels >= 130 if conventions.inclusive else voxels > 130
    pixel = spacing[1] * spacing[2]
    factor = spacing[0] / 3 if conventions.thickness_correction else 1
    neighbours = np.ones((3, 3)) if conventions.in_plane_connectivity == 8 else None

    def of_mask(mask):
        agatston = volume = mass = 0.0
        for z in range(len(voxels)):
            lesions, count = ndimage.label(mask[z], neighbours)
            for number in range(1, count + 1):
                hu = voxels[z][lesions == number].astype(float)
                area = len(hu) * pixel
                # a lesion of just the least area counts, whichever way its product was rounded
                if area * (1 + 1e-9) < conventions.min_area_mm2:
                    continue
                peak = hu.max()
                weight = 4 if peak >= 400 else 3 if peak >= 300 else 2 if peak >= 200 else 1
                agatston += area * weight * factor
                volume += area * spacing[0]
                mass += 0.00078 * hu.mean() * area * spacing[0]
        return np.array([agatston, volume, mass])

    columns = [of_mask(above & (labels == label)) for label in (1, 2, 3, 4)]
    whole = sum(columns) if conventions.whole == "sum" else of_mask(above & (labels > 0))
    return np.stack([*columns[:3], whole], axis=1)


@settings(max_examples=150, deadline=None)
@given(HU, LABELS, SPACING, CONVENTIONS)
def test_agrees_with_plain_implementation(voxels, labels, spacing, conventions):
    np.testing.assert_allclose(
        score_scan(voxels, labels, spacing, conventions),
        plain_scores(voxels, labels, spacing, conventions),
        rtol=1e-9,
        atol=1e-12,
    )


def test_agrees_with_plain_implementation_on_a_scan_of_usual_size():
    random = np.random.default_rng(0)
    smooth = ndimage.gaussian_filter(random.normal(size=(20, 96, 96)), (0.7, 1.5, 1.5))
    voxels = (40 + 900 * smooth).astype(np.int16)
    labels = ndimage.zoom(random.integers(0, 5, (5, 8, 8)), (4, 12, 12), order=0).astype(np.uint8)
    spacing = (2.5, 0.41, 0.39)
    scores = score_scan(voxels, labels, spacing)
    assert scores[0].min() > 100
    np.testing.assert_allclose(
        scores, plain_scores(voxels, labels, spacing, Conventions()), rtol=1e-9
    )


@few
@given(HU, LABELS, HU, LABELS, SPACING, CONVENTIONS)
def test_lesions_far_apart_add_up(voxels_a, labels_a, voxels_b, labels_b, spacing, conventions):
    gap = np.full((4, 6, 2), -100, np.int16)
    together = score_scan(
        np.concatenate([voxels_a, gap, voxels_b], axis=2),
        np.concatenate([labels_a, np.zeros_like(gap, np.uint8), labels_b], axis=2),
        spacing,
        conventions,
    )
    apart = score_scan(voxels_a, labels_a, spacing, conventions) + score_scan(
        voxels_b, labels_b, spacing, conventions
    )
    np.testing.assert_allclose(together, apart, rtol=1e-9, atol=1e-12)


@few
@given(HU, LABELS, SPACING, CONVENTIONS)
def test_mirroring_and_turning_change_nothing(voxels, labels, spacing, conventions):
    scores = score_scan(voxels, labels, spacing, conventions)
    for axis in range(3):
        mirrored = score_scan(np.flip(voxels, axis), np.flip(labels, axis), spacing, conventions)
        np.testing.assert_allclose(mirrored, scores, rtol=1e-9)
    turned = score_scan(
        voxels.swapaxes(1, 2),
        labels.swapaxes(1, 2),
        (spacing[0], spacing[2], spacing[1]),
        conventions,
    )
    np.testing.assert_allclose(turned, scores, rtol=1e-9)


@few
@given(HU, LABELS, SPACING, st.integers(0, 500))
def test_volume_does_not_depend_on_how_dense_calcium_is(voxels, labels, spacing, more):
    denser = np.where(voxels > 130, voxels + more, voxels).astype(np.int16)
    before, after = score_scan(voxels, labels, spacing), score_scan(denser, labels, spacing)
    np.testing.assert_allclose(after[1], before[1], rtol=1e-12)
    assert (after[[0, 2]] >= before[[0, 2]] - 1e-9).all()


@few
@given(HU, LABELS, SPACING)
def test_agatston_lies_between_one_and_four_times_the_area(voxels, labels, spacing):
    agatston, volume, _ = score_scan(voxels, labels, spacing)
    # Area x spacing / 3 is volume / 3.
    assert (agatston >= volume / 3 - 1e-9).all()
    assert (agatston <= 4 * volume / 3 + 1e-9).all()


@few
@given(HU, LABELS, SPACING)
def test_arteries_add_up_to_the_whole(voxels, labels, spacing):
    labels[labels == 4] = 0
    scores = score_scan(voxels, labels, spacing)
    np.testing.assert_allclose(scores[:, :3].sum(axis=1), scores[:, 3], rtol=1e-9)


@few
@given(HU, LABELS, SPACING, CONVENTIONS, st.data())
def test_more_calcium_never_lowers_a_score(voxels, labels, spacing, conventions, data):
    before = score_scan(voxels, labels, spacing, conventions)
    assert (before >= 0).all()
    free = np.argwhere(labels == 0)
    if not len(free):
        return
    place = tuple(free[data.draw(st.integers(0, len(free) - 1))])
    voxels[place] = data.draw(st.integers(131, 1000))
    labels[place] = data.draw(st.integers(1, 4))
    after = score_scan(voxels, labels, spacing, conventions)
    assert (after >= before - 1e-9).all()
    assert after[1, 3] > before[1, 3] or conventions.min_area_mm2 > 0


@few
@given(HU, LABELS, SPACING, CONVENTIONS)
def test_lesions_add_up_to_the_whole(voxels, labels, spacing, conventions):
    lesions = lesion_table(voxels, labels, spacing, conventions)
    total = np.array([[row.agatston, row.volume, row.mass] for row in lesions]).reshape(-1, 3)
    np.testing.assert_allclose(
        total.sum(axis=0),
        score_scan(voxels, labels, spacing, conventions)[:, 3],
        rtol=1e-9,
        atol=1e-12,
    )


@pytest.mark.parametrize("dtype", [np.int32, np.float32, np.float64])
def test_type_of_the_voxels_does_not_matter(dtype):
    random = np.random.default_rng(1)
    voxels = random.integers(0, 600, SHAPE).astype(np.int16)
    labels = random.integers(0, 5, SHAPE)
    np.testing.assert_array_equal(
        score_scan(voxels.astype(dtype), labels, (3, 0.5, 0.5)),
        score_scan(voxels, labels.astype(np.uint8), (3, 0.5, 0.5)),
    )
