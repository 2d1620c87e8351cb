"""One scan is one patient's one series: what must agree within it, and what is told."""

import numpy as np
import pydicom
import pytest
from written import ORIGIN, SECRETS, SPACING, arrays, series

from benchmark.cohorts.dicom import DicomCohort

VOXELS = arrays()[0]


def checked(folder):
    row = DicomCohort(folder).check()[0]
    assert "\n" not in row.reason
    assert not [secret for secret in SECRETS if secret in row.reason]
    return row


def edited(folder, edit):
    """Write a series of which `edit(place, data)` changes each slice."""
    for place, path in enumerate(series(folder, VOXELS, numbers=range(1, 7))):
        data = pydicom.dcmread(path)
        edit(place, data)
        data.save_as(path)
    return checked(folder)


def half(**tags):
    """Give the last three slices other elements."""

    def edit(place, data):
        if place >= 3:
            for name, value in tags.items():
                setattr(data, name, value)

    return edit


DIFFER = {
    "PatientID": {"PatientID": "OTHER"},
    "PatientName": {"PatientName": "OTHER^ONE"},
    "StudyInstanceUID": {"StudyInstanceUID": "1.2.826.99.8"},
    "FrameOfReferenceUID": {"FrameOfReferenceUID": "1.2.826.99.8"},
    "ImageType": {"ImageType": ["DERIVED", "SECONDARY", "REFORMATTED"]},
    "PixelSpacing": {"PixelSpacing": [0.6, 0.6]},
    "ImageOrientationPatient": {"ImageOrientationPatient": [1, 0, 0, 0, 0.8, 0.6]},
}


@pytest.mark.parametrize("name", DIFFER)
def test_what_differs_is_named_with_two_files(tmp_path, name):
    row = edited(tmp_path / "d", half(**DIFFER[name]))
    assert row.verdict == "refused"
    assert f"{name} differs between files 1 and 4 of its 6 in order of names" in row.reason


@pytest.mark.parametrize("name", ["ConvolutionKernel", "NominalPercentageOfCardiacPhase"])
def test_two_reconstructions_in_one_series_are_refused(tmp_path, name):
    def edit(place, data):
        value = 30.0 + 45 * (place % 2)
        setattr(data, name, str(value) if name == "ConvolutionKernel" else value)

    row = edited(tmp_path / "d", edit)
    assert row.verdict == "refused"
    assert f"{name} differs between files 1 and 2" in row.reason


def test_two_folders_with_one_series_uid_are_refused(tmp_path):
    series(tmp_path / "d/a", VOXELS[:3])
    series(tmp_path / "d/b", VOXELS[3:], heights=ORIGIN[2] + 3.0 * (3 + np.arange(3)),
           patient="MRN0043", first=3)  # fmt: skip
    row = checked(tmp_path / "d")
    assert row.verdict == "refused"
    assert "PatientID differs between files 1 and 4" in row.reason


def test_one_instance_at_two_places_is_refused(tmp_path):
    row = edited(tmp_path / "d", half(SOPInstanceUID="1.2.826.99.1.1"))
    assert row.verdict == "refused"
    assert "SOPInstanceUID is the same in files 4 and 5" in row.reason


@pytest.mark.parametrize("name", ["StudyInstanceUID", "FrameOfReferenceUID"])
def test_uids_that_a_program_made_up_for_each_slice_are_told(tmp_path, name):
    row = edited(tmp_path / "d", lambda p, d: setattr(d, name, f"1.2.826.99.8.{p}"))
    assert row.verdict == "warning"
    assert row.reason == f"{name} differs between all slices, as some programs write it"


def test_names_written_in_two_ways_are_one(tmp_path):
    row = edited(tmp_path / "d", half(PatientName="Smith^Jane^^", PatientID="mrn0042 "))
    assert (row.verdict, row.reason) == ("ready", "")


def test_acquisitions_one_after_another_are_one_scan(tmp_path):
    def edit(place, data):
        data.AcquisitionNumber = place // 2

    assert edited(tmp_path / "d", edit).verdict == "ready"


def test_acquisitions_that_alternate_are_told(tmp_path):
    def edit(place, data):
        data.AcquisitionNumber = place % 2

    row = edited(tmp_path / "d", edit)
    assert row.verdict == "warning"
    assert "AcquisitionNumber alternate" in row.reason


def said(**tags):
    """Give every slice an element; a function takes the slice's place."""

    def edit(place, data):
        for name, value in tags.items():
            setattr(data, name, value(place) if callable(value) else value)

    return edit


TOLD = {
    "between": (said(SpacingBetweenSlices=1.5), "SpacingBetweenSlices says 1.5"),
    "location": (said(SliceLocation=lambda p: 2.0 * p), "SliceLocation and ImagePosition"),
    "imager": (said(ImagerPixelSpacing=[1, 1]), "ImagerPixelSpacing and PixelSpacing differ"),
    "thickness": (half(SliceThickness=2.5), "SliceThickness differs between slices: 2.5 to 3 mm"),
    "tilt": (said(GantryDetectorTilt=15), "GantryDetectorTilt says"),
}


@pytest.mark.parametrize("name", TOLD)
def test_fields_that_contradict_positions_are_told(tmp_path, name):
    edit, words = TOLD[name]
    row = edited(tmp_path / "d", edit)
    assert row.verdict == "warning"
    assert words in row.reason
    assert row.spacing == pytest.approx(SPACING)


AGREE = {
    "between": said(SpacingBetweenSlices=3.0),
    "location down": said(SliceLocation=lambda p: 100 - 3.0 * p),
    "imager": said(ImagerPixelSpacing=[0.5, 0.5]),
    "tilt": said(GantryDetectorTilt=0),
    "a name in one slice": lambda place, data: place and delattr(data, "PatientName"),
    "fourth word": said(ImageType=lambda p: ["ORIGINAL", "PRIMARY", "AXIAL", f"P{p}"]),
}


@pytest.mark.parametrize("name", AGREE)
def test_fields_that_agree_are_ready(tmp_path, name):
    row = edited(tmp_path / "d", AGREE[name])
    assert (row.verdict, row.reason) == ("ready", "")
