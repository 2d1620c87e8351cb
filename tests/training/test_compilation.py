"""Compiled losses: the same training within the same budget, and one line where it fails."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from synthetic import prepared
from torch import nn

from benchmark.contract import Stage, stages_of
from benchmark.errors import UserError
from benchmark.methods import METHODS
from benchmark.suites.load import load_suite
from benchmark.suites.schema import override
from benchmark.training import cell, compilation
from benchmark.training.batches import TrainingSet
from benchmark.training.loop import CellFailed, Trainer
from benchmark.training.settings import Settings

SETTINGS = Settings(
    budget="4 steps", cell_mm=(3.0, 7.5, 7.5), width=16, batch_size=4, learning_rate=0.001
)
COMPILED = replace(SETTINGS, compile="default")
NAMES = [method.name for method in load_suite("table1").methods if method.trained]


class Small(nn.Module):
    """A convolution, batch norm, a head; dropout, whose numbers compiling must not take."""

    outputs = ("mask", "head")

    def __init__(self, dropout=0.0):
        super().__init__()
        # no bias: before a batch norm its gradient is rounding alone, and Adam would make it large
        convolution = nn.Conv3d(3, 16, 3, padding=1, bias=False)
        self.body = nn.Sequential(convolution, nn.BatchNorm3d(16), nn.ReLU())
        self.drop = nn.Dropout(dropout)
        self.score, self.head = nn.Conv3d(16, 4, 1), nn.Linear(16, 12)

    def forward(self, image):
        features = self.drop(self.body(image))
        return {"logits": self.score(features), "scores": self.head(features.mean((2, 3, 4)))}


def train(settings, dropout=0.0):
    torch.manual_seed(0)
    data = TrainingSet.of(prepared().train, settings.shift_cells)
    trainer = Trainer(Small(dropout), data, settings, 0, torch.device("cpu"), 1)
    trainer.run()
    return trainer


def test_compiled_training_gives_the_same_network_within_the_same_budget():
    plain, fast = train(SETTINGS), train(COMPILED)
    for key, value in plain.model.state_dict().items():
        torch.testing.assert_close(fast.model.state_dict()[key], value, rtol=1e-3, atol=1e-5)
    assert plain.compile_seconds == 0 < fast.compile_seconds
    assert fast.stage_ledger[0]["flops_per_step"] == plain.stage_ledger[0]["flops_per_step"] > 0
    assert fast.spending.steps == 4
    # what compiling ran has drawn no random number for dropout and moved no statistics
    once, again = train(COMPILED, 0.3), train(COMPILED, 0.3)
    for key, value in once.model.state_dict().items():
        assert torch.equal(again.model.state_dict()[key], value), key
    assert int(once.model.body[1].num_batches_tracked) == 4


def test_losses_are_compiled_whole():
    # parts left out would be compiled anew for each number of candidates
    model = Small()
    batch = TrainingSet.of(prepared().train).take(np.arange(2))
    found = torch._dynamo.explain(stages_of(model)[0].losses)(batch)
    assert found.graph_break_count == 0, found.break_reasons


def test_a_failure_is_one_line(monkeypatch):
    def fault(batch):
        raise RuntimeError("no such kernel\nand more")

    stage = Stage("training", 1.0, fault, [])
    batch = TrainingSet.of(prepared().train).take(np.arange(2))
    with pytest.raises(compilation.NotCompiled, match="no such kernel"):
        compilation.first_pass(compilation.compiled(stage, "default"), batch, "default")
    monkeypatch.setattr(compilation.shutil, "which", lambda name: None)
    with pytest.raises(CellFailed, match=r"needs a C\+\+ compiler .* and there is none"):
        train(COMPILED)


def test_keys_of_runs_without_it_stay_and_it_can_be_set():
    assert "compile" not in SETTINGS.as_dict()
    assert COMPILED.as_dict()["compile"] == "default"
    scale = load_suite("table1").scales["smoke"]
    assert override(scale, {"compile": "reduce-overhead"}).settings.compile == "reduce-overhead"
    with pytest.raises(UserError, match="exclude each other"):
        override(scale, {"compile": "default", "activation_checkpointing": True})


@pytest.mark.long
@pytest.mark.parametrize("name", NAMES)
def test_every_network_trains_compiled(name):
    data = prepared()
    plain = cell.run_cell(METHODS[name], data, SETTINGS, 0, "cpu", 2)
    fast = cell.run_cell(METHODS[name], data, COMPILED, 0, "cpu", 2)
    assert fast.ledger["compile_seconds"] > 0
    assert fast.ledger["flops"] == plain.ledger["flops"]
    steps = [[stage["steps"] for stage in r.ledger["stages"]] for r in (plain, fast)]
    assert steps[0] == steps[1]
    last = plain.curve[-1][3], fast.curve[-1][3]
    assert last[1] == pytest.approx(last[0], rel=0.05), name  # dropout draws other numbers
