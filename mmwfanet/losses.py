"""The objective, eqs. 4 to 6: generalised Dice and the two regularisers."""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmark.contract import gathers, sum_over_devices

ARTERIES = 3
DICE_WEIGHTINGS = ("sudre", "uniform")
INTER_FORMS = ("differentiable", "as-printed")


def generalised_dice(
    logits: Tensor, target: Tensor, mask: Tensor, weighting: str = "sudre"
) -> Tensor:
    """One minus the generalised Dice index over the masked cells of the whole batch.

    The paper cites Liu (2010) for the index; its name stands for Sudre et al. (2017) elsewhere.
    Sudre's form weights each class by the inverse square of its volume, so that a small artery
    counts as much as a large one; ``uniform`` leaves the classes unweighted, summing intersections
    and volumes over them.

    Parameters
    ----------
    logits : Tensor, (B, 4, Z, Y, X)
    target : Tensor, (B, Z, Y, X), int64
    mask : Tensor, (B, Z, Y, X), bool
        Cells that count: the candidates.
    weighting : "sudre" or "uniform"

    Returns
    -------
    Tensor
        Scalar in 0..1; 0, with a gradient, if no cell counts.
    """
    if not gathers(logits):
        share, truth = _masked_rows(logits, target, mask)
    else:
        rows = logits.movedim(1, -1)[mask].float()  # (cells, 4)
        if len(rows) == 0:
            return logits.sum() * 0.0
        share = rows.softmax(dim=1)
        truth = F.one_hot(target[mask], logits.shape[1]).to(share.dtype)
    volume = sum_over_devices(truth.sum(dim=0))
    if weighting == "sudre":
        # a class absent from the batch would weigh infinitely: it takes the largest finite weight
        weight = torch.where(volume > 0, 1 / volume.clamp(min=1) ** 2, 0.0)
        weight = torch.where(volume > 0, weight, weight.max())
    else:
        weight = torch.ones_like(volume)
    overlap = (weight * sum_over_devices((share * truth).sum(dim=0))).sum()
    total = (weight * sum_over_devices((share + truth).sum(dim=0))).sum()
    loss = 1 - 2 * overlap / total.clamp(min=1e-8)
    return torch.where(volume.sum() > 0, loss, 0 * loss)


def _masked_rows(logits: Tensor, target: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Class shares and truth of all cells, (cells, 4), zero where a cell does not count."""
    keep = mask.unsqueeze(-1)
    rows = logits.movedim(1, -1)
    kinds = torch.arange(logits.shape[1], device=logits.device)
    share = rows.float().softmax(dim=-1) * keep
    truth = (target.unsqueeze(-1) == kinds) & keep
    return share.flatten(0, 3), truth.flatten(0, 3).to(share.dtype)


def intra_task(modules: Iterable[nn.Module]) -> Tensor:
    """R_intra, eq. 4: squared L2 norm of the weights of both heads."""
    return sum(
        p.square().sum()
        for module in modules
        for n, p in module.named_parameters()
        if "bias" not in n
    )


def soft_counts(logits: Tensor, mask: Tensor) -> Tensor:
    """Expected number of candidate cells of each artery, (B, 3): the differentiable #pixels."""
    if not gathers(logits):
        share = logits.float().softmax(dim=1)[:, 1:]
        return (share * mask.unsqueeze(1)).sum(dim=(2, 3, 4))
    # on the candidates alone, a tenth of the cells
    share = logits.movedim(1, -1)[mask].float().softmax(dim=1)[:, 1:]
    scan = torch.arange(len(mask), device=mask.device).view(-1, 1, 1, 1).expand_as(mask)[mask]
    return share.new_zeros(len(mask), ARTERIES).index_add(0, scan, share)


def inter_task(
    counts: Tensor, scores: Tensor, form: str = "differentiable", sharpness: float = 2.0
) -> Tensor:
    """R_inter, eq. 5: scores must agree with the segmentation.

    Parameters
    ----------
    counts : Tensor, (B, 3)
        Cells of LAD, LCX and RCA (soft counts).
    scores : Tensor, (B, 12)
        Estimated ln(1 + score), [Agatston, volume, mass] x [LAD, LCX, RCA, whole].
    form : "differentiable" or "as-printed"
        ``as-printed`` takes eq. 5 to the letter. Its first term counts the cases in which an artery
        has no cell *and* a score of zero, the opposite of the aim that the text states, and has no
        gradient. ``differentiable`` multiplies the absolute score by a smooth indicator of "no
        cell". The second term is the printed one in both: a penalty when the order of two arteries
        by score contradicts their order by cells.
    sharpness : float
        Of the indicator exp(-sharpness * count): half a cell of expected calcium opens the gate to
        37 %.

    Returns
    -------
    Tensor
        Scalar, mean over the batch.
    """
    by_artery = scores.reshape(-1, 3, ARTERIES + 1)[:, :, :ARTERIES]  # (B, score, artery)
    if form == "as-printed":
        empty = (counts < 0.5).unsqueeze(1)
        first = (empty & (by_artery.abs() < 0.5)).float().mean()
    elif form == "differentiable":
        first = (torch.exp(-sharpness * counts.detach()).unsqueeze(1) * by_artery.abs()).mean()
    else:
        raise ValueError(f"form must be 'differentiable' or 'as-printed', not {form!r}")
    second = scores.new_zeros(())
    for a in range(ARTERIES):
        for b in range(a + 1, ARTERIES):
            order = torch.sign(counts[:, a] - counts[:, b]).detach().unsqueeze(1)
            wrong = torch.relu(-order * (by_artery[:, :, a] - by_artery[:, :, b]))
            second = second + wrong.mean()
    return first + second / ARTERIES
