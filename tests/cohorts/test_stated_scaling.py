"""Scaling that a header states is applied, whatever the format, or the file is refused."""

import struct

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from written import arrays, save

from benchmark.cohorts.volumes import read_scan
from benchmark.errors import UserError

VOXELS, LABELS = arrays()


def with_lines(path, array, *lines):
    """An NRRD or MetaImage file with lines added to its header."""
    save(path, array)
    data = path.read_bytes()
    text = "".join(f"{line}\n" for line in lines).encode()
    mark = b"encoding:" if path.suffix == ".nrrd" else b"ElementDataFile"
    path.write_bytes(data.replace(mark, text + mark, 1))
    return path


def quantised(dtype, slope, offset):
    """Lines as dcm2niix writes them: the values of the lowest and highest number of the type."""
    info = np.iinfo(dtype)
    return f"oldmin: {info.min * slope + offset:.8f}", f"oldmax: {info.max * slope + offset:.8f}"


@pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.int32])
@pytest.mark.parametrize(("slope", "offset"), [(1, -1024), (1.25, -1000), (0.5, -8192), (2, 0)])
def test_old_min_and_old_max_of_an_nrrd_file_are_applied(tmp_path, dtype, slope, offset):
    if dtype == np.uint16 and offset == 0:
        offset = -1024
    stored = np.rint((VOXELS - offset) / slope).astype(dtype)
    lines = quantised(dtype, slope, offset)
    if dtype == np.int32:
        lines = tuple(line.replace("old", "old ") for line in lines)
    scan = read_scan(with_lines(tmp_path / "a.nrrd", stored, *lines))
    np.testing.assert_array_equal(scan.voxels, np.rint(stored.astype(float) * slope + offset))


@pytest.mark.parametrize("suffix", [".mha", ".mhd"])
def test_slope_and_offset_of_a_meta_image_are_applied(tmp_path, suffix):
    stored = np.rint((VOXELS + 1000) / 1.25).astype(np.int16)
    lines = "ElementToIntensityFunctionSlope = 1.25", "ElementToIntensityFunctionOffset = -1000"
    scan = read_scan(with_lines(tmp_path / f"a{suffix}", stored, *lines))
    np.testing.assert_array_equal(scan.voxels, np.rint(stored * 1.25 - 1000))
    offset = with_lines(tmp_path / f"b{suffix}", VOXELS + np.int16(1024),
                        "ElementToIntensityFunctionOffset = -1024")  # fmt: skip
    np.testing.assert_array_equal(read_scan(offset).voxels, VOXELS)


def nifti(path, stored, slope, intercept):
    """A NIfTI file with scl_slope and scl_inter."""
    save(path, stored)
    data = bytearray(path.read_bytes())
    struct.pack_into("<2f", data, 112, slope, intercept)
    path.write_bytes(data)
    assert nibabel.load(path).dataobj.slope == pytest.approx(slope)
    return path


def test_slope_and_intercept_of_a_nifti_file_are_applied(tmp_path):
    stored = ((VOXELS + 1024) * 4).astype(np.int16)
    path = nifti(tmp_path / "a.nii", stored, 0.25, -1024)
    np.testing.assert_array_equal(read_scan(path).voxels, VOXELS)


def test_labels_are_scaled_too_and_stay_whole(tmp_path):
    image = save(tmp_path / "image.nrrd", VOXELS)
    doubled = with_lines(
        tmp_path / "l.mhd", LABELS.astype(np.int16) * 2, "ElementToIntensityFunctionSlope = 0.5"
    )
    np.testing.assert_array_equal(read_scan(image, doubled).labels, LABELS)
    lines = quantised(np.int16, 0.5, 0)
    half = with_lines(tmp_path / "h.nrrd", LABELS.astype(np.int16), *lines)
    with pytest.raises(UserError, match=r"h\.nrrd: unknown labels 0\.5, which are no whole"):
        read_scan(image, half)
    thirds = nifti(tmp_path / "n.nii", LABELS.astype(np.int16) * 3, 1 / 3, 0)
    np.testing.assert_array_equal(read_scan(image, thirds).labels, LABELS)


def test_labels_stored_as_floats_may_be_rounded(tmp_path):
    image = save(tmp_path / "image.nrrd", VOXELS)
    path = save(tmp_path / "l.nrrd", LABELS * np.float32(0.9999999))
    np.testing.assert_array_equal(read_scan(image, path).labels, LABELS)
    path = save(tmp_path / "l.nrrd", LABELS * np.float32(0.99))
    with pytest.raises(UserError, match=r"unknown labels 0\.99.*, which are no whole numbers"):
        read_scan(image, path)
    path = save(tmp_path / "l.nrrd", np.where(LABELS > 0, np.nan, 0.0))
    with pytest.raises(UserError, match="NaN or infinite labels"):
        read_scan(image, path)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["old min: -1024"], "old min -1024 but no old max"),
        (["oldmax: 3071"], "old max 3071 but no old min"),
        (["old min: 5", "old max: 5"], "are no scaling of a CT"),
        (["old min: nan", "old max: 5"], "are no scaling of a CT"),
        (["old min: -1e9", "old max: 1e9"], "steps of 3.05e.04, too coarse"),
    ],
)
def test_scaling_of_an_nrrd_file_that_is_not_certain_is_refused(tmp_path, lines, words):
    with pytest.raises(UserError, match=words):
        read_scan(with_lines(tmp_path / "a.nrrd", VOXELS, *lines))


def test_scaling_of_whole_numbers_beside_floats_is_refused(tmp_path):
    path = with_lines(tmp_path / "a.nrrd", VOXELS.astype(np.float32), "old min: 0", "old max: 1")
    with pytest.raises(UserError, match=r"old min 0 and old max 1.* but type float"):
        read_scan(path)


@pytest.mark.parametrize("slope", ["0", "nan", "inf", "steep", "1e9"])
def test_a_slope_that_is_none_is_refused(tmp_path, slope):
    path = with_lines(tmp_path / "a.mhd", VOXELS, f"ElementToIntensityFunctionSlope = {slope}")
    with pytest.raises(UserError, match=f"ElementToIntensityFunctionSlope {slope} and"):
        read_scan(path)
    assert sitk.ReadImage(str(path)).GetSize() == (24, 24, 6)
