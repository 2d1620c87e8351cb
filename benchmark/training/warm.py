"""What a process loads before it forks, so that no child has to load it again.

PyTorch imports several hundred modules when the first optimiser is made and the first operations
are counted: a second of a processor for each method, in a fork of a process that has not done so.
"""

from __future__ import annotations

import torch
import torch._dynamo  # an optimiser imports it at its first step
from torch.utils.flop_counter import FlopCounterMode

from benchmark.commit import git_commit


def load() -> None:
    """Import what training imports late. No sum is large enough for a thread to begin."""
    weight = torch.nn.Parameter(torch.ones(1))
    optimiser = torch.optim.AdamW([weight], fused=True)
    with FlopCounterMode(display=False):
        (weight * 2).sum().backward()
    optimiser.step()
    optimiser.zero_grad()
    git_commit()
