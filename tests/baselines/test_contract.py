"""The contract, run over every trained method of the registry: a new method is tested by its
entry."""

from __future__ import annotations

import io

import pytest
import torch

from benchmark.contract import Batch, Stage, stages_of
from benchmark.methods import METHODS
from benchmark.training.grid import CHANNELS

GRID = (8, 12, 12)
WIDTH = 8
NAMES = [name for name, method in METHODS.items() if method.trained]


def build(name: str, grid: tuple[int, int, int] = GRID) -> torch.nn.Module:
    torch.manual_seed(0)
    method = METHODS[name]
    return method.load()(grid, CHANNELS, WIDTH, **method.options)


def two_scans(grid: tuple[int, int, int] = GRID, lesions: bool = True) -> Batch:
    """Two scans with bright cells: those of the left half belong to the LAD, others to nothing."""
    generator = torch.Generator().manual_seed(1)
    image = torch.randn(2, CHANNELS, *grid, generator=generator) * 0.1 - 0.5
    candidate = torch.rand(2, *grid, generator=generator) < 0.05
    candidate[:, 2, 2, 2] = True
    image.movedim(1, -1)[candidate] += 1.5
    target = torch.zeros(2, *grid, dtype=torch.int64)
    if lesions:
        target[..., : grid[2] // 2] = 1
        target[..., grid[1] // 2 :, grid[2] // 2 :] = 3
        target[~candidate] = 0
    scores = torch.zeros(2, 12)
    if lesions:
        scores[0], scores[1] = 2.0, 5.0
    # one slice holds all
    slice_scores = torch.zeros(2, grid[0], 12)
    slice_scores[:, 2] = scores
    return Batch(image, target, candidate, scores, slice_scores)


def kept(model: torch.nn.Module, stage: Stage, batch: Batch) -> Batch:
    """The batch as the loop hands it to a stage that runs on kept features."""
    if stage.keep is None:
        return batch
    model.eval()
    with torch.no_grad():
        features = stage.keep(batch.image)
    model.train()
    empty = torch.empty(0)
    return Batch(empty, empty, empty, batch.scores, batch.slice_scores, features)


def train(model: torch.nn.Module, batch: Batch, steps: int) -> list[list[float]]:
    """Every stage for ``steps`` steps, as the training loop does; the losses by stage."""
    rate = 3e-3
    model.train()
    history = []
    for stage in stages_of(model):
        optimiser = torch.optim.AdamW(list(stage.parameters), rate)
        rival = None
        if stage.opponent_losses is not None:
            rival = torch.optim.AdamW(list(stage.opponent_parameters), rate)
        mine, losses = kept(model, stage, batch), []
        for _ in range(steps):
            if rival is not None:
                rival.zero_grad()
                sum(stage.opponent_losses(mine).values()).backward()
                rival.step()
            optimiser.zero_grad()
            total = sum(stage.losses(mine).values())
            total.backward()
            optimiser.step()
            if hasattr(model, "after_step"):
                model.after_step()
            losses.append(float(total.detach()))
        history.append(losses)
    return history


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


def test_outputs_are_those_of_the_registry(name):
    assert tuple(build(name).outputs) == METHODS[name].outputs


def test_notes_are_short_lines(name):
    notes = build(name).notes
    assert notes
    assert all(isinstance(line, str) and 0 < len(line) < 200 and "\n" not in line for line in notes)


@pytest.mark.parametrize("grid", [(8, 8, 8), (9, 13, 11), (12, 16, 16)])
def test_any_grid_gives_outputs_of_its_shape(name, grid):
    model = build(name, grid).eval()
    with torch.no_grad():
        output = model(two_scans(grid).image)
    assert ("logits" in output) == ("mask" in model.outputs)
    assert ("scores" in output) == ("head" in model.outputs)
    if "logits" in output:
        assert output["logits"].shape == (2, 4, *grid)
        assert torch.isfinite(output["logits"]).all()
    if "scores" in output:
        assert output["scores"].shape == (2, 12)
        assert torch.isfinite(output["scores"]).all()
    if "slice_scores" in output:
        parts = output["slice_scores"]
        assert parts.shape == (2, grid[0], 12)
        torch.testing.assert_close(parts.expm1().sum(dim=1), output["scores"].expm1())


def test_one_scan_alone_is_judged_as_in_a_batch(name):
    model = build(name).eval()
    image = two_scans().image
    with torch.no_grad():
        both, alone = model(image), model(image[:1])
    for key in both.keys() & {"logits", "scores"}:
        torch.testing.assert_close(both[key][:1], alone[key], rtol=1e-4, atol=1e-4)


def test_shares_of_the_stages_add_up_to_one(name):
    assert sum(stage.share for stage in stages_of(build(name))) == pytest.approx(1)


@pytest.mark.parametrize("name", [name for name in NAMES if METHODS[name].retrain])
def test_every_parameter_is_moved_by_some_stage(name):
    model = build(name)
    before = {k: v.detach().clone() for k, v in model.named_parameters()}
    # no weight decay: only a gradient can move a value
    reached = set()
    batch = two_scans()
    model.train()
    for stage in stages_of(model):
        mine = kept(model, stage, batch)
        for losses, parameters in (
            (stage.opponent_losses, stage.opponent_parameters), (stage.losses, stage.parameters)
        ):
            if losses is None:
                continue
            # a second step too: what is multiplied by zeros at the start moves then
            optimiser = torch.optim.Adam(list(parameters), 1e-3)
            for _ in range(2):
                optimiser.zero_grad()
                sum(losses(mine).values()).backward()
                optimiser.step()
        reached |= {k for k, v in model.named_parameters() if not torch.equal(v, before[k])}
    assert reached == set(before)


def test_losses_are_finite_on_scans_without_calcium(name):
    batch = two_scans(lesions=False)
    batch.candidate[:] = False
    for losses in train(build(name), batch, 2):
        assert torch.isfinite(torch.tensor(losses)).all()


def test_loss_falls_on_two_scans(name):
    for losses in train(build(name), two_scans(), 30):
        assert min(losses[-5:]) < 0.7 * losses[0], losses


def test_saved_and_loaded_gives_the_same_outputs(name):
    model = build(name)
    train(model, two_scans(), 2)
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    file.seek(0)
    torch.manual_seed(7)
    method = METHODS[name]
    other = method.load()(GRID, CHANNELS, WIDTH, **method.options)
    other.load_state_dict(torch.load(file, weights_only=True))
    image = two_scans().image
    with torch.no_grad():
        mine, loaded = model.eval()(image), other.eval()(image)
    for key in mine.keys() & {"logits", "scores"}:
        torch.testing.assert_close(mine[key], loaded[key])
