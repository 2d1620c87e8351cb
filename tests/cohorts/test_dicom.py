"""DICOM series for prediction: slices in order, HU as stored, nothing of the patient kept."""

import re

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from written import HEIGHT, ORIGIN, SECRETS, SPACING, arrays, series

from benchmark.cohorts.dicom import DicomCohort
from benchmark.cohorts.dicom_header import read_headers
from benchmark.cohorts.dicom_series import read_series
from benchmark.cohorts.geometry import write_labels
from benchmark.errors import UserError

VOXELS = arrays()[0]


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "dicom"


def only(folder):
    cohort = DicomCohort(folder)
    assert len(cohort.ids) == 1
    return cohort.load(cohort.ids[0]), cohort.check()[0]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"signed": False, "intercept": -1024},
        {"signed": False, "slope": 2, "intercept": -3000},
        {"slope": 0.5, "intercept": -100},
        {"signed": False, "intercept": -8192},
    ],
)
def test_stored_values_become_hu(folder, options):
    step = options.get("slope", 1)
    voxels = VOXELS if step < 2 else VOXELS // 2 * 2
    series(folder, voxels, **options)
    np.testing.assert_array_equal(only(folder)[0].voxels, voxels)


@pytest.mark.parametrize(
    ("options", "fill"),
    [
        ({"PixelPaddingValue": -2000}, -2000),
        ({"signed": False, "intercept": -1024, "PixelPaddingValue": 65535}, 64511),
        ({}, -3024),
    ],
)
def test_padding_becomes_air(folder, options, fill):
    voxels = VOXELS.astype(np.int32)
    voxels[:, :2, :2] = fill
    series(folder, voxels, **options)
    loaded = only(folder)[0].voxels
    assert (loaded[:, :2, :2] == -1024).all()
    np.testing.assert_array_equal(loaded[:, 2:], VOXELS[:, 2:])


def test_a_padding_value_that_is_tissue_stays(folder):
    voxels = VOXELS.copy()
    voxels[3, 10, 10] = 0
    series(folder, voxels, PixelPaddingValue=0)
    assert only(folder)[0].voxels[3, 10, 10] == 0


def test_slices_are_ordered_by_position_and_not_by_name(folder):
    order = [3, 0, 5, 1, 4, 2]
    heights = ORIGIN[2] + 3.0 * np.array(order)
    series(folder, VOXELS[order], heights=heights, numbers=[n + 1 for n in order])
    scan, row = only(folder)
    np.testing.assert_array_equal(scan.voxels, VOXELS)
    assert (row.verdict, row.reason) == ("ready", "")


def test_the_scan_goes_back_to_where_itk_has_it(folder, tmp_path):
    paths = series(folder, VOXELS[::-1], heights=ORIGIN[2] + 3.0 * np.arange(6)[::-1])
    scan, _ = only(folder)
    labels = np.zeros(scan.voxels.shape, np.uint8)
    labels[scan.voxels == 250] = 1
    write_labels(tmp_path / "out.nii.gz", labels, scan.geometry)
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames([str(path) for path in paths[::-1]])
    itk, written = reader.Execute(), sitk.ReadImage(str(tmp_path / "out.nii.gz"))
    assert written.GetOrigin() == pytest.approx(itk.GetOrigin())
    assert written.GetSpacing() == pytest.approx(itk.GetSpacing())
    marked = sitk.GetArrayFromImage(written) > 0
    np.testing.assert_array_equal(marked, sitk.GetArrayFromImage(itk) == 250)


def test_overlap_is_measured_by_position(folder):
    series(folder, VOXELS, heights=1.5 * np.arange(6), SliceThickness=3.0)
    scan, row = only(folder)
    assert scan.spacing == pytest.approx((1.5, 0.5, 0.5))
    assert row.verdict == "ready"


def test_gaps_between_slices_are_measured_and_told(folder):
    series(folder, VOXELS, heights=5.0 * np.arange(6), SliceThickness=2.5)
    scan, row = only(folder)
    assert scan.spacing[0] == pytest.approx(5.0)
    assert "gaps: slices of 2.5 mm lie 5.00 mm apart" in row.reason


def test_a_missing_slice_leaves_the_others_in_their_places(folder):
    series(folder, VOXELS)[4].unlink()
    scan, row = only(folder)
    np.testing.assert_array_equal(np.delete(scan.voxels, 4, 0), np.delete(VOXELS, 4, 0))
    assert (scan.voxels[4] == -1024).all()
    assert row.verdict == "warning"
    assert "1 missing slices were filled with air" in row.reason


def test_two_copies_of_a_slice_are_one(folder):
    series(folder, VOXELS)
    series(folder, VOXELS[2:3], heights=[HEIGHT], numbers=[9], first=80)
    scan, row = only(folder)
    np.testing.assert_array_equal(scan.voxels, VOXELS)
    assert "1 duplicate slices with the same pixels were taken once" in row.reason


def test_numbers_that_jump_are_told(folder):
    series(folder, VOXELS, numbers=[1, 3, 2, 4, 5, 6])
    scan, row = only(folder)
    np.testing.assert_array_equal(scan.voxels, VOXELS)
    assert row.verdict == "warning"
    assert "non-monotonous slices: instance numbers jump" in row.reason


def test_a_contrast_agent_in_the_header_is_told_but_not_named(folder):
    series(folder, VOXELS, ContrastBolusAgent="SMITHOVIST")
    assert "names a contrast agent" in only(folder)[1].reason
    assert "SMITHOVIST" not in only(folder)[1].reason


def damage(path):
    path.write_bytes(path.read_bytes()[:-700])


def twin(folder):
    series(folder, VOXELS[2:3] + np.int16(5), heights=[HEIGHT], numbers=[9], first=80)


FAULTS = {
    "duplicate": (lambda f: (series(f, VOXELS), twin(f)), "duplicate slices: two lie at one"),
    "uneven": (
        lambda f: series(f, VOXELS, heights=[0, 3, 6, 10, 13, 16]),
        "slices are not evenly spaced",
    ),
    "many missing": (
        lambda f: series(f, VOXELS, heights=[0, 3, 6, 15, 24, 33]), "6 of 12 slices are missing"
    ),
    "no position": (
        lambda f: series(f, VOXELS, ImagePositionPatient=None), "does not say where it lies"
    ),
    "one slice": (lambda f: series(f, VOXELS[:1]), "one slice is no volume"),
    "cut pixels": (lambda f: damage(series(f, VOXELS)[2]), "pixels of a slice cannot be read"),
    "multiframe": (lambda f: series(f, VOXELS, NumberOfFrames=4), "convert it to NIfTI"),
    "inverted": (
        lambda f: series(f, VOXELS, PhotometricInterpretation="MONOCHROME1"), "inverted"
    ),
    "not HU": (lambda f: series(f, VOXELS + np.int16(1024)), "are not HU"),
    "huge": (lambda f: series(f, VOXELS, Rows=40000), "40000 x 24 pixels are no cardiac CT"),
    "tilted": (
        lambda f: [
            series(f, VOXELS[n : n + 1], heights=[3.0 * n], numbers=[n + 1], first=n,
                   ImagePositionPatient=[0, 2.0 * n, 3.0 * n])
            for n in range(6)
        ],
        "shifted against each other",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_series_is_refused_and_the_other_goes_on(folder, fault):
    make, words = FAULTS[fault]
    make(folder / "a")
    series(folder / "b", VOXELS, uid="1.2.826.99.2")
    rows = DicomCohort(folder, folder.parent / "cache").check()
    assert sorted(row.verdict for row in rows) == ["ready", "refused"]
    refused = next(row for row in rows if row.verdict == "refused")
    assert refused.reason.startswith("series 1 of 2 in order of names: ")
    assert re.search(words, refused.reason)
    assert "\n" not in refused.reason
    assert not [secret for secret in SECRETS if secret in refused.reason]


def test_localizers_other_modalities_and_junk_are_passed_over(folder):
    series(folder / "ct", VOXELS)
    series(folder / "scout", VOXELS[:2], uid="1.2.826.99.3", ImageType=["DERIVED", "LOCALIZER"])
    series(folder / "report", VOXELS[:2], uid="1.2.826.99.4", Modality="SR")
    (folder / "junk.dcm").write_bytes(b"junk" * 100)
    (folder / "notes.txt").write_text("none")
    cohort = DicomCohort(folder)
    assert len(cohort.ids) == 1
    (folder / ".hidden.dcm").write_bytes(b"")
    assert DicomCohort(folder).notes == (
        "1 files were passed over: a file cannot be read as DICOM (1 of 11 in order of names).",
        "2 files were passed over: images of no CT (Modality) (8, 9 of 11 in order of names).",
        "2 files were passed over: localizers (LOCALIZER in ImageType) "
        "(10, 11 of 11 in order of names).",
        "1 files were passed over: no DICOM.",
        "1 files were passed over: hidden.",
    )


def test_scans_have_no_labels_and_train_nothing(folder):
    for number in range(5):
        series(folder / str(number), VOXELS, uid=f"1.2.826.99.{number}")
    cohort = DicomCohort(folder)
    assert cohort.unlabelled == cohort.ids
    assert cohort.load(cohort.ids[0]).labels is None
    assert [row.lesions for row in cohort.check()] == [None] * 5
    with pytest.raises(UserError, match=r"0 scans are too few \(5 more have no labels"):
        cohort.records()


def test_nothing_of_the_patient_is_kept(tmp_path, capfd):
    folder = tmp_path / "SMITH_JANE"
    series(folder / "MRN0042_19510203", VOXELS)
    series(folder / "MRN0042_bad", VOXELS, uid="1.2.826.99.2", ImagePositionPatient=None)
    cohort = DicomCohort(folder, tmp_path / "cache")
    rows = cohort.check()
    scan = cohort.load(next(row.id for row in rows if row.verdict == "ready"))
    shown = repr((rows, cohort.ids, scan.id, scan.centre, cohort.notes, capfd.readouterr()))
    kept = b"".join(
        path.name.encode() + path.read_bytes() for path in (tmp_path / "cache").iterdir()
    )
    for secret in SECRETS:
        assert secret not in shown
        assert secret.encode() not in kept
    assert all(id.startswith("scan-") for id in cohort.ids)
    # The same key gives the same ids; another machine's key gives others.
    assert DicomCohort(folder, tmp_path / "cache").ids == cohort.ids
    other = DicomCohort(folder, tmp_path / "cache2")
    assert not set(other.ids) & set(cohort.ids)
    assert other.fingerprint() == cohort.fingerprint()


def test_scans_of_one_patient_share_it_under_a_new_name(folder):
    series(folder / "a", VOXELS, uid="1.2.826.99.1")
    series(folder / "b", VOXELS, uid="1.2.826.99.2")
    series(folder / "c", VOXELS, uid="1.2.826.99.3", patient="MRN0043")
    patients = [entry.patient for entry in DicomCohort(folder)._entries.values()]
    assert len(set(patients)) == 2
    assert all(patient.startswith("patient-") for patient in patients)


def test_compressed_pixels_are_read(folder):
    # RLE by pydicom itself; pixels are then read by SimpleITK's GDCM.
    import pydicom
    from pydicom.uid import RLELossless

    for path in series(folder, VOXELS, signed=False, intercept=-1024):
        data = pydicom.dcmread(path)
        data.compress(RLELossless, generate_instance_uid=False)
        data.save_as(path)
    np.testing.assert_array_equal(only(folder)[0].voxels, VOXELS)


def test_an_oblique_series_keeps_its_directions(folder):
    paths = [
        series(folder, VOXELS[n : n + 1], heights=[0], numbers=[n + 1], first=n,
               ImageOrientationPatient=[1, 0, 0, 0, 0.8, 0.6],
               ImagePositionPatient=[0, -0.6 * 3 * n, 0.8 * 3 * n])[0]
        for n in range(6)
    ]  # fmt: skip
    volume = read_series([header for path in paths for header in read_headers(path)])
    assert volume.geometry.spacing == pytest.approx((0.5, 0.5, SPACING[0]))
    assert volume.geometry.direction == pytest.approx((1, 0, 0, 0, 0.8, -0.6, 0, 0.6, 0.8))
    np.testing.assert_array_equal(volume.voxels, VOXELS)


def test_a_folder_without_dicom_is_refused(tmp_path):
    (tmp_path / "a.txt").write_text("none")
    with pytest.raises(UserError, match="holds no CT series"):
        DicomCohort(tmp_path)
    with pytest.raises(UserError, match="no such folder"):
        DicomCohort(tmp_path / "none")


def test_a_series_whose_spacing_changes_is_told_from_one_with_gaps(tmp_path):
    voxels = np.concatenate([arrays()[0]] * 2)
    paths = series(tmp_path, voxels)
    for place, path in enumerate(paths[6:], start=1):
        data = pydicom.dcmread(path)
        data.ImagePositionPatient[2] = ORIGIN[2] + 15 + 1.5 * place
        data.save_as(path)
    (row,) = DicomCohort(tmp_path).check()
    assert (
        "slices lie 1.50 to 3.00 mm apart: 5 of 17 slices are missing, or two scans" in row.reason
    )


def test_a_file_without_a_series_is_told_by_the_element_that_it_lacks(tmp_path):
    for path in series(tmp_path, arrays()[0]):
        data = pydicom.dcmread(path)
        del data.SeriesInstanceUID
        data.save_as(path)
    with pytest.raises(UserError, match="a file lacks SeriesInstanceUID, which every DICOM image"):
        DicomCohort(tmp_path)
