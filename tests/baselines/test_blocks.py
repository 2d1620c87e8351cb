"""Shared parts of the baselines."""

from __future__ import annotations

import math

import pytest
import torch

from baselines.blocks import SliceSumHead, fold, halvings, unfold


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
