"""The network's parts do what the paper's equations say."""

import pytest
import torch

from benchmark.contract import generalised_dice
from mmwfanet import MMWFAnet
from mmwfanet.encoders import from_slices, to_slices
from mmwfanet.fusion import WeightedFusion
from mmwfanet.heads import ScoreHead
from mmwfanet.losses import inter_task, named_counts

GRID = (8, 16, 16)


@pytest.mark.parametrize("view", ["axial", "coronal", "sagittal"])
def test_slices_of_a_view_and_back(view):
    volume = torch.randn(2, 3, 4, 5, 6)
    assert torch.equal(from_slices(to_slices(volume, view), view, 2), volume)


def test_coronal_slices_show_z_against_x():
    volume = torch.randn(1, 1, 4, 5, 6)
    assert torch.equal(to_slices(volume, "coronal")[2, 0], volume[0, 0, :, 2, :])
    assert torch.equal(to_slices(volume, "sagittal")[3, 0], volume[0, 0, :, :, 3])


def test_gate_by_hand():
    one = torch.ones(1, 1, 1, 1, 1)
    fused = WeightedFusion(1)({"axial": 2 * one, "coronal": 0 * one, "sagittal": 100 * one})
    assert fused.item() == pytest.approx((0.5 + 1 + 1) * 2)


def test_auxiliary_encoders_have_weights_of_their_own_and_learn():
    model = MMWFAnet(GRID, 3, 8)
    model(torch.randn(2, 3, *GRID))["logits"].square().mean().backward()
    coronal, sagittal = model.encoders["coronal"].last, model.encoders["sagittal"].last
    assert not torch.equal(coronal.weight, sagittal.weight)
    assert coronal.weight.grad.abs().sum() > 0
    assert sagittal.weight.grad.abs().sum() > 0


def test_axial_alone_builds_one_encoder():
    assert list(MMWFAnet(GRID, 3, 8, fusion="axial").encoders) == ["axial"]


@pytest.mark.parametrize("stride", [2, 4])
@pytest.mark.parametrize("head_sum", ["presence", "scores", "logarithms"])
@pytest.mark.parametrize("pooled", [5, 0])
@pytest.mark.parametrize("grid", [(8, 16, 16), (9, 17, 19)])
def test_any_grid_stride_and_head_gives_the_right_shapes(stride, head_sum, pooled, grid):
    options = {"stem_stride": stride, "head_sum": head_sum, "head_pooled": pooled}
    model = MMWFAnet(grid, 3, 8, **options).eval()
    output = model(torch.randn(2, 3, *grid))
    assert output["logits"].shape == (2, 4, *grid)
    assert output["scores"].shape == (2, 12)


def test_the_score_head_adds_slices_in_score_space():
    head = ScoreHead(4, (8, 8), 3).eval()
    gathered = head.gather(torch.randn(1, 4, 3, 8, 8))
    output = head(gathered)
    parts = torch.expm1(output["slice_scores"]).sum(dim=1)
    assert torch.allclose(torch.expm1(output["scores"]), parts, rtol=1e-4)


def test_generalised_dice_ends():
    target = torch.tensor([[[[0, 1, 2, 3]]]])
    mask = torch.ones_like(target, dtype=torch.bool)
    right = 50 * torch.nn.functional.one_hot(target, 4).movedim(-1, 1).float()
    assert generalised_dice(right, target, mask).item() == pytest.approx(0, abs=1e-6)
    wrong = right.roll(1, dims=1)
    assert generalised_dice(wrong, target, mask).item() == pytest.approx(1, abs=1e-6)
    assert generalised_dice(right, target, ~mask).item() == 0


def test_inter_task_penalises_a_score_without_a_lesion_and_a_contradicted_order():
    counts = torch.tensor([[4.0, 0.0, 1.0]])

    def scores(lad, lcx, rca):
        return torch.tensor([[lad, lcx, rca, 0.0]]).repeat(1, 3)

    agrees = inter_task(counts, scores(3.0, 0.0, 1.0))
    assert agrees < inter_task(counts, scores(3.0, 1.0, 1.0))
    # RCA above LAD though it has fewer cells
    assert agrees < inter_task(counts, scores(1.0, 0.0, 3.0))


def test_inter_task_knows_the_whole_heart_as_a_category():
    empty, some = torch.zeros(1, 3), torch.tensor([[2.0, 0.0, 0.0]])
    whole = torch.tensor([[0.0, 0.0, 0.0, 3.0]]).repeat(1, 3)
    assert inter_task(empty, whole).item() == pytest.approx(3.0 / 4)
    assert inter_task(some, whole).item() == 0


def test_labels_are_counted_on_candidates_alone():
    logits = torch.zeros(1, 4, 1, 2, 3)
    logits[0, 2, 0, 0] = 5  # the LCX in the first row
    logits[0, 3, 0, 1, 0] = 5
    logits[0, 0, 0, 1, 1:] = 5
    mask = torch.tensor([[[[True, True, False], [True, True, True]]]])
    assert named_counts(logits, mask).tolist() == [[0, 2, 1]]


def test_the_printed_term_rewards_the_opposite_and_has_no_gradient():
    """Equation 5 to the letter counts an empty artery with a score of zero as a violation."""
    counts = torch.zeros(1, 3)
    zero = torch.zeros(1, 12, requires_grad=True)
    assert inter_task(counts, zero, "as-printed") > inter_task(counts, zero + 3, "as-printed")
    inter_task(counts, zero, "as-printed").backward()
    assert zero.grad.abs().sum() == 0
