"""Predicting with a run's network: the run's own numbers, on the scans' own grids, file by file."""

import csv
import json
import re
import shutil

import numpy as np
import pytest
import SimpleITK as sitk
import torch

from benchmark.calcium import label_candidates
from benchmark.cli import main
from benchmark.cohorts.volumes import read_scan
from benchmark.errors import UserError
from benchmark.manifest import write_manifest
from benchmark.prediction import load_predictor
from benchmark.prediction.folder import TABLE
from benchmark.prediction.predictor import Predictor
from benchmark.prediction.table import COLUMNS


def rows_of(path):
    with path.open(newline="") as file:
        return {row["scan"]: row for row in csv.DictReader(file)}


def files_in(folder):
    return {p: p.stat().st_mtime_ns for p in sorted(folder.rglob("*")) if p.is_file()}


def test_the_numbers_are_those_of_the_run(trained, predict):
    """Scans on which the run was judged get the scores that it was judged by."""
    status, out = predict("--data", trained.data, "--test", "--method", "unet3d")
    assert status == 0
    judged = {}
    with (trained.run / "per_scan.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            if row["method"] == "unet3d":
                judged[row["scan"]] = row
    found = rows_of(out / "scores.csv")
    assert set(found) == set(judged)
    assert len(found) == 5
    for id, row in found.items():
        for column in COLUMNS:
            name = f"mask_{column}"
            assert float(row[name]) == pytest.approx(float(judged[id][name]), rel=1e-4), (id, name)


def test_labels_lie_on_the_scans_own_grid_and_score_as_the_table_says(trained, predict, capsys):
    predictor = load_predictor(trained.run, "unet3d", device="cpu")
    status, out = predict("--data", trained.data, "--method", "unet3d")
    assert status == 0
    table = rows_of(out / "scores.csv")
    somewhere = 0
    for id in ("p00", "p01", "p02"):  # one of each orientation
        image = sitk.ReadImage(str(trained.data / f"images/{id}.nii.gz"))
        labels = sitk.ReadImage(str(out / f"labels/{id}.nii.gz"))
        assert labels.GetSize() == image.GetSize()
        for what in ("GetSpacing", "GetOrigin", "GetDirection"):
            assert np.allclose(getattr(labels, what)(), getattr(image, what)(), atol=1e-5)
        # against the array in memory, by the plain reader
        scan = read_scan(trained.data / f"images/{id}.nii.gz", out / f"labels/{id}.nii.gz")
        assert np.array_equal(scan.labels, predictor.predict(scan).labels)
        components, _ = label_candidates(scan.voxels)
        assert (components[scan.labels > 0] > 0).all()
        capsys.readouterr()
        command = ["score", str(trained.data / f"images/{id}.nii.gz")]
        assert main([*command, str(out / f"labels/{id}.nii.gz"), "--format", "json"]) == 0
        scores = json.loads(capsys.readouterr().out)
        row = table[id]
        for artery in ("LAD", "whole"):
            assert scores["agatston"][artery] == pytest.approx(
                float(row[f"mask_agatston_{artery}"]), rel=1e-4
            )
        assert row["mask_risk"] == str(scores["risk"])
        somewhere += int((scan.labels > 0).sum())
        assert (out / f"pictures/{id}.png").read_bytes().startswith(b"\x89PNG")
    assert somewhere, "the network labels nothing: this test shows nothing"


def test_a_scan_at_fault_does_not_stop_the_others(images, predict, capsys):
    status, out = predict("--data", images, "--method", "unet3d")
    assert status == 1
    text = capsys.readouterr().out
    assert "4 scans predicted" in text
    assert "1 scan could not be predicted" in text
    assert "short.nii.gz" in text.rpartition("could not be predicted")[2]
    assert set(rows_of(out / "scores.csv")) == {"p00", "p01", "p02", "p07"}
    assert not [path for path in out.rglob("*") if "short" in path.name or "draft" in path.name]


def test_what_is_done_is_kept_and_what_changed_is_done_again(trained, images, predict, capsys):
    command = ("--data", images, "--method", "unet3d")
    _, out = predict(*command)
    before = files_in(out)
    shutil.copy(trained.data / "images/p03.nii.gz", images / "short.nii.gz")
    shutil.copy(trained.data / "images/p11.nii.gz", images / "p00.nii.gz")
    (out / "pictures" / "p01.png").unlink()
    capsys.readouterr()
    status, _ = predict(*command)
    assert status == 0
    assert "2 scans predicted before, 3 to do" in capsys.readouterr().out
    after = files_in(out)
    done = {path.name for path, time in after.items() if before.get(path) != time}
    assert {"short.nii.gz", "p00.nii.gz", "p01.png"} <= done
    assert not {"p02.nii.gz", "p02.png", "p07.json"} & done
    assert len(rows_of(out / "scores.csv")) == 5


def test_an_interruption_leaves_whole_scans_alone(images, predict, monkeypatch, capsys):
    real, seen = Predictor.predict, []

    def interrupted(self, scan):
        seen.append(scan.id)
        if len(seen) == 3:
            raise KeyboardInterrupt
        return real(self, scan)

    monkeypatch.setattr(Predictor, "predict", interrupted)
    status, out = predict("--data", images, "--method", "unet3d")
    assert status == 130
    assert set(rows_of(out / "scores.csv")) == {"p00", "p01"}
    assert {path.name for path in (out / "labels").iterdir()} == {"p00.nii.gz", "p01.nii.gz"}
    assert not list(out.glob(".*"))
    monkeypatch.undo()
    capsys.readouterr()
    predict("--data", images, "--method", "unet3d")
    assert "2 scans predicted before" in capsys.readouterr().out


def test_another_network_does_not_write_into_the_folder(images, predict, capsys):
    predict("--data", images, "--method", "unet3d", "--no-pictures")
    _, out = predict("--data", images, "--method", "unet3d", "--no-pictures")
    before = files_in(out)
    capsys.readouterr()
    status, _ = predict("--data", images, "--method", "indices-net")
    assert status == 2
    error = capsys.readouterr().err
    assert "3D U-Net" in error
    assert error.count("\n") == 1
    assert files_in(out) == before


def test_a_network_of_scores_alone_writes_no_labels(images, predict):
    status, out = predict("--data", images / "p07.nii.gz", "--method", "indices-net")
    assert status == 0
    assert not (out / "labels").exists()
    row = rows_of(out / "scores.csv")["p07"]
    assert float(row["head_agatston_whole"]) >= 0
    assert "mask_agatston_whole" not in row
    assert (out / "pictures/p07.png").is_file()


def test_metaimage_pairs_read_back(trained, images, predict):
    status, out = predict(
        "--data", images / "p02.nii.gz", "--method", "unet3d", "--format", "mhd", "--no-pictures"
    )
    assert status == 0
    assert {path.name for path in (out / "labels").iterdir()} == {"p02.mhd", "p02.zraw"}
    scan = read_scan(images / "p02.nii.gz", out / "labels/p02.mhd")
    expected = load_predictor(trained.run, "unet3d", device="cpu").predict(scan)
    assert np.array_equal(scan.labels, expected.labels)


def test_dicom_series_are_predicted_and_nobody_is_named(predict, tmp_path, monkeypatch, capsys):
    from written import ORIGIN, SECRETS, SHAPE, SPACING, arrays, series

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    for place in range(2):
        voxels, _ = arrays(4, place)
        uid = f"1.2.826.99.{place + 1}"
        folder = tmp_path / "clinic" / "SMITH" / f"JANE{place}"
        series(folder, voxels, uid=uid, first=10 * place)
    status, out = predict("--data", tmp_path / "clinic", "--method", "unet3d")
    assert status == 0
    assert len(rows_of(out / "scores.csv")) == 2
    for path in (out / "labels").iterdir():
        labels = sitk.ReadImage(str(path))
        assert labels.GetSize() == SHAPE[::-1]
        assert labels.GetSpacing() == pytest.approx(SPACING[::-1])
        assert labels.GetOrigin() == pytest.approx(ORIGIN)
    printed = capsys.readouterr()
    written = [printed.out.encode(), printed.err.encode()]
    written += [path.read_bytes() + path.name.encode() for path in files_in(out)]
    for secret in SECRETS:
        assert not any(secret.encode() in text for text in written), secret


def test_two_files_of_one_scan_are_at_fault_alone(trained, tmp_path, predict, capsys):
    folder = tmp_path / "twice"
    folder.mkdir()
    for name in ("p00", "p01"):
        shutil.copy(trained.data / f"images/{name}.nii.gz", folder)
    sitk.WriteImage(sitk.ReadImage(str(folder / "p00.nii.gz")), str(folder / "p00.mha"))
    status, out = predict("--data", folder, "--method", "unet3d")
    assert status == 1
    assert "same id as" in capsys.readouterr().out
    assert set(rows_of(out / "scores.csv")) == {"p01"}


def test_a_network_of_ones_own_is_run_only_when_named(trained, images, predict, capsys, tmp_path):
    """A run's folder may come from anybody: what it names is never imported by itself."""
    runs = tmp_path / "runs"
    shutil.copytree(trained.runs, runs)
    run = runs / "small" / trained.run.name
    plan = json.loads((run / "plan.json").read_text())
    own = f"{trained.net}:MyNet"
    plan["methods"] = [m for m in plan["methods"] if m["name"] == own]
    plan["cells"] = [c for c in plan["cells"] if c["method"] == own]
    (run / "plan.json").write_text(json.dumps(plan))
    status, _ = predict("--data", images, out="a", run=run)
    assert status == 2
    assert f"--method {own}" in capsys.readouterr().err
    status, out = predict("--data", images / "p07.nii.gz", "--method", own, out="b", run=run)
    assert status == 0
    # the file may have moved
    moved = tmp_path / "elsewhere" / "my_net.py"
    moved.parent.mkdir()
    shutil.copy(trained.net, moved)
    status, other = predict(
        "--data", images / "p07.nii.gz", "--method", f"{moved}:MyNet", out="c", run=run
    )
    assert status == 0
    assert (other / "scores.csv").read_text() == (out / "scores.csv").read_text()


def test_no_code_is_taken_from_a_run(trained, images, predict, tmp_path, capsys):
    runs = tmp_path / "runs"
    shutil.copytree(trained.runs, runs)
    trap = tmp_path / "trap.py"
    trap.write_text(f"open({str(tmp_path / 'sprung')!r}, 'w')\nclass Net: pass\n")
    for path in runs.glob("cells/*/run.json"):
        values = json.loads(path.read_text())
        values["key"]["target"] = f"{trap}:Net"
        path.write_text(json.dumps(values))
        write_manifest(path.parent)
    status, _ = predict(
        "--data", images, "--method", "unet3d", run=runs / "small" / trained.run.name
    )
    assert status == 2
    assert "unet3d" in capsys.readouterr().err
    assert not (tmp_path / "sprung").exists()


BAD = {
    "no such run": (["--run", "nowhere", "--data", "x", "--out", "o"], "no run"),
    "no such data": (["--run", "RUN", "--data", "nowhere", "--out", "o"], "nowhere"),
    "no such method": (["--run", "RUN", "--data", "DATA", "--out", "o", "--method", "unet"],
                       "'unet3d'"),
    "no such seed": (["--run", "RUN", "--data", "DATA", "--out", "o", "--seed", "7"], "no seed 7"),
    "a row without learning": (
        ["--run", "RUN", "--data", "DATA", "--out", "o", "--method", "all-lad"],
        "learns nothing"),
    "a method that the run lacks": (
        ["--run", "RUN", "--data", "DATA", "--out", "o", "--method", "dmtrl"], "it has unet3d"),
    "an unknown format": (["--run", "RUN", "--data", "DATA", "--cohort", "niftis", "--out", "o"],
                          "niftis"),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_input_gives_one_line_and_writes_nothing(name, trained, tmp_path, monkeypatch, capsys):
    arguments, word = BAD[name]
    places = {"RUN": str(trained.run), "DATA": str(trained.data)}
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()
    command = ["predict", *(places.get(a, a) for a in arguments), "--device", "cpu"]
    assert main([*command, "--runs", str(trained.runs)]) == 2
    output = capsys.readouterr()
    assert output.err.startswith("error: ")
    assert output.err.count("\n") == 1
    assert word in output.err
    assert list(tmp_path.iterdir()) == []


def test_weights_that_do_not_fit_are_refused(trained, images, predict, tmp_path, capsys):
    from safetensors.torch import load_file, save_file

    runs = tmp_path / "runs"
    shutil.copytree(trained.runs, runs)
    (path,) = runs.glob("cells/unet3d*/checkpoint.safetensors")
    weights = load_file(str(path))
    weights.pop(next(name for name in weights if name.endswith(".weight")))
    save_file(weights, str(path))
    write_manifest(path.parent)
    capsys.readouterr()
    status, _ = predict(
        "--data", images, "--method", "unet3d", run=runs / "small" / trained.run.name
    )
    assert status == 2
    error = capsys.readouterr().err
    assert "weights are not those of 3D U-Net" in error
    assert error.count("\n") == 1


def spoilt(trained, tmp_path, change, answers=True):
    """A copy of the run whose U-Net's weights were changed, and its kept files with it."""
    from safetensors.torch import save_file

    from benchmark.runs.store import read_weights
    from benchmark.training.kept import packed

    runs = tmp_path / "runs"
    shutil.copytree(trained.runs, runs)
    (path,) = runs.glob("cells/unet3d*/checkpoint.safetensors")
    weights = read_weights(path)
    assert weights.answers["logits"]
    change(weights)
    tensors, metadata = packed(weights, weights.answers if answers else None)
    save_file(tensors, str(path), metadata or None)
    write_manifest(path.parent)
    return runs / "small" / trained.run.name, path.parent


def shift(weights):
    """All of it is the LAD: the channels are four classes of four cells each."""
    each = torch.tensor([0.0, 99.0, 0.0, 0.0])
    weights["score.bias"] = weights["score.bias"] + each.repeat_interleave(4)


def test_weights_that_answer_otherwise_than_the_trained_network_are_refused(
    trained, images, predict, tmp_path, capsys
):
    run, _ = spoilt(trained, tmp_path, shift)
    capsys.readouterr()
    status, out = predict("--data", images, "--method", "unet3d", run=run)
    error = capsys.readouterr().err
    assert status == 2
    assert "answers otherwise than the trained network did" in error
    assert "register_buffer(persistent=True)" in error
    assert error.count("\n") == 1
    assert not out.exists()


def test_where_the_code_changed_other_answers_are_a_note(
    trained, images, predict, tmp_path, capsys
):
    run, cell = spoilt(trained, tmp_path, shift)
    values = json.loads((cell / "run.json").read_text())
    values["key"]["source"] = "0" * 64
    (cell / "run.json").write_text(json.dumps(values))
    write_manifest(cell)
    capsys.readouterr()
    status, _ = predict("--data", images / "p07.nii.gz", "--method", "unet3d", run=run)
    assert status == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "note: the network's code changed" in text
    assert "note: on a made-up scan 3D U-Net answers otherwise here" in text


def test_test_scans_with_other_scores_than_the_boards_are_said(trained, predict, tmp_path, capsys):
    """As with a file of an older version, which holds no answers."""
    run, _ = spoilt(trained, tmp_path, shift, answers=False)
    command = ("--data", trained.data, "--test", "--method", "unet3d", "--no-pictures")
    for _ in range(2):  # the second time all are kept, and it is said again
        capsys.readouterr()
        status, _ = predict(*command, run=run)
        assert status == 1
        text = " ".join(capsys.readouterr().out.split())
        assert re.search(r"fault: \d of 5 test scans of the run got other scores", text)
    status, _ = predict(*command, out="good")
    assert status == 0
    assert "other scores" not in capsys.readouterr().out


def test_another_scan_of_a_test_scans_name_is_not_compared(trained, predict, tmp_path, capsys):
    plan = json.loads((trained.run / "plan.json").read_text())
    train, test = plan["split"]["train"][0], plan["split"]["test"][0]
    path = tmp_path / "one" / f"{test}.nii.gz"
    path.parent.mkdir()
    shutil.copy(trained.data / f"images/{train}.nii.gz", path)
    status, out = predict("--data", path, "--method", "unet3d", "--no-pictures")
    assert status == 0
    assert "other scores" not in capsys.readouterr().out
    assert json.loads((out / f"scans/{test}.json").read_text())["as_judged"] is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda values: values["key"]["settings"].update(speed=3), "speed"),
        (lambda values: values["key"]["settings"].pop("width"), "width"),
        (lambda values: values["key"]["settings"].update(width="wide"), "recipe"),
        (lambda values: values["key"]["settings"].update(cell_mm=[3, 3]), "mm"),
        (lambda values: values["key"]["settings"].update(cell_mm=None), "recipe"),
        (lambda values: values["key"]["settings"].update(budget="soon"), "soon"),
        (lambda values: values["key"].update(settings=[]), "settings is list, not dict"),
        (lambda values: values["key"].update(method=7), "method is int, not str"),
        (lambda values: values["ledger"].update(grid=5), "recipe"),
        (lambda values: values["ledger"].update(grid=[8, 8]), "(8, 8)"),
        (lambda values: values["ledger"].update(grid=[8, 1e6, 1e6]), "1000000"),
        (lambda values: values["ledger"].update(grid=[8, 8, float("inf")]), "infinity"),
        (lambda values: values.update(key="x"), "key is str, not dict"),
        (lambda values: values["ledger"].pop("grid"), "grid"),
    ],
)
def test_a_recipe_that_somebody_spoiled_gives_one_line(trained, tmp_path, change, words):
    run = tmp_path / "small" / trained.run.name
    shutil.copytree(trained.run, run)
    (cell,) = trained.runs.glob("cells/unet3d*")
    shutil.copytree(cell, tmp_path / "cells" / cell.name)
    path = tmp_path / "cells" / cell.name / "run.json"
    values = json.loads(path.read_text())
    change(values)
    path.write_text(json.dumps(values))
    write_manifest(path.parent)
    with pytest.raises(UserError, match=re.escape(words)) as caught:
        load_predictor(run, "unet3d", device="cpu")
    assert "\n" not in str(caught.value)
    assert cell.name in str(caught.value)


def test_a_scan_that_trained_the_network_is_told_under_any_name(trained, tmp_path, predict, capsys):
    plan = json.loads((trained.run / "plan.json").read_text())
    train, test = plan["split"]["train"][0], plan["split"]["test"][0]
    # the same image in another format and orientation, under another name
    image = sitk.ReadImage(str(trained.data / f"images/{train}.nii.gz"))
    (tmp_path / "new").mkdir()
    sitk.WriteImage(sitk.DICOMOrient(image, "RAI"), str(tmp_path / "new/renamed.mha"))
    shutil.copy(trained.data / f"images/{test}.nii.gz", tmp_path / "new")
    (tmp_path / "new/notes.txt").write_text("none")
    for _ in range(2):  # predicted now, and kept from before
        status, out = predict("--data", tmp_path / "new", "--method", "unet3d")
        assert status == 0
        captured = capsys.readouterr()
        assert "1 of 2 scans are among those that 3D U-Net was trained on (renamed)" in captured.err
        assert "files in new/ that are no image file were passed over (notes.txt)" in captured.err
        assert "unusual spacing" in captured.err
        assert "warning" not in captured.out
    rows = rows_of(out / "scores.csv")
    assert "the network was trained on this scan" in rows["renamed"]["warning"]
    assert "trained" not in rows[test]["warning"]


def test_evaluate_says_on_which_scans_its_figures_are_no_test(trained, predict, capsys):
    plan = json.loads((trained.run / "plan.json").read_text())
    status, out = predict("--data", trained.data, "--method", "unet3d")
    assert status == 0
    for given in (("--labels", out), ("--labels", out / "labels"), ("--scores", out / TABLE)):
        capsys.readouterr()
        assert main(["evaluate", *map(str, given), "--data", str(trained.data), "--plain"]) == 0
        captured = capsys.readouterr()
        words = f"{len(plan['split']['train'])} of 12 scans trained the network that predicted them"
        assert words in captured.err
        assert words in " ".join(captured.out.split())
