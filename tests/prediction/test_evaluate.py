"""Anyone's labels and scores by the leaderboard's own rules: nothing is gained by a way around."""

import json
import re
import shutil

import numpy as np
import pytest
import SimpleITK as sitk

from benchmark.cli import main
from benchmark.errors import UserError
from benchmark.prediction.outside import vote_of_labels
from benchmark.prediction.table import ARTERY_COLUMNS, read_table
from benchmark.training.grid import Candidates


@pytest.fixture
def evaluate(trained, tmp_path, capsys):
    """A function: the command; status, standard output, error and the board's JSON."""

    def call(*arguments, data=True, out="board"):
        folder = tmp_path / out
        fixed = ["evaluate", "--out", str(folder), "--plain", "--cache", str(tmp_path / "cache")]
        fixed += ["--data", str(trained.data)] if data else []
        capsys.readouterr()
        status = main([*fixed, *map(str, arguments)])
        printed = capsys.readouterr()
        board = folder / "leaderboard.json"
        values = json.loads(board.read_text()) if board.is_file() else None
        return status, printed, values

    return call


@pytest.fixture
def labels(trained, tmp_path):
    """The reference labels as somebody's own, to be spoilt by the tests."""
    folder = tmp_path / "theirs"
    shutil.copytree(trained.data / "labels", folder)
    return folder


@pytest.fixture
def of_unet(trained, tmp_path):
    """What the run's 3D U-Net predicts for the run's test scans."""
    out = tmp_path / "predicted"
    status = main([
        "predict", "--run", str(trained.run), "--data", str(trained.data), "--test", "--method",
        "unet3d", "--out", str(out), "--no-pictures", "--device", "cpu", "--plain",
    ])  # fmt: skip
    assert status == 0
    return out


def line_of(board, name):
    (row,) = [row for row in board["methods"] if row["name"] == name]
    return row["lines"][0]


def value(line, column):
    return line["figures"][column]["value"]


def words(printed):
    return " ".join(printed.out.split())


def test_the_reference_itself_is_perfect(labels, evaluate):
    status, printed, board = evaluate("--labels", labels, "--name", "A reader")
    assert status == 0
    line = line_of(board, "a-reader")
    for column in ("F1 LAD", "F1 RCA", "F1 whole", "ICC_AS whole", "ICC mean", "kappa whole"):
        assert value(line, column) == pytest.approx(1), column
    assert value(line, "MAE_VS whole") == 0
    assert "component vote changed nothing" in words(printed)
    assert "A reader" in printed.out


def test_predictions_come_back_to_the_figures_of_the_runs_own_row(trained, of_unet, evaluate):
    status, _, board = evaluate("--labels", of_unet, "--run", trained.run, "--name", "From files")
    assert status == 0
    own, theirs = line_of(board, "unet3d"), line_of(board, "from-files")
    assert set(own["figures"]) == set(theirs["figures"])
    for column, figure in own["figures"].items():
        for part in ("value", "low", "high"):
            expected = figure[part]
            if expected is None:
                assert theirs["figures"][column][part] is None
            else:
                assert theirs["figures"][column][part] == pytest.approx(expected, abs=1e-6), column
    # it was not trained under the run's budget: never marked as the best
    assert all(not figure["mark"] for figure in theirs["figures"].values())
    order = [row["name"] for row in board["methods"]]
    assert order[-1] == "from-files"


def test_scores_from_a_table_agree_as_the_runs_own(trained, of_unet, evaluate):
    table = of_unet / "scores.csv"
    status, _, board = evaluate("--scores", table, "--run", trained.run, data=False)
    assert status == 0
    own, theirs = line_of(board, "unet3d"), line_of(board, "given")
    for column in ("ICC_AS whole", "PCC_MS LAD", "MAE_VS whole", "kappa whole"):
        expected = own["figures"][column]["value"]
        if expected is not None:
            assert value(theirs, column) == pytest.approx(expected, rel=1e-3, abs=1e-3), column
    assert "F1 whole" not in theirs["figures"]


def test_loose_labels_become_components_and_that_is_said(trained, labels, evaluate):
    drawn = 0
    for path in labels.iterdir():
        image = sitk.ReadImage(str(path))
        array = sitk.GetArrayFromImage(image)
        grown = array.copy()
        for artery in (1, 2, 3):
            mask = sitk.BinaryDilate(sitk.GetImageFromArray((array == artery).astype(np.uint8)))
            grown[(sitk.GetArrayFromImage(mask) > 0) & (grown == 0)] = artery
        drawn += int((grown > 0).sum() - (array > 0).sum())
        loose = sitk.GetImageFromArray(grown)
        loose.CopyInformation(image)
        sitk.WriteImage(loose, str(path))
    status, printed, board = evaluate("--labels", labels)
    assert status == 0
    assert value(line_of(board, "given"), "F1 whole") == pytest.approx(1)
    dropped = float(re.search(r"labelled, ([\d.]+) mm3 not above 130 HU", words(printed))[1])
    assert dropped == pytest.approx(drawn * 3 * 2.5 * 2.5, abs=0.1)


def test_the_vote_takes_most_voxels_and_background_of_equal_ones():
    component = np.array([1, 1, 1, 2, 2, 3])
    found = Candidates(
        np.arange(6), component, np.full(6, -1), np.full(6, 300, np.int16), np.zeros(6, np.uint8)
    )
    labels = np.array([[[1, 2, 2, 0, 3, 0, 1]]], np.uint8)
    vote = vote_of_labels(labels, found)
    assert vote.classes.tolist() == [0, 2, 0, 0]
    assert (vote.outside, vote.changed) == (1, 2)


def test_a_missing_scan_is_refused_or_costs_the_worst(labels, evaluate):
    (labels / "p03.nii.gz").unlink()
    (labels / "p07.nii.gz").unlink()
    status, printed, board = evaluate("--labels", labels)
    assert status == 2
    assert board is None
    assert "'p03' and 1 more of 12" in printed.err
    assert "--missing worst" in printed.err
    assert printed.err.count("\n") == 1
    status, printed, board = evaluate("--labels", labels, "--missing", "worst")
    assert status == 0
    assert "2 of 12 scans had no usable prediction and took the worst value" in words(printed)
    line = line_of(board, "given")
    assert line["filled"] == 2
    assert value(line, "F1 whole") < 0.9


def test_scans_that_do_not_count_are_refused_or_passed_over(trained, labels, evaluate):
    # the run tests five of the twelve
    status, printed, _ = evaluate("--labels", labels, "--run", trained.run)
    assert status == 2
    assert "is not among the 5 that count" in printed.err
    assert printed.err.count("\n") == 1
    status, _, board = evaluate("--labels", labels, "--run", trained.run, "--others", "ignore")
    assert status == 0
    assert value(line_of(board, "given"), "F1 whole") == pytest.approx(1)


@pytest.mark.parametrize(
    ("spoil", "word"),
    [("grid", "differs from its image's"), ("value", "unknown labels 9"), ("cut", "p05.nii.gz")],
)
def test_a_label_map_at_fault_is_named(labels, evaluate, spoil, word):
    path = labels / "p05.nii.gz"
    image = sitk.ReadImage(str(path))
    if spoil == "cut":
        path.write_bytes(path.read_bytes()[:60])
    elif spoil == "grid":
        image.SetSpacing((1.0, 1.0, 1.0))
        sitk.WriteImage(image, str(path))
    else:
        sitk.WriteImage(image + 9 * sitk.Cast(image == 0, image.GetPixelID()), str(path))
    status, printed, board = evaluate("--labels", labels)
    assert status == 2
    assert board is None
    assert word in printed.err
    status, printed, board = evaluate("--labels", labels, "--missing", "worst")
    assert status == 1
    assert "not used: p05" in printed.out
    assert line_of(board, "given")["filled"] == 1


TABLE = "scan,agatston_LAD,agatston_LCX,agatston_RCA,volume_LAD,volume_LCX,volume_RCA,mass_LAD,mass_LCX,mass_RCA"  # noqa: E501
TABLES = {
    "no column": (["scan,agatston_LAD", "p00,1"], "agatston_LCX"),
    "no scans": ([TABLE.removeprefix("scan,"), "1,1,1,1,1,1,1,1,1"], "column scan"),
    "twice": ([TABLE, "p00" + ",1" * 9, "p00" + ",1" * 9], "line 3"),
    "negative": ([TABLE, "p00,-4" + ",1" * 8], "-4"),
    "words": ([TABLE, "p00,none" + ",1" * 8], "'none'"),
    "both": (
        ["scan," + ",".join(f"{k}_{c}" for k in ("mask", "head") for c in TABLE.split(",")[1:])],
        "--columns",
    ),
    "unknown scans": ([TABLE, "q00" + ",1" * 9], "'q00'"),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_bad_table_gives_one_line(name, tmp_path, evaluate):
    lines, word = TABLES[name]
    path = tmp_path / "table.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    status, printed, board = evaluate("--scores", path)
    assert status == 2
    assert board is None
    assert printed.err.startswith("error: ")
    assert printed.err.count("\n") == 1
    assert word in printed.err


def test_an_empty_field_is_a_missing_score(trained, of_unet, evaluate):
    table = of_unet / "scores.csv"
    head, first, *rest = table.read_text().splitlines()
    fields = first.split(",")
    fields[1] = ""
    table.write_text("\n".join([head, ",".join(fields), *rest]) + "\n")
    status, printed, _ = evaluate("--scores", table, "--run", trained.run, data=False)
    assert status == 2
    assert f"scan {fields[0]!r} of 5" in printed.err


BAD = {
    "nothing given": ([], "--labels FOLDER"),
    "both given": (["--labels", "LABELS", "--scores", "t.csv"], "--labels FOLDER"),
    "no reference": (["--labels", "LABELS"], "--data"),
    "no such folder": (["--labels", "nowhere", "--run", "RUN"], "nowhere"),
    "a row of that name": (["--labels", "LABELS", "--run", "RUN", "--name", "unet3d",
                            "--data", "DATA", "--others", "ignore"], "another --name"),
    "not the run's scans": (["--labels", "LABELS", "--run", "RUN", "--data", "OTHER",
                             "--others", "ignore"], "give the scans of the run"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_input_gives_one_line(name, trained, labels, evaluate, tmp_path):
    arguments, word = BAD[name]
    places = {"RUN": trained.run, "DATA": trained.data, "LABELS": labels}
    if "OTHER" in arguments:
        places["OTHER"] = tmp_path / "other"
        shutil.copytree(trained.data, places["OTHER"])
        for part in ("images", "labels"):
            (places["OTHER"] / part / "p11.nii.gz").unlink()
    status, printed, _ = evaluate(*(places.get(a, a) for a in arguments), data=False)
    assert status == 2
    # scans that were read by then may have their warnings
    lines = [line for line in printed.err.splitlines() if not line.startswith("warning: ")]
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    assert word in lines[0]


def test_intervals_are_over_the_patients_of_a_table(trained, labels, evaluate, tmp_path):
    ids = sorted(path.name.split(".")[0] for path in (trained.data / "images").iterdir())
    for path in sorted(labels.iterdir())[::3]:  # some scans are missed
        image = sitk.ReadImage(str(path))
        sitk.WriteImage(image * 0, str(path))
    found = {}
    for size in (1, 2, len(ids)):
        table = trained.data / f"of-{size}.csv"
        rows = [
            f"images/{id}.nii.gz,labels/{id}.nii.gz,{id},P{i // size}" for i, id in enumerate(ids)
        ]
        table.write_text("image,labels,id,patient\n" + "\n".join(rows) + "\n", encoding="utf-8")
        out = tmp_path / f"board-{size}"
        fixed = ["evaluate", "--data", str(table), "--labels", str(labels), "--name", "A reader"]
        assert main([*fixed, "--out", str(out), "--plain", "--cache", str(tmp_path / "c")]) == 0
        board = json.loads((out / "leaderboard.json").read_text())
        found[size] = board["methods"][0]["lines"][0]["figures"]["F1 whole"]
        assert f"{len(ids)} scans of {-(-len(ids) // size)} patient" in board["facts"]["cohort"]
        table.unlink()
    assert len({one["value"] for one in found.values()}) == 1
    assert found[1]["low"] != found[2]["low"]
    assert found[len(ids)]["low"] is None
    assert "fewer than 3 patients" in found[len(ids)]["note"]
    status, _, board = evaluate("--labels", labels, "--name", "A reader")
    assert status == 0
    assert "patients not known: each scan is taken for one" in board["facts"]["cohort"]
    line = line_of(board, "a-reader")["figures"]["F1 whole"]
    assert (line["low"], line["high"]) == (found[1]["low"], found[1]["high"])
    assert line["patients"] is None


def decimal_table(path, rows, separator=";"):
    names = ["scan", *ARTERY_COLUMNS]
    lines = [separator.join([f"p{n}", *row]) for n, row in enumerate(rows)]
    path.write_text("\n".join([separator.join(names), *lines]) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("separator", [";", "\t"])
def test_a_table_may_have_decimal_commas(tmp_path, separator):
    path = decimal_table(tmp_path / "t.csv", [["1,5", "173,25", "7"] * 3], separator)
    scores, _ = read_table(path)
    assert scores["p0"][0].tolist() == [1.5, 173.25, 7, 181.75]
    path = decimal_table(tmp_path / "t.csv", [["1.5", "173.25", "1.234"] * 3], separator)
    assert read_table(path)[0]["p0"][0, 2] == 1.234


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (["1,5", "2.5", "7"], "1,5 in line 2 and 2.5 in line 2: write all numbers with one"),
        (["1,234", "2", "7"], "1,234 may have a decimal comma or part thousands"),
        (["1.234,5", "2", "7"], "not a number"),
    ],
)
def test_a_number_that_may_be_two_is_refused(tmp_path, row, words):
    with pytest.raises(UserError, match=words):
        read_table(decimal_table(tmp_path / "t.csv", [row * 3]))


def test_label_maps_beside_the_calcium_are_told(trained, labels, evaluate):
    for path in labels.glob("*.nii.gz"):
        image = sitk.ReadImage(str(path))
        moved = sitk.GetImageFromArray(np.roll(sitk.GetArrayFromImage(image), 3, 2))
        moved.CopyInformation(image)
        sitk.WriteImage(moved, str(path))
    status, printed, _ = evaluate("--labels", labels)
    assert status == 0
    assert "label maps draw is no calcium" in printed.err
