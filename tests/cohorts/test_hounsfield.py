"""Numbers that are no HU are refused whatever fills the corners, and HU of any scanner are read."""

import numpy as np
import pytest

from benchmark.cohorts.hounsfield import check_hu, read_hu
from benchmark.errors import UserError

SHAPE = (8, 48, 48)
OUTSIDE = np.hypot(*(np.mgrid[:48, :48] - 23.5)) > 24


def thorax(tissue=0.6, noise=12, seed=0):
    """HU of air, lung and soft tissue in a round field of view, with some calcium and bone."""
    random = np.random.default_rng(seed)
    radius = np.hypot(*(np.mgrid[:48, :48] - 23.5)) / 24
    plane = np.full((48, 48), -1000)
    plane[radius < 0.95], plane[radius < tissue] = -850, 40
    voxels = plane + random.integers(-noise, noise + 1, SHAPE)
    voxels[:, 20:23, 20:23], voxels[2, 30, 30:33] = 900, 450
    return voxels


def filled(voxels, fill, dtype=np.int32):
    voxels = voxels.astype(dtype)
    voxels[:, OUTSIDE] = fill
    return voxels


@pytest.mark.parametrize("fill", [-1024, -1500, -2000, -2048, -3024, -32768, -1000, -500, 0])
@pytest.mark.parametrize("tissue", [0.3, 0.6, 0.9])
@pytest.mark.parametrize("slope", [1, 0.8])
def test_stored_values_are_refused_whatever_fills_the_corners(fill, tissue, slope):
    stored = np.rint((thorax(tissue) + 1024) / slope)
    with pytest.raises(UserError, match=r"a\.nii: .*apply rescale slope and intercept"):
        check_hu(filled(stored, fill), "a.nii")
    # signed stored values go below zero where air is noisy
    with pytest.raises(UserError, match=r"not HU"):
        check_hu(filled((thorax(0.6, noise=60) + 1024) / slope, fill, np.float32), "a.nii")


@pytest.mark.parametrize("fill", [None, -1024, -1000, -2000, -3024, -32768, 0])
@pytest.mark.parametrize("tissue", [0.2, 0.6, 0.9])
@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.float32, np.float64])
def test_hu_are_read_whatever_fills_the_corners(fill, tissue, dtype):
    voxels = thorax(tissue)
    expected = voxels.copy()
    if fill is not None:
        expected[:, OUTSIDE] = max(fill, -1024)
        voxels = filled(voxels, fill)
    found, warnings = read_hu(voxels.astype(dtype), "a.nii")
    assert found.dtype == np.int16
    np.testing.assert_array_equal(found, expected.clip(-1024))
    assert warnings == ()


@pytest.mark.parametrize("fill", [32767, 62512, 64511, 65535, 31744, 8000, 4095, 2**31 - 1])
@pytest.mark.parametrize("dtype", [np.int32, np.float64])
def test_a_fill_above_any_body_is_air_and_told(fill, dtype):
    voxels = filled(thorax(), fill, dtype)
    found, warnings = read_hu(voxels, "a.nii")
    expected = thorax()
    expected[:, OUTSIDE] = -1024
    np.testing.assert_array_equal(found, expected)
    count = OUTSIDE.sum() * SHAPE[0]
    assert f"{count} voxels of {float(fill):g} outside the field of view" in warnings[0]
    assert len(warnings) == 1


def test_stored_values_with_a_high_fill_are_refused():
    for dtype, fill in ((np.uint16, 65535), (np.uint16, 63536), (np.int32, 62512)):
        with pytest.raises(UserError, match="not HU"):
            check_hu(filled(thorax() + 1024, fill, dtype), "a.nii")


def test_metal_is_no_fill():
    for highest in (3071, 9000, 30_710, 31_743):
        voxels = thorax()
        voxels[3:5, 20:26, 18:20] = highest
        voxels[3, 0, 0] = min(highest, 3071)  # a lead at the edge of a cropped scan
        found, warnings = read_hu(voxels.astype(np.int32), "a.nii")
        np.testing.assert_array_equal(found, voxels)
        assert warnings == ()


def test_values_above_any_scanners_scale_are_refused():
    voxels = thorax()
    voxels[3, 20:26, 18:20] += np.arange(12).reshape(6, 2) + 40_000
    with pytest.raises(
        UserError, match=r"12 voxels lie above 31743 HU \(up to 40062\), which no CT"
    ):
        check_hu(voxels, "a.nii")


def test_an_intercept_that_was_applied_twice_is_refused():
    with pytest.raises(UserError, match="intercept applied twice"):
        check_hu(filled(thorax() - 1024, -3024), "a.nii")


def test_phantoms_without_noise_and_crops_of_the_heart_are_read():
    voxels = np.full(SHAPE, -1000, np.int16)  # one value of air, as a drawn phantom has it
    voxels[:, 10:40, 10:40], voxels[3, 20, 20:24] = 40, 400
    np.testing.assert_array_equal(check_hu(voxels, "a"), voxels)
    heart = np.random.default_rng(0).normal(45, 25, SHAPE).astype(np.int16)
    heart[:, :6] = -95  # fat
    heart[3, 20, 20:24] = 700
    np.testing.assert_array_equal(check_hu(heart, "a"), heart)
    enhanced = heart.copy()
    enhanced[:, 8:40, 8:40] += 600  # a tube of 70 kV
    np.testing.assert_array_equal(check_hu(enhanced, "a"), enhanced)


def test_numbers_of_small_types_are_judged_too():
    small = np.tile(np.array([-128, 127], np.int8), (4, 4, 4))
    assert check_hu(small, "a").dtype == np.int16
    with pytest.raises(UserError, match="not HU"):
        check_hu(np.tile(np.array([0, 255], np.uint8), (4, 4, 4)), "a")
