"""From files of other programs to figures: each command on each format, in one go.

The files are written with SimpleITK, pydicom and the standard library alone.
"""

import csv
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from benchmark.cli import main

sys.path.insert(0, str(Path(__file__).parent / "cohorts"))
from written import BOX, HEIGHT, ORIGIN, SPACING, coca, roi, save, series

SUITE = """
name: small
title: A suite on files
cohort: phantom
methods: [unet3d]
references: [all-lad]
scales:
  smoke:
    train: 4
    test: 2
    budget: 2 steps
    cell_mm: [3, 1, 1]
    width: 8
    batch_size: 2
    learning_rate: 0.003
"""
COUNT = 6
ARTERIES = (1, 2, 3, 1, 2, 3)
ARTERY_NAMES = (
    "Left Anterior Descending Artery",
    "Left Circumflex Artery",
    "Right Coronary Artery",
)
LENGTHS = (2, 3, 4, 5, 6, 2)
"""Voxels of 250 HU in each scan: Agatston scores of 0.5 mm2 times them at 3 mm slices."""


def scan(number):
    """A small thorax with one lesion."""
    random = np.random.default_rng(number)
    voxels = np.full((6, 24, 24), -850, np.int16)
    voxels[:, 4:, 4:] = random.normal(40, 15, (6, 20, 20)).clip(-40, 120)
    labels = np.zeros(voxels.shape, np.uint8)
    place = (2, 10, slice(6, 6 + LENGTHS[number]))
    voxels[place], labels[place] = 250, ARTERIES[number]
    return voxels, labels


def make_folder(root, suffix=".nii.gz"):
    for number in range(COUNT):
        voxels, labels = scan(number)
        save(root / f"images/s{number}{suffix}", voxels, ("LPS", "RAS", "PIR")[number % 3])
        save(root / f"labels/s{number}{suffix}", labels)


def make_csv(root):
    make_folder(root / "files", ".nrrd")
    rows = [f"files/images/s{n}.nrrd,files/labels/s{n}.nrrd,p{n},c{n % 2}" for n in range(COUNT)]
    (root / "scans.csv").write_text("\n".join(["image,labels,patient,centre", *rows]) + "\n")


def make_orcascore(root):
    for number in range(COUNT):
        voxels, labels = scan(number)
        id = f"TRV{1 + number % 4}P{1 + number // 4}"
        save(root / f"{id}CTI.mhd", voxels, compress=bool(number % 2))
        save(root / f"{id}R.mhd", labels.astype(np.int16), compress=not number % 2)
    for number in range(2):
        save(root / f"TEV{1 + number}P1CTI.mhd", scan(number)[0])


def make_coca(root):
    for number in range(COUNT):
        outline = roi(BOX, HEIGHT, ARTERY_NAMES[ARTERIES[number] - 1])
        coca(root, str(number), {2: [outline]}, scan(number)[0], uid=f"1.2.826.99.{number}")


def make_nnunet(root):
    for number in range(COUNT):
        voxels, labels = scan(number)
        save(root / f"imagesTr/s{number}_0000.mha", voxels)
        save(root / f"labelsTr/s{number}.mha", labels)
    values = {
        "channel_names": {"0": "CT"},
        "labels": {"background": 0, "LAD": 1, "LCX": 2, "RCA": 3},
        "numTraining": COUNT,
        "file_ending": ".mha",
    }
    (root / "dataset.json").write_text(json.dumps(values), encoding="utf-8")


FORMATS = {
    "folder": make_folder,
    "metaimage": lambda root: make_folder(root, ".mha"),
    "csv": make_csv,
    "orcascore": make_orcascore,
    "coca": make_coca,
    "nnunet": make_nnunet,
}


def rows_of(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("format", FORMATS)
def test_check_train_predict_evaluate_and_submit(tmp_path, format, capsys):
    root = tmp_path / "data"
    root.mkdir()
    FORMATS[format](root)
    data = root / "scans.csv" if format == "csv" else root
    cache = ["--cache", str(tmp_path / "cache")]
    table = tmp_path / "table.csv"

    assert main(["data", "check", str(data), *cache, "--workers", "1", "--csv", str(table)]) == 0
    scores = sorted(float(row["agatston_whole"]) for row in rows_of(table) if row["agatston_whole"])
    assert scores == pytest.approx(sorted(n * 0.25 * 2 for n in LENGTHS))

    (tmp_path / "small.yaml").write_text(SUITE, encoding="utf-8")
    run = [
        "run", "--suite", str(tmp_path / "small.yaml"), "--scale", "smoke", "--data", str(data),
        "--out", str(tmp_path / "runs"), "--device", "cpu", "--threads", "1", "--workers", "1",
        "--plain", "--no-figures", *cache,
    ]  # fmt: skip
    assert main(run) == 0
    (folder,) = (tmp_path / "runs" / "small").iterdir()
    runs = ["--runs", str(tmp_path / "runs")]

    out = tmp_path / "predicted"
    predict = ["predict", "--run", str(folder), "--data", str(data), "--out", str(out), "--plain"]
    assert main([*predict, "--device", "cpu", *cache]) == 0, capsys.readouterr().err
    expected = COUNT + (2 if format == "orcascore" else 0)
    assert len(rows_of(out / "scores.csv")) == expected
    assert len(list((out / "labels").iterdir())) == expected

    evaluate = [
        "evaluate",
        "--labels",
        str(out),
        "--run",
        str(folder),
        "--others",
        "ignore",
        *cache,
    ]
    assert main([*evaluate, *runs, "--data", str(data), "--out", str(tmp_path / "board")]) == 0
    assert (tmp_path / "board" / "leaderboard.csv").is_file()

    if format != "orcascore":
        return
    fixed = ["submit", "orcascore", "--data", str(data)]
    sent = tmp_path / "sent.zip"
    assert main([*fixed, "--run", str(folder), "--out", str(sent), "--device", "cpu"]) == 0
    assert main([*fixed, "--check", str(sent)]) == 0


def test_dicom_series_without_labels_are_checked_and_predicted(tmp_path, capsys):
    make_folder(tmp_path / "train")
    (tmp_path / "small.yaml").write_text(SUITE, encoding="utf-8")
    cache = ["--cache", str(tmp_path / "cache")]
    assert main([
        "run", "--suite", str(tmp_path / "small.yaml"), "--scale", "smoke", "--plain",
        "--data", str(tmp_path / "train"), "--out", str(tmp_path / "runs"), "--device", "cpu",
        "--threads", "1", "--workers", "1", "--no-figures", *cache,
    ]) == 0  # fmt: skip
    (folder,) = (tmp_path / "runs" / "small").iterdir()
    voxels, _ = scan(4)
    series(tmp_path / "ct" / "exam", voxels)
    assert main(["data", "check", str(tmp_path / "ct"), "--workers", "1", *cache]) == 0
    out = tmp_path / "predicted"
    assert main([
        "predict", "--run", str(folder), "--data", str(tmp_path / "ct"), "--out", str(out),
        "--plain", "--device", "cpu",
    ]) == 0  # fmt: skip
    (path,) = (out / "labels").iterdir()
    labels = sitk.ReadImage(str(path))
    assert labels.GetSize() == voxels.shape[::-1]
    assert labels.GetSpacing() == pytest.approx(SPACING[::-1])
    assert labels.GetOrigin() == pytest.approx(ORIGIN)
    assert "SMITH" not in capsys.readouterr().out
