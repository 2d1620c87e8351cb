"""One recipe for every method of the tables: what one has and another lacks stands in its notes.

A row must not owe its place to a loss, a start, a learning rate or a number of steps that the
others were not given. Each check reads what a network does, not what it says.
"""

from functools import cache

import pytest
import torch

from benchmark.contract import Batch, score_error, segmentation_loss, stages_of
from benchmark.methods import METHODS
from benchmark.score_head import HEAD_SAMPLES, LAST_LAYER_SD
from benchmark.suites.load import load_suite
from benchmark.training import parts
from benchmark.training.settings import Budget

GRID = (6, 16, 16)
SUITES = ("table1", "table2", "table3")
NAMES = sorted(
    {
        method.name
        for suite in map(load_suite, SUITES)
        for method in (*suite.methods, *suite.references)
        if method.trained and method.retrain
    }
)
"""Every method that the tables train, references too."""

USUAL = {"segmentation", "scores"}
"""Terms that need no word."""

OTHER_TASKS = {"hu-mtl"}
"""Learned weights in the place of fixed ones are what this one is named for."""


def a_batch() -> Batch:
    draw = torch.Generator().manual_seed(1)
    slices = 4 * torch.rand(4, GRID[0], 12, generator=draw)
    slices[:, ::2] = 0
    return Batch(
        torch.randn(4, 3, *GRID, generator=draw),
        torch.randint(0, 4, (4, *GRID), generator=draw),
        torch.rand(4, *GRID, generator=draw) < 0.2,
        slices.expm1().sum(dim=1).log1p(),
        slices,
    )


def network(name: str):
    torch.manual_seed(0)
    method = METHODS[name]
    return method.load()(GRID, 3, 16, **method.settled().options).train()


@cache
def observed(name: str) -> dict:
    """Terms of each stage, beside the suite's own losses of the same outputs."""
    batch, model = a_batch(), network(name)
    found = {}
    for stage in stages_of(model):
        seen = batch
        if stage.keep is not None:
            model.eval()
            with torch.no_grad():
                kept = stage.keep(batch.image)
            model.train()
            seen = Batch(*[torch.empty(0)] * 3, batch.scores, batch.slice_scores, kept)
        torch.manual_seed(0)
        found[stage.name] = {k: float(v.detach()) for k, v in stage.losses(seen).items()}
    return found


def declared(name: str) -> str:
    return " ".join(network(name).notes).lower()


def main_stage(name: str):
    return max((s for s in stages_of(network(name)) if not s.apart), key=lambda s: s.share)


@pytest.mark.parametrize("name", [n for n in NAMES if "mask" in METHODS[n].outputs])
def test_every_mask_has_one_loss(name):
    if name in OTHER_TASKS:
        pytest.skip("its loss is weighed by a variance that it learns")
    batch, model = a_batch(), network(name)
    expected = float(segmentation_loss(model(batch.image)["logits"], batch).detach())
    assert observed(name)[main_stage(name).name]["segmentation"] == pytest.approx(
        expected, rel=1e-4
    )


@pytest.mark.parametrize("name", [n for n in NAMES if "head" in METHODS[n].outputs])
def test_every_head_has_one_loss_and_a_declared_weight_beside_a_mask(name):
    if name in OTHER_TASKS:
        pytest.skip("its loss is weighed by variances that it learns")
    batch, model = a_batch(), network(name)
    output = model(batch.image)
    assert {"slice_presence", "slice_amounts"} <= set(output)
    weight = observed(name)[main_stage(name).name]["scores"] / float(
        score_error(output, batch).detach()
    )
    alone = "mask" not in METHODS[name].outputs
    if alone:
        assert weight == pytest.approx(1.0, rel=1e-3)
    else:
        assert 0.05 < weight < 1
        assert f"{weight:.3g}" in declared(name)


@pytest.mark.parametrize("name", NAMES)
def test_every_further_term_is_declared(name):
    words = declared(name)
    for stage, terms in observed(name).items():
        for term in set(terms) - USUAL:
            assert term in words, f"{name}, stage {stage}: its notes do not say {term!r}"


@pytest.mark.parametrize("name", [n for n in NAMES if "head" in METHODS[n].outputs])
def test_every_head_starts_alike(name):
    """The last layer is the 12 x hidden one beside the probabilities' 4 x hidden."""
    found = dict(network(name).named_parameters())
    (hidden,) = {p.shape[1] for key, p in found.items() if key.endswith("presence.weight")}
    for rows in (4, 12):
        (weight,) = [p for p in found.values() if p.shape == (rows, hidden)]
        # of 400 and more numbers
        assert float(weight.detach().std()) == pytest.approx(LAST_LAYER_SD, rel=0.15)
    bias = [p for p in found.values() if p.shape == (12,) and p.detach().unique().numel() == 1]
    assert len(bias) == 1
    assert float(bias[0][0].detach()) > 0


@pytest.mark.parametrize("name", NAMES)
def test_stages_differ_in_what_is_declared_alone(name):
    words = declared(name)
    for stage in stages_of(network(name)):
        assert stage.learning_rate == 1.0
        if stage.keep is not None:
            assert (stage.share, stage.apart, stage.batch_scale) == (0.25, HEAD_SAMPLES, 2)
            assert "kept" in words
        elif stage.apart:
            assert "autoencoder" in words
        if stage.opponent_losses is not None:
            assert "advers" in words or "reverse" in words


@pytest.mark.parametrize("budget", ["8380 samples", "300 steps"])
def test_every_method_learns_from_as_many_whole_scans(budget):
    counted = {}
    for name in NAMES:
        stages = stages_of(network(name))
        sizes = parts.parts_of(stages, 4, 419)
        begins = [0.0, *parts.ends(sizes, Budget.parse(budget))]
        counted[name] = sum(
            end - begin
            for begin, end, stage in zip(begins, begins[1:], stages, strict=False)
            if not stage.apart
        )
    assert set(counted.values()) == {float(budget.split()[0])}, counted
