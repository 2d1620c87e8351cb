"""Which scans are of one patient: the same patients in the split, the plan and the intervals."""

import csv
import json
from dataclasses import replace

import pytest
from written import arrays, save

from benchmark.cohorts.base import Cohort, Record
from benchmark.cohorts.export import export_cohort
from benchmark.cohorts.folder import FolderCohort
from benchmark.cohorts.patients import (
    Patients,
    patients_in,
    patients_of,
    read_patients,
    scans_in_words,
)
from benchmark.cohorts.phantom import PhantomCohort
from benchmark.cohorts.split_choice import SplitChoice, choose_split
from benchmark.cohorts.table import TableCohort
from benchmark.errors import UserError
from benchmark.runs.plan import Plan


class Listed(Cohort):
    """Records alone."""

    name = "listed"

    def __init__(self, patients):
        self._records = tuple(
            Record(f"s{i}", "A", 10.0 * i, i % 5, patient) for i, patient in enumerate(patients)
        )

    def fingerprint(self):
        return "ab"

    def records(self):
        return self._records

    def load(self, id):
        raise NotImplementedError


def test_scans_are_counted_by_the_patients_of_the_split():
    cohort = Listed(["a", "b", "a", "c", "b", "d", "e", "f"])
    split = choose_split(cohort.records(), SplitChoice("by-patient"), 0.5)
    for ids in (split.train, split.test):
        found = patients_of(cohort, ids)
        own = {record.id: record.patient for record in cohort.records()}
        assert found.count(ids) == len({own[id] for id in ids})
        numbers = found.numbers(ids)
        for i, one in enumerate(ids):
            for j, other in enumerate(ids):
                assert (numbers[i] == numbers[j]) == (own[one] == own[other])
        assert not set("abcdef") & set(json.dumps(found.as_json()).split('"')), "ids of scans alone"
        assert read_patients(found.as_json()) == found


def test_what_is_not_known_is_not_claimed():
    unknown = patients_of(Listed([""] * 4), ["s0", "s1"])
    assert unknown == Patients((), False)
    assert unknown.numbers(["s0", "s1"]) is None
    partly = patients_of(Listed(["a", "a", "", ""]), ["s0", "s1", "s2"])
    assert not partly.known
    assert partly.numbers(["s0", "s2", "s1"]) == (0, 1, 0)
    assert patients_of(Listed(["a", "b"]), ["s0", "s1"]) == Patients()
    assert patients_of(PhantomCohort(), ["phantom-0001", "phantom-0002"]) == Patients()
    split = {"train": ["s2"], "test": ["s0", "s1"]}
    plan = {"split": split}
    assert patients_in(plan) is None
    assert patients_in({"asked": {"own_scans": False}}) == Patients()
    for patients, words in (
        (None, "1 training and 2 test scans (patients not kept: each scan is taken for one)"),
        (unknown, "1 training and 2 test scans, patients not known: each scan is taken for one"),
        (Patients(), "1 training and 2 test scans of 1 and 2 patients"),
        (Patients((("s0", "s1"),)), "1 training and 2 test scans of 1 and 1 patients"),
    ):
        own = plan if patients is None else plan | {"patients": patients.as_json()}
        assert scans_in_words(own) == words


def test_patients_name_another_run_only_where_scans_share_them():
    values = {"scale": "smoke", "cohort": {"name": "c"}, "seeds": [0]}
    bare = Plan(values, ()).run_name
    alone = Plan(values | {"patients": Patients().as_json()}, ()).run_name
    shared = Plan(values | {"patients": Patients((("a", "b"),)).as_json()}, ()).run_name
    other = Plan(values | {"patients": Patients((("a", "c"),)).as_json()}, ()).run_name
    assert bare == alone
    assert len({bare, shared, other}) == 3


@pytest.fixture
def files(tmp_path):
    """Six scans in images/ and labels/."""
    for number, size in enumerate((0, 1, 4, 12, 3, 2)):
        voxels, labels = arrays(size, number)
        save(tmp_path / f"images/p{number}.nii.gz", voxels, "LPS")
        save(tmp_path / f"labels/p{number}.nii.gz", labels)
    return tmp_path


def test_a_table_of_patients_beside_a_folder(files, tmp_path):
    ids = [f"p{i}" for i in range(6)]
    assert patients_of(FolderCohort(files), ids) == Patients((), False)
    path = files / "patients.csv"
    path.write_text("id,patient\np0,Smith\np3,Smith\np1,B\np2,C\np4,D\np5,E\n", encoding="utf-8")
    cohort = FolderCohort(files)
    found = patients_of(cohort, ids)
    assert found == Patients((("p0", "p3"),), True)
    assert "Smith" not in repr([record.patient for record in cohort.records()])
    with pytest.raises(UserError, match="one patient in both parts"):
        choose_split(cohort.records(), SplitChoice("given", train=("p0",), test=("p3",)), 0.5)
    path.write_text("id,patient\np0,Smith\np0,Jones\n", encoding="utf-8")
    with pytest.raises(UserError, match="line 3 gives p0 a second patient"):
        FolderCohort(files)
    path.write_text("name,age\nSmith,60\n", encoding="utf-8")  # somebody's own table
    assert patients_of(FolderCohort(files), ids) == Patients((), False)


def test_an_export_keeps_which_scans_are_of_one_patient(files, tmp_path):
    rows = [f"images/p{i}.nii.gz,labels/p{i}.nii.gz,{'XXYZUV'[i]}" for i in range(6)]
    (files / "t.csv").write_text("image,labels,patient\n" + "\n".join(rows) + "\n")
    cohort = TableCohort(files / "t.csv")
    ids = cohort.ids
    export_cohort(cohort, ids, "nifti", tmp_path / "out")
    again = FolderCohort(tmp_path / "out")
    assert patients_of(again, ids) == patients_of(cohort, ids) == Patients((("p0", "p1"),))
    with (tmp_path / "out" / "patients.csv").open() as file:
        assert {row["patient"] for row in csv.DictReader(file)} == {"1", "2", "3", "4", "5"}
    assert replace(patients_of(cohort, ids), together=()) == Patients()
