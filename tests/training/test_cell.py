"""One cell: the budget is kept, failures are named, predictions are complete."""

import json
from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest
import torch
from synthetic import prepared, scan
from torch import nn

from benchmark.calcium import score_scan
from benchmark.contract import Stage
from benchmark.methods import METHODS, Method
from benchmark.training import cell
from benchmark.training.batches import TrainingSet
from benchmark.training.loop import CellFailed
from benchmark.training.settings import Settings

SETTINGS = Settings(
    budget="6 steps", cell_mm=(3.0, 7.5, 7.5), width=8, batch_size=3, learning_rate=0.003
)


@pytest.fixture(scope="module")
def data():
    return prepared()


class Net(nn.Module):
    """The smallest method; the tests below break it in turn."""

    outputs = ("mask",)
    notes = ("one convolution",)

    def __init__(self, grid, in_channels, width):
        super().__init__()
        self.layer = nn.Conv3d(in_channels, 4, 1)

    def forward(self, image):
        return {"logits": self.layer(image)}


def method_of(kind: type, monkeypatch, outputs=("mask",)) -> Method:
    monkeypatch.setattr(Method, "load", lambda self: kind)
    return Method("net", "Net", "nowhere:Net", outputs)


@pytest.mark.parametrize("name", ["mmwfanet", "unet3d", "dmtrl"])
def test_same_seed_same_bits(name, data):
    first, second = (cell.run_cell(METHODS[name], data, SETTINGS, 3, "cpu", 1) for _ in range(2))
    for kind in ("mask", "head", "tp"):
        a, b = getattr(first, kind), getattr(second, kind)
        assert (a is None and b is None) or np.array_equal(a, b)
    assert all(torch.equal(first.state[k], second.state[k]) for k in first.state)
    other = cell.run_cell(METHODS[name], data, SETTINGS, 4, "cpu", 1)
    assert any(not torch.equal(first.state[k], other.state[k]) for k in first.state)


@pytest.mark.parametrize(("budget", "unit"), [("7 steps", "steps"), ("21 samples", "samples")])
def test_a_budget_is_spent_and_not_overspent(budget, unit, data, monkeypatch):
    result = cell.run_cell(
        method_of(Net, monkeypatch), data, replace(SETTINGS, budget=budget), 0, "cpu", 1
    )
    assert result.ledger[unit] == float(budget.split()[0])
    assert result.ledger["steps"] == 7


def test_flops_and_device_seconds_limit_a_run_too(data, monkeypatch):
    method = method_of(Net, monkeypatch)
    one = cell.run_cell(method, data, replace(SETTINGS, budget="1 steps"), 0, "cpu", 1).ledger
    five = replace(SETTINGS, budget=f"{5 * one['flops']} flops")
    assert cell.run_cell(method, data, five, 0, "cpu", 1).ledger["steps"] == 5
    timed = cell.run_cell(method, data, replace(SETTINGS, budget="0.3 s"), 0, "cpu", 1).ledger
    # the last step begins within the budget
    assert 0.3 <= timed["device_seconds"] < 0.3 + 20 * timed["step_seconds"]


def test_pretraining_counts_against_the_budget(data, monkeypatch):
    class Staged(Net):
        def stages(self):
            def losses(batch):
                return {"x": self.layer(batch.image).square().mean()}

            return [
                Stage("first", 0.25, losses, self.parameters()),
                Stage("second", 0.75, losses, self.parameters()),
            ]

    ledger = cell.run_cell(
        method_of(Staged, monkeypatch), data, replace(SETTINGS, budget="8 steps"), 0, "cpu", 1
    ).ledger
    assert [stage["steps"] for stage in ledger["stages"]] == [2, 6]
    assert ledger["steps"] == 8


def test_the_warm_up_step_leaves_no_trace(data, monkeypatch):
    class Counting(Net):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            self.norm = nn.BatchNorm3d(3)

        def forward(self, image):
            return {"logits": self.layer(self.norm(image))}

    result = cell.run_cell(
        method_of(Counting, monkeypatch), data, replace(SETTINGS, budget="4 steps"), 0, "cpu", 1
    )
    assert int(result.state["norm.num_batches_tracked"]) == 4


def test_the_curve_and_the_progress_go_through_every_stage(data, monkeypatch):
    class Staged(Net):
        def stages(self):
            def losses(batch):
                return {"x": self.layer(batch.image).square().mean()}

            return [Stage(name, 0.5, losses, self.parameters()) for name in ("first", "second")]

    told = []
    result = cell.run_cell(
        method_of(Staged, monkeypatch), data, SETTINGS, 0, "cpu", 1, lambda *of: told.append(of)
    )
    assert [stage for stage, *_ in told][:2] == ["first", "second"]
    assert all(0 < share <= 1 and np.isfinite(loss) for _, share, loss, _ in told)
    assert all(left >= 0 for *_, left in told)
    ends = {stage: (share, samples) for stage, share, samples, _ in result.curve}
    assert ends == {"first": (0.5, 9), "second": (1.0, 18)}


def test_a_loss_that_is_not_finite_fails_by_name(data, monkeypatch):
    class Diverging(Net):
        def losses(self, output, batch):
            return {"x": output["logits"].mean() * float("nan")}

    with pytest.raises(CellFailed, match="loss became nan at step 1 of stage 'training'"):
        cell.run_cell(method_of(Diverging, monkeypatch), data, SETTINGS, 0, "cpu", 1)


def test_wrong_shapes_and_exceptions_fail_by_name(data, monkeypatch):
    class Flat(Net):
        def forward(self, image):
            return {"logits": self.layer(image)[:, :3]}

    class Broken(Net):
        def forward(self, image):
            raise RuntimeError("the cable is loose")

    class NoHead(Net):
        outputs = ("head",)

    with pytest.raises(CellFailed, match=r"'logits' has shape \(1, 3, 8, 16, 16\), not"):
        cell.run_cell(method_of(Flat, monkeypatch), data, SETTINGS, 0, "cpu", 1)
    with pytest.raises(CellFailed, match="RuntimeError: the cable is loose"):
        cell.run_cell(method_of(Broken, monkeypatch), data, SETTINGS, 0, "cpu", 1)
    with pytest.raises(CellFailed, match="no 'scores'"):
        cell.run_cell(method_of(NoHead, monkeypatch, ("head",)), data, SETTINGS, 0, "cpu", 1)


def test_a_prediction_that_is_not_finite_is_missing_not_zero(data, monkeypatch):
    class Blind(Net):
        def forward(self, image):
            logits = self.layer(image)
            return {"logits": logits if self.training else logits * float("inf") * 0}

    result = cell.run_cell(method_of(Blind, monkeypatch), data, SETTINGS, 0, "cpu", 1)
    assert np.isnan(result.mask).all()
    assert np.isnan(result.tp).all()


def test_slices_add_up_to_the_scan_and_agree_with_the_dense_scores(data):
    for place, known in enumerate(data.train):
        dense = scan(place)
        np.testing.assert_allclose(
            known.scores, score_scan(dense.voxels, dense.labels, dense.spacing)
        )
        np.testing.assert_allclose(known.slice_scores.sum(axis=0), known.scores, rtol=1e-9)


def test_batches_hold_each_risk_category_equally_often(data):
    training = TrainingSet.of(data.train)
    from benchmark.calcium import risk_category

    category = risk_category(np.expm1(training.scores[:, 3].double().numpy()))
    draws = training.batches(3, np.random.default_rng(0))
    seen = np.concatenate([next(draws) for _ in range(200)])
    kinds = np.unique(category)
    counts = np.array([np.count_nonzero(category[seen] == k) for k in kinds])
    assert counts.max() - counts.min() <= 1
    assert set(seen) == set(range(len(training)))


@pytest.mark.parametrize("name", ["unet3d", "dmtrl", "acnn-seg"])
def test_given_weights_are_tested_as_they_are(name, data):
    method = METHODS[name]
    trained = cell.run_cell(method, data, SETTINGS, 3, "cpu", 1)
    again = cell.run_cell(method, data, SETTINGS, 4, "cpu", 1, weights=trained.state)
    for kind in ("mask", "head", "tp"):
        a, b = getattr(trained, kind), getattr(again, kind)
        assert (a is None and b is None) or np.array_equal(a, b)
    for name, value in trained.state.items():
        np.testing.assert_array_equal(again.state[name], value)  # NaN equals NaN
    for unit in ("device_seconds", "steps", "samples", "flops"):
        assert again.ledger[unit] == 0
    assert again.ledger["stages"] == again.curve == []


def test_weights_of_another_network_fail_in_one_line(data, monkeypatch):
    method = method_of(Net, monkeypatch)
    own = cell.run_cell(method, data, SETTINGS, 0, "cpu", 1).state
    wrong = {"layer.weight": own["layer.weight"][:3], "gate": torch.zeros(1)}
    with pytest.raises(
        CellFailed,
        match=r"^the weights are not this network's: 'layer.bias' is missing, 'gate' is unknown, "
        r"'layer.weight' has shape \(3, 3, 1, 1, 1\), not \(4, 3, 1, 1, 1\)$",
    ):
        cell.run_cell(method, data, SETTINGS, 0, "cpu", 1, weights=wrong)
    with pytest.raises(CellFailed, match="no weights that could be taken over"):
        cell.run_cell(METHODS["all-lad"], data, SETTINGS, 0, "cpu", 1, weights=own)


def test_a_diagnostic_without_a_value_is_null_in_the_ledger(data, monkeypatch):
    class Watched(Net):
        diagnostics: ClassVar = {"dice": float("nan"), "lesions": torch.tensor(3.0)}

    ledger = cell.run_cell(method_of(Watched, monkeypatch), data, SETTINGS, 0, "cpu", 1).ledger
    assert ledger["diagnostics"] == {"dice": None, "lesions": 3.0}
    json.dumps(ledger, allow_nan=False)


@pytest.mark.parametrize("name", ["all-lad", "nearest-25"])
def test_reference_rows_learn_from_the_training_split_alone(name, data):
    result = cell.run_cell(METHODS[name], data, SETTINGS, 0, "cpu", 1)
    assert np.isfinite(result.mask).all()
    whole = result.tp[:, 3].sum() / (result.tp + result.fn)[:, 3].sum()
    assert whole > 0.5
    if name == "all-lad":
        assert result.mask[:, :, 1:3].sum() == 0


def test_training_starts_from_given_weights(data, monkeypatch):
    """No step is long enough to leave them: the start decides what comes out."""
    method = method_of(Net, monkeypatch)
    own = cell.run_cell(method, data, SETTINGS, 0, "cpu", 1).state
    moved = {name: value + 7 for name, value in own.items()}
    tuned = cell.run_cell(method, data, SETTINGS, 1, "cpu", 1, start=moved)
    assert tuned.ledger["steps"] > 0
    for name, value in moved.items():
        if value.is_floating_point():
            assert (tuned.state[name] - value).abs().max() < 1
            assert not torch.equal(tuned.state[name], value)
