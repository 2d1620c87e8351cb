"""DICOM segmentations as labels: by their segments' names, on the series that they refer to."""

import numpy as np
import pydicom
import pytest
from pydicom.uid import RTStructureSetStorage
from several import segment
from written import SECRETS, arrays, series

from benchmark.cohorts.dicom import DicomCohort
from benchmark.cohorts.formats import open_data
from benchmark.errors import UserError

VOXELS, LABELS = arrays()
TWO = LABELS.copy()
TWO[4, 12, 8:12] = 2
BRIGHT = np.where(TWO > 0, np.int16(250), VOXELS)


def checked(folder):
    row = DicomCohort(folder).check()[0]
    assert "\n" not in row.reason
    assert not [secret for secret in SECRETS if secret in row.reason]
    return row


def test_segments_are_labels_by_their_names(tmp_path):
    series(tmp_path / "d", BRIGHT)
    segment(tmp_path / "d", TWO, ["RCA", "left anterior descending"])
    cohort = DicomCohort(tmp_path / "d", tmp_path / "cache")
    assert cohort.unlabelled == ()
    assert cohort.notes == ()
    expected = np.select([TWO == 1, TWO == 2], [3, 1], 0)
    for _ in range(2):  # from the file, and from the cache
        scan = DicomCohort(tmp_path / "d", tmp_path / "cache").load(cohort.ids[0])
        np.testing.assert_array_equal(scan.labels, expected)
        np.testing.assert_array_equal(scan.voxels, BRIGHT)


def test_files_of_one_artery_each_are_put_together(tmp_path):
    series(tmp_path / "d", BRIGHT)
    segment(tmp_path / "d", (TWO == 1).astype(np.uint8), ["LCX"], "a.dcm")
    segment(tmp_path / "d", (TWO == 2).astype(np.uint8), ["LM"], "b.dcm")
    cohort = DicomCohort(tmp_path / "d")
    expected = np.select([TWO == 1, TWO == 2], [2, 1], 0)
    np.testing.assert_array_equal(cohort.load(cohort.ids[0]).labels, expected)


def test_slices_of_the_series_may_come_in_any_order(tmp_path):
    heights = np.arange(6)[::-1] * 3.0
    series(tmp_path / "d", BRIGHT[::-1], heights=heights, numbers=range(1, 7))
    segment(tmp_path / "d", TWO[::-1], ["LAD", "RCA"])
    cohort = DicomCohort(tmp_path / "d")
    expected = np.select([TWO == 1, TWO == 2], [1, 3], 0)
    np.testing.assert_array_equal(cohort.load(cohort.ids[0]).labels, expected)


def test_names_that_are_no_artery_are_refused_with_all_names(tmp_path):
    series(tmp_path / "d", BRIGHT)
    segment(tmp_path / "d", TWO, ["LAD", "Plaque 1"])
    row = checked(tmp_path / "d")
    assert row.verdict == "refused"
    assert "'Plaque 1' is no artery's name (segments found: 'LAD', 'Plaque 1')" in row.reason


def test_a_cohort_file_says_which_artery_a_name_is(tmp_path):
    series(tmp_path / "d", BRIGHT)
    segment(tmp_path / "d", TWO, ["LAD", "Plaque 1"])
    (tmp_path / "c.yaml").write_text("path: d\noptions:\n  segments: {Plaque 1: RCA}\n")
    cohort = open_data(tmp_path / "c.yaml")
    expected = np.select([TWO == 1, TWO == 2], [1, 3], 0)
    np.testing.assert_array_equal(cohort.load(cohort.ids[0]).labels, expected)
    (tmp_path / "c.yaml").write_text("path: d\noptions:\n  segments: {Plaque 1: aorta}\n")
    with pytest.raises(UserError, match="'Plaque 1' cannot be 'aorta'"):
        open_data(tmp_path / "c.yaml")


def test_two_arteries_in_one_voxel_are_refused(tmp_path):
    series(tmp_path / "d", BRIGHT)
    segment(tmp_path / "d", (TWO == 1).astype(np.uint8), ["LCX"], "a.dcm")
    segment(tmp_path / "d", (TWO == 1).astype(np.uint8), ["RCA"], "b.dcm")
    assert "segments of two arteries share 4 voxels" in checked(tmp_path / "d").reason


def moved(by, frame=0, name="PlanePositionSequence", element="ImagePositionPatient"):
    def edit(data):
        group = data.PerFrameFunctionalGroupsSequence[frame]
        item = group[name].value[0]
        item[element].value = [n + d for n, d in zip(item[element].value, by, strict=True)]

    return edit


EDITS = {
    "another patient": (lambda d: setattr(d, "PatientID", "OTHER"), "PatientID is not that"),
    "another frame": (
        lambda d: setattr(d, "FrameOfReferenceUID", "1.2.3"), "FrameOfReferenceUID is not that"
    ),
    "between pixels": (moved([0.25, 0, 0]), "off the series' grid"),
    "other pixels": (moved([5, 0, 0]), "off the series' grid"),
    "far away": (moved([0, 0, 90000]), "reaches beyond its series"),
    "other slices": (
        lambda d: [
            setattr(item, "ReferencedSOPInstanceUID", f"1.2.3.{n}")
            for n, item in enumerate(d.ReferencedSeriesSequence[0].ReferencedInstanceSequence)
        ],
        "slices that its series does not have",
    ),
    "no pixels": (lambda d: delattr(d, "PixelData"), "cannot be read"),
    "many frames": (lambda d: setattr(d, "NumberOfFrames", 10**8), "more segments or slices"),
}  # fmt: skip


@pytest.mark.parametrize("name", EDITS)
def test_a_segmentation_that_does_not_fit_is_refused(tmp_path, name):
    edit, words = EDITS[name]
    series(tmp_path / "d", BRIGHT)
    segment(tmp_path / "d", LABELS, ["LAD"], edit=edit)
    row = checked(tmp_path / "d")
    assert row.verdict == "refused"
    assert words in row.reason


def test_what_is_no_label_is_passed_over_with_a_word(tmp_path):
    paths = series(tmp_path / "d", BRIGHT)
    segment(tmp_path / "d", LABELS, ["LAD"])
    data = pydicom.dcmread(tmp_path / "d/seg.dcm")
    data.ReferencedSeriesSequence[0].SeriesInstanceUID = "1.2.3.4"
    data.save_as(tmp_path / "d/seg.dcm")
    contours = pydicom.dcmread(paths[0])
    contours.SOPClassUID = contours.file_meta.MediaStorageSOPClassUID = RTStructureSetStorage
    contours.Modality, contours.SeriesInstanceUID = "RTSTRUCT", "1.2.826.99.1.9"
    contours.save_as(tmp_path / "d/rt.dcm")
    cohort = DicomCohort(tmp_path / "d")
    assert cohort.unlabelled == cohort.ids
    assert len(cohort.notes) == 2
    assert "contours (RTSTRUCT), which are not read as labels: export them as" in cohort.notes[0]
    assert "segmentations (DICOM-SEG) of no series here (8 of 8" in cohort.notes[1]
