"""A suite on all folds of the challenge's training scans, joined and scored."""

import csv
import json

import pytest
import SimpleITK as sitk

from benchmark.cli import main
from benchmark.runs.finished import FinishedRun, read_cells

SUITE = """
name: folds
title: Two folds
cohort: orcascore
orcascore_folds: 2
methods: [unet3d]
references: [all-lad]
scales:
  smoke:
    train: 100
    test: 100
    budget: 2 steps
    cell_mm: [3, 1, 1]
    width: 8
    batch_size: 2
    learning_rate: 0.003
"""
BROKEN = """
from torch import nn

class Net(nn.Module):
    outputs = ("mask",)
    notes = ("breaks",)

    def __init__(self, grid, in_channels, width):
        super().__init__()
        self.layer = nn.Conv3d(in_channels, 4, 3, padding=1)

    def forward(self, image):
        raise RuntimeError("no such layer")
"""


@pytest.fixture
def folds(data, tmp_path):
    """A function: run the suite with more options; its exit status."""
    # some share of the figures must be other than 0 and 1: one reference calls its LCX the RCA
    path = data / "Training" / "TRV2P1R.mhd"
    image = sitk.ReadImage(str(path))
    sitk.WriteImage(sitk.ChangeLabel(image, {3: 2}), str(path))
    (tmp_path / "folds.yaml").write_text(SUITE, encoding="utf-8")

    def run(*more, source=("--data", str(data))):
        return main([
            "run", "--suite", str(tmp_path / "folds.yaml"), "--scale", "smoke", *source,
            "--out", str(tmp_path / "runs"), "--cache", str(tmp_path / "cache"), "--device", "cpu",
            "--threads", "1", "--workers", "1", "--plain", *more,
        ])  # fmt: skip

    return run


def rows_of(folder, name):
    with (folder / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_scan_is_tested_once_and_the_join_is_scored(folds, tmp_path, capsys):
    assert folds() == 0
    root = tmp_path / "runs" / "folds"
    (joined,) = root.glob("*joined*")
    runs = [FinishedRun(p.parent, json.loads(p.read_text())) for p in root.glob("*/plan.json")]
    assert len(runs) == 2
    tested = [id for run in runs for id in run.plan["split"]["test"]]
    assert sorted(tested) == ["TRV1P1", "TRV1P2", "TRV2P1", "TRV3P1"]
    assert not any(set(run.plan["split"]["train"]) & set(run.plan["split"]["test"]) for run in runs)

    # the volumes that the training harness kept, from other code than the challenge's scorer
    rows = rows_of(joined, "fig10-measures.csv")
    for method, title in (("unet3d", "3D U-Net"), ("all-lad", "every candidate is LAD")):
        cells = [cell for run in runs for cell in read_cells(run) if cell.method == method]
        tp, fp, fn = (sum(getattr(c, k).sum(axis=0) for c in cells) for k in ("tp", "fp", "fn"))
        assert tp[3] + fn[3] > 0
        for column, target in enumerate(("LAD", "LCX", "RCA", "whole")):
            key = (title, "F1 volume", target)
            (row,) = (r for r in rows if (r["submission"], r["measure"], r["target"]) == key)
            f1 = 2 * tp[column] / (2 * tp[column] + fp[column] + fn[column])
            assert float(row["value [1]"]) == pytest.approx(f1)
            assert int(row["patients"]) == 4

    text = capsys.readouterr().out
    assert "as the paper prints it" in text
    assert "0.991" in text
    assert text == text.replace("fault:", "")
    caption = (joined / "fig10.txt").read_text(encoding="utf-8")
    assert "had not seen it" in caption
    assert (joined / "fig10.png").stat().st_size > 1000

    # what is finished is kept
    assert folds() == 0
    assert capsys.readouterr().out.count("kept from before") == 4


def test_tuning_starts_from_the_networks_of_a_run(folds, tmp_path, capsys):
    assert folds() == 0
    first = next(path.parent for path in (tmp_path / "runs" / "folds").glob("*/plan.json"))
    capsys.readouterr()
    # its own test scans may be tuned on elsewhere, its training scans not be tested
    assert folds("--init", str(first)) == 2
    assert "trained on" in capsys.readouterr().err


def test_a_fold_that_failed_takes_the_worst_value(folds, tmp_path, capsys):
    (tmp_path / "net.py").write_text(BROKEN, encoding="utf-8")
    assert folds("--methods", f"{tmp_path / 'net.py'}:Net,all-lad") == 1
    text = capsys.readouterr().out
    assert text.count("no such layer (takes the worst value)") == 4
    (joined,) = (tmp_path / "runs" / "folds").glob("*joined*")
    kappa = [
        row
        for row in rows_of(joined, "fig10-measures.csv")
        if row["measure"] == "F1 volume" and row["target"] == "whole"
    ]
    assert float(kappa[0]["value [1]"]) == 0


@pytest.mark.parametrize("more", [("--fold", "1/2"), ("--split", "by-patient")])
def test_another_split_is_refused(folds, more, capsys):
    assert folds(*more) == 2
    assert "goes through all 2 folds itself" in capsys.readouterr().err


def test_without_scans_it_says_what_to_give(folds, capsys):
    assert folds(source=()) == 2
    assert "--data PATH" in capsys.readouterr().err
