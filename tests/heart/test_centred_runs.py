"""Runs, their keys and predictions follow what the grid is centred on; no fall-back is silent."""

import json
from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
import SimpleITK as sitk
from chest import HEART, chest

from benchmark.cli import main
from benchmark.cohorts.base import Record, Scan
from benchmark.heart.hits import hit_lines, measure_hits
from benchmark.heart.places import Places
from benchmark.runs.datasets import check_data
from benchmark.training.prepare import prepare
from benchmark.training.settings import Settings

SUITE = """
name: far
title: Hearts far from the middle
cohort: phantom
methods: [unet3d]
references: []
scales:
  smoke:
    train: 4
    test: 2
    budget: 2 steps
    cell_mm: [6, 12, 12]
    width: 4
    batch_size: 2
    learning_rate: 0.003
"""
SETTINGS = Settings(
    budget="1 steps", cell_mm=(6.0, 8.0, 8.0), width=8, batch_size=2, learning_rate=0.003,
    centre="heart",
)  # fmt: skip
SPACING = (5.0, 5.0, 5.0)
PADS = ((0, 16), (36, 0), (0, 36))
MIDDLE = np.add(HEART, (0, 180, 0))
"""Of each heart, (z, y, x) mm from the first voxel."""
ALL = [f"p{index}" for index in range(6)]
ORIGIN = (-300.0, -50.0, 900.0)


def far(index: int) -> Scan:
    """A chest in a corner of a wide field, with calcium of the LAD in front of its heart."""
    drawn = chest(shape=(60, 60, 72), spacing=SPACING, seed=index)
    voxels = np.pad(drawn, PADS, constant_values=-1024)
    labels = np.zeros(voxels.shape, np.uint8)
    z, y, x = np.rint(MIDDLE / SPACING).astype(int)
    place = (slice(z + 2, z + 4), slice(y - 7, y - 5), slice(x + index % 2, x + 2 + index % 2))
    voxels[place], labels[place] = 400 + index, 1 if index % 2 else 3
    return Scan(f"p{index}", "A", voxels, SPACING, labels)


@pytest.fixture(scope="module")
def scans():
    return {f"p{index}": far(index) for index in range(6)}


def prepared(scans, settings=SETTINGS, places=None):
    split = SimpleNamespace(train=ALL[:4], test=ALL[4:])
    cohort = SimpleNamespace(load=scans.__getitem__, load_labels=scans.__getitem__)
    return prepare(cohort, split, settings, None, 2, places)


def test_the_grid_holds_the_heart_and_little_else(scans):
    on_heart = prepared(scans)
    on_scan = prepared(scans, Settings(**{**SETTINGS.as_dict(), "centre": "scan"}))
    assert on_heart.notes == ()
    assert np.prod(on_heart.grid.shape) < 0.25 * np.prod(on_scan.grid.shape)
    for example in (*on_heart.train, *on_heart.test):
        labelled = example.candidates.label > 0
        assert (example.candidates.cell[labelled] >= 0).all()
        assert example.target.any()
        # scores are of the scan, wherever its grid lies
        np.testing.assert_allclose(example.slice_scores.sum(axis=0), example.scores)


def test_a_grid_of_set_size_sees_the_heart_only_where_it_is_centred_on_it(scans):
    small = {**SETTINGS.as_dict(), "grid": (16, 16, 16)}
    lost = prepared(scans, Settings(**{**small, "centre": "scan"}))
    assert " of 48 labelled voxels lie outside the training grid" in lost.notes[0]
    assert prepared(scans, Settings(**small)).notes == ()
    places = Places("hearts.csv", {id: tuple(MIDDLE[::-1]) for id in ALL})
    from_file = prepared(scans, Settings(**{**small, "centre": places.name}), places)
    assert from_file.notes == ()


def test_a_scan_without_a_heart_is_told_and_does_not_enlarge_the_grid(scans):
    known = prepared(scans).grid
    empty = scans["p1"]
    air = np.where(empty.labels > 0, empty.voxels, -1000).astype(np.int16)
    scans = {**scans, "p1": Scan("p1", "A", air, SPACING, empty.labels)}
    made = prepared(scans)
    assert made.grid == known
    assert made.notes[0] == (
        "in 1 of 6 scans no heart was found (p1): there the training grid is centred on the scan"
    )
    assert made.train[1].offset == (0.0, 0.0, 0.0)
    assert "8 of 48 labelled voxels lie outside" in made.notes[1]


def test_hits_are_counted_and_misses_named(scans):
    cohort = SimpleNamespace(load=scans.__getitem__)
    x, y, z = MIDDLE[::-1]
    known = Places("known.csv", {id: (x, y, z) for id in ALL[:3]} | {"p3": (x, y - 40, z)})
    ids = ALL[:4]
    apart, found = measure_hits(cohort, known, ids)
    assert found.all()
    lines = hit_lines(ids, apart, found)
    assert lines[0].startswith("hearts within 15 mm: 3 of 4 (75.0 %); found at all: 4")
    assert lines[2].startswith("  missed: p3, ")
    assert len(lines) == 3
    assert hit_lines(ids, apart, np.array([True, False, True, True]))[0].startswith(
        "hearts within 15 mm: 2 of 4"
    )


def test_a_cohort_that_knows_its_hearts_is_measured_by_data_check(scans):
    known = {id: tuple(MIDDLE[::-1]) for id in ALL}
    cohort = SimpleNamespace(usual=None, planned=False, 
        name="drawn", load=scans.__getitem__, hearts=lambda ids: known, prepare=lambda *more: None,
        records=lambda: [Record(id, "A", 0.0, 0) for id in ALL], fingerprint=lambda: "0" * 64,
    )  # fmt: skip
    said = []
    display = SimpleNamespace(say=said.append, counting=lambda what: nullcontext(lambda *at: None))
    check_data(cohort, display, None, None, 1)
    assert "hearts within 15 mm: 6 of 6 (100.0 %); found at all: 6" in said


@pytest.fixture(scope="module")
def folder(tmp_path_factory, scans):
    root = tmp_path_factory.mktemp("far")
    (root / "suite.yaml").write_text(SUITE)
    for scan in scans.values():
        for part, array in (("images", scan.voxels), ("labels", scan.labels)):
            image = sitk.GetImageFromArray(array)
            image.SetSpacing(SPACING[::-1])
            image.SetOrigin(ORIGIN)
            (root / "data" / part).mkdir(parents=True, exist_ok=True)
            image = sitk.DICOMOrient(image, "RAS")
            sitk.WriteImage(image, str(root / "data" / part / f"{scan.id}.nii.gz"))
    x, y, z = np.add(MIDDLE[::-1], ORIGIN)
    rows = "".join(f"{id},{x},{y},{z}\n" for id in ALL)
    (root / "hearts.csv").write_text("id,x,y,z\n" + rows)
    return root


@pytest.fixture(scope="module")
def command(folder):
    def run(*words):
        words = [str(folder / word[1:]) if word.startswith("@") else word for word in words]
        return main([*words, "--cache", str(folder / "cache")])

    return run


RUN = ("run", "--suite", "@suite.yaml", "--scale", "smoke", "--data", "@data",
       "--out", "@runs", "--no-figures", "--plain", "--in-process", "--split", "by-risk",
       "--device", "cpu")  # fmt: skip
PREDICT = ("predict", "--data", "@data", "--runs", "@runs", "--plain", "--no-pictures",
           "--device", "cpu")  # fmt: skip


def plans(folder):
    found = [json.loads(path.read_text()) for path in (folder / "runs/far").glob("*/plan.json")]
    return {plan["settings"].get("centre", "scan").split()[0]: plan for plan in found}


def test_runs_on_scan_heart_and_file_are_three_runs_and_predict_follows(folder, command, capsys):
    assert command(*RUN) == 0
    assert command(*RUN, "--centre", "scan") == 0
    assert command(*RUN, "--centre", "@hearts.csv") == 0
    found = plans(folder)
    assert set(found) == {"heart", "scan", "file"}
    cells = {plan["cells"][0]["folder"] for plan in found.values()}
    assert len(cells) == 3
    assert set(found["file"]["places"]) == set(ALL)
    grids = {}
    for name, plan in found.items():
        kept = json.loads(
            (folder / "runs/cells" / plan["cells"][0]["folder"] / "run.json").read_text()
        )
        grids[name] = np.prod(kept["ledger"]["grid"])
    assert grids["heart"] < 0.3 * grids["scan"]
    names = {
        json.loads(path.read_text())["settings"].get("centre", "scan").split()[0]: path.parent.name
        for path in (folder / "runs/far").glob("*/plan.json")
    }
    capsys.readouterr()

    assert command(*PREDICT, "--run", names["heart"], "--out", "@own") == 0
    said = capsys.readouterr().out
    assert "centred" not in said
    assert "other scores" not in said
    assert command(*PREDICT, "--run", names["heart"], "--centre", "scan", "--out", "@other") == 0
    said = capsys.readouterr().out
    assert "it was trained with the grid centred on the heart, here it is on the scan" in said
    own, other = (
        (folder / place / "scores.csv").read_text() for place in ("own", "other")
    )  # fmt: skip
    assert own != other
    # predictions round another place are another network's
    assert command(*PREDICT, "--run", names["heart"], "--centre", "scan", "--out", "@own") == 2
    capsys.readouterr()

    assert command(*PREDICT, "--run", names["file"], "--out", "@file") == 0
    assert "give the places with --centre FILE" in capsys.readouterr().out
    words = ("--run", names["file"], "--centre", "@hearts.csv", "--out", "@filed")
    assert command(*PREDICT, *words) == 0
    assert "note:" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda text: text + "q9,1,2,3\n", "there is no scan 'q9'"),
        (lambda text: text[: text.index("p5")], "names no place for scan 'p5'"),
        (lambda text: text.replace("p3,-", "p3,9000"), "of scan 'p3' lies outside it"),
        (lambda text: text.replace("p3,", "p3,left "), "line 5: x is "),
    ],
    ids=["unknown", "missing", "outside", "no number"],
)
def test_a_wrong_file_gives_one_line_and_exit_status_2(folder, command, change, words, capsys):
    (folder / "wrong.csv").write_text(change((folder / "hearts.csv").read_text()))
    assert command(*RUN, "--centre", "@wrong.csv") == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert sum(words in line for line in lines) == 1


def test_data_check_says_where_hearts_are_and_draws_them(folder, command, capsys):
    words = ("data", "check", "@data", "--pictures", "@drawn", "--hearts", "@hearts.csv")
    assert command(*words) == 0
    said = capsys.readouterr().out
    assert "hearts within 15 mm: 6 of 6 (100.0 %)" in said
    assert sorted(path.name for path in (folder / "drawn").iterdir()) == [f"{id}.png" for id in ALL]
    assert "heart x y z" in said
