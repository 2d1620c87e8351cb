"""Enhanced CT: all slices in one file, each with its place and rescale in functional groups."""

import numpy as np
import pydicom
import pytest
from packed import pack
from pydicom.uid import EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage
from several import enhanced
from written import ORIGIN, SPACING, arrays, series

from benchmark.cohorts import dicom_open
from benchmark.cohorts.dicom import DicomCohort

VOXELS = arrays()[0]


@pytest.mark.parametrize("sop", [EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage])
@pytest.mark.parametrize("packed", [None, "RLE", "implicit", "big endian", "deflated"])
def test_frames_are_put_in_order_with_their_own_rescale(tmp_path, sop, packed):
    path = enhanced(tmp_path / "d", sop=sop)
    if packed:
        pack(path, packed)
    cohort = DicomCohort(tmp_path / "d")
    row = cohort.check()[0]
    scan = cohort.load(cohort.ids[0])
    np.testing.assert_array_equal(scan.voxels, VOXELS)
    assert scan.spacing == pytest.approx(SPACING)
    assert scan.geometry.origin == pytest.approx(ORIGIN)
    assert (row.verdict, row.reason) == ("ready", "")


def test_a_file_above_the_size_of_a_slice_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(dicom_open, "LARGEST_FILE", 4000)
    path = enhanced(tmp_path / "d", order=range(6))
    assert path.stat().st_size > 4000
    assert DicomCohort(tmp_path / "d").check()[0].verdict == "ready"


@pytest.mark.parametrize(
    ("leave", "words"),
    [
        ("PixelMeasuresSequence", "it lacks PixelSpacing of a slice"),
        ("PlanePositionSequence", "it lacks ImagePositionPatient of a slice"),
        ("PlaneOrientationSequence", "it lacks ImageOrientationPatient of a slice"),
    ],
)
def test_a_file_that_leaves_slices_without_a_place_is_refused(tmp_path, leave, words):
    enhanced(tmp_path / "d/e", leave=[leave])
    series(tmp_path / "d/s", VOXELS, uid="1.2.826.99.5")
    rows = DicomCohort(tmp_path / "d").check()
    assert sorted(row.verdict for row in rows) == ["ready", "refused"]
    reason = next(row.reason for row in rows if row.verdict == "refused")
    assert "several slices in one file (enhanced CT); convert it to NIfTI" in reason
    assert words in reason


def test_frames_without_rescale_are_refused(tmp_path):
    enhanced(tmp_path / "d", leave=["PixelValueTransformationSequence"])
    row = DicomCohort(tmp_path / "d").check()[0]
    assert row.verdict == "refused"
    assert "RescaleSlope and RescaleIntercept are missing" in row.reason


@pytest.mark.parametrize("name", ["TemporalPositionIndex", "StackID"])
def test_two_times_or_stacks_in_one_file_are_refused(tmp_path, name):
    enhanced(tmp_path / "d", **{name: list("121212") if name == "StackID" else [1, 2] * 3})
    row = DicomCohort(tmp_path / "d").check()[0]
    assert row.verdict == "refused"
    assert f"{name} differs between slices 1 and 2 of its file" in row.reason


def test_a_header_that_asks_for_more_than_is_there_is_refused(tmp_path):
    path = enhanced(tmp_path / "d")
    data = pydicom.dcmread(path)
    data.PixelData = data.PixelData[:-200]
    data.save_as(path)
    assert "cut short" in DicomCohort(tmp_path / "d").check()[0].reason
    data.NumberOfFrames = 10**9
    data.save_as(path)
    assert "more than 2048 slices" in DicomCohort(tmp_path / "d").check()[0].reason
