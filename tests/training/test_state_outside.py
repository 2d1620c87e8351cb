"""What a network keeps beside its weights: a stopped training goes on as if it had not been."""

import copy
import itertools
import random
import threading
from collections import OrderedDict, defaultdict, deque
from dataclasses import replace

import numpy as np
import pytest
import torch
from synthetic import prepared
from torch import nn

from benchmark.contract import Stage, default_losses
from benchmark.methods import Method
from benchmark.training import cell, outside, state, stop
from benchmark.training.checkpoint import Resume
from benchmark.training.settings import Settings

SETTINGS = Settings(
    budget="9 steps", cell_mm=(3.0, 7.5, 7.5), width=8, batch_size=3, learning_rate=0.003
)


@pytest.fixture(scope="module")
def data():
    return prepared()


class Net(nn.Module):
    """Its loss depends on what it keeps: a training that loses that ends elsewhere."""

    outputs = ("mask",)
    notes = ()

    def __init__(self, grid, in_channels, width):
        super().__init__()
        self.layer = nn.Conv3d(in_channels, 4, 1)
        self.begin()

    def begin(self): ...

    def forward(self, image):
        return {"logits": self.layer(image)}

    def losses(self, output, batch):
        terms = default_losses(output, batch)
        factor = 1 + self.step(float(terms["segmentation"].detach()))
        return {name: factor * term for name, term in terms.items()}


class Queue(Net):
    def begin(self):
        self.last = deque(maxlen=4)

    def step(self, loss):
        self.last.append(loss)
        return sum(self.last)


class Tables(Net):
    def begin(self):
        self.counts, self.order, self.seen = defaultdict(int), OrderedDict(), {1}
        self.one = self.two = [0.0]

    def step(self, loss):
        self.counts[len(self.seen) % 3] += 1
        self.order[f"s{len(self.order)}"] = np.float32(loss)
        self.seen.add(len(self.seen) + 1)
        self.one.append(loss)
        return len(self.counts) + float(sum(self.order.values())) + sum(self.two)


class Generators(Net):
    def begin(self):
        self.own = [random.Random(1), np.random.RandomState(2), torch.Generator().manual_seed(3)]
        self.others = [
            np.random.Generator(kind(4)) for kind in (np.random.MT19937, np.random.SFC64)
        ]

    def step(self, loss):
        drawn = self.own[0].gauss(0, 1) + self.own[1].normal() + self.others[0].normal()
        return abs(drawn + self.others[1].random() + float(torch.rand(1, generator=self.own[2])))


class NotRegistered(Net):
    """A second network in a list, with a view of the first one's weights."""

    def begin(self):
        self.hidden, self.view = [nn.Linear(2, 2)], self.layer.weight.data[0]

    def step(self, loss):
        with torch.no_grad():
            self.hidden[0].weight.mul_(0.9).add_(float(self.view.sum()))
        return float(self.hidden[0].weight.detach().abs().sum())


class OfTheClass(Net):
    last: tuple = ()

    def step(self, loss):
        type(self).last = (*self.last, loss)
        return sum(self.last)


MEMORY: list = []


class OfTheModule(Net):
    def step(self, loss):
        MEMORY.append(loss)
        return sum(MEMORY)


KEPT = [Queue, Tables, Generators, NotRegistered, OfTheClass, OfTheModule]


class Iterator(Net):
    def begin(self):
        self.numbers = itertools.count()

    def step(self, loss):
        return next(self.numbers)


class Generating(Net):
    def begin(self):
        self.numbers = (n for n in range(1000))

    def step(self, loss):
        return next(self.numbers)


class Bag:
    def __init__(self):
        self.sum = 0.0


class Object(Net):
    def begin(self):
        self.bag = Bag()

    def step(self, loss):
        self.bag.sum += loss
        return self.bag.sum


class InAStage(Net):
    def stages(self):
        seen = []

        def losses(batch):
            terms = default_losses(self(batch.image), batch)
            seen.append(1)
            return {name: len(seen) * term for name, term in terms.items()}

        return [Stage("training", 1.0, losses, self.parameters())]


LOST = {Iterator: "Iterator.numbers", Generating: "Generating.numbers", Object: "Object.bag",
        InAStage: "losses of stage 'training'"}  # fmt: skip


@pytest.fixture
def train(data, monkeypatch):
    """A function: train a class as in a process of its own, to the end or stopped at a step."""

    def call(kind, resume=None, until=None):
        first = {name: value for name, value in vars(kind).items() if name == "last"}
        monkeypatch.setattr(Method, "load", lambda self: kind)
        method = Method("net", "Net", "nowhere:Net", ("mask",))
        MEMORY.clear()
        try:
            with monkeypatch.context() as patch:
                if until is None:
                    return cell.run_cell(method, data, SETTINGS, 3, "cpu", 1, resume=resume)
                asked = iter(range(until - 1))
                patch.setattr(stop, "asked", lambda: next(asked, None) is None)
                with pytest.raises(KeyboardInterrupt):
                    cell.run_cell(method, data, SETTINGS, 3, "cpu", 1, resume=resume)
        finally:
            for name, value in first.items():
                setattr(kind, name, value)

    return call


@pytest.mark.parametrize("kind", KEPT)
def test_a_stopped_training_ends_with_the_same_bits(kind, train, tmp_path):
    whole = train(kind)
    for step in (3, 2):
        train(kind, Resume(tmp_path / "at"), step)
    again = train(kind, Resume(tmp_path / "at"))
    assert [entry["steps"] for entry in again.ledger["resumed"]] == [3, 5]
    for name, value in whole.state.items():
        np.testing.assert_array_equal(value, again.state[name])
    np.testing.assert_array_equal(whole.mask, again.mask)


@pytest.mark.parametrize("kind", LOST)
def test_what_no_checkpoint_can_hold_begins_anew_with_a_word(kind, train, tmp_path):
    said = []
    train(kind, Resume(tmp_path / "at", say=said.append), 4)
    assert len(said) == 1
    assert LOST[kind] in said[0]
    assert "begins anew" in said[0]
    assert not (tmp_path / "at").exists()
    again = train(kind, Resume(tmp_path / "at"))
    assert "resumed" not in again.ledger
    whole = train(kind)
    for name, value in whole.state.items():
        np.testing.assert_array_equal(value, again.state[name])


def test_objects_that_do_not_change_cost_no_checkpoint(train, tmp_path):
    class Still(Object):
        def begin(self):
            super().begin()
            self.rule, self.kind, self.device = (lambda x: x), nn.ReLU, torch.device("cpu")
            self.lock = threading.Lock()

        def step(self, loss):
            return 1.0

    said = []
    train(Still, Resume(tmp_path / "at", say=said.append), 4)
    assert said == []
    assert "resumed" in train(Still, Resume(tmp_path / "at")).ledger


def test_a_checkpoint_of_another_class_is_discarded(train, tmp_path):
    said = []
    train(NotRegistered, Resume(tmp_path / "at"), 4)
    again = train(Queue, Resume(tmp_path / "at", say=said.append))
    assert "damaged" in said[0]
    assert "resumed" not in again.ledger


def test_the_step_that_is_undone_leaves_no_trace_in_any_buffer(data, monkeypatch):
    class Counting(Net):
        def begin(self):
            self.register_buffer("steps", torch.zeros(()), persistent=False)
            self.register_buffer("kept", torch.zeros(()))

        def step(self, loss):
            self.steps = self.steps + 1
            self.kept += 1
            assert self.steps == self.kept
            return 0

    monkeypatch.setattr(Method, "load", lambda self: Counting)
    method = Method("net", "Net", "nowhere:Net", ("mask",))
    settings = replace(SETTINGS, budget="4 steps")
    assert cell.run_cell(method, data, settings, 0, "cpu", 1).state["kept"] == 4


def test_a_fingerprint_sees_what_can_be_reached():
    def closure():
        inner = [1]
        return (lambda: inner), inner

    function, inner = closure()
    count = itertools.count()
    number = random.Random(1)
    pairs = {
        "closure": (function, lambda: inner.append(2)),
        "iterator": (count, lambda: next(count)),
        "generator": (number, number.random),
        "method": (bag := [Bag()], lambda: setattr(bag[0], "sum", 1.0)),
    }
    for name, (value, change) in pairs.items():
        before = outside.fingerprint(value)
        assert outside.fingerprint(value) == before, name
        change()
        assert outside.fingerprint(value) != before, name
    chain = None
    for _ in range(50_000):
        chain = [chain]
    assert outside.fingerprint(chain)


def test_classes_are_put_back_as_they_were_at_first():
    model = OfTheClass((8, 8, 8), 3, 8)
    shared = outside.Shared(model)
    before = copy.copy(MEMORY)
    MEMORY.append(1.0)
    OfTheClass.last = (5.0,)
    try:
        with shared.as_at_first():
            assert OfTheClass.last == ()
            assert MEMORY == before
        assert OfTheClass.last == (5.0,)
        assert MEMORY == [*before, 1.0]
    finally:
        OfTheClass.last = ()
        MEMORY.clear()


def test_what_cannot_be_written_takes_nothing_else_with_it():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.other = nn.Linear(1, 1)
            self.mixed = [nn.Linear(2, 2), lambda: None]
            self.again = [self.mixed[0], self.other]

    model, tensors = Odd(), {}
    values = state.keep_model(model, tensors)
    assert [name for name, _ in state.left_out(model)] == ["Odd.mixed"]
    other = Odd()
    state.restore_model(other, tensors, values)
    assert other.again[0] is other.mixed[0]
    assert other.again[1] is other.other
    assert torch.equal(other.mixed[0].weight, model.mixed[0].weight)
