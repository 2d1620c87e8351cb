"""On a GPU losses mask all cells, on a CPU they gather the candidates: one value, one gradient."""

import pytest
import torch

from benchmark.contract import (
    Batch,
    _cells_of_all,
    _masked_cross_entropy,
    candidate_cross_entropy,
    generalised_dice,
)


def batch(share: float) -> tuple[torch.Tensor, Batch]:
    draw = torch.Generator().manual_seed(3)
    grid = (4, 6, 6)
    made = Batch(
        torch.zeros(2, 3, *grid),
        torch.randint(0, 3, (2, *grid), generator=draw),  # the RCA is nowhere
        torch.rand(2, *grid, generator=draw) < share,
        torch.zeros(2, 12),
        torch.zeros(2, 4, 12),
    )
    return torch.randn(2, 4, *grid, generator=draw, requires_grad=True), made


@pytest.mark.parametrize("share", [0.3, 1.0, 0.0])
def test_cross_entropy_is_the_same_masked_and_gathered(share):
    logits, made = batch(share)
    one, other = candidate_cross_entropy(logits, made), _masked_cross_entropy(logits, made)
    torch.testing.assert_close(one, other)
    torch.testing.assert_close(
        torch.autograd.grad(one, logits)[0], torch.autograd.grad(other, logits)[0]
    )


def test_masked_rows_add_up_to_those_of_the_candidates():
    logits, made = batch(0.3)
    share, truth = _cells_of_all(logits, made.target, made.candidate)
    rows = logits.movedim(1, -1)[made.candidate].softmax(dim=1)
    torch.testing.assert_close(share.sum(dim=0), rows.sum(dim=0))
    counts = torch.bincount(made.target[made.candidate], minlength=4).float()
    torch.testing.assert_close(truth.sum(dim=0), counts)
    torch.testing.assert_close(
        (share * truth).sum(),
        rows.gather(1, made.target[made.candidate].unsqueeze(1)).sum(),
    )


def test_dice_without_a_candidate_is_zero_with_a_gradient():
    logits, made = batch(0.0)
    loss = generalised_dice(logits, made.target, made.candidate)
    loss.backward()
    assert loss == 0
    assert not logits.grad.any()
