"""What the settings mean to the loop: optimiser, learning rate over a stage, number format."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import nn

from benchmark.training.settings import Settings

WARM_UP = 0.05
"""Share of a stage over which the learning rate rises to its full value."""
DECAY_PER_EPOCH = 0.985
PAPER_EPOCHS = 200


def learning_rate_factor(
    settings: Settings, spent: float, epochs_planned: float = PAPER_EPOCHS
) -> float:
    """Multiple of the learning rate at a share ``spent`` (0 to 1) of a stage's budget."""
    if settings.schedule == "exponential":
        return DECAY_PER_EPOCH ** (epochs_planned * min(spent, 1.0))
    if spent < WARM_UP:
        return max(spent / WARM_UP, 0.05)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (spent - WARM_UP) / (1 - WARM_UP))))


def make_optimiser(
    settings: Settings, parameters: Iterable[nn.Parameter], rate: float
) -> torch.optim.Optimizer:
    """The settings' optimiser over ``parameters``, at the full learning rate ``rate``."""
    kind = torch.optim.AdamW if settings.optimiser == "adamw" else torch.optim.Adam
    decay = settings.weight_decay if settings.optimiser == "adamw" else 0.0
    return kind(list(parameters), lr=rate, weight_decay=decay, fused=True)


def autocast(settings: Settings, device: torch.device) -> torch.autocast:
    """The context in which networks compute in the settings' number format."""
    kind = {"bfloat16": torch.bfloat16, "float16": torch.float16}.get(settings.precision)
    return torch.autocast(device.type, kind or torch.bfloat16, enabled=kind is not None)
