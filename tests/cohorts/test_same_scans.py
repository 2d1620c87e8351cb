"""One scan under two names: told by its voxels, whatever file, format or labels it has."""

from types import SimpleNamespace

import numpy as np
import pytest
from written import arrays, save, series

from benchmark.cohorts.base import Record
from benchmark.cohorts.dicom import DicomCohort
from benchmark.cohorts.orcascore import OrcaScoreCohort
from benchmark.cohorts.same_scans import content_of, refuse_same_scans, trained_on
from benchmark.cohorts.split import Split
from benchmark.cohorts.split_choice import choose_split, parse_choice
from benchmark.cohorts.table import TableCohort
from benchmark.errors import UserError
from benchmark.runs.sources import open_cohort, tier_split
from benchmark.runs.start import refuse_seen

HEAD = "image,labels,id,split\n"

COPIES = {
    "the same file": lambda f: "p0.nii.gz",
    "another format": lambda f: save(f / "q.nrrd", arrays(1, 0)[0]).name,
    "packed otherwise": lambda f: save(f / "q.mhd", arrays(1, 0)[0], compress=True).name,
    "another orientation": lambda f: save(f / "q.nii", arrays(1, 0)[0], "RAS").name,
    "another type of number": lambda f: save(f / "q.mha", arrays(1, 0)[0].astype(float)).name,
}


@pytest.fixture
def table(tmp_path):
    """A function: write six scans, the last of which has the image that is named."""

    def write(image, parts=("train", "train", "train", "test", "test", "test")):
        lines = []
        for number in range(5):
            voxels, labels = arrays(number + 1, number)
            save(tmp_path / f"p{number}.nii.gz", voxels)
            save(tmp_path / f"s{number}.nii.gz", labels)
            lines.append(f"p{number}.nii.gz,s{number}.nii.gz,p{number},{parts[number]}")
        # labels of its own: another reader's of the same scan
        save(tmp_path / "other.nii.gz", np.zeros_like(arrays()[1]))
        lines.append(f"{image(tmp_path)},other.nii.gz,copy,{parts[5]}")
        path = tmp_path / "scans.csv"
        path.write_text(HEAD + "\n".join(lines) + "\n")
        return path

    return write


@pytest.mark.parametrize("copy", COPIES)
def test_a_copy_in_both_parts_is_refused_naming_both(table, copy, tmp_path):
    path = table(COPIES[copy])
    cohort = TableCohort(path, tmp_path / "cache")
    cohort.check()
    words = r"p0 \(.*p0.nii.gz\) would train and copy \(.*\) test, but their voxels are the same"
    for choice in (parse_choice("given"), parse_choice({"train": ["p0"], "test": ["copy"]})):
        with pytest.raises(UserError, match=words) as caught:
            choose_split(cohort.records(), choice, 0.6)
        assert "\n" not in str(caught.value)
    assert any("one scan in two parts of the split" in line for line in cohort.faults())


@pytest.mark.parametrize("copy", COPIES)
def test_a_copy_within_a_part_is_a_warning(table, copy, tmp_path, capsys):
    path = table(COPIES[copy], parts=("train", "test", "train", "test", "test", "train"))
    cohort = open_cohort(data=path, cache=tmp_path / "cache")
    rows = {row.id: row for row in cohort.check()}
    assert {id for id, row in rows.items() if row.verdict == "warning"} == {"p0", "copy"}
    assert "has the same voxels as p0" in rows["copy"].reason
    tier_split(cohort, None, None, choice=parse_choice("given"))
    assert "warning: copy: has the same voxels as p0\n" in capsys.readouterr().err
    # read from the cache: the same
    assert {r.id for r in TableCohort(path, tmp_path / "cache").check() if r.reason} == {
        "p0", "copy",
    }  # fmt: skip


def test_no_fold_and_no_seed_puts_a_copy_into_both_parts(table):
    records = TableCohort(table(COPIES["another format"])).records()

    def together(choice):
        """Whether both are in one part; None if the split is refused."""
        try:
            split = choose_split(records, choice, 0.5)
        except UserError:
            return None
        return ("p0" in split.train) == ("copy" in split.train)

    folds = [together(parse_choice(None, f"{k}/3")) for k in (1, 2, 3)]
    seeds = [together(parse_choice("by-patient", seed=seed)) for seed in range(8)]
    assert None in seeds
    assert False not in folds + seeds


def test_a_series_sent_twice_is_one_scan_and_no_name_is_said(tmp_path):
    voxels = arrays()[0]
    for number, uid in enumerate(("1.2.826.99.1", "1.2.826.99.2")):
        series(tmp_path / f"SMITH{number}", voxels, uid=uid, patient=f"MRN{number}")
    rows = DicomCohort(tmp_path).check()
    assert all("has the same voxels as scan-" in row.reason for row in rows)
    assert "SMITH" not in str(rows)


def test_orcascore_scans_under_two_numbers(tmp_path):
    for number, seed in enumerate((0, 1, 2, 3, 0)):
        voxels, labels = arrays(4, seed)
        save(tmp_path / f"TRV1P{number}CTI.mhd", voxels, compress=number == 4)
        save(tmp_path / f"TRV1P{number}R.mhd", labels)
    records = OrcaScoreCohort(tmp_path).records()
    with pytest.raises(UserError, match=r"TRV1P0 \(.*TRV1P0CTI.mhd\) would train and TRV1P4"):
        refuse_same_scans(Split(("TRV1P0",), ("TRV1P4",), 0), records)


def test_content_is_that_of_voxels_and_shape():
    voxels = arrays()[0]
    other = voxels.copy()
    other[0, 0, 0] += 1
    assert content_of(voxels) == content_of(voxels.copy())
    assert len({content_of(v) for v in (voxels, other, voxels.reshape(12, 12, 24))}) == 3


def test_tuning_may_not_test_on_what_another_cohort_trained_on():
    old = [Record(f"a{n}", "A", 1.0, 1, content=f"c{n}") for n in range(4)]
    new = [Record(f"b{n}", "A", 1.0, 1, content=f"c{n + 2}", source=f"b{n}.nii") for n in range(4)]
    plan = {
        "cohort": {"fingerprint": "f0"}, "split": {"train": ["a0", "a1", "a2"], "test": ["a3"]},
        "trained_on": trained_on("f0", old, ["a0", "a1", "a2"]),
    }  # fmt: skip
    init = SimpleNamespace(folder="runs/x", plan=plan)
    with pytest.raises(UserError, match=r"trained on 1 of the 2 test scans \(b0, b0.nii, there a2"):
        refuse_seen(init, "f1", Split(("b2", "b3"), ("b0", "b1"), 0), new)
    refuse_seen(init, "f1", Split(("b0", "b3"), ("b1", "b2"), 0), new)
    # made by a program: told by cohort and id
    bare = [Record(record.id, "A", 1.0, 1) for record in old]
    init.plan = {**plan, "trained_on": trained_on("f0", bare, ["a0"])}
    refuse_seen(init, "f1", Split(("a1",), ("a0",), 0), bare)
    with pytest.raises(UserError, match="trained on 1 of the 1 test scans"):
        refuse_seen(init, "f0", Split(("a1",), ("a0",), 0), bare)
