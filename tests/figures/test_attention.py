"""Figure 8: maps that are Grad-CAM, in the right place, of the network that was kept."""

import csv
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn

from benchmark.calcium import score_scan
from benchmark.cohorts.base import Cohort, Scan
from benchmark.errors import UserError
from benchmark.figures.attention import attention_figures, choose_places
from benchmark.figures.gradcam import grad_cam, grid_of, on_slice, rebuild
from benchmark.runs.finished import FinishedRun
from benchmark.runs.store import KeptCell
from benchmark.training.grid import TrainingGrid
from mmwfanet.encoders import from_slices, to_slices
from mmwfanet.model import MMWFAnet

SPACING = (3.0, 2.0, 2.0)
GRID = TrainingGrid((3.0, 8.0, 8.0), (8, 16, 16))
PRINT = "ab" * 32


def scan(index: int) -> Scan:
    """A lesion in each artery, of another size in each scan; the field is larger than the grid."""
    voxels = np.full((8, 80, 80), 40, np.int16)
    labels = np.zeros(voxels.shape, np.uint8)
    for artery in (1, 2, 3):
        place = (artery, slice(15 * artery, 15 * artery + 2 + index), slice(30, 36))
        voxels[place], labels[place] = 400, artery
    return Scan(f"s{index}", "A", voxels, SPACING, labels)


class SmallCohort(Cohort):
    name = "small"

    def __init__(self, scans):
        self.scans = {s.id: s for s in scans}

    def fingerprint(self):
        return PRINT

    def records(self):
        raise AssertionError("the figure needs no records")

    def load(self, id):
        return self.scans[id]


def network(**options) -> MMWFAnet:
    torch.manual_seed(0)
    return MMWFAnet(GRID.shape, 3, 8, **options).eval()


@pytest.fixture
def kept(tmp_path):
    """A function that keeps a network with random weights: ``kept(fusion="axial")``."""
    scans = [scan(i) for i in range(3)]
    plan = {"methods": [{"name": "mmwfanet"}], "cohort": {"name": "small", "fingerprint": PRINT}}

    def keep(name="mmwfanet", outputs=("mask", "head"), **options):
        folder = tmp_path / "cells" / f"{name}-seed0-00"
        folder.mkdir(parents=True, exist_ok=True)
        state = network(**options).state_dict()
        save_file({k: v.clone().contiguous() for k, v in state.items()},
                  str(folder / "checkpoint.safetensors"))  # fmt: skip
        settings = {"cell_mm": list(GRID.cell_mm), "width": 8}
        cell = KeptCell(
            folder.name, name, name.upper(), outputs, True, 0,
            {"method": "mmwfanet", "options": options, "settings": settings}, "finished",
            ledger={"grid": list(GRID.shape)}, ids=tuple(s.id for s in scans),
            reference=np.stack([score_scan(s.voxels, s.labels, SPACING) for s in scans]),
        )  # fmt: skip
        return FinishedRun(tmp_path / "suite" / "run", plan), cell, SmallCohort(scans)

    return keep


class OneFeature(nn.Module):
    """Hands on its input, so that gradients can be told by hand."""

    views = ("axial",)

    def forward(self, features):
        return features["axial"]


class Linear(nn.Module):
    """Logit of class k at a cell: weight[k] times the cell's two features."""

    def __init__(self):
        super().__init__()
        self.fusion = OneFeature()
        self.weight = nn.Parameter(torch.tensor([[0.0, 0], [3, -1], [0, 2], [-1, 0]]))

    def forward(self, image):
        fused = self.fusion({"axial": 2 * image})
        return {"logits": torch.einsum("kc,bczyx->bkzyx", self.weight, fused)}


def test_map_is_the_hand_computed_grad_cam():
    model, size = Linear().eval(), (2, 3, 4)
    image = torch.randn(1, 2, *size, generator=torch.Generator().manual_seed(3))
    candidate = torch.zeros(size, dtype=torch.bool)
    candidate[0, 1, 1] = candidate[1, 2, 3] = True
    target = torch.zeros(size, dtype=torch.long)
    target[0, 1, 1] = 1
    logits = torch.einsum("kc,czyx->kzyx", model.weight, 2 * image[0])
    chosen = candidate & ((target == 1) | (logits.argmax(0) == 1))
    # the gradient of a feature at each chosen cell is weight[1]; its mean is taken over all cells
    alpha = model.weight[1] * chosen.sum() / chosen.numel()
    expected = F.relu(torch.einsum("c,czyx->zyx", alpha, 2 * image[0])).detach().numpy()
    maps = grad_cam(model, image, target, candidate, 1)
    assert list(maps) == ["axial", "fused"]
    for map_ in maps.values():
        np.testing.assert_allclose(map_, expected, rtol=1e-5)
    assert expected.max() > 0


def test_no_cell_of_the_artery_gives_no_map():
    model, size = Linear().eval(), (2, 3, 4)
    candidate = torch.zeros(size, dtype=torch.bool)
    target = torch.zeros(size, dtype=torch.long)
    assert grad_cam(model, torch.zeros(1, 2, *size), target, candidate, 1) == {}


def test_views_are_put_back_into_the_volume_before_they_are_mapped():
    """Against autograd on the network's parts, called one by one."""
    model = network()
    random = torch.Generator().manual_seed(1)
    image = torch.randn(1, 3, *GRID.shape, generator=random)
    target = torch.zeros(GRID.shape, dtype=torch.long)
    target[2, 4:6, 9] = 2
    candidate = target > 0
    before, after = model.stem(to_slices(image, "axial"))
    volume = from_slices(after, "axial", 1)
    features = {
        view: from_slices(encoder(to_slices(volume, view)), view, 1)
        for view, encoder in model.encoders.items()
    }
    fused = model.fusion(features)
    logits = model.segmentation(fused, before, image.shape[-2:])
    score = logits[0, 2][candidate].sum()
    maps = grad_cam(model, image, target, candidate, 2)
    assert list(maps) == ["axial", "coronal", "sagittal", "fused"]
    for name, feature in {**features, "fused": fused}.items():
        (gradient,) = torch.autograd.grad(score, feature, retain_graph=True)
        map_ = F.relu((gradient.mean(dim=(2, 3, 4), keepdim=True) * feature).sum(1, keepdim=True))
        expected = F.interpolate(map_, GRID.shape, mode="trilinear")[0, 0].detach().numpy()
        np.testing.assert_allclose(maps[name], expected, rtol=1e-4, atol=1e-9)
    # the hook is gone: the network computes what it did
    torch.testing.assert_close(model(image)["logits"], logits)
    assert not model.fusion._forward_pre_hooks


def test_a_cell_of_the_map_lies_over_its_own_voxels():
    s = scan(0)
    map_ = np.zeros(GRID.shape)
    map_[2, 5, 11] = 1
    image = on_slice(map_, GRID, s, level=2)
    inside = [GRID.cell_index(80, 2.0, axis) for axis in (1, 2)]
    rows, columns = (np.flatnonzero(i == c) for i, c in zip(inside, (5, 11), strict=True))
    peak = np.argwhere(image == np.nanmax(image))
    assert set(peak[:, 0]) <= set(rows)
    assert set(peak[:, 1]) <= set(columns)
    # 80 voxels of 2 mm reach beyond 16 cells of 8 mm
    assert np.isnan(image[inside[0] < 0]).all()
    assert np.isfinite(image[rows]).any()
    assert np.nanmax(on_slice(map_, GRID, s, level=3)) == 0


def test_two_scans_an_artery_by_their_volume():
    volume = np.zeros((12, 3))
    volume[:11, 0] = np.arange(11, 0, -1)
    volume[4, 1] = 7
    assert [tuple(place) for place in choose_places(volume)] == [
        (5, 0, "LAD, median"),
        (1, 0, "LAD, 90th pct."),
        (4, 1, "LCX, median"),
    ]


@pytest.mark.parametrize(
    ("options", "features"),
    [
        ({}, ["axial", "coronal", "sagittal", "fused"]),
        ({"fusion": "sum"}, ["axial", "coronal", "sagittal", "fused"]),
        ({"fusion": "axial", "heads": ["mask"]}, ["axial", "fused"]),
    ],
)
def test_figure_and_its_table_hold_every_view(kept, tmp_path, options, features):
    run, cell, cohort = kept(**options)
    paths = attention_figures(run, (cell,), tmp_path / "figures", cohort)
    assert {p.name for p in paths} == {"fig8.pdf", "fig8.png", "fig8.csv", "fig8.txt"}
    with (tmp_path / "figures" / "fig8.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(dict.fromkeys(row["features"] for row in rows)) == features
    assert {row["target artery"] for row in rows} == {"LAD", "LCX", "RCA"}
    # the table's means, from the maps themselves
    first = rows[0]
    s = cohort.scans[first["scan"]]
    model = rebuild(run, cell, grid_of(cell))
    from benchmark.training.prepare import example

    made = example(s, GRID)
    maps = grad_cam(
        model, torch.from_numpy(made.image[None]).float(),
        torch.from_numpy(made.target.astype(np.int64)), torch.from_numpy(made.candidate), 1,
    )  # fmt: skip
    voxels = np.argwhere(s.labels == 1)
    cells = tuple(
        GRID.cell_index(s.voxels.shape[axis], SPACING[axis], axis)[voxels[:, axis]]
        for axis in range(3)
    )
    lad = next(r for r in rows if r["lesion artery"] == "LAD" and r["scan"] == s.id)
    assert float(lad["mean inside"]) == pytest.approx(maps["axial"][cells].mean(), rel=1e-5)
    assert float(lad["mean outside all lesions"]) == pytest.approx(
        maps["axial"][made.target == 0].mean(), rel=1e-5
    )


def test_the_grid_of_a_kept_network_is_the_one_it_was_trained_on():
    sys.path.insert(0, str(Path(__file__).parents[1] / "training"))
    from synthetic import prepared

    from benchmark.methods import METHODS
    from benchmark.training.cell import run_cell
    from benchmark.training.settings import Settings

    data = prepared(4, 2)
    settings = Settings("1 steps", (3.0, 7.5, 7.0), width=8, batch_size=2, learning_rate=0.003)
    data = replace(data, grid=TrainingGrid(settings.cell_mm, data.grid.shape))
    ledger = run_cell(METHODS["unet3d"], data, settings, 0, "cpu", 1).ledger
    # as JSON gives it back
    key = json.loads(json.dumps({"settings": settings.as_dict()}))
    cell = KeptCell("f", "m", "M", ("mask",), True, 0, key, "finished",
                    ledger=json.loads(json.dumps(ledger)))  # fmt: skip
    assert grid_of(cell) == data.grid
    cell.key["settings"]["cell_mm"] = [2, 3, 4]
    cell.ledger["grid"] = [6, 8, 12]
    found = grid_of(cell)
    assert (found.cell_mm, found.shape) == ((2.0, 3.0, 4.0), (6, 8, 12))


def one_line(error) -> bool:
    return "\n" not in str(error.value)


def test_run_without_such_a_network_is_one_line(kept, tmp_path):
    run, cell, cohort = kept(name="q-model", outputs=("head",), heads=["head"])
    with pytest.raises(UserError, match="no finished mmwfanet with a mask head") as error:
        attention_figures(run, (cell,), tmp_path, cohort)
    assert one_line(error)


def test_missing_weights_are_one_line(kept, tmp_path):
    run, cell, cohort = kept()
    (tmp_path / "cells" / cell.folder / "checkpoint.safetensors").unlink()
    with pytest.raises(UserError, match=r"checkpoint\.safetensors: not there") as error:
        attention_figures(run, (cell,), tmp_path, cohort)
    assert one_line(error)


def test_weights_of_another_network_are_one_line(kept, tmp_path):
    run, cell, cohort = kept()
    cell.key["settings"]["width"] = 12
    with pytest.raises(UserError, match="kept by another version of mmwfanet") as error:
        attention_figures(run, (cell,), tmp_path, cohort)
    assert one_line(error)


def test_other_scans_than_the_runs_are_refused(kept, tmp_path):
    run, cell, cohort = kept()
    run.plan["cohort"]["fingerprint"] = "cd" * 32
    try:
        with pytest.raises(UserError, match="give the scans of the run"):
            attention_figures(run, (cell,), tmp_path, cohort)
    finally:
        run.plan["cohort"]["fingerprint"] = PRINT
