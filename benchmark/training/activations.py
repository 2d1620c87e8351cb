"""Activation checkpointing: blocks of a network are computed again in the backward pass.

Between forward and backward pass a network keeps what each layer gave. With checkpointing a block
keeps its input alone, and computes the rest again when its gradient is wanted: less memory, about
a third more time, the same gradients.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils import parametrize
from torch.utils.checkpoint import checkpoint

_CONVOLUTIONS = (
    nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d,
)  # fmt: skip


def blocks_of(model: nn.Module) -> list[nn.Module]:
    """The blocks that are checkpointed: the smallest parts with at least two convolutions, and
    what has one convolution and lies in none of these.

    Parts with a parametrisation are left alone: spectral norm changes its state at each pass.
    """
    return [block for child in model.children() for block in _blocks(child)]


def _blocks(module: nn.Module) -> list[nn.Module]:
    parts = list(module.children())
    count = _convolutions(module)
    if not parts or not count:
        return []
    list_of_parts = isinstance(module, nn.ModuleList | nn.ModuleDict)
    if not list_of_parts and all(_convolutions(part) < 2 for part in parts):
        changes = any(parametrize.is_parametrized(part) for part in module.modules())
        return [] if changes else [module]
    return [block for part in parts for block in _blocks(part)]


def _convolutions(module: nn.Module) -> int:
    return sum(isinstance(part, _CONVOLUTIONS) for part in module.modules())


def checkpoint_blocks(model: nn.Module) -> int:
    """Checkpoint a network's blocks while it trains; their number. Names and weights stay."""
    blocks = blocks_of(model)
    for block in blocks:
        _wrap(block)
    return len(blocks)


def _wrap(block: nn.Module) -> None:
    forward = block.forward

    def checkpointed(*inputs, **options):
        if not (torch.is_grad_enabled() and block.training):
            return forward(*inputs, **options)

        def contexts():
            return nullcontext(), _again(block)

        return checkpoint(forward, *inputs, use_reentrant=False, context_fn=contexts, **options)

    block.forward = checkpointed


@contextmanager
def _again(block: nn.Module) -> Iterator[None]:
    """Within, a block is computed a second time: its batch norms have counted these values."""
    norms = [part for part in block.modules() if isinstance(part, _BatchNorm)]
    own = [dict(norm._buffers) for norm in norms]
    for norm, buffers in zip(norms, own, strict=True):
        norm._buffers.update({n: None if b is None else b.clone() for n, b in buffers.items()})
    try:
        yield
    finally:
        for norm, buffers in zip(norms, own, strict=True):
            norm._buffers.update(buffers)
