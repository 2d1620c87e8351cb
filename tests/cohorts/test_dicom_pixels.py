"""Stored values become the same HU in every transfer syntax; padding is air, and no evidence."""

import numpy as np
import pydicom
import pytest
from packed import SYNTAXES, pack
from pydicom.uid import ExplicitVRLittleEndian, JPEG2000MCLossless
from written import arrays, series

from benchmark.cohorts.dicom import DicomCohort

VOXELS = arrays()[0]


def only(folder):
    cohort = DicomCohort(folder)
    assert len(cohort.ids) == 1
    return cohort.load(cohort.ids[0]).voxels, cohort.check()[0]


def refusal(folder):
    row = DicomCohort(folder).check()[0]
    assert row.verdict == "refused"
    assert "\n" not in row.reason
    return row.reason


def with_corners(fill):
    """HU of a slice whose corners lie beyond the field of view."""
    voxels = VOXELS.astype(np.int32)
    voxels[:, :3, :3] = voxels[:, -2:, :3] = fill
    air = VOXELS.copy()
    air[:, :3, :3] = air[:, -2:, :3] = -1024
    return voxels, air


STORED = {
    "signed, 16 bits": ({"signed": True, "PixelPaddingValue": -2000}, -2000),
    "signed, 12 bits": (
        {"signed": True, "PixelPaddingValue": -2000, "BitsStored": 12, "HighBit": 11}, -2000
    ),
    "unsigned, padding 63536": (
        {"signed": False, "intercept": -1024, "PixelPaddingValue": 63536}, 62512
    ),
    "unsigned, 12 bits": (
        {"signed": False, "intercept": -1024, "PixelPaddingValue": 0, "BitsStored": 12,
         "HighBit": 11}, -1024
    ),
    "padding of a range": (
        {"signed": False, "intercept": -1024, "PixelPaddingValue": 63000,
         "PixelPaddingRangeLimit": 64000}, 62512
    ),
    "a slope": ({"signed": False, "slope": 2, "intercept": -3000, "PixelPaddingValue": 0}, -3000),
}  # fmt: skip


@pytest.mark.parametrize("stored", STORED)
@pytest.mark.parametrize("name", SYNTAXES)
def test_all_transfer_syntaxes_give_one_array(tmp_path, name, stored):
    options, fill = STORED[stored]
    voxels, air = with_corners(fill)
    if options.get("slope"):
        voxels, air = voxels // 2 * 2, air // 2 * 2
    for path in series(tmp_path / "d", voxels, **options):
        pack(path, name)
    read, row = only(tmp_path / "d")
    np.testing.assert_array_equal(read, air)
    assert (row.verdict, row.reason) == ("ready", "")


def test_a_file_without_the_mark_of_dicom_is_read(tmp_path):
    for path in series(tmp_path / "d", VOXELS):
        whole = path.read_bytes()
        path.with_suffix("").write_bytes(whole[132:])
        path.unlink()
    np.testing.assert_array_equal(only(tmp_path / "d")[0], VOXELS)


def test_a_syntax_that_is_not_read_is_named(tmp_path):
    for path in series(tmp_path / "d", VOXELS):
        pack(path, "JPEG 2000")
        data = pydicom.dcmread(path)
        data.file_meta.TransferSyntaxUID = JPEG2000MCLossless
        data.save_as(path)
    reason = refusal(tmp_path / "d")
    assert "JPEG 2000 Part 2 Multi-component" in reason
    assert "export the series uncompressed" in reason


def test_a_syntax_that_is_unknown_is_told(tmp_path):
    for path in series(tmp_path / "d", VOXELS):
        whole = path.read_bytes()
        path.write_bytes(whole.replace(b"1.2.840.10008.1.2.1\0", b"0.2.840.10008.1.2.1\0"))
    assert "its transfer syntax is unknown" in refusal(tmp_path / "d")


def test_packed_pixels_of_another_size_are_not_unpacked(tmp_path):
    for path in series(tmp_path / "d", VOXELS):
        pack(path, "JPEG 2000")
        data = pydicom.dcmread(path)
        whole = data.PixelData
        place = whole.index(b"\xff\x4f\xff\x51") + 8
        data.PixelData = whole[:place] + b"\x00\x00\xff\x00" * 2 + whole[place + 8 :]
        data.save_as(path)
    assert "do not have the size that it says" in refusal(tmp_path / "d")


def test_loss_is_told(tmp_path):
    series(tmp_path / "d", VOXELS, LossyImageCompression="01")
    read, row = only(tmp_path / "d")
    np.testing.assert_array_equal(read, VOXELS)
    assert "compressed with loss" in row.reason


@pytest.mark.parametrize(
    "rescale",
    [
        {"RescaleSlope": None, "RescaleIntercept": None},
        {"RescaleSlope": 1, "RescaleIntercept": 0},
    ],
)
@pytest.mark.parametrize("fill", [-2000, -3024, None, "gap"])
def test_padding_and_gaps_are_no_evidence_of_hu(tmp_path, rescale, fill):
    stored = VOXELS.astype(np.int32) + 1024
    if fill not in (None, "gap"):
        stored[:, :3, :3] = fill
    for declared in (None, -2000):
        folder = tmp_path / str(declared)
        tags = dict(rescale) | ({"PixelPaddingValue": declared} if declared else {})
        paths = series(folder, stored, **tags)
        if fill == "gap":
            paths[3].unlink()
        reason = refusal(folder)
        assert "Rescale" in reason if rescale["RescaleSlope"] is None else "not HU" in reason


def test_one_slice_without_rescale_is_refused(tmp_path):
    paths = series(tmp_path / "d", VOXELS, signed=False, intercept=-1024)
    data = pydicom.dcmread(paths[2])
    del data.RescaleSlope, data.RescaleIntercept
    data.save_as(paths[2])
    assert "1 of 6 slices lack RescaleSlope and RescaleIntercept" in refusal(tmp_path / "d")


def test_a_slice_that_says_a_false_rescale_is_refused(tmp_path):
    paths = series(tmp_path / "d", VOXELS, signed=False, intercept=-1024)
    data = pydicom.dcmread(paths[2])
    data.RescaleIntercept = 0
    data.save_as(paths[2])
    assert "1 slices with a rescale of their own are not HU" in refusal(tmp_path / "d")


def test_every_slice_may_have_its_own_rescale(tmp_path):
    for place in range(len(VOXELS)):
        series(
            tmp_path / "d", VOXELS[place : place + 1], heights=[3.0 * place], numbers=[place + 1],
            first=place, signed=False, intercept=-1024 - 10 * place,
        )  # fmt: skip
    np.testing.assert_array_equal(only(tmp_path / "d")[0], VOXELS)


def test_hu_without_rescale_are_taken_where_lung_and_air_show_it(tmp_path):
    voxels = VOXELS.copy()
    voxels[:, :4] = np.random.default_rng(1).normal(-850, 60, (6, 4, 24))
    series(tmp_path / "d", voxels, RescaleSlope=None, RescaleIntercept=None)
    read, row = only(tmp_path / "d")
    np.testing.assert_array_equal(read, voxels)
    assert row.verdict == "warning"
    assert "RescaleSlope and RescaleIntercept are missing" in row.reason


TAGS = {
    "slope zero": ({"RescaleSlope": 0}, "rescale slope or intercept"),
    "slope negative": ({"RescaleSlope": -1}, "rescale slope or intercept"),
    "slope empty": ({"RescaleSlope": ""}, "one of RescaleSlope and RescaleIntercept"),
    "no intercept": ({"RescaleIntercept": None}, "one of RescaleSlope and RescaleIntercept"),
    "another unit": ({"RescaleType": "ED"}, "RescaleType says that its values are no HU"),
    "a table": (
        {"ModalityLUTSequence": [pydicom.Dataset()]}, "by a table (ModalityLUTSequence)"
    ),
    "intercept twice": ({"RescaleIntercept": -1024}, "not even fat"),
    "a high bit of its own": ({"BitsStored": 12, "HighBit": 15}, "contradict each other"),
    "more bits than said": (
        {"signed": False, "intercept": -1024, "BitsStored": 10, "HighBit": 9},
        "contradict each other",
    ),
    "no sign": ({"PixelRepresentation": 0}, "are not HU"),
}  # fmt: skip


@pytest.mark.parametrize("name", TAGS)
def test_headers_whose_values_are_no_hu_are_refused(tmp_path, name):
    tags, words = TAGS[name]
    series(tmp_path / "d", VOXELS, **tags)
    assert words in refusal(tmp_path / "d")


def test_values_computed_from_two_energies_are_told(tmp_path):
    series(tmp_path / "d", VOXELS, RescaleType="HU_MOD")
    assert "HU_MOD" in only(tmp_path / "d")[1].reason


def test_corners_that_no_header_declares_become_air_with_a_word(tmp_path):
    voxels, air = with_corners(62512)
    series(tmp_path / "d", voxels, signed=False, intercept=-1024)
    read, row = only(tmp_path / "d")
    np.testing.assert_array_equal(read, air)
    assert "that no header declares as padding" in row.reason


def test_a_fill_that_reads_as_bone_is_air_at_the_border_alone(tmp_path):
    voxels, air = with_corners(976)
    voxels[2, 12, 12] = air[2, 12, 12] = 976
    series(tmp_path / "d", voxels, signed=False, intercept=-1024, PixelPaddingValue=2000)
    np.testing.assert_array_equal(only(tmp_path / "d")[0], air)


def test_12_bits_with_and_without_a_repeated_sign_are_one(tmp_path):
    for name, mask in (("extended", 0xFFFF), ("bare", 0x0FFF)):
        for path in series(tmp_path / name, VOXELS, BitsStored=12, HighBit=11):
            data = pydicom.dcmread(path)
            bits = np.frombuffer(data.PixelData, "<u2") & mask
            data.PixelData = bits.astype("<u2").tobytes()
            data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
            data.save_as(path)
        np.testing.assert_array_equal(only(tmp_path / name)[0], VOXELS)


def test_overlays_in_unused_bits_do_not_change_hu(tmp_path):
    options = {"signed": False, "intercept": -1024, "BitsStored": 12, "HighBit": 11}
    for path in series(tmp_path / "d", VOXELS, **options):
        data = pydicom.dcmread(path)
        bits = np.frombuffer(data.PixelData, "<u2").copy()
        bits[5:90] |= 1 << 14
        data.PixelData = bits.tobytes()
        data.add_new(0x60000100, "US", 16)
        data.add_new(0x60000102, "US", 14)
        data.save_as(path)
    np.testing.assert_array_equal(only(tmp_path / "d")[0], VOXELS)


def test_values_that_no_ct_has_are_refused(tmp_path):
    voxels = VOXELS.astype(np.int32)
    voxels[3, 12, 12] = 32767
    series(tmp_path / "d", voxels, signed=False, intercept=-1024)
    assert "1 values lie above 31743 HU (up to 32767), which no CT has" in refusal(tmp_path / "d")


def test_metal_of_an_extended_scale_is_read(tmp_path):
    voxels = VOXELS.copy()
    voxels[3, 12, 12] = 20000
    series(tmp_path / "d", voxels, signed=False, intercept=-8192)
    read, row = only(tmp_path / "d")
    np.testing.assert_array_equal(read, voxels)
    assert (row.verdict, row.reason) == ("ready", "")
