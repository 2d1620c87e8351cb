"""Activation checkpointing: less is kept, and nothing that is computed changes."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from synthetic import prepared
from torch import nn

from benchmark.contract import stages_of
from benchmark.methods import METHODS
from benchmark.suites.load import load_suite
from benchmark.suites.schema import override
from benchmark.training import cell
from benchmark.training.activations import blocks_of, checkpoint_blocks
from benchmark.training.batches import TrainingSet
from benchmark.training.settings import Settings

SETTINGS = Settings(
    budget="4 steps", cell_mm=(3.0, 7.5, 7.5), width=8, batch_size=2, learning_rate=0.003
)
NAMES = [method.name for method in load_suite("table1").methods if method.trained]


@pytest.fixture(scope="module")
def data():
    return prepared()


def one_step(name, batch, on):
    """Gradients and buffers after one backward pass, and the values that were kept for it."""
    torch.manual_seed(0)
    method = METHODS[name]
    model = method.load()(tuple(batch.target.shape[1:]), 3, 8, **method.options).train()
    count = checkpoint_blocks(model) if on else 0
    stage = next(stage for stage in stages_of(model) if not stage.apart)
    kept = []

    def pack(tensor):
        kept.append(tensor.numel())
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = sum(stage.losses(batch).values())
    loss.backward()
    grads = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
    return loss.detach(), grads, dict(model.named_buffers()), sum(kept), count


@pytest.mark.parametrize("name", NAMES)
def test_gradients_and_statistics_are_equal_and_less_is_kept(name, data):
    batch = TrainingSet.of(data.train).take(np.arange(4))
    loss, grads, buffers, much, _ = one_step(name, batch, False)
    again, theirs, counted, little, blocks = one_step(name, batch, True)
    assert blocks > 0
    assert little < much
    assert torch.equal(loss, again)
    assert grads.keys() == theirs.keys()
    for key, grad in grads.items():
        torch.testing.assert_close(theirs[key], grad, rtol=1e-5, atol=1e-7)
    for key, buffer in buffers.items():
        # what was not measured yet is NaN on both sides
        torch.testing.assert_close(counted[key], buffer, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("name", ["unet3d", "mmwfanet"])
def test_a_training_gives_the_same_network(name, data):
    on = replace(SETTINGS, activation_checkpointing=True)
    plain = cell.run_cell(METHODS[name], data, SETTINGS, 0, "cpu", 1)
    saving = cell.run_cell(METHODS[name], data, on, 0, "cpu", 1)
    for key, value in plain.state.items():
        torch.testing.assert_close(saving.state[key], value, rtol=1e-4, atol=1e-6)
    assert saving.ledger["checkpointed_blocks"] > 0
    assert "checkpointed_blocks" not in plain.ledger
    # what is computed twice is counted twice
    assert saving.ledger["flops_per_step"] > plain.ledger["flops_per_step"]


def test_an_input_changed_in_place_is_told():
    class Careless(nn.Module):
        def __init__(self):
            super().__init__()
            self.block = nn.Sequential(nn.Conv2d(2, 2, 1), nn.ReLU())

        def forward(self, x):
            x = x * 1
            y = self.block(x)
            return (x.mul_(2) + y).sum()

    model = Careless()
    assert blocks_of(model) == [model.block]
    checkpoint_blocks(model)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        model(torch.ones(1, 2, 3, 3)).backward()


def test_keys_of_runs_without_it_stay_and_it_can_be_set():
    assert "activation_checkpointing" not in SETTINGS.as_dict()
    assert replace(SETTINGS, activation_checkpointing=True).as_dict()["activation_checkpointing"]
    scale = load_suite("table1").scales["smoke"]
    assert override(scale, {"activation_checkpointing": True}).settings.activation_checkpointing
