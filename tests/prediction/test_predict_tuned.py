"""A search through the command line, and the network that it chose, used on scans."""

import json

import pytest

from benchmark.cli import main

SUITE = """
name: searched
title: A suite with searches
cohort: phantom
methods: [unet3d]
references: [all-lad]
scales:
  smoke:
    train: 15
    test: 5
    budget: 1.5e9 flops
    cell_mm: [3, 7.5, 7.5]
    width: 8
    batch_size: 2
    learning_rate: 0.003
"""

NET = """
import torch
from torch import nn


class Net(nn.Module):
    outputs = ("mask",)
    notes = ("a toy",)
    # the defaults are not among what is declared
    tunable = {"learning_rate": [1.5, 2.0], "width": [2.0, 3.0], "depth": [2, 3]}

    def __init__(self, grid, in_channels, width, depth=1):
        super().__init__()
        layers = [nn.Conv3d(in_channels, width, 3, padding=1)]
        layers += [nn.Conv3d(width, width, 3, padding=1) for _ in range(depth - 1)]
        self.layers = nn.Sequential(*layers, nn.Conv3d(width, 4, 1))
        self.deep = depth > 1

    def forward(self, image):
        logits = self.layers(image)
        # as it is it finds nothing; deeper, all is LAD
        logits[:, 1 if self.deep else 0] += 50.0
        return {"logits": logits}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory, write_scans):
    root = tmp_path_factory.mktemp("searched")
    write_scans(root / "mine", 26)
    (root / "searched.yaml").write_text(SUITE)
    (root / "net.py").write_text(NET)
    return root


def test_a_network_of_another_width_and_depth_is_kept_and_predicts(folder, capsys):
    name = f"{folder / 'net.py'}:Net"
    command = [
        "run", "--suite", str(folder / "searched.yaml"), "--scale", "smoke", "--data",
        str(folder / "mine"), "--methods", f"{name},all-lad", "--tune", "5", "--out",
        str(folder / "runs"), "--cache", str(folder / "cache"), "--device", "cpu", "--plain",
        "--no-figures", "--workers", "1",
    ]  # fmt: skip
    assert main([*command, "--dry-run"]) == 0
    assert "Net tuned" in capsys.readouterr().out
    assert main(command) == 0
    text = capsys.readouterr().out
    assert "5 trials of each method" in text
    assert "Net tuned, seed 0: 5 trials" in text
    (run,) = (folder / "runs" / "searched").iterdir()
    plan = json.loads((run / "plan.json").read_text())
    assert [method["title"] for method in plan["methods"]] == [
        "Net", "Net tuned", "every candidate is LAD"
    ]  # fmt: skip
    cells = {cell["method"]: cell["folder"] for cell in plan["cells"]}
    place = folder / "runs" / "cells" / cells[f"{name} tuned"]
    entry = json.loads((place / "run.json").read_text())["ledger"]["tuning"]
    assert len(entry["history"]) == 5
    # the network that was chosen is built again, which is not that of the cell's key
    assert entry["chosen"]["options"]["depth"] > 1
    assert entry["default"] == 0 < entry["best"]
    out = folder / "out"
    status = main([
        "predict", "--run", str(run), "--data", str(folder / "mine/images"), "--out", str(out),
        "--method", f"{name} tuned", "--device", "cpu", "--plain",
    ])  # fmt: skip
    assert status == 0
    assert len(list(out.glob("**/*.nii.gz"))) == 26
    said = capsys.readouterr().out
    assert "changed" not in said
    page = folder / "page.html"
    assert main(["report", str(run), "--out", str(page), "--no-scans"]) == 0
    assert "Net tuned, seed 0: 5 trials" in page.read_text()
