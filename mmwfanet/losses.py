"""The regularisers of the objective, eqs. 4 and 5; its Dice index is the contract's."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

ARTERIES = 3
INTER_FORMS = ("differentiable", "as-printed")


def intra_task(modules: Iterable[nn.Module]) -> Tensor:
    """R_intra, eq. 4: squared L2 norm of the weights of both heads."""
    return sum(
        p.square().sum()
        for module in modules
        for n, p in module.named_parameters()
        if "bias" not in n
    )


def named_counts(logits: Tensor, mask: Tensor) -> Tensor:
    """Candidate cells that are named LAD, LCX and RCA, (B, 3): the printed #pixels, no gradient."""
    named = logits.detach().argmax(dim=1)
    return torch.stack([((named == a) & mask).sum(dim=(1, 2, 3)) for a in (1, 2, 3)], dim=1).float()


def inter_task(counts: Tensor, scores: Tensor, form: str = "differentiable") -> Tensor:
    """R_inter, eq. 5: scores must agree with the segmentation.

    Parameters
    ----------
    counts : Tensor, (B, 3)
        Cells that the segmentation names LAD, LCX and RCA; see :func:`named_counts`.
    scores : Tensor, (B, 12)
        Estimated ln(1 + score), [Agatston, volume, mass] x [LAD, LCX, RCA, whole].
    form : "differentiable" or "as-printed"
        ``as-printed`` takes eq. 5 to the letter. Its first term counts the cases in which a
        category has no cell *and* a score of zero, the opposite of the aim that the text states,
        and has no gradient. ``differentiable`` takes the absolute score where there is no cell. The
        second term is the printed one in both: a penalty when the order of two arteries by score
        contradicts their order by cells.

    Returns
    -------
    Tensor
        Scalar, mean over the batch. Its gradient reaches the scores: #pixels has none.
    """
    by_artery = scores.reshape(-1, 3, ARTERIES + 1)  # (B, score, category)
    cells = torch.cat([counts, counts.sum(dim=1, keepdim=True)], dim=1)
    empty = (cells < 0.5).unsqueeze(1)
    if form == "as-printed":
        first = (empty & (by_artery.abs() < 0.5)).float().mean()
    elif form == "differentiable":
        first = (empty * by_artery.abs()).mean()
    else:
        raise ValueError(f"form must be 'differentiable' or 'as-printed', not {form!r}")
    second = scores.new_zeros(())
    for a in range(ARTERIES):
        for b in range(a + 1, ARTERIES):
            order = torch.sign(counts[:, a] - counts[:, b]).unsqueeze(1)
            wrong = torch.relu(-order * (by_artery[:, :, a] - by_artery[:, :, b]))
            second = second + wrong.mean()
    return first + second / ARTERIES
