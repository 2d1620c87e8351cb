"""The share of the gradient that a term has, by hand, and without a trace in the training."""

import contextlib

import pytest
import torch
from torch import nn

from benchmark.contract import Batch, Stage
from benchmark.training.gradients import gradient_shares

BATCH = Batch(*[torch.ones(2, 2)] * 3, torch.zeros(2, 12), torch.zeros(2, 1, 12))


class Net(nn.Module):
    """Two terms on one shared weight, of which one has a weight of its own."""

    def __init__(self, second=1.0):
        super().__init__()
        self.shared, self.own = nn.Parameter(torch.ones(3)), nn.Parameter(torch.ones(2))
        self.norm = nn.BatchNorm1d(2)
        self.second, self.seen = second, 0

    def stages(self):
        return [Stage("only", 1.0, self.losses, list(self.parameters()))]

    def losses(self, batch):
        self.seen += 1
        self.norm(torch.randn(4, 2))
        one = 3 * self.shared.sum() + 100 * self.own.sum()
        return {"one": one, "two": self.second * self.shared.sum()}


def shares(model):
    return gradient_shares(model, 0, BATCH, contextlib.nullcontext())


def test_shares_are_those_of_the_weights_that_terms_have_in_common():
    assert shares(Net()) == {"one": pytest.approx(0.75), "two": pytest.approx(0.25)}


def test_a_term_that_is_off_has_none():
    assert shares(Net(second=0.0)) == {}  # no weight is moved by both


def test_nothing_of_the_training_changes():
    model = Net()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    state = torch.get_rng_state()
    shares(model)
    assert torch.equal(torch.get_rng_state(), state)
    assert model.seen == 0
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_network_that_cannot_be_copied_has_no_shares():
    model = Net()
    model.file = (n for n in range(3))
    assert shares(model) == {}
