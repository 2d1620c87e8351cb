"""A code of label maps must tell whose the calcium is and where, not only how much there is."""

import pytest
import torch

from baselines.acnn_seg import ACNNSeg
from baselines.label_code import HeatAutoencoder, one_hot
from benchmark.contract import Batch

GRID = (8, 16, 16)


def label_map(artery: int, draw: torch.Generator) -> torch.Tensor:
    """One lesion of 2 x 2 x 2 cells: where it lies does not say whose it is."""
    z, y, x = (int(torch.randint(n // 4, n // 4 * 3, (), generator=draw)) for n in GRID)
    target = torch.zeros(GRID, dtype=torch.int64)
    target[z : z + 2, y : y + 2, x : x + 2] = artery
    return target


def label_maps(count: int, seed: int) -> torch.Tensor:
    """(count, Z, Y, X): LAD, LCX and RCA in turn."""
    draw = torch.Generator().manual_seed(seed)
    return torch.stack([label_map(1 + i % 3, draw) for i in range(count)])


@pytest.fixture(scope="module")
def trained() -> HeatAutoencoder:
    """Sixty steps, as in the first stage of a training."""
    torch.manual_seed(0)
    model = HeatAutoencoder(GRID)
    optimiser = torch.optim.AdamW(model.parameters(), 0.003)
    for step in range(60):
        optimiser.zero_grad()
        model.error(label_maps(6, step)).backward()
        optimiser.step()
    return model.requires_grad_(False)


def test_a_linear_reading_of_the_code_tells_the_artery(trained):
    known, asked = label_maps(300, 100), label_maps(90, 101)
    codes = [
        torch.cat([trained.code(one_hot(t)), torch.ones(len(t), 1)], 1) for t in (known, asked)
    ]
    reading = torch.linalg.lstsq(codes[0], one_hot(known).amax(dim=(2, 3, 4))[:, 1:]).solution
    said = (codes[1] @ reading).argmax(dim=1) + 1
    assert (said == asked.flatten(1).amax(dim=1)).float().mean() > 0.9


def test_another_artery_or_place_is_further_than_a_neighbouring_cell(trained):
    target = torch.zeros(1, *GRID, dtype=torch.int64)
    target[0, 3:5, 6:8, 6:8] = 1

    def distance(other):
        apart = trained.code(one_hot(other)) - trained.code(one_hot(target))
        return float(apart.square().sum())

    near, far = distance(target.roll(1, 3)), distance(target.roll(4, 3))
    nothing, another = distance(0 * target), distance(3 * target)
    assert near < 0.5 * far
    assert near < 0.5 * another
    assert another > nothing > near  # to name the wrong artery is worse than to name none


def test_decoded_heat_lies_where_the_lesion_is(trained):
    target = label_maps(30, 102)
    heat, decoded = trained.maps(one_hot(target)), trained(one_hot(target))
    both = torch.stack([heat.flatten(), decoded.flatten()])
    assert torch.corrcoef(both)[0, 1] > 0.7
    fit = trained.diagnostics
    assert set(fit) == {f"autoencoder_fit_{a}" for a in ("LAD", "LCX", "RCA")}
    assert all(0.3 < value < 1 for value in fit.values())


def test_heat_is_that_of_the_cells_where_the_grid_does_not_divide():
    grid = (5, 33, 18)  # positions of (1, 4, 2) cells; the last along y holds one cell alone
    model = HeatAutoencoder(grid)
    assert model.shape == (5, 9, 9)
    target = torch.zeros(1, *grid, dtype=torch.int64)
    target[0, 2, 32, 4] = 2
    heat = model.maps(one_hot(target))
    # one cell of eight, smoothed: the middle keeps an eighth of it, its neighbour a sixteenth
    assert heat[0, 1, 2, 8, 2] == pytest.approx(torch.log1p(torch.tensor(32 / 8 / 8)).item())
    assert heat[0, 1, 2, 7, 2] == pytest.approx(torch.log1p(torch.tensor(32 / 8 / 16)).item())
    assert not heat[0, [0, 2]].any()


def test_maps_without_lesions_have_an_error_and_no_fit():
    model = HeatAutoencoder(GRID)
    error = model.error(torch.zeros(2, *GRID, dtype=torch.int64))
    error.backward()
    assert torch.isfinite(error)
    assert all(value != value for value in model.diagnostics.values())  # NaN


@pytest.mark.parametrize("labels", ["heat", "cells"])
def test_the_weight_scales_the_code_and_nought_takes_it_away(labels):
    target = label_maps(2, 5)
    batch = Batch(
        torch.randn(2, 3, *GRID), target, target > 0, torch.zeros(2, 12), torch.zeros(2, 8, 12)
    )
    terms = {}
    for weight in (0, 0.01, 1):
        torch.manual_seed(0)
        model = ACNNSeg(GRID, 3, 8, labels=labels, code_weight=weight).train()
        autoencoder, segmenter = model.stages()
        assert float(autoencoder.losses(batch)["label reconstruction"].detach()) > 0
        terms[weight] = segmenter.losses(batch)
    assert set(terms[0]) == {"segmentation"}
    torch.testing.assert_close(100 * terms[0.01]["code"], terms[1]["code"])
    assert float(terms[1]["code"].detach()) > 0
    # with and without: the same network else
    torch.testing.assert_close(terms[0]["segmentation"], terms[1]["segmentation"])


def test_unknown_labels_are_refused():
    with pytest.raises(ValueError, match="'heat' or 'cells'"):
        ACNNSeg(GRID, 3, 8, labels="shapes")
