"""A phantom written in every format and read back by its reader has the same scores."""

import csv
import json

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk

from benchmark.calcium import score_scan
from benchmark.cohorts import disk
from benchmark.cohorts.export import export_cohort
from benchmark.cohorts.formats import open_data
from benchmark.cohorts.phantom import PhantomCohort
from benchmark.cohorts.split import Split
from benchmark.errors import UserError

SPACING = 2.5
"""In-plane mm: coarse phantoms are made in a moment."""


@pytest.fixture(scope="module")
def phantom(tmp_path_factory):
    cohort = PhantomCohort(spacing=SPACING, cache=tmp_path_factory.mktemp("phantom"), count=4)
    cohort.prepare(cohort.ids(), workers=1)
    return cohort


def scores(scan):
    return score_scan(scan.voxels, scan.labels, scan.spacing)


def names_of(folder):
    path = folder / "ids.csv"
    if not path.exists():
        return None
    with path.open(newline="") as file:
        return {row["id"]: row["name"] for row in csv.DictReader(file)}


@pytest.mark.parametrize("format", ["nifti", "orcascore", "coca", "nnunet"])
def test_scores_survive_the_way_there_and_back(phantom, tmp_path, format):
    out = tmp_path / "out"
    seen = []
    export_cohort(phantom, phantom.ids(), format, out, progress=lambda *step: seen.append(step))
    assert seen == [(n, 4) for n in range(1, 5)]
    cohort = open_data(out, cache=tmp_path / "cache")
    assert cohort.format == {"nifti": "folder"}.get(format, format)
    names = names_of(out)
    totals = []
    for id in phantom.ids():
        made = phantom.load(id)
        back = cohort.load(cohort.id_of(names[id]) if names else id)
        np.testing.assert_array_equal(back.voxels, made.voxels)
        # The labels themselves, and so all twelve scores but for the rounding of spacings.
        np.testing.assert_array_equal(back.labels, made.labels)
        np.testing.assert_allclose(scores(back), scores(made), rtol=1e-5)
        totals.append(scores(made)[0, 3])
    assert max(totals) > 0
    assert [row.verdict for row in cohort.check()].count("refused") == 0


def test_what_is_written_is_what_other_programs_expect(phantom, tmp_path):
    ids = phantom.ids()[:2]
    made = phantom.load(ids[0])
    export_cohort(phantom, ids, "coca", tmp_path / "coca")
    slices = [pydicom.dcmread(p) for p in (tmp_path / "coca/patient/0/series").iterdir()]
    slices.sort(key=lambda data: data.ImagePositionPatient[2])
    hu = np.stack([d.pixel_array * float(d.RescaleSlope) + d.RescaleIntercept for d in slices])
    np.testing.assert_array_equal(hu, made.voxels)
    export_cohort(phantom, ids, "orcascore", tmp_path / "orca")
    reference = sitk.ReadImage(str(tmp_path / "orca/TRV1P1R.mhd"))
    assert reference.GetPixelID() == sitk.sitkInt16
    name = names_of(tmp_path / "orca")[ids[0]]
    assert (tmp_path / f"orca/{name}CTI.raw").stat().st_size == made.voxels.nbytes
    export_cohort(phantom, ids, "nnunet", tmp_path / "nnunet", Split(ids[:1], ids[1:], 0))
    values = json.loads((tmp_path / "nnunet/dataset.json").read_text())
    assert (values["numTraining"], values["labels"]["RCA"]) == (1, 3)
    assert (tmp_path / f"nnunet/labelsTs/{ids[1]}.nii.gz").is_file()


def test_the_test_part_is_written_as_test_scans_of_the_challenge(phantom, tmp_path):
    ids = phantom.ids()
    export_cohort(phantom, ids, "orcascore", tmp_path / "orca", Split(ids[:2], ids[2:], 0))
    names = names_of(tmp_path / "orca")
    assert {names[id][:2] for id in ids[:2]} == {"TR"}
    assert {names[id][:2] for id in ids[2:]} == {"TE"}
    cohort = open_data(tmp_path / "orca")
    assert set(cohort.unlabelled) == {names[id] for id in ids[2:]}
    assert not list((tmp_path / "orca").glob("TE*R.*"))
    for id in ids:
        np.testing.assert_array_equal(cohort.load(names[id]).voxels, phantom.load(id).voxels)


def test_a_scan_from_a_file_goes_back_onto_its_own_grid(phantom, tmp_path, monkeypatch):
    ids = phantom.ids()[:1]
    export_cohort(phantom, ids, "nifti", tmp_path / "a")
    turned = tmp_path / "b"
    for part in ("images", "labels"):
        (turned / part).mkdir(parents=True)
        for path in (tmp_path / "a" / part).iterdir():
            image = sitk.DICOMOrient(sitk.ReadImage(str(path)), "PIR")
            image.SetOrigin((11.5, -3.0, 400.0))
            sitk.WriteImage(image, str(turned / part / path.name))
    monkeypatch.setattr(disk, "SMALLEST_COHORT", 1)
    cohort = open_data(turned)
    for format, name in (("nifti", f"images/{ids[0]}.nii.gz"), ("orcascore", "TRV1P1CTI.mhd")):
        export_cohort(cohort, ids, format, tmp_path / format)
        back = sitk.ReadImage(str(tmp_path / format / name))
        first = sitk.ReadImage(str(turned / "images" / f"{ids[0]}.nii.gz"))
        assert back.GetOrigin() == pytest.approx(first.GetOrigin())
        assert back.GetDirection() == pytest.approx(first.GetDirection())
        np.testing.assert_array_equal(
            sitk.GetArrayFromImage(back), sitk.GetArrayFromImage(first).clip(-1024)
        )
    # Slices of COCA follow the file's third axis, which here is not the body's.
    export_cohort(cohort, ids, "coca", tmp_path / "coca")
    again = open_data(tmp_path / "coca")
    np.testing.assert_array_equal(again.load(again.id_of("0")).labels, phantom.load(ids[0]).labels)


def test_a_folder_that_holds_files_is_left_alone(phantom, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="is not empty"):
        export_cohort(phantom, phantom.ids(), "nifti", tmp_path)
    assert [path.name for path in tmp_path.iterdir() if path.name != "xdg"] == ["mine.txt"]
