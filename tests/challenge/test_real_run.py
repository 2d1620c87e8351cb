"""From the challenge's training scans to a checked submission, with a network that was trained."""

import numpy as np
import pytest
import SimpleITK as sitk

from benchmark.cli import main
from benchmark.cohorts.orcascore import OrcaScoreCohort

SUITE = """
name: orca
title: A suite on orCaScore's files
cohort: phantom
methods: [unet3d]
references: [all-lad]
scales:
  smoke:
    train: 2
    test: 2
    budget: 2 steps
    cell_mm: [3, 1, 1]
    width: 8
    batch_size: 2
    learning_rate: 0.003
"""


@pytest.fixture
def run(data, tmp_path):
    """A network trained for two steps on the folder's training scans."""
    (tmp_path / "orca.yaml").write_text(SUITE, encoding="utf-8")
    status = main([
        "run", "--suite", str(tmp_path / "orca.yaml"), "--scale", "smoke", "--data", str(data),
        "--cohort", "orcascore", "--out", str(tmp_path / "runs"), "--cache", str(tmp_path / "c"),
        "--device", "cpu", "--threads", "1", "--plain", "--no-figures", "--workers", "1",
    ])  # fmt: skip
    assert status == 0
    (folder,) = (tmp_path / "runs" / "orca").iterdir()
    return folder


def test_train_submit_check_score(data, run, tmp_path, capsys):
    fixed = ["submit", "orcascore", "--data", str(data)]
    out = tmp_path / "mine.zip"
    made = main([*fixed, "--run", str(run), "--device", "cpu", "--out", str(out)])
    assert made == 0, capsys.readouterr().err
    assert main([*fixed, "--check", str(out)]) == 0

    mine = tmp_path / "mine"
    training = [*fixed, "--run", str(run), "--device", "cpu", "--scans", "training"]
    assert main([*training, "--out", str(mine)]) == 0
    for path in sorted(mine.glob("*.mhd")):
        scan = OrcaScoreCohort(data).load(path.stem.removesuffix("R"))
        image = sitk.DICOMOrient(sitk.ReadImage(str(path)), "LPS")
        labels = sitk.GetArrayFromImage(image)
        assert not labels[scan.voxels <= 130].any()
    capsys.readouterr()
    assert main([*fixed, "--score", str(mine), "--score", str(data)]) == 0
    text = capsys.readouterr().out
    rows = [line for line in text.splitlines() if line.startswith("sensitivity volume")]
    values = [float(row.split()[-4]) for row in rows]
    assert np.isfinite(values).all()
    assert values[0] <= values[1] == 1
