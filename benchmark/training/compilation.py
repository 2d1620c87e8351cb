"""The losses of a stage compiled by torch.compile, forward and backward pass: an option.

Compiling takes half a minute to a minute a network on two cores, once a process, outside the clock
of device-seconds: the ledger tells how long. Whether a training is long enough to pay for that
depends on the machine (docs/speed.md).
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from benchmark.contract import Batch, Stage

Losses = Callable[[Batch], dict[str, Tensor]]


class NotCompiled(Exception):
    """The losses could not be compiled; the message is one line."""


def compiled(stage: Stage, mode: str) -> Stage:
    """The same stage, its losses and its opponent's compiled at their first call.

    Parameters
    ----------
    stage : Stage
    mode : "default" or "reduce-overhead"
        The latter replays CUDA graphs on a GPU; a CPU has none, and compiles as by default.
    """
    # what cannot be compiled runs as it is: no fault, and no word on the screen
    torch._logging.set_logs(dynamo=logging.ERROR, inductor=logging.ERROR)
    opponent = stage.opponent_losses
    return replace(
        stage,
        losses=_one(stage.losses, mode),
        opponent_losses=None if opponent is None else _one(opponent, mode),
    )


def _one(losses: Losses, mode: str) -> Losses:
    return torch.compile(losses, mode=None if mode == "default" else mode)


def first_pass(stage: Stage, batch: Batch, mode: str) -> float:
    """Compile by one forward and backward pass; wall-clock seconds.

    Raises
    ------
    NotCompiled
        If that fails.
    """
    begin = time.perf_counter()
    if not batch.scores.is_cuda and shutil.which("g++") is None and shutil.which("clang++") is None:
        raise NotCompiled("compile needs a C++ compiler (g++ or clang++), and there is none")
    try:
        for losses in (stage.opponent_losses, stage.losses):
            if losses is not None:
                new_step(mode)
                sum(losses(batch).values()).backward()
    except Exception as error:
        words = (str(error).strip() or "no message").splitlines()[0][:200]
        raise NotCompiled(
            f"torch.compile failed ({type(error).__name__}: {words}); train without compile"
        ) from error
    return time.perf_counter() - begin


def new_step(mode: str) -> None:
    """CUDA graphs may use the memory of the last step's results again."""
    if mode == "reduce-overhead":
        torch.compiler.cudagraph_mark_step_begin()
