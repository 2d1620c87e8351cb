"""A training that was stopped goes on as if it had not been: the same bits under a step budget."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from synthetic import prepared
from torch import nn

from benchmark.methods import METHODS, Method
from benchmark.training import cell, stop
from benchmark.training.checkpoint import Resume
from benchmark.training.loop import CellFailed
from benchmark.training.settings import Settings

SETTINGS = Settings(
    budget="24 steps", cell_mm=(3.0, 7.5, 7.5), width=8, batch_size=3, learning_rate=0.003
)


@pytest.fixture(scope="module")
def data():
    return prepared()


@pytest.fixture
def stopped(monkeypatch):
    """A function that trains until a step, as SIGTERM would have it."""

    def train(method, data, settings, resume, steps, **more):
        asked = iter(range(steps))
        with monkeypatch.context() as patch:
            patch.setattr(stop, "asked", lambda: next(asked, None) is None)
            with pytest.raises(KeyboardInterrupt):
                cell.run_cell(method, data, settings, 3, "cpu", 1, resume=resume, **more)

    return train


def assert_same(first, second):
    assert first.state.keys() == second.state.keys()
    for name, value in first.state.items():
        np.testing.assert_array_equal(value, second.state[name], err_msg=name)
    for kind in ("mask", "head", "tp", "fp", "fn"):
        a, b = getattr(first, kind), getattr(second, kind)
        assert (a is None) == (b is None)
        if a is not None:
            np.testing.assert_array_equal(a, b)


# one stage; stages with kept features and a closed-form update; a frozen encoder; an adversary
# with spectral norms and pairs of the step before; dropout
STRUCTURES = {
    "unet3d": {},
    "dmtrl": {},
    "acnn-seg": {},
    "arm-mtl": {},
    "mmwfanet": {"dropout": 0.3, "dependency": "reverse-mapping"},
}


@pytest.mark.parametrize("name", STRUCTURES)
def test_a_resumed_training_gives_the_same_bits(name, data, stopped, tmp_path):
    method = replace(METHODS[name], options=STRUCTURES[name])
    whole = cell.run_cell(method, data, SETTINGS, 3, "cpu", 1)
    for step in (4, 17, 3):  # of what is left each time, so that every stage is broken off once
        stopped(method, data, SETTINGS, Resume(tmp_path / "at"), step - 1)
    resumed = cell.run_cell(method, data, SETTINGS, 3, "cpu", 1, resume=Resume(tmp_path / "at"))
    assert_same(whole, resumed)
    assert [entry["steps"] for entry in resumed.ledger["resumed"]] == [4, 21, 24]
    for unit in ("steps", "samples", "flops"):
        assert resumed.ledger[unit] == whole.ledger[unit]
    stages = [[s["name"], s["steps"]] for s in whole.ledger["stages"]]
    assert [[s["name"], s["steps"]] for s in resumed.ledger["stages"]] == stages
    assert resumed.ledger["device_seconds"] > 0


def test_a_time_budget_goes_on_where_its_clock_stood(data, stopped, tmp_path):
    timed = replace(SETTINGS, budget="0.6 s")
    stopped(METHODS["unet3d"], data, timed, Resume(tmp_path / "at"), 3)
    spent = Resume(tmp_path / "at").load().values["spending"]
    result = cell.run_cell(
        METHODS["unet3d"], data, timed, 3, "cpu", 1, resume=Resume(tmp_path / "at")
    )
    assert 0 < spent["device_seconds"] < 0.6
    # each stretch would be 0.6 s long if the clock began anew
    assert 0.6 <= result.ledger["device_seconds"] < 0.6 + 3 * result.ledger["step_seconds"]
    assert result.ledger["stages"][0]["device_seconds"] >= 0.6


@pytest.mark.parametrize("damage", ["cut", "flipped", "no manifest", "of another network"])
def test_a_damaged_checkpoint_is_discarded_with_a_line(damage, data, stopped, tmp_path):
    method, other = METHODS["unet3d"], METHODS["dmtrl"]
    folder = tmp_path / "at"
    stopped(other if damage == "of another network" else method, data, SETTINGS, Resume(folder), 3)
    (file,) = folder.glob("*.safetensors")
    content = bytearray(file.read_bytes())
    if damage == "cut":
        file.write_bytes(content[: len(content) // 2])
    elif damage == "flipped":
        content[-100] ^= 1
        file.write_bytes(content)
    elif damage == "no manifest":
        (folder / "manifest.json").unlink()
    lines = []
    small = replace(SETTINGS, budget="4 steps")
    resumed = cell.run_cell(
        method, data, small, 3, "cpu", 1, resume=Resume(folder, say=lines.append)
    )
    assert len(lines) == 1
    assert "damaged" in lines[0]
    assert "anew" in lines[0]
    assert "resumed" not in resumed.ledger
    assert_same(cell.run_cell(method, data, small, 3, "cpu", 1), resumed)


def test_checkpoints_come_at_the_interval_and_replace_each_other(data, tmp_path):
    resume = Resume(tmp_path / "at", every_seconds=0.0)
    seen, plain = [], resume.save
    resume.save = lambda snapshot: (
        plain(snapshot),
        seen.append(sorted(p.name for p in (tmp_path / "at").iterdir())),
    )
    cell.run_cell(
        METHODS["unet3d"], data, replace(SETTINGS, budget="3 steps"), 3, "cpu", 1, resume=resume
    )
    assert seen == [[f"{n}.safetensors", "manifest.json"] for n in (1, 2, 3, 4)]


def test_a_failed_write_leaves_the_checkpoint_before(data, stopped, tmp_path, monkeypatch):
    stopped(METHODS["unet3d"], data, SETTINGS, Resume(tmp_path / "at"), 3)
    resume = Resume(tmp_path / "at")
    before = resume.load()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("safetensors.torch.save_file", full)
    with pytest.raises(OSError, match="No space left"):
        resume.save(before)
    assert resume.load().values["spending"] == before.values["spending"]


class Fragile(nn.Module):
    """Meets a loss that is no number at a chosen call."""

    outputs = ("mask",)
    notes = ()
    bad: tuple[int, ...] = ()
    calls = 0

    def __init__(self, grid, in_channels, width):
        super().__init__()
        self.layer = nn.Conv3d(in_channels, 4, 1)
        type(self).calls = 0

    def forward(self, image):
        return {"logits": self.layer(image)}

    def losses(self, output, batch):
        type(self).calls += 1
        return {"x": output["logits"].square().mean() * (np.nan if self.calls in self.bad else 1)}


@pytest.mark.parametrize("keep", [True, False])
def test_divergence_is_retried_once_and_written_down(keep, data, monkeypatch, tmp_path):
    monkeypatch.setattr(Method, "load", lambda self: Fragile)
    method = Method("fragile", "Fragile", "nowhere:Fragile", ("mask",))
    settings = replace(SETTINGS, budget="8 steps")
    resume = Resume(tmp_path / "at", every_seconds=0.0) if keep else None
    monkeypatch.setattr(Fragile, "bad", (6,))  # the first call is the step that is undone
    result = cell.run_cell(method, data, settings, 0, "cpu", 1, resume=resume)
    (event,) = result.ledger["divergences"]
    assert event["step"] == 5
    assert event["retried_from_step"] == (4 if keep else 0)
    assert event["lost_steps"] == (0 if keep else 4) + 1
    assert result.ledger["steps"] == 8
    assert "retried" in result.notes[-1]
    assert all(bool(torch.isfinite(value).all()) for value in result.state.values())
    monkeypatch.setattr(Fragile, "bad", tuple(range(6, 99)))
    with pytest.raises(CellFailed, match=r"^loss became nan at step \d .* and at step 5 before"):
        cell.run_cell(method, data, settings, 0, "cpu", 1)


def test_what_a_network_keeps_in_attributes_comes_back(tmp_path):
    from benchmark.training import state

    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.LSTM(2, 2)
            self.count, self.frozen, self.pairs, self.table = 0, False, None, {}
            self.random = np.random.default_rng(1)
            self.generator = torch.Generator().manual_seed(1)
            self.function = lambda: None
            self.register_buffer("mean", None, persistent=False)

    model, tensors = Odd(), {}
    model.count, model.frozen = 7, True
    model.pairs = (torch.ones(2, 3), [np.arange(4, dtype=np.float32), "a"])
    model.table = {"a": torch.tensor(float("nan"))}
    model.mean = torch.arange(3.0)
    model.layer.eval()
    model.layer.weight_ih_l0.requires_grad_(False)
    model.random.random(3), torch.rand(3, generator=model.generator)
    values = state.keep_model(model, tensors)
    resume = Resume(tmp_path / "at")
    resume.save(state.Snapshot(tensors, {"model": values}))
    kept, other = Resume(tmp_path / "at").load(), Odd()
    state.restore_model(other, kept.tensors, kept.values["model"])
    assert (other.count, other.frozen) == (7, True)
    assert torch.equal(other.pairs[0], torch.ones(2, 3))
    np.testing.assert_array_equal(other.pairs[1][0], np.arange(4, dtype=np.float32))
    assert other.pairs[1][0].dtype == np.float32
    assert bool(other.table["a"].isnan())
    assert torch.equal(other.mean, torch.arange(3.0))
    assert other.training
    assert not other.layer.training
    assert not other.layer.weight_ih_l0.requires_grad
    assert other.random.random() == model.random.random()
    assert torch.equal(
        torch.rand(2, generator=other.generator), torch.rand(2, generator=model.generator)
    )
    assert torch.equal(other.layer.weight_hh_l0, model.layer.weight_hh_l0)
