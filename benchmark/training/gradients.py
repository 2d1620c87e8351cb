"""How much of the gradient each term of a loss has: whether a part that names a method acts."""

from __future__ import annotations

import copy
import math

import torch
from torch import Tensor, nn

from benchmark.contract import Batch, stages_of

LEAST_STEPS = 10
"""Steps of a stage before its gradients are looked at: those of the first say nothing."""

HALF_WAY = 0.5
"""Share of a stage at which they are."""


def gradient_shares(
    model: nn.Module, place: int, batch: Batch, autocast: torch.autocast
) -> dict[str, float]:
    """Share of each term in the gradient of the weights that more than one term moves.

    The norm of each term's gradient in these weights, over the sum of all terms' norms. It works on
    a copy, so that nothing of the training changes: neither weights nor statistics, nor what the
    network keeps from one step to the next, nor the random numbers.

    Parameters
    ----------
    model : nn.Module
    place : int
        Of the stage among the model's.
    batch : Batch
        On the model's device.
    autocast : torch.autocast
        What the training runs in.

    Returns
    -------
    dict
        By the terms' names; empty for a stage of one term, or for a network that cannot be copied.
    """
    devices = [batch.scores.device] if batch.scores.is_cuda else []
    with torch.random.fork_rng(devices):
        try:
            twin = copy.deepcopy(model)
            stage = stages_of(twin)[place]
            with autocast:
                terms = {n: v for n, v in stage.losses(batch).items() if v.requires_grad}
            if len(terms) < 2:
                return {}
            return _shares(terms, [p for p in stage.parameters if p.requires_grad])
        except Exception:
            # a measurement beside the training, which does not fail where this does
            return {}


def _shares(terms: dict[str, Tensor], parameters: list[nn.Parameter]) -> dict[str, float]:
    squares = {
        name: [
            0.0 if grad is None else float(grad.float().square().sum())
            for grad in torch.autograd.grad(term, parameters, retain_graph=True, allow_unused=True)
        ]
        for name, term in terms.items()
    }
    moved = [
        sum(square > 0 for square in column) > 1 for column in zip(*squares.values(), strict=True)
    ]
    norms = {
        name: math.sqrt(math.fsum(square for square, use in zip(row, moved, strict=True) if use))
        for name, row in squares.items()
    }
    whole = math.fsum(norms.values())
    if not (whole > 0 and math.isfinite(whole)):
        return {}
    return {name: round(norm / whole, 4) for name, norm in norms.items()}
