"""Shared parts of the baselines."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from baselines.blocks import SliceSum, SliceSumHead, fold, halvings, unfold


@pytest.mark.parametrize("grid", [(8, 8, 8), (3, 9, 11), (5, 12, 7)])
def test_unfolding_undoes_folding(grid):
    image = torch.randn(2, 3, *grid)
    torch.testing.assert_close(unfold(fold(image), grid), image)


def test_folding_keeps_the_slices_apart():
    image = torch.zeros(1, 1, 4, 6, 6)
    image[:, :, 2] = 1
    folded = fold(image)
    assert folded.shape == (1, 4, 4, 3, 3)
    assert folded.sum(dim=(0, 1, 3, 4)).tolist() == [0, 0, 36, 0]


def test_an_axis_is_halved_only_while_enough_is_left():
    assert halvings((36, 20, 5), 3) == [(2, 2, 2), (2, 2, 1), (2, 2, 1)]
    assert halvings((9, 5, 3), 2) == [(2, 2, 1), (2, 1, 1)]


@pytest.mark.parametrize("slices", [8, 36])
@pytest.mark.parametrize("space", ["linear", "log"])
def test_scores_start_where_they_are_told_to(slices, space):
    part = SliceSum(slices, space, start=1.5)
    layer = nn.Linear(4, 12)
    part.initialise(layer)
    nn.init.zeros_(layer.weight)
    scores = part(layer(torch.randn(2, slices, 4)))["scores"]
    torch.testing.assert_close(scores, torch.full((2, 12), 1.5))


def test_scores_of_slices_add_up_as_scores():
    part = SliceSum(6)
    outputs = torch.randn(2, 6, 12)
    scored = part(outputs)
    torch.testing.assert_close(scored["slice_scores"].expm1().sum(dim=1), scored["scores"].expm1())
    # the same slices twice: twice the score
    twice = part(torch.cat([outputs, outputs], dim=1))["scores"]
    torch.testing.assert_close(twice.expm1(), 2 * scored["scores"].expm1())


def test_the_published_form_sums_plain_outputs():
    outputs = torch.randn(2, 6, 12)
    scored = SliceSum(6, "log")(outputs)
    assert set(scored) == {"scores"}
    torch.testing.assert_close(scored["scores"], outputs.sum(dim=1))


def test_an_unknown_score_space_is_refused():
    with pytest.raises(ValueError, match="score_space"):
        SliceSum(6, "square")


def test_a_single_bright_cell_reaches_the_head():
    torch.manual_seed(0)
    head = SliceSumHead(3, 4).eval()
    features = torch.zeros(4, 3, 20, 20)
    empty = head(head.gather(features, batch=1))["slice_scores"].detach()
    features[2, 1, 13, 7] = 5
    lit = head(head.gather(features, batch=1))["slice_scores"].detach()
    changed = (lit - empty).abs().amax(dim=-1)[0]
    assert changed[2] > 0
    assert math.isclose(float(changed.sum()), float(changed[2]))
