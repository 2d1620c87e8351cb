"""Which format a folder is in, and cohort files."""

import numpy as np
import pytest
from written import arrays, coca, save, series

from benchmark.cohorts.folder import FolderCohort
from benchmark.cohorts.formats import FORMATS, detect, open_data
from benchmark.cohorts.split_choice import save_split
from benchmark.errors import UserError
from benchmark.runs.sources import DATA, open_cohort, tier_split


def make(format, folder):
    """Write the least that shows a format."""
    folder.mkdir(parents=True, exist_ok=True)
    voxels, labels = arrays()
    if format == "folder":
        save(folder / "images/a.nii.gz", voxels)
        save(folder / "labels/a.nii.gz", labels)
    elif format == "csv":
        (folder / "scans.csv").write_text("image\na.nii.gz\n")
        return folder / "scans.csv"
    elif format == "orcascore":
        save(folder / "TEV1P1CTI.mhd", voxels)
    elif format == "coca":
        coca(folder, "1", None)
    elif format == "dicom":
        series(folder / "deep/er", voxels)
    else:
        (folder / "dataset.json").write_text('{"labels": {"background": 0}, "file_ending": ".mha"}')
        save(folder / "imagesTs/a_0000.mha", voxels)
    return folder


@pytest.mark.parametrize("format", FORMATS)
def test_each_format_is_told_from_its_folder(tmp_path, format):
    path = make(format, tmp_path / "data")
    assert detect(path) == format
    assert open_data(path).format == format
    assert open_cohort("phantom", path, cache=tmp_path / "cache").format == format
    assert open_cohort(format, path, cache=tmp_path / "cache").format == format


def test_dicom_without_an_ending_is_found_by_its_mark(tmp_path):
    for path in series(tmp_path, arrays()[0]):
        path.rename(path.with_suffix(""))
    assert detect(tmp_path) == "dicom"
    assert len(open_data(tmp_path).ids) == 1


def test_the_names_of_formats_are_the_same_everywhere():
    assert tuple(FORMATS) == DATA


def test_two_formats_in_one_folder_must_be_named(tmp_path):
    make("folder", tmp_path)
    make("orcascore", tmp_path)
    with pytest.raises(UserError, match="may be folder or orcascore; say which with --cohort"):
        detect(tmp_path)
    assert open_data(tmp_path, "orcascore").ids == ("TEV1P1",)


def test_what_is_no_cohort_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("none")
    with pytest.raises(UserError, match="no known format"):
        detect(tmp_path)
    with pytest.raises(UserError, match=r"notes.txt: is neither a folder"):
        detect(tmp_path / "notes.txt")
    with pytest.raises(UserError, match="no such file or folder: nowhere"):
        open_cohort(data=tmp_path.__class__("nowhere"))
    with pytest.raises(UserError, match="is not a file, which the format csv needs"):
        open_data(tmp_path, "csv")
    with pytest.raises(UserError, match="'coca' needs --data PATH"):
        open_cohort("coca")
    with pytest.raises(UserError, match=r"unknown cohort 'cocoa'.*'coca'"):
        open_cohort("cocoa", tmp_path)


@pytest.fixture
def data(tmp_path):
    """Six pairs p0 to p5 of two centres."""
    for number, size in enumerate((0, 1, 4, 12, 5, 6)):
        voxels, labels = arrays(size, number)
        save(tmp_path / f"data/images/p{number}.nii.gz", voxels)
        save(tmp_path / f"data/labels/p{number}.nii.gz", labels)
    lines = [f"p{number},{'AB'[number % 2]}" for number in range(6)]
    (tmp_path / "data/centres.csv").write_text("id,centre\n" + "\n".join(lines) + "\n")
    return tmp_path / "data"


def cohort_file(folder, text):
    path = folder / "cohort.yaml"
    path.write_text(text)
    return path


def test_a_cohort_file_says_where_and_how(data, tmp_path):
    path = cohort_file(tmp_path, "path: data\nname: mine\nsplit: by-centre:B\nseed: 3\n")
    cohort = open_cohort(data=path, cache=tmp_path / "cache")
    assert cohort.name == "mine"
    assert cohort.fingerprint() == FolderCohort(data).fingerprint()
    split = tier_split(cohort, None, None)
    assert (split.kind, split.seed) == ("by-centre:B", 3)
    assert set(split.test) == {"p1", "p3", "p5"}


def test_a_cohort_file_may_give_the_split_and_leave_refused_scans_out(data, tmp_path):
    (data / "images/p5.nii.gz").write_bytes(b"junk")
    path = cohort_file(
        tmp_path,
        "path: data\nrefused: leave-out\nsplit:\n  train: [p0, p1]\n  test: [p2, p3]\n",
    )
    cohort = open_data(path)
    split = tier_split(cohort, None, None)
    assert (set(split.train), set(split.test)) == ({"p0", "p1"}, {"p2", "p3"})
    assert cohort.notes == ("1 scans are refused and left out.",)
    assert len(cohort.records()) == 5


def test_lists_may_name_the_folders_of_coca(tmp_path):
    for number in range(4):
        coca(tmp_path / "coca", str(number), None)
    path = cohort_file(
        tmp_path,
        "format: coca\npath: coca\noptions: {missing_xml: no-calcium}\n"
        "split: {train: [0, 1], test: [2, 3]}\n",
    )
    cohort = open_data(path)
    assert set(cohort.choice.train) | set(cohort.choice.test) == set(cohort.ids)
    assert cohort.missing_xml == "no-calcium"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("path: data\nsplits: x\n", "unknown key 'splits'"),
        ("format: folder\n", "at least path"),
        ("path: [data\n", "cohort.yaml:2: broken YAML"),
        ("!!python/object/apply:os.system ['true']\n", "broken YAML"),
        ("path: data\nformat: dicon\n", "unknown format 'dicon'"),
        ("path: data\nsplit: by-luck\n", "'by-luck' is not known; use by-risk"),
        ("path: data\nfold: 6/5x\n", "write which of how many"),
        ("path: data\nseed: x\n", "seed 'x' is no whole number"),
        ("path: data\nrefused: ignore\n", "refused is stop or leave-out"),
        ("path: data\noptions: {missing_xml: refuse}\n", "options of folder are segments"),
        ("path: data\nname: ../../x\n", "cannot be part of a folder's name"),
        ("path: nowhere\n", "nowhere"),
    ],
)
def test_cohort_files_that_cannot_be_understood_are_refused(data, tmp_path, text, words):
    with pytest.raises(UserError) as caught:
        open_data(cohort_file(tmp_path, text))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_name_that_the_system_refuses_is_one_line(tmp_path):
    long = "x" * 300
    (tmp_path / "c.yaml").write_text(f"path: {long}\n")
    for path in (tmp_path / "c.yaml", tmp_path / long, tmp_path / f"{long}.yaml"):
        with pytest.raises(UserError, match=r"cannot be opened \(File name too long\)$") as error:
            open_data(path)
        assert len(str(error.value)) < 300
    with pytest.raises(UserError, match="no such file or folder"):
        open_data(tmp_path / "none.yaml")


def test_a_cohort_file_may_name_a_saved_split_beside_it(data, tmp_path):
    cohort = open_data(data)
    save_split(tier_split(cohort, None, None), tmp_path / "split.json", cohort.fingerprint())
    made = tier_split(cohort, None, None)
    own = open_data(cohort_file(tmp_path, "path: data\nsplit: split.json\n"))
    assert tier_split(own, None, None).hash == made.hash


def test_what_is_passed_over_and_every_warning_is_said_once_on_stderr(data, tmp_path, capsys):
    (data / "images/notes.txt").write_text("none")
    save(data / "labels/p3.nii.gz", np.roll(arrays(12, 3)[1], 5, 1))
    cohort = open_cohort(data=data, cache=tmp_path / "cache")
    for _ in range(2):
        tier_split(cohort, None, None)
        cohort.load("p3")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("1 files in images/ that are no image file were passed over") == 1
    assert captured.err.count("most of what is drawn is no calcium") == 1
    open_cohort(data=data, cache=tmp_path / "cache", tell=False).records()
    assert capsys.readouterr().err == ""
