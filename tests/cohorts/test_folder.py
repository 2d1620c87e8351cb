"""A folder of one's own scans: verdicts by file, records, cache, and nothing hidden."""

import os

import numpy as np
import pytest
import SimpleITK as sitk

from benchmark.calcium import score_scan
from benchmark.cohorts import folder as folder_module
from benchmark.cohorts.folder import FolderCohort
from benchmark.cohorts.split import make_split
from benchmark.errors import UserError

SHAPE = (6, 24, 24)
SPACING = (3.0, 0.5, 0.5)


def arrays(lesion_voxels, seed=0):
    """Return a small thorax (lung around soft tissue of noise 15 HU) with one LAD lesion."""
    random = np.random.default_rng(seed)
    voxels = np.full(SHAPE, -850, np.int16)
    voxels[:, 4:, 4:] = random.normal(40, 15, (6, 20, 20)).clip(-40, 120)
    labels = np.zeros(SHAPE, np.uint8)
    for place in range(lesion_voxels):
        voxels[2, 10, 6 + place], labels[2, 10, 6 + place] = 250, 1
    return voxels, labels


def save(path, array, code="LPS"):
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(SPACING[::-1])
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(sitk.DICOMOrient(image, code), str(path))


@pytest.fixture
def data(tmp_path):
    """Four good scans: p0 to p3 with 0, 1, 4 and 12 voxels of 250 HU."""
    for number, size in enumerate((0, 1, 4, 12)):
        voxels, labels = arrays(size, number)
        save(
            tmp_path / f"data/images/p{number}.nii.gz", voxels, ["LPS", "RAS", "LPI", "PIR"][number]
        )
        save(tmp_path / f"data/labels/p{number}.nii.gz", labels)
    (tmp_path / "data/centres.csv").write_text("id,centre\np0,Leiden\np1,Leiden\np2,Utrecht\n")
    return tmp_path / "data"


@pytest.fixture(params=["cached", "uncached"])
def cache(request, tmp_path):
    return tmp_path / "cache" if request.param == "cached" else None


def test_records_hold_scores_risk_and_centre(data, cache):
    records = FolderCohort(data, cache).records()
    # n pixels of 250 HU: n * 0.25 mm2 * 2 at 3 mm slices.
    assert [record.id for record in records] == ["p0", "p1", "p2", "p3"]
    assert [record.agatston for record in records] == pytest.approx([0, 0.5, 2, 6], rel=1e-5)
    assert [record.risk for record in records] == [0, 0, 1, 1]
    assert [record.centre for record in records] == ["Leiden", "Leiden", "Utrecht", "unknown"]
    assert make_split(records, 0.5).hash


def test_scans_are_loaded_in_one_orientation(data, cache):
    cohort = FolderCohort(data, cache)
    for _ in range(2):  # from the files, then from the cache
        for number, size in enumerate((0, 1, 4, 12)):
            scan = cohort.load(f"p{number}")
            voxels, labels = arrays(size, number)
            np.testing.assert_array_equal(scan.voxels, voxels)
            np.testing.assert_array_equal(scan.labels, labels)
            assert scan.spacing == pytest.approx(SPACING)
    assert (cohort.load("p2").id, cohort.load("p2").centre) == ("p2", "Utrecht")
    scan.voxels[0, 0, 0] = 5  # loaded arrays may be changed without harm
    assert cohort.load("p3").voxels[0, 0, 0] == -850


def test_check_prints_a_row_for_each_scan(data, cache):
    seen = []
    rows = FolderCohort(data, cache).check(progress=lambda *step: seen.append(step))
    assert [row.verdict for row in rows] == ["ready"] * 4
    assert seen == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert rows[3].size == SHAPE
    assert rows[3].spacing == pytest.approx(SPACING)
    assert rows[3].hu_range == (-850, 250)
    assert (rows[0].lesions, rows[3].lesions) == (0, 1)
    assert 12 < rows[0].noise < 18
    # Read again, from the cache where there is one: the same rows.
    assert FolderCohort(data, cache).check() == rows


def test_one_bad_file_does_not_hide_the_others(data, cache):
    (data / "images/p1.nii.gz").write_bytes(b"junk")
    (data / "labels/p2.nii.gz").unlink()
    voxels, labels = arrays(4)
    save(data / "labels/p5.nii.gz", labels)
    save(data / "images/p6.nii.gz", voxels)
    save(data / "labels/p6.nii.gz", labels[1:])
    save(data / "images/p7.mha", voxels)
    save(data / "images/p7.nrrd", voxels)
    save(data / "labels/p7.nrrd", labels)
    cohort = FolderCohort(data, cache)
    rows = {row.id: row for row in cohort.check()}
    assert {id: row.verdict for id, row in rows.items()} == {
        "p0": "ready",
        "p1": "refused",
        "p2": "refused",
        "p3": "ready",
        "p5": "refused",
        "p6": "refused",
        "p7": "refused",
    }
    assert "images/p1.nii.gz: cannot be read" in rows["p1"].reason
    assert "images/p2.nii.gz: has no counterpart" in rows["p2"].reason
    assert "labels/p5.nii.gz: has no counterpart" in rows["p5"].reason
    assert "labels/p6.nii.gz: size" in rows["p6"].reason
    assert "same id as p7.mha" in rows["p7"].reason
    with pytest.raises(UserError, match=r"p1.nii.gz: cannot be read .*4 more refused scans"):
        cohort.records()
    with pytest.raises(UserError, match=r"p6.nii.gz: size"):
        cohort.load("p6")


def test_labels_beside_calcium_are_dropped_and_counted(data, cache):
    voxels, labels = arrays(4)
    outlined = labels.copy()
    outlined[1:4, 9:12, 5:11] = 1
    save(data / "images/p4.nii.gz", voxels)
    save(data / "labels/p4.nii.gz", outlined)
    cohort = FolderCohort(data, cache)
    row = cohort.check()[4]
    assert row.verdict == "warning"
    assert f"{3 * 3 * 6 - 4} labelled voxels not above 130 HU were dropped" in row.reason
    np.testing.assert_array_equal(cohort.load("p4").labels, labels)
    assert len(cohort.records()) == 5


def test_undetermined_label_is_no_reference(data, cache):
    _, labels = arrays(4)
    save(data / "labels/p2.nii.gz", labels * 4)
    with pytest.raises(UserError, match=r"p2.nii.gz: unknown labels 4"):
        FolderCohort(data, cache).records()


def test_contrast_enhanced_and_cropped_scans_are_warned_about(data):
    voxels, _ = arrays(4)
    voxels[:, 6:20, 6:20] = 350
    save(data / "images/p2.nii.gz", voxels)
    save(data / "images/p3.nii.gz", voxels.clip(-150, None))
    rows = FolderCohort(data).check()
    assert rows[2].verdict == "warning"
    assert "contrast-enhanced" in rows[2].reason
    assert "cropped" in rows[3].reason


def test_cohort_without_any_calcium_label_is_refused(data, cache):
    for number in range(4):
        save(data / f"labels/p{number}.nii.gz", np.zeros(SHAPE, np.uint8))
    with pytest.raises(UserError, match="labels: no scan has a labelled voxel"):
        FolderCohort(data, cache).records()


def test_too_few_scans_are_refused(data, cache):
    (data / "images/p0.nii.gz").unlink()
    (data / "labels/p0.nii.gz").unlink()
    with pytest.raises(UserError, match="3 scans are too few"):
        FolderCohort(data, cache).records()


def test_empty_and_missing_folders_are_refused(tmp_path):
    with pytest.raises(UserError, match="images: no such folder"):
        FolderCohort(tmp_path)
    (tmp_path / "images").mkdir()
    with pytest.raises(UserError, match="labels: no such folder"):
        FolderCohort(tmp_path)
    (tmp_path / "labels").mkdir()
    with pytest.raises(UserError, match="images: holds no image file"):
        FolderCohort(tmp_path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("patient,site\np0,A\n", "first line must be id,centre"),
        ("", "first line must be id,centre"),
        ("id,centre\np0\n", "line 2 lacks"),
        ("id,centre\np0,A\np0,B\n", "line 3 gives p0 a second centre"),
    ],
)
def test_centres_that_cannot_be_understood_are_refused(data, text, words):
    (data / "centres.csv").write_text(text)
    with pytest.raises(UserError, match=words):
        FolderCohort(data)


def test_unknown_scan_is_refused(data):
    with pytest.raises(UserError, match="no scan 'p9'"):
        FolderCohort(data).load("p9")


def test_fingerprint_follows_the_content_and_nothing_else(data, tmp_path, cache):
    before = FolderCohort(data, cache).fingerprint()
    data.rename(tmp_path / "elsewhere")
    data = tmp_path / "elsewhere"
    for path in data.rglob("*.gz"):
        os.utime(path, ns=(1, 1))
    assert FolderCohort(data, cache).fingerprint() == before
    assert FolderCohort(data).fingerprint() == before
    save(data / "labels/p3.nii.gz", arrays(11, 3)[1])
    changed = FolderCohort(data, cache).fingerprint()
    assert changed != before
    (data / "centres.csv").unlink()
    assert FolderCohort(data, cache).fingerprint() not in (before, changed)


def test_changed_file_is_not_served_from_the_cache(data, tmp_path):
    cache = tmp_path / "cache"
    FolderCohort(data, cache).records()
    save(data / "labels/p3.nii.gz", arrays(11, 3)[1])
    assert FolderCohort(data, cache).records()[3].agatston == pytest.approx(5.5, rel=1e-5)


def test_pixel_file_beside_a_header_belongs_to_the_content(data, tmp_path):
    voxels, _ = arrays(4)
    (data / "images/p2.nii.gz").unlink()
    save(data / "images/p2.mhd", voxels)
    cohort = FolderCohort(data, tmp_path / "cache")
    before = cohort.fingerprint()
    assert cohort.records()[2].agatston == pytest.approx(2, rel=1e-5)
    voxels[2, 10, 6] = 450
    voxels.tofile(data / "images/p2.raw")
    cohort = FolderCohort(data, tmp_path / "cache")
    assert cohort.fingerprint() != before
    assert cohort.records()[2].agatston == pytest.approx(4, rel=1e-5)


def test_cache_serves_without_reading_the_images_again(data, tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    FolderCohort(data, cache).prepare([f"p{number}" for number in range(4)])

    def fail(*_):
        raise AssertionError("an image was read again")

    monkeypatch.setattr(folder_module, "inspect_scan", fail)
    cohort = FolderCohort(data, cache)
    assert cohort.records()[3].agatston == pytest.approx(6, rel=1e-5)
    assert cohort.load("p3").labels.sum() == 12


def test_damaged_entry_is_made_again(data, tmp_path):
    cache = tmp_path / "cache"
    before = FolderCohort(data, cache).records()
    for path in cache.glob("*.npz"):
        path.write_bytes(path.read_bytes()[:200])
    assert FolderCohort(data, cache).records() == before
    assert FolderCohort(data, cache).load("p3").labels.sum() == 12
    assert not list(cache.glob("*.part"))


def test_prepare_with_processes_names_the_refused_file(data, tmp_path):
    (data / "images/p3.nii.gz").write_bytes(b"junk")
    seen = []
    cohort = FolderCohort(data, tmp_path / "cache")
    with pytest.raises(UserError, match=r"p3.nii.gz: cannot be read"):
        cohort.prepare(["p0", "p3"], progress=lambda *step: seen.append(step), workers=2)
    assert seen == [(1, 2)]
    assert list((tmp_path / "cache").glob("*.npz"))


def test_cache_that_cannot_be_written_is_refused(data, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match="file: the cache folder cannot be written"):
        FolderCohort(data, tmp_path / "file")


def test_scores_are_those_of_the_loaded_scan(data, cache):
    cohort = FolderCohort(data, cache)
    for record in cohort.records():
        scan = cohort.load(record.id)
        assert score_scan(scan.voxels, scan.labels, scan.spacing)[0, 3] == record.agatston


def test_what_else_lies_in_the_folders_is_counted(data):
    voxels, labels = arrays(4)
    save(data / "images/p4.mhd", voxels)
    save(data / "labels/p4.nii.gz", labels)
    for name in ("a.json", "b.json", ".p9.nii.gz", "._p0.nii.gz", ".DS_Store", "stray.raw"):
        (data / "images" / name).write_bytes(b"x")
    (data / "labels/old").mkdir()
    (data / "centres.csv").write_text("id,centre\np0,A\np8,B\n")
    cohort = FolderCohort(data)
    assert cohort.ids == ("p0", "p1", "p2", "p3", "p4")
    assert set(cohort.passed_over) == {
        "1 hidden files in images/ were passed over (.p9.nii.gz).",
        "3 files in images/ that are no image file were passed over (a.json, b.json, stray.raw).",
        "1 folders in labels/ were passed over (old).",
        "1 ids in centres.csv that are no scan were passed over (p8).",
    }


def test_folders_may_be_written_in_capitals_and_ids_may_not_differ_so(data):
    (data / "images").rename(data / "Images")
    (data / "labels").rename(data / "LABELS")
    (data / "LABELS/p1.nii.gz").rename(data / "LABELS/P1.nii.gz")
    rows = {row.id: row for row in FolderCohort(data).check()}
    assert rows["p0"].verdict == "ready"
    assert "has no counterpart p1.*" in rows["p1"].reason
    assert "(P1 differs in case)" in rows["p1"].reason
