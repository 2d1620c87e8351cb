"""nnU-Net: what it is given, and one real run in its own process."""

import json
import os

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from synthetic import prepared, scan

from baselines.nnunet import DATASET, IGNORED, NNUNet, _classes, field_of, run_child, write_case
from baselines.nnunet_child import in_pairs
from benchmark.cohorts.base import Cohort
from benchmark.methods import find
from benchmark.suites import load_suite
from benchmark.training.cell import run_cell
from benchmark.training.loop import CellFailed
from benchmark.training.settings import Settings

SETTINGS = Settings(
    budget="2 steps", cell_mm=(3.0, 7.5, 7.5), width=8, batch_size=3, learning_rate=0.003
)


class Scans(Cohort):
    """The synthetic scans of the prepared split, by id."""

    name = "synthetic"

    def records(self):
        raise AssertionError("only scans are read")

    def fingerprint(self):
        return "0" * 64

    def load(self, id):
        return scan(int(id[1:]))


@pytest.fixture(scope="module")
def data():
    return prepared(train=6, test=2)


def test_a_case_is_cut_to_the_training_grids_field(data, tmp_path):
    narrow = type(data.grid)(data.grid.cell_mm, (8, 8, 16))
    half = type(data)(data.train, data.test, narrow)
    example = data.train[0]
    write_case(tmp_path, "case_00000", Scans(), example, half)
    image = sitk.ReadImage(str(tmp_path / "imagesTr" / "case_00000_0000.nii.gz"))
    labels = sitk.GetArrayFromImage(
        sitk.ReadImage(str(tmp_path / "labelsTr" / "case_00000.nii.gz"))
    )
    cut = field_of(example, half)
    assert labels.shape[0] == 8
    assert labels.shape[1] < 48
    assert labels.shape[2] == 48
    whole = scan(0)
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), whole.voxels[cut])
    np.testing.assert_array_equal(labels, whole.labels[cut])
    np.testing.assert_allclose(image.GetSpacing(), (2.5, 2.5, 3.0))
    # what is no candidate is ignored where that is asked for
    write_case(tmp_path, "case_00001", Scans(), example, half, candidates=True)
    file = tmp_path / "labelsTr" / "case_00001.nii.gz"
    alone = sitk.GetArrayFromImage(sitk.ReadImage(str(file)))
    np.testing.assert_array_equal(alone[alone != IGNORED], labels[alone != IGNORED])
    assert (whole.voxels[cut][alone != IGNORED] >= 130).all()
    assert set(np.unique(labels[alone == IGNORED])) == {0}


def test_components_take_the_class_of_the_largest_vote_and_unseen_ones_none():
    votes = np.array([[0, 0, 0, 0], [-9, -1, -8, -8], [-3, -9, -9, -2], [0, 0, 0, 0]], float)
    assert _classes(votes).tolist() == [0, 1, 3, 0]


def test_it_plans_trains_and_predicts_under_the_suites_budget(data):
    before = dict(os.environ)
    small = "features=8+spacing=[5, 4, 4]+memory_gb=0.1+tile_step=1"
    method = find(f"nnunet+{small}").settled()
    seen = []
    result = run_cell(
        method, data, SETTINGS, 0, "cpu", 1, lambda *state: seen.append(state), cohort=Scans()
    )
    assert dict(os.environ) == before
    assert result.ledger["steps"] == 2
    assert result.ledger["device_seconds"] > 0
    assert result.ledger["flops_per_step"] > 1e8
    assert result.ledger["stages"][0]["patch"]
    assert result.ledger["stages"][0]["spacing_mm"] == [5, 4, 4]
    assert result.notes[-1] == (
        "made smaller than planned: 8 features at first instead of 32, voxels of 5 x 4 x 4 mm, "
        "patch and batch planned for 0.1 GB, tiles 1 of a patch apart instead of 0.5"
    )
    assert result.mask.shape == (2, 3, 4)
    assert np.isfinite(result.mask).all()
    for example, classes in zip(data.test, result.components, strict=True):
        assert len(classes) == example.candidates.count + 1
        assert classes.max() <= 3
    assert seen
    assert seen[-1][0] in ("training", "prediction")
    json.dumps(result.ledger)


def test_trained_on_candidates_alone(data):
    small = "features=8+spacing=[5, 4, 4]+memory_gb=0.1+tile_step=1"
    method = find(f"nnunet-candidates+{small}").settled()
    result = run_cell(method, data, SETTINGS, 0, "cpu", 1, cohort=Scans())
    assert np.isfinite(result.mask).all()
    assert "losses on candidates alone, Dice of the batch" in result.notes


@pytest.mark.parametrize("tier", ["smoke", "quick"])
@pytest.mark.parametrize("name", ["nnunet", "nnunet-mirroring"])
def test_the_small_tiers_make_it_smaller(tier, name):
    options = find(name).settled(load_suite("table1").scales[tier].settings.options).options
    assert options["features"] == 16
    assert options["memory_gb"] < 1
    assert options["mirroring"] == (name == "nnunet-mirroring")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"features": 0}, "features must be at least 1"),
        ({"spacing": [1, 2]}, "three sizes"),
        ({"spacing": [1, 2, 0]}, "three sizes"),
        ({"tile_step": 1.5}, "at most 1"),
        ({"memory_gb": 0}, "above 0"),
    ],
)
def test_options_out_of_range_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        NNUNet(**options)


def test_pairs_change_no_answer():
    network = torch.nn.Conv3d(1, 2, 3)
    image = torch.randn(1, 1, 5, 6, 7)
    alone = network(image)
    hooks = in_pairs(network)
    torch.testing.assert_close(network(image), alone)
    for hook in hooks:
        hook.remove()
    assert network(image).shape == alone.shape


def test_a_fault_of_the_child_is_one_line_with_its_log_behind(tmp_path):
    job = {"planner": "NoSuchPlanner", "memory_gb": None, "threads": 1, "dataset": DATASET}
    job |= {"features": None, "spacing": None}
    (tmp_path / "job.json").write_text(json.dumps(job))
    with pytest.raises(CellFailed, match=r"^nnU-Net: ") as error:
        run_child(tmp_path, "cpu", 1, None)
    assert "\n" not in str(error.value)
    assert "Traceback" in error.value.traceback


def test_given_weights_are_refused(data):
    with pytest.raises(CellFailed, match="trains itself"):
        run_cell(find("nnunet"), data, SETTINGS, 0, "cpu", 1, weights={}, cohort=Scans())
