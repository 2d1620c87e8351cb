"""The kept weights are the network: another instance with the file's weights answers alike."""

import random
from collections import deque

import numpy as np
import pytest
import torch
from synthetic import prepared
from torch import nn

from benchmark.methods import METHODS, Method
from benchmark.runs.job import Job, do
from benchmark.runs.store import CHECKPOINT, read_weights
from benchmark.training import kept, witness
from benchmark.training.cell import run_cell
from benchmark.training.settings import Settings

SETTINGS = Settings(
    budget="6 steps", cell_mm=(3.0, 7.5, 7.5), width=8, batch_size=3, learning_rate=0.003
)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def data():
    return prepared()


@pytest.fixture
def finish(data, tmp_path, monkeypatch):
    """A function: train a class as a run does; how it ended, and the folder of what it wrote."""

    def call(kind, settings=SETTINGS, **more):
        monkeypatch.setattr(Method, "load", lambda self: kind)
        sent = []
        method = Method("net", "Net", "nowhere:Net", ("mask",))
        do(Job(method, settings, 0, "cpu", 1, tmp_path, run_cell, **more), data, sent.append)
        return sent[-1][0], sent[-1][1], tmp_path

    return call


class Net(nn.Module):
    """A running mean of the images, kept in one way or another by the classes below."""

    outputs = ("mask",)
    notes = ("a mean",)

    def __init__(self, grid, in_channels, width):
        super().__init__()
        self.layer = nn.Conv3d(in_channels, 4, 1)
        self.begin(in_channels)

    def begin(self, channels):
        self.register_buffer("mean", torch.zeros(channels))

    def learn(self, mean):
        self.mean.mul_(0.5).add_(mean, alpha=0.5)

    def now(self):
        return self.mean

    def forward(self, image):
        if self.training:
            self.learn(image.detach().mean(dim=(0, 2, 3, 4)))
        return {"logits": self.layer(image - 3 * self.now().view(1, -1, 1, 1, 1))}


class Attribute(Net):
    def begin(self, channels):
        self.mean = torch.zeros(channels)

    def learn(self, mean):
        self.mean = 0.5 * self.mean + 0.5 * mean


class NotPersistent(Net):
    def begin(self, channels):
        self.register_buffer("mean", torch.zeros(channels), persistent=False)


class Queue(Net):
    def begin(self, channels):
        self.last = deque([torch.zeros(channels)], maxlen=3)

    def learn(self, mean):
        self.last.append(mean)

    def now(self):
        return torch.stack(list(self.last)).mean(dim=0)


class Number(Net):
    def begin(self, channels):
        self.mean = 0.0

    def learn(self, mean):
        self.mean = 0.5 * self.mean + 0.5 * float(mean.mean())

    def now(self):
        return torch.full((3,), self.mean)


class OfTheClass(Net):
    mean = torch.zeros(3)

    def begin(self, channels): ...

    def learn(self, mean):
        type(self).mean = 0.5 * self.mean + 0.5 * mean


BANK = {"mean": torch.zeros(3)}


class OfTheModule(Net):
    def begin(self, channels): ...

    def learn(self, mean):
        BANK["mean"] = 0.5 * BANK["mean"] + 0.5 * mean

    def now(self):
        return BANK["mean"]


class Drawn(Net):
    """Draws a matrix when it is built: another instance has another."""

    def begin(self, channels):
        self.mean = torch.randn(channels)

    def learn(self, mean): ...


class NotRegistered(Net):
    def begin(self, channels):
        self.hidden = [nn.Linear(channels, channels)]

    def learn(self, mean): ...

    def now(self):
        return self.hidden[0].weight.sum(dim=1)


class Late(Net):
    """Makes a parameter when it first sees an image."""

    def begin(self, channels): ...

    def learn(self, mean):
        if not hasattr(self, "mean"):
            self.mean = nn.Parameter(mean.clone())

    def now(self):
        return getattr(self, "mean", torch.zeros(3))


class Extra(Net):
    """Says what it keeps, as PyTorch has it for what is no tensor."""

    def begin(self, channels):
        self.mean, self.last = [0.0] * channels, {"steps": 0, "first": None}

    def learn(self, mean):
        self.mean = [0.5 * a + 0.5 * b for a, b in zip(self.mean, mean.tolist(), strict=True)]
        self.last = {"steps": self.last["steps"] + 1, "first": mean.clone()}

    def now(self):
        return torch.tensor(self.mean)

    def get_extra_state(self):
        return {"mean": self.mean, "last": self.last}

    def set_extra_state(self, state):
        self.mean, self.last = state["mean"], state["last"]


class Dropping(Net):
    """Draws at evaluation too, from the global generator."""

    def forward(self, image):
        return {"logits": nn.functional.dropout(super().forward(image)["logits"], 0.3, True)}


class Wandering(Net):
    """Draws at evaluation from a generator of its own."""

    def begin(self, channels):
        super().begin(channels)
        self.generator = torch.Generator().manual_seed(1)

    def now(self):
        return self.mean + 0.1 * torch.rand(3, generator=self.generator)


class WanderingAndLost(Wandering):
    def begin(self, channels):
        super().begin(channels)
        self.far = 0.0

    def learn(self, mean):
        self.far += 100.0

    def now(self):
        return super().now() + self.far


LOST = [Attribute, NotPersistent, Queue, Number, OfTheClass, OfTheModule, Drawn, NotRegistered]


@pytest.mark.parametrize("kind", [*LOST, WanderingAndLost])
def test_state_that_the_weights_do_not_hold_fails_the_cell_in_words(kind, finish):
    ending, rest, _ = finish(kind)
    assert ending == "failed"
    assert "its kept weights are not the whole network" in rest["reason"]
    assert "'logits' of a scan differs by up to" in rest["reason"]
    assert "register_buffer(persistent=True)" in rest["reason"]


def test_parameters_that_come_late_are_named(finish):
    ending, rest, _ = finish(Late)
    assert ending == "failed"
    assert "'mean' is unknown" in rest["reason"]


@pytest.mark.parametrize("kind", [Net, Extra])
def test_what_the_file_holds_is_the_network(kind, finish, data):
    ending, rest, folder = finish(kind)
    assert ending == "finished", rest
    weights = read_weights(folder / CHECKPOINT)
    torch.manual_seed(5)
    other = kind(data.grid.shape, 3, 8)
    kept.load_into(other, weights)
    scan = witness.made_up_scan(data.grid.shape, 3)
    assert witness.answers_otherwise(other, weights, scan, SETTINGS, CPU) == 0
    assert bool(other.now().abs().sum() > 0), "it learnt nothing: this test shows nothing"
    assert rest["notes"] == ["a mean"]
    with torch.no_grad():
        other.layer.bias += 0.1
    assert witness.answers_otherwise(other, weights, scan, SETTINGS, CPU) > 0.01


def test_extra_state_comes_back_as_it_was(finish, data):
    _, _, folder = finish(Extra)
    other = Extra(data.grid.shape, 3, 8)
    kept.load_into(other, read_weights(folder / CHECKPOINT))
    assert other.last["steps"] > 0
    assert isinstance(other.last["first"], torch.Tensor)
    assert all(isinstance(value, float) for value in other.mean)


def test_extra_state_that_cannot_be_kept_fails_before_the_budget_is_spent(finish):
    class Code(Extra):
        def get_extra_state(self):
            return lambda: None

        def learn(self, mean):
            raise AssertionError("trained")

    ending, rest, _ = finish(Code)
    assert ending == "failed"
    assert rest["reason"].startswith("_extra_state is function, which cannot be kept")


def test_chance_is_no_fault_and_is_said(finish):
    ending, rest, folder = finish(Dropping)
    assert ending == "finished", rest
    assert "draws random numbers when it predicts" in rest["notes"][-1]
    assert read_weights(folder / CHECKPOINT).answers == {}


def test_a_network_that_does_not_repeat_itself_is_said(finish):
    ending, rest, _ = finish(Wandering)
    assert ending == "finished", rest
    assert "asked twice about one scan it answers otherwise" in rest["notes"][-1]


def test_answers_that_are_no_numbers_are_alike():
    first = {"logits": torch.tensor([np.nan, np.inf, 1.0])}
    assert witness.difference(first, {"logits": torch.tensor([np.nan, np.inf, 1.0])})[0] == 0
    assert witness.difference(first, {"logits": torch.tensor([0.0, np.inf, 1.0])})[0] == np.inf
    assert witness.difference(first, {"logits": torch.tensor([np.nan, -np.inf, 1.0])})[0] == np.inf
    assert witness.difference(first, {"scores": torch.tensor([0.0])}) == (np.inf, "logits")


def test_random_numbers_go_on_as_if_nobody_had_asked(data):
    model = Dropping(data.grid.shape, 3, 8)
    scan = witness.made_up_scan(data.grid.shape, 3)
    draws = []
    for asked in (False, True):
        torch.manual_seed(3), np.random.seed(3), random.seed(3)  # noqa: NPY002
        if asked:
            witness.answer(model, scan, SETTINGS, CPU)
        draws.append((float(torch.rand(1)), np.random.random(), random.random()))  # noqa: NPY002
    assert draws[0] == draws[1]


def test_tuning_from_weights_that_answer_otherwise_is_said(data, monkeypatch):
    monkeypatch.setattr(Method, "load", lambda self: Attribute)
    method = Method("net", "Net", "nowhere:Net", ("mask",))
    start = run_cell(method, data, SETTINGS, 0, "cpu", 1).state
    tuned = run_cell(method, data, SETTINGS, 0, "cpu", 1, start=start)
    assert "answer otherwise here than where they were trained" in tuned.notes[-1]
    monkeypatch.undo()
    start = run_cell(METHODS["unet3d"], data, SETTINGS, 0, "cpu", 1).state
    tuned = run_cell(METHODS["unet3d"], data, SETTINGS, 0, "cpu", 1, start=start)
    assert not any("answer otherwise" in note for note in tuned.notes)


@pytest.mark.parametrize(
    "text",
    [
        {"answers": "[]"}, {"answers": '{"logits": "x"}'}, {"answers": '{"logits": [[1]]}'},
        {"extra": '{"a": ["own", "x"]}'}, {"extra": '{"a": ["tensor", "no", "cpu"]}'},
        {"extra": "{"}, {"extra": '{"a": 3}'}, {"extra": "[1]"},
        {"extra": '{"a": ["torch generator", "w"]}'}, {"extra": '{"a": ["module", {}]}'},
        {"answers": f'{{"logits": {list(range(9999))}}}'},
    ],
)  # fmt: skip
def test_a_file_whose_text_was_spoilt_is_one_line(text, tmp_path):
    from safetensors.torch import save_file

    from benchmark.errors import UserError

    save_file({"w": torch.ones(2)}, str(tmp_path / "w.safetensors"), text)
    with pytest.raises(UserError, match="damaged"):
        read_weights(tmp_path / "w.safetensors")
