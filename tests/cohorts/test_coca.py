"""COCA as it comes: outlines on the right slices, and every defect known of the release."""

import plistlib

import numpy as np
import pytest
from written import BOX, HEIGHT, SECRETS, arrays, coca, roi, series

from benchmark.cohorts.coca import CocaCohort
from benchmark.errors import UserError

VOXELS, LABELS = arrays()
AHEAD, BACK = 3, 2
"""ImageIndex of the slice at `HEIGHT`: with numbers falling as heights rise, and reversed."""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "coca/calcium_xml").mkdir(parents=True)
    return tmp_path / "coca"


def only(folder, **options):
    cohort = CocaCohort(folder, **options)
    row = cohort.check()[0]
    return row, cohort.load(row.id) if row.verdict != "refused" else None


@pytest.mark.parametrize("index", [AHEAD, BACK])
def test_outlines_become_calcium(folder, index):
    coca(folder, "17", {index: [roi(BOX, HEIGHT)]})
    row, scan = only(folder)
    np.testing.assert_array_equal(scan.labels, LABELS)
    np.testing.assert_array_equal(scan.voxels, VOXELS)
    assert row.agatston == pytest.approx(2)
    # 8 pixels of 0.75 mm3 were drawn; four are above 130 HU. That is no defect.
    assert row.verdict == "ready"
    assert "6.0 mm3 drawn, 3.0 mm3 left in 1 components" in row.reason


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("Left Anterior Descending Artery", 1),
        ("Left Coronary Artery", 1),
        ("Left Circumflex Artery", 2),
        ("Right Coronary Artery", 3),
    ],
)
def test_names_of_arteries(folder, name, label):
    coca(folder, "17", {AHEAD: [roi(BOX, HEIGHT, name)]})
    assert set(np.unique(only(folder)[1].labels)) == {0, label}


def test_the_release_may_lie_one_folder_down(folder, tmp_path):
    coca(folder, "17", {AHEAD: [roi(BOX, HEIGHT)]})
    folder.rename(tmp_path / "Gated_release_final")
    assert only(tmp_path)[0].lesions == 1


def test_outlines_without_points_are_passed_over(folder):
    empty = {**roi(BOX, HEIGHT), "Area": 0, "NumberOfPoints": 0, "Point_px": [], "Point_mm": []}
    coca(folder, "17", {AHEAD: [empty, roi(BOX, HEIGHT)], 0: [empty]})
    row, scan = only(folder)
    np.testing.assert_array_equal(scan.labels, LABELS)
    assert row.verdict == "ready"
    assert "2 outlines without points were passed over" in row.reason


def test_outlines_of_one_or_two_points_are_pixels(folder):
    points = [roi([(6.2, 10.1)], HEIGHT), roi([(7, 10), (9, 10)], HEIGHT)]
    coca(folder, "17", {AHEAD: points})
    row, scan = only(folder)
    np.testing.assert_array_equal(scan.labels, LABELS)
    assert "2 outlines of one or two points were taken as single pixels" in row.reason


def test_missing_xml_is_for_prediction_unless_said_otherwise(folder):
    coca(folder, "17", None)
    row, scan = only(folder)
    assert row.verdict == "warning"
    assert "missing XML: for prediction alone" in row.reason
    assert scan.labels is None
    row, scan = only(folder, missing_xml="no-calcium")
    assert (row.agatston, scan.labels.max()) == (0, 0)
    row, _ = only(folder, missing_xml="refuse")
    assert "patient folder 1 of 1 in order of names: missing XML" in row.reason


def test_an_xml_without_outlines_is_a_scan_without_calcium(folder):
    coca(folder, "17", {})
    row, scan = only(folder)
    assert (row.verdict, row.agatston) == ("ready", 0)
    assert scan.labels.max() == 0


def test_the_same_slice_twice_is_taken_once(folder):
    coca(folder, "17", {AHEAD: [roi(BOX, HEIGHT)]})
    series(folder / "patient/17/s1", VOXELS[4:5], heights=[HEIGHT + 6], numbers=[9], first=80)
    row, scan = only(folder)
    np.testing.assert_array_equal(scan.labels, LABELS)
    assert "1 duplicate slices" in row.reason


def test_image_index_out_of_range_is_told_where_the_height_is_certain(folder):
    coca(folder, "17", {40: [roi(BOX, HEIGHT)]})
    row, scan = only(folder)
    np.testing.assert_array_equal(scan.labels, LABELS)
    assert "1 outlines with ImageIndex out of range" in row.reason


def test_the_series_that_the_xml_fits_is_taken(folder):
    coca(folder, "17", {AHEAD: [roi(BOX, HEIGHT)]})
    series(folder / "patient/17/s2", VOXELS, uid="1.2.826.99.5", heights=500 + 3.0 * np.arange(6))
    row, scan = only(folder)
    np.testing.assert_array_equal(scan.labels, LABELS)
    assert "2 series; the one that fits the XML was taken" in row.reason


def test_an_outline_without_heights_follows_the_others(folder):
    bare = {**roi(BOX, HEIGHT), "Point_mm": []}
    away = roi([(1, 1), (2, 1), (2, 2)], HEIGHT + 6)
    for index, other in ((AHEAD, 1), (BACK, 4)):
        coca(folder, "17", {index: [bare], other: [away]})
        np.testing.assert_array_equal(only(folder)[1].labels, LABELS)
    coca(folder, "17", {AHEAD: [bare]})
    assert "its ImageIndex alone is not certain" in only(folder)[0].reason


def test_clashing_outlines_are_told(folder):
    coca(folder, "17", {AHEAD: [roi(BOX, HEIGHT), roi(BOX, HEIGHT, "Right Coronary Artery")]})
    assert "outlines of two arteries share 8 pixels" in only(folder)[0].reason


def broken_xml(folder, text):
    coca(folder, "17", None)
    (folder / "calcium_xml/17.xml").write_text(text)


ENTITY = (
    '<?xml version="1.0"?><!DOCTYPE plist [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
    '<plist version="1.0"><dict><key>Images</key><string>&a;</string></dict></plist>'
)

FAULTS = {
    "both disagree": (
        lambda f: coca(f, "17", {5: [roi(BOX, HEIGHT)]}),
        "heights and ImageIndex of its outlines name different slices",
    ),
    "no slice there": (
        lambda f: coca(f, "17", {AHEAD: [roi(BOX, 900)]}),
        "an outline lies at a height where the series has no slice",
    ),
    "off the scan": (
        lambda f: coca(f, "17", {AHEAD: [roi([(90, 90), (95, 90), (95, 99)], HEIGHT)]}),
        "an outline lies off the scan",
    ),
    "unknown artery": (
        lambda f: coca(f, "17", {AHEAD: [roi(BOX, HEIGHT, "JANE SMITH")]}),
        "unknown label: outline 1 on image 3 has a name that is no artery",
    ),
    "no numbers": (
        lambda f: coca(f, "17", {AHEAD: [{**roi(BOX, HEIGHT), "Point_px": ["(a, SMITH)"]}]}),
        "points of outline 1 on image 3 are not numbers",
    ),
    "endless": (
        lambda f: coca(f, "17", {AHEAD: [roi([(5, 9)] * 2001, HEIGHT)]}),
        "outline 1 on image 3 has 2001 points; 2000 are the most",
    ),
    "junk": (lambda f: broken_xml(f, "<plist><dict>SMITH"), "is no property list"),
    "entities": (lambda f: broken_xml(f, ENTITY), "declares entities, which are not read"),
    "two series": (
        lambda f: (
            coca(f, "17", {AHEAD: [roi(BOX, HEIGHT)]}),
            series(f / "patient/17/s2", VOXELS, uid="1.2.826.99.5"),
        ),
        "2 series in the folder, of which 2 fit the XML",
    ),
    "two series, no XML": (
        lambda f: (
            coca(f, "17", None), series(f / "patient/17/s2", VOXELS, uid="1.2.826.99.5")
        ),
        "2 series and no outline that tells which one to take",
    ),
    "other pixels at one place": (
        lambda f: (
            coca(f, "17", {AHEAD: [roi(BOX, HEIGHT)]}),
            series(f / "patient/17/s1", VOXELS[:1], heights=[HEIGHT], numbers=[9], first=80),
        ),
        "duplicate slices: two lie at one position with different pixels",
    ),
    "no dicom": (lambda f: (f / "patient/17").mkdir(parents=True), "holds no DICOM file"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_scan_is_refused_and_the_others_go_on(folder, fault):
    make, words = FAULTS[fault]
    make(folder)
    coca(folder, "2", {AHEAD: [roi(BOX, HEIGHT)]}, uid="1.2.826.99.8")
    rows = CocaCohort(folder, folder.parent / "cache").check()
    assert sorted(row.verdict for row in rows) == ["ready", "refused"]
    reason = next(row.reason for row in rows if row.verdict == "refused")
    assert reason.startswith("patient folder 2 of 2 in order of names: ")
    assert words in reason
    assert "\n" not in reason
    assert not [secret for secret in (*SECRETS, "17.xml") if secret in reason]


def test_an_xml_without_a_patient_is_told(folder):
    coca(folder, "17", {AHEAD: [roi(BOX, HEIGHT)]})
    with (folder / "calcium_xml/99.xml").open("wb") as file:
        plistlib.dump({"Images": []}, file)
    rows = CocaCohort(folder).check()
    assert "XML 1 of 1 in calcium_xml without a patient's folder" in {row.reason for row in rows}


def test_ids_hide_the_patient_and_content_makes_the_fingerprint(folder, tmp_path):
    for number, size in enumerate((0, 1, 4, 12)):
        voxels = arrays(size, number)[0]
        images = {AHEAD: [roi(BOX, HEIGHT)]} if size else {}
        coca(folder, str(number), images, voxels=voxels)
    first = CocaCohort(folder, tmp_path / "one")
    other = CocaCohort(folder, tmp_path / "two")
    assert all(id.startswith("coca-") for id in first.ids)
    assert not set(first.ids) & set(other.ids)
    assert first.fingerprint() == other.fingerprint()
    assert first.fingerprint() == CocaCohort(folder).fingerprint()
    assert first.id_of("3") in first.ids
    assert len({record.patient for record in first.records()}) == 4


@pytest.mark.parametrize("options", [{"missing_xml": "ignore"}, {"pixel_offset": "x"}])
def test_unknown_options_are_refused(folder, options):
    with pytest.raises(UserError, match=next(iter(options))):
        CocaCohort(folder, **options)


def test_another_folder_is_refused(tmp_path):
    with pytest.raises(UserError, match="holds no patient/ beside calcium_xml/"):
        CocaCohort(tmp_path)


SHIFTED = ((13, 14.6), (19, 14.6), (19, 17.4), (13, 17.4))
"""An outline over soft tissue."""


def test_the_xml_of_another_patient_is_refused_with_its_figures(folder):
    stated = {"Min": 131.0, "Max": 460.0, "Mean": 250.0, "Total": 5000.0}
    wrong = [{**roi(SHIFTED, HEIGHT), **stated}, {**roi(SHIFTED, HEIGHT), **stated}]
    coca(folder, "17", {AHEAD: [*wrong, roi(BOX, HEIGHT)]})
    row, _ = only(folder)
    assert row.verdict == "refused"
    assert "2 of 3 outlines state calcium where no pixel reaches 130 HU" in row.reason
    assert "outline 1 on image 3 states Min 131, Max 460, Mean 250, Total 5000" in row.reason


def test_an_outline_without_calcium_and_one_of_other_figures_are_told(folder):
    coca(folder, "17", {AHEAD: [roi(SHIFTED, HEIGHT), roi(BOX, HEIGHT), roi(BOX, HEIGHT)]})
    row, _ = only(folder)
    assert row.verdict == "warning"
    assert "1 of 3 outlines hold no voxel of 130 HU and more" in row.reason
    coca(folder, "17", {AHEAD: [{**roi(BOX, HEIGHT), "Total": 4000.0}]})
    row, _ = only(folder)
    assert row.verdict == "warning"
    assert "figures of 1 of 1 outlines are not those of their pixels" in row.reason
    assert "Total 4000, its pixels have 250, 250, 1000" in row.reason


def test_figures_of_the_calcium_or_of_all_pixels_fit(folder):
    hu = VOXELS[2, 10, 5:13].astype(float)
    for of in (hu, hu[hu >= 130]):
        figures = {"Min": of.min(), "Max": of.max(), "Mean": of.mean(), "Total": of.sum()}
        figures = {name: float(value) for name, value in figures.items()}
        coca(folder, "17", {AHEAD: [{**roi(BOX, HEIGHT), **figures}]})
        assert only(folder)[0].verdict == "ready"


def test_outlines_that_are_mostly_no_calcium_are_a_warning(folder):
    wide = ((5, 9), (12, 9), (12, 11), (5, 11))
    coca(folder, "17", {AHEAD: [roi(wide, HEIGHT)]})
    row, _ = only(folder)
    assert row.verdict == "warning"
    assert "most of what is drawn is no calcium" in row.reason


def test_outlines_all_without_points_are_a_warning(folder):
    empty = {**roi(BOX, HEIGHT), "Point_px": [], "Point_mm": []}
    coca(folder, "17", {AHEAD: [empty]})
    assert only(folder)[0].verdict == "warning"


@pytest.mark.parametrize("up", ["deep/er/Gated_release_final", "deep/Gated_release_final"])
@pytest.mark.parametrize("given", ["", "deep", "{up}", "{up}/patient", "{up}/calcium_xml"])
def test_the_release_is_found_from_above_and_from_its_own_folders(tmp_path, up, given):
    from benchmark.cohorts.formats import open_data

    folder = tmp_path / "download" / up
    (folder / "calcium_xml").mkdir(parents=True)
    coca(folder, "17", {AHEAD: [roi(BOX, HEIGHT)]})
    cohort = open_data(tmp_path / "download" / given.format(up=up))
    assert cohort.format == "coca"
    assert cohort.check()[0].lesions == 1


def test_outlines_beside_series_that_are_read_alone_are_told(folder):
    from benchmark.cohorts.formats import open_data

    coca(folder, "17", {AHEAD: [roi(BOX, HEIGHT)]})
    cohort = open_data(folder / "patient/17")
    assert cohort.format == "dicom"
    assert [f"give {folder}" in line for line in cohort.passed_over] == [True]
    assert "outlines" in str(open_data(folder, "dicom").passed_over)


def test_two_releases_below_a_folder_must_be_named(folder):
    from benchmark.cohorts.formats import detect

    for name in ("a", "b"):
        coca(folder.parent / "two" / name, "17", {})
    with pytest.raises(UserError, match="holds COCA more than once"):
        detect(folder.parent / "two")


def test_what_lies_among_the_files_of_coca_is_counted_without_names(folder):
    coca(folder, "17", {AHEAD: [roi(BOX, HEIGHT)]})
    (folder / "calcium_xml/SMITH.json").write_text("{}")
    (folder / "patient/SMITH.dcm").write_bytes(b"x")
    (folder / "patient/.DS_Store").write_bytes(b"x")
    lines = CocaCohort(folder).passed_over
    assert len(lines) == 2
    assert all(line.startswith("1 files in ") for line in lines)
    assert "SMITH" not in str(lines)
