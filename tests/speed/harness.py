"""What the harness adds to a bare loop over the same batches, and what data cost of a training."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import torch
from ratio import Line
from training_steps import GRID, network, step_of, tier

from benchmark.contract import stages_of
from benchmark.training.batches import TrainingSet
from benchmark.training.loop import Trainer

SCANS = 32
SHORT, LONG = 6, 30
"""Steps of two trainings; their difference leaves out what is done once."""


def scans() -> TrainingSet:
    """Random scans on the quick tier's grid."""
    draw = torch.Generator().manual_seed(0)
    return TrainingSet(
        torch.randn(SCANS, 3, *GRID, generator=draw).half(),
        torch.randint(0, 4, (SCANS, *GRID), generator=draw).to(torch.uint8),
        torch.rand(SCANS, *GRID, generator=draw) < 0.1,
        5 * torch.rand(SCANS, 12, generator=draw),
        3 * torch.rand(SCANS, GRID[0], 12, generator=draw),
    )


def trained(name: str, data: TrainingSet, steps: int) -> tuple[float, Trainer]:
    """CPU seconds of a training through the harness, and its trainer."""
    settings = replace(tier(), budget=f"{steps} steps")
    trainer = Trainer(network(name, settings), data, settings, 0, torch.device("cpu"), 1)
    begin = time.process_time()
    trainer.run()
    return time.process_time() - begin, trainer


def bare(name: str, data: TrainingSet, steps: int) -> float:
    """CPU seconds of the same number of steps on batches that lie ready."""
    settings = tier()
    draw = data.batches(settings.batch_size, np.random.default_rng(0))
    ready = [data.take(next(draw)) for _ in range(steps)]
    stage = stages_of(network(name, settings))[0]
    begin = time.process_time()
    for batch in ready:
        step_of_batch(stage, settings, batch)
    return time.process_time() - begin


_STEPS: dict[int, tuple] = {}


def step_of_batch(stage, settings, batch) -> None:
    """One step, with an optimiser that is made once a stage."""
    kept = _STEPS.get(id(stage))
    if kept is None or kept[0] is not stage:
        holder = [batch]
        kept = (stage, holder, step_of(stage, settings, _Held(holder)))
        _STEPS.clear()
        _STEPS[id(stage)] = kept
    kept[1][0] = batch
    kept[2]()
