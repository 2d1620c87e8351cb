"""A CSV that names the scans: relative paths, patients in memory alone, given splits."""

import tracemalloc

import numpy as np
import pytest
from written import arrays, save

from benchmark.cohorts.split_choice import SplitChoice, choose_split
from benchmark.cohorts.table import TableCohort
from benchmark.errors import UserError

HEAD = "image,labels,patient,centre,split\n"


@pytest.fixture
def folder(tmp_path):
    """Four scans, two of them of one name in folders of their own."""
    for number, size in enumerate((0, 1, 4, 12)):
        voxels, labels = arrays(size, number)
        save(tmp_path / f"p{number}/ct.nii.gz", voxels, ["LPS", "RAS", "LPI", "PIR"][number])
        save(tmp_path / f"p{number}/seg.nrrd", labels)
    return tmp_path


def table(folder, *lines, head=HEAD):
    path = folder / "scans.csv"
    path.write_text(head + "\n".join(lines) + "\n", encoding="utf-8")
    return path


def four(folder, parts=("train", "train", "test", "test"), patients="ABCD"):
    return table(
        folder,
        *(f"p{n}/ct.nii.gz,p{n}/seg.nrrd,{patients[n]},{'LU'[n % 2]},{parts[n]}" for n in range(4)),
    )


def test_scans_are_read_as_named(folder):
    records = TableCohort(four(folder)).records()
    assert [record.id for record in records] == ["p0_ct", "p1_ct", "p2_ct", "p3_ct"]
    assert [record.agatston for record in records] == pytest.approx([0, 0.5, 2, 6], rel=1e-5)
    assert [record.centre for record in records] == ["L", "U", "L", "U"]
    split = choose_split(records, SplitChoice("given"), 0.6)
    assert (set(split.train), set(split.test)) == ({"p0_ct", "p1_ct"}, {"p2_ct", "p3_ct"})


def test_one_patient_in_two_parts_is_refused(folder):
    cohort = TableCohort(four(folder, patients="AXCX"))
    assert [fault[:54] for fault in cohort.faults()] == [
        "one patient in two parts of the split: p1_ct, p3_ct; p"
    ]
    with pytest.raises(UserError, match="one patient in both parts: p1_ct would train and p3_ct"):
        choose_split(cohort.records(), SplitChoice("given"), 0.6)
    # Left to us, both scans of the patient go into one part.
    for seed in range(6):
        split = choose_split(cohort.records(), SplitChoice("by-patient", seed=seed), 0.5)
        assert ("p1_ct" in split.train) == ("p3_ct" in split.train)


def test_patients_are_kept_in_memory_alone(folder, tmp_path):
    path = four(folder, patients=("SMITH", "JONES", "MRN42", "DOE"))
    cohort = TableCohort(path, tmp_path / "cache")
    shown = repr((cohort.records(), cohort.check(), cohort.ids))
    kept = b"".join(p.name.encode() + p.read_bytes() for p in (tmp_path / "cache").iterdir())
    for name in ("SMITH", "JONES", "MRN42"):
        assert name not in shown
        assert name.encode() not in kept


def test_a_line_without_labels_is_for_prediction(folder):
    cohort = TableCohort(table(folder, "p0/ct.nii.gz,,A,,", "p1/ct.nii.gz,p1/seg.nrrd,B,,"))
    assert cohort.unlabelled == ("p0_ct",)
    assert cohort.load("p0_ct").labels is None
    assert cohort.load("p0_ct").centre == "unknown"


def test_each_bad_line_is_refused_and_the_others_go_on(folder):
    (folder / "notes.txt").write_text("none")
    path = table(
        folder,
        "p0/ct.nii.gz,p0/seg.nrrd,A,,",
        "p9/ct.nii.gz,p1/seg.nrrd,B,,",
        "../outside/x.nii.gz,p1/seg.nrrd,C,,",
        "/etc/hostname,,D,,",
        "notes.txt,,E,,",
        "p2/ct.nii.gz,p2/../../seg.nrrd,F,,",
    )
    rows = TableCohort(path).check()
    reasons = "\n".join(row.reason for row in rows)
    assert sorted(row.verdict for row in rows) == ["ready", *["refused"] * 5]
    for words in (
        "line 3: " + str(folder / "p9/ct.nii.gz") + ": no such file",
        "line 4: ../outside/x.nii.gz: lies outside",
        "line 5: /etc/hostname: lies outside",
        "line 6: notes.txt: is no image file",
        "line 7: p2/../../seg.nrrd: lies outside",
    ):
        assert words in reasons


def test_a_root_may_be_named(folder, tmp_path):
    (tmp_path / "tables").mkdir()
    path = table(tmp_path / "tables", f"{folder}/p3/ct.nii.gz,p3/seg.nrrd,A,,")
    assert TableCohort(path, root=folder).check()[0].agatston == pytest.approx(6, rel=1e-5)
    assert TableCohort(path).check()[0].verdict == "refused"


@pytest.mark.parametrize(
    ("head", "line", "words"),
    [
        ("scan,labels\n", "a,b", "the first line must name the columns"),
        (HEAD, "p0/ct.nii.gz,,A,,validation", "line 2: split 'validation' is not train"),
        (HEAD, ",p0/seg.nrrd,A,,", "line 2 names no image"),
        ("image,id\n", "p0/ct.nii.gz,../../x", "cannot be part of a file's name"),
        ("image,id\n", "p0/ct.nii.gz,a\np1/ct.nii.gz,a", "2 scans have the id 'a'"),
        (HEAD, "", "names no scan"),
    ],
)
def test_tables_that_cannot_be_understood_are_refused(folder, head, line, words):
    with pytest.raises(UserError, match=words):
        TableCohort(table(folder, line, head=head))


def test_a_table_that_is_no_text_is_refused(folder):
    (folder / "scans.csv").write_bytes(b"\xff\xfeimage")
    with pytest.raises(UserError, match=r"scans.csv: is no text in UTF-16"):
        TableCohort(folder / "scans.csv")
    (folder / "scans.csv").write_bytes(b"\xffimage")
    with pytest.raises(UserError, match=r"scans.csv: is no text in UTF-8"):
        TableCohort(folder / "scans.csv")


def test_sixty_scans_take_no_more_memory_than_twenty(tmp_path):
    voxels, labels = arrays(12)
    save(tmp_path / "ct.nii.gz", np.tile(voxels, (4, 2, 2)))
    save(tmp_path / "seg.nrrd", np.tile(labels, (4, 2, 2)))
    lines = [f"ct.nii.gz,seg.nrrd,s{number:02}" for number in range(60)]
    cohort = TableCohort(table(tmp_path, *lines, head="image,labels,id\n"))
    held = []
    tracemalloc.start()
    try:
        rows = cohort.check(lambda *_: held.append(tracemalloc.get_traced_memory()[0]))
        for id in cohort.ids:
            cohort.load(id)
        held.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    # one scan under sixty ids, which is told
    assert {row.verdict for row in rows} == {"warning"}
    # 40 more verdicts are 95 kB, the names of copies and the loading at the end 75 kB; one scan
    # more in memory would be 166 kB.
    assert max(held[20:]) - held[20] < 250_000


VALID = "image,labels,patient,centre,split\np0/ct.nii.gz,p0/seg.nrrd,17,Köln,train\n"

WRITTEN = {
    "semicolons": VALID.replace(",", ";").encode(),
    "tabs": VALID.replace(",", "\t").encode(),
    "a byte order mark": VALID.encode("utf-8-sig"),
    "UTF-16 of Excel": VALID.replace(",", "\t").encode("utf-16"),
    "UTF-16, big end first": b"\xfe\xff" + VALID.encode("utf-16-be"),
    "a line that says it": b"sep=;\r\n" + VALID.replace(",", ";").encode(),
    "quotes": VALID.replace("Köln", '"Köln"').replace("image", '"image"').encode(),
    "ends of DOS": VALID.replace("\n", "\r\n").encode(),
    "blank lines": VALID.replace("\n", "\n,,,,\n\n").encode(),
    "capitals": VALID.replace("image,labels", "Image,Labels").encode(),
    "American": VALID.replace("centre", "center").encode(),
    "a comma at the end": VALID.replace("train", "train,").encode(),
}


@pytest.mark.parametrize("how", WRITTEN)
def test_tables_as_programs_write_them(folder, how):
    (folder / "scans.csv").write_bytes(WRITTEN[how])
    cohort = TableCohort(folder / "scans.csv")
    (entry,) = cohort._entries.values()
    assert (entry.id, entry.centre, entry.part) == ("ct", "Köln", "train")
    assert cohort.load("ct").labels is not None
    assert cohort.passed_over == ()


@pytest.mark.parametrize("name", ["label", "lables", "Label path", "labels_file"])
def test_a_misspelt_column_is_refused(folder, name):
    path = table(folder, "p0/ct.nii.gz,p0/seg.nrrd", head=f"image,{name}\n")
    with pytest.raises(UserError, match=f"column '{name}' is not read: call it labels"):
        TableCohort(path)


@pytest.mark.parametrize("name", ["patient_id", "PatientID", "patients"])
def test_a_misspelt_patient_cannot_leak(folder, name):
    path = table(folder, "p0/ct.nii.gz,17", head=f"image,{name}\n")
    with pytest.raises(UserError, match="is not read: call it patient"):
        TableCohort(path)


def test_other_columns_and_empty_fields_are_told(folder):
    head = "image,labels,patient,split,age,scanner\n"
    lines = ["p0/ct.nii.gz,,7,train,60,X", "p1/ct.nii.gz,,,,,"]
    cohort = TableCohort(table(folder, *lines, head=head))
    assert cohort.passed_over == (
        "2 columns that are not read were passed over (age, scanner).",
        "1 lines leave the column patient empty (line 3 first): each is a patient of its own.",
        "1 lines leave the column split empty (line 3 first): each is in neither part.",
    )


def test_a_line_with_too_many_fields_is_refused(folder):
    path = table(folder, "p0/ct.nii.gz,p0/seg.nrrd,A,Delft, Holland,train")
    with pytest.raises(UserError, match="line 2 has more fields than the first line has columns"):
        TableCohort(path)
