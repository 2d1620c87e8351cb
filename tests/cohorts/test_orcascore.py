"""orCaScore folders as they come: raw and zraw pairs, names, vendors, and scans without labels."""

import numpy as np
import pytest
import SimpleITK as sitk
from written import arrays, save

from benchmark.cohorts.orcascore import OrcaScoreCohort
from benchmark.cohorts.split import make_split
from benchmark.errors import UserError


@pytest.fixture
def folder(tmp_path):
    """Four training scans of two vendors and one test scan, in folders as unpacked."""
    for number, size in enumerate((0, 1, 4, 12)):
        voxels, labels = arrays(size, number, artery=2)
        place = tmp_path / f"orca/Training/TRV{number % 2 + 1}P{number + 1}"
        save(place.with_name(place.name + "CTI.mhd"), voxels, compress=number > 1)
        save(place.with_name(place.name + "R.mhd"), labels, compress=number > 1)
    save(tmp_path / "orca/Test/TEV1P9CTI.mhd", arrays(4)[0])
    save(tmp_path / "orca/Training/TRV1P1CTAI.mhd", arrays(4)[0] + np.int16(300))
    return tmp_path / "orca"


def test_scans_are_named_and_grouped_as_the_challenge_does(folder, tmp_path):
    assert len(list(folder.rglob("*.zraw"))) == 4
    cohort = OrcaScoreCohort(folder, tmp_path / "cache")
    assert cohort.ids == ("TEV1P9", "TRV1P1", "TRV1P3", "TRV2P2", "TRV2P4")
    assert cohort.unlabelled == ("TEV1P9",)
    records = cohort.records()
    assert [record.centre for record in records] == ["vendor 1", "vendor 1", "vendor 2", "vendor 2"]
    assert [record.agatston for record in records] == pytest.approx([0, 2, 0.5, 6], rel=1e-5)
    assert make_split(records, 0.5).hash
    voxels, labels = arrays(12, 3, artery=2)
    scan = cohort.load("TRV2P4")
    np.testing.assert_array_equal(scan.voxels, voxels)
    np.testing.assert_array_equal(scan.labels, labels)
    test = cohort.load("TEV1P9")
    assert test.labels is None
    assert cohort.load("TEV1P9").geometry == test.geometry  # from the cache


def test_every_file_that_is_wrong_is_named(folder):
    (folder / "Training/TRV1P1R.mhd").unlink()
    (folder / "Training/TRV2P2CTI.mhd").unlink()
    raw = folder / "Test/TEV1P9CTI.raw"
    raw.write_bytes(raw.read_bytes()[:-10])
    save(folder / "copy/TRV1P3CTI.mhd", arrays()[0])
    voxels, labels = arrays()
    save(folder / "Training/TRV3P1CTI.mhd", voxels)
    save(folder / "Training/TRV3P1R.mhd", labels[:, 1:])
    save(folder / "Training/TRV3P2CTI.mhd", voxels)
    save(folder / "Training/TRV3P2R.mhd", labels * 4)
    rows = {row.id: row for row in OrcaScoreCohort(folder).check()}
    assert rows.pop("TRV2P4").verdict == "ready"
    assert {row.verdict for row in rows.values()} == {"refused"}
    assert "TRV1P1CTI.mhd: has no reference TRV1P1R.mhd" in rows["TRV1P1"].reason
    assert "TRV2P2R.mhd: has no image TRV2P2CTI.mhd" in rows["TRV2P2"].reason
    assert "TEV1P9CTI.raw: is cut short" in rows["TEV1P9"].reason
    assert "keep one of them" in rows["TRV1P3"].reason
    assert "TRV3P1R.mhd: size (24, 23, 6) differs" in rows["TRV3P1"].reason
    assert "TRV3P2R.mhd: unknown labels 4" in rows["TRV3P2"].reason


def test_a_folder_of_other_files_is_refused(tmp_path):
    sitk.WriteImage(sitk.GetImageFromArray(arrays()[0]), str(tmp_path / "TRV1P1CTAI.mhd"))
    with pytest.raises(UserError, match="holds no orCaScore scan"):
        OrcaScoreCohort(tmp_path)


def test_what_else_lies_in_the_folders_is_counted(folder):
    save(folder / "Training/TRV1P7CTI.nii.gz", arrays()[0])
    (folder / "a/b/c/d").mkdir(parents=True)
    (folder / "Training/readme.txt").write_text("none")
    assert set(OrcaScoreCohort(folder).passed_over) == {
        "1 contrast scans (CTAI) were passed over (TRV1P1CTAI.mhd).",
        "1 image files with a name that is not the challenge's were passed over "
        "(TRV1P7CTI.nii.gz).",
        "1 folders further down were passed over (c).",
    }


def test_a_scan_read_alone_has_its_warning(folder):
    labels = np.roll(arrays(12, 3, artery=2)[1], 3, 2)
    save(folder / "Training/TRV2P4R.mhd", np.roll(labels, 6, 1))
    cohort = OrcaScoreCohort(folder)
    cohort.load("TRV2P4")
    assert "most of what is drawn is no calcium" in cohort.warning_of("TRV2P4")
    cohort.load("TRV1P3")
    assert cohort.warning_of("TRV1P3") == ""
