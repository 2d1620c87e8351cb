"""A raw dataset of nnU-Net: labels by name, training and test scans."""

import json

import numpy as np
import pytest
from written import arrays, save

from benchmark.cohorts.nnunet import NnUNetCohort
from benchmark.cohorts.split_choice import SplitChoice, choose_split
from benchmark.errors import UserError

LABELS = {"background": 0, "LAD": 1, "LCX": 2, "RCA": 3}


def dataset(folder, labels=LABELS, **more):
    values = {"channel_names": {"0": "CT"}, "labels": labels, "numTraining": 4,
              "file_ending": ".nii.gz", **more}  # fmt: skip
    (folder / "dataset.json").write_text(json.dumps(values))


@pytest.fixture
def folder(tmp_path):
    for number, size in enumerate((0, 1, 4, 12)):
        voxels, labels = arrays(size, number, artery=3)
        save(tmp_path / f"imagesTr/case_{number}_0000.nii.gz", voxels)
        save(tmp_path / f"labelsTr/case_{number}.nii.gz", labels)
    save(tmp_path / "imagesTs/case_9_0000.nii.gz", arrays(12)[0])
    dataset(tmp_path)
    return tmp_path


def test_training_scans_have_labels_and_test_scans_need_none(folder):
    cohort = NnUNetCohort(folder)
    assert cohort.ids == ("case_0", "case_1", "case_2", "case_3", "case_9")
    assert cohort.unlabelled == ("case_9",)
    agatston = [record.agatston for record in cohort.records()]
    assert agatston == pytest.approx([0, 0.5, 2, 6], rel=1e-5)
    np.testing.assert_array_equal(cohort.load("case_3").labels, arrays(12, 3, artery=3)[1])


def test_test_scans_with_labels_are_the_given_test_part(folder):
    save(folder / "labelsTs/case_9.nii.gz", arrays(12)[1])
    records = NnUNetCohort(folder).records()
    assert choose_split(records, SplitChoice("given"), 0.6).test == ("case_9",)


def test_labels_are_renumbered_by_name(folder, tmp_path):
    dataset(folder, {"background": 0, "RCA": 1, "LM": 2, "LAD": 3, "Cx": 4})
    cohort = NnUNetCohort(folder, tmp_path / "cache")
    assert set(np.unique(cohort.load("case_3").labels)) == {0, 1}
    before = cohort.fingerprint()
    # The same files under other names are another reading: nothing comes from the cache.
    dataset(folder, {"background": 0, "LAD": 1, "LCX": 2, "left main": 4, "RCA": 3})
    again = NnUNetCohort(folder, tmp_path / "cache")
    assert set(np.unique(again.load("case_3").labels)) == {0, 3}
    assert again.fingerprint() != before


def test_labels_that_dataset_json_does_not_name_are_refused(folder):
    dataset(folder, {"background": 0, "LAD": 1})
    rows = NnUNetCohort(folder).check()
    assert "case_3.nii.gz: unknown labels 3; dataset.json names 0, 1" in rows[3].reason
    assert rows[0].verdict == "ready"


def test_a_scan_without_labels_is_refused(folder):
    (folder / "labelsTr/case_2.nii.gz").unlink()
    row = NnUNetCohort(folder).check()[2]
    assert "case_2_0000.nii.gz: has no labels" in row.reason


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"labels": {"background": 0, "aorta": 1}}, "'aorta' is missing or no artery"),
        ({"labels": {"background": 0, "LAD": [1, 2]}}, "is no dataset.json"),
        ({"channel_names": {"0": "CT", "1": "CTA"}}, "has 2 channels"),
        ({"file_ending": "/../x.nii"}, "cannot be read"),
        ({"file_ending": ".mha"}, "holds no image"),
        ({"dataset": {"a": {"images": ["/etc/passwd"]}}}, "names its files in a list"),
        ({"numTraining": 50}, "numTraining is 50, but imagesTr and labelsTr hold 4 scans"),
        ({"labels": {"background": 0, "LAD": 1, "RCA": 1}}, "labels lad and rca are both 1"),
        ({"labels": {"background": 1, "LAD": 0}}, "background, and it alone, is 0"),
        ({"labels": {"background": 0, "LAD": 1.5}}, "is no dataset.json"),
    ],
)
def test_other_datasets_are_refused(folder, change, words):
    dataset(folder, **change)
    with pytest.raises(UserError, match=words):
        NnUNetCohort(folder)


@pytest.mark.parametrize("text", ["", "[1]", "{", "[" * 100_000])
def test_a_broken_dataset_json_is_refused(folder, text):
    (folder / "dataset.json").write_text(text)
    with pytest.raises(UserError, match=r"is no dataset\.json of nnU-Net version 2"):
        NnUNetCohort(folder)


def test_every_lone_or_misnamed_file_is_refused_by_name(folder):
    (folder / "imagesTr/case_1_0000.nii.gz").rename(folder / "imagesTr/case_1.nii.gz")
    (folder / "imagesTr/case_2_0000.nii.gz").unlink()
    save(folder / "imagesTr/case_3_0000.nrrd", arrays()[0])
    (folder / "imagesTr/case_3_0000.nii.gz").unlink()
    save(folder / "labelsTs/case_8.nii.gz", arrays()[1])
    rows = {row.id: row for row in NnUNetCohort(folder).check()}
    assert rows["case_0"].verdict == "ready"
    for id, words in {
        "case_1": "imagesTr/case_1.nii.gz: nnU-Net reads case_1_0000.nii.gz",
        "case_2": "labelsTr/case_2.nii.gz: has no image",
        "case_3": "case_3_0000.nrrd: nnU-Net reads case_3_0000.nii.gz",
        "case_8": "labelsTs/case_8.nii.gz: has no image",
        "case_9": "case_9_0000.nii.gz: has no labels",
    }.items():
        assert rows[id].verdict == "refused"
        assert words in rows[id].reason


def test_a_label_map_of_another_ending_is_named(folder):
    (folder / "labelsTr/case_1.nii.gz").unlink()
    save(folder / "labelsTr/case_1.nrrd", arrays()[1])
    row = NnUNetCohort(folder).check()[1]
    assert "labelsTr/case_1.nrrd: file_ending is .nii.gz" in row.reason


def test_what_else_lies_in_the_folders_is_counted(folder):
    save(folder / "imagesTr/case_0_0001.nii.gz", arrays()[0])
    save(folder / "imagesTr/stray.nii.gz", arrays()[0])
    (folder / "labelsTr/notes.txt").write_text("none")
    (folder / "labelsTr/.DS_Store").write_text("none")
    cohort = NnUNetCohort(folder)
    assert len(cohort.ids) == 5
    assert sorted(line.partition(" (")[2] for line in cohort.passed_over) == [
        "case_0_0001.nii.gz).", "notes.txt).", "stray.nii.gz).",
    ]  # fmt: skip
    assert cohort.notes == cohort.passed_over


def test_a_key_twice_is_refused(folder):
    text = (folder / "dataset.json").read_text().replace('"LCX": 2', '"LAD": 2')
    (folder / "dataset.json").write_text(text)
    with pytest.raises(UserError, match="says 'LAD' twice"):
        NnUNetCohort(folder)


def test_dataset_json_of_version_1_is_read(folder):
    names = {"0": "background", "1": "RCA", "2": "LCX", "3": "LAD"}
    values = {"modality": {"0": "CT"}, "labels": names, "numTraining": 4, "training": []}
    (folder / "dataset.json").write_text(json.dumps(values))
    cohort = NnUNetCohort(folder)
    assert set(np.unique(cohort.load("case_3").labels)) == {0, 1}  # 3 in the file is LAD
    values["labels"] = {"0": "background", "1": "LAD", "2": "LAD"}
    (folder / "dataset.json").write_text(json.dumps(values))
    with pytest.raises(UserError, match=r"dataset\.json"):
        NnUNetCohort(folder)
