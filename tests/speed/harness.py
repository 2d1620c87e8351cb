"""What the harness adds to a bare loop over the same batches, and what data cost of a training."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import torch
from ratio import Line, least
from training_steps import GRID, main_stage, methods, network, step_of, tier

from benchmark.contract import stages_of
from benchmark.scale.noise import noise_scans, training_set
from benchmark.training.batches import TrainingSet
from benchmark.training.loop import Trainer
from benchmark.training.memory import keep_freed

SECTION = "harness, quick tier, one thread"
SCANS = 32
SHORT, LONG = 6, 30
"""Steps of two trainings; their difference leaves out what is done once."""


def scans() -> TrainingSet:
    """Random scans on the quick tier's grid."""
    settings = tier()
    return training_set(noise_scans(GRID, settings), SCANS, settings)


def trained(name: str, data: TrainingSet, steps: int) -> tuple[float, Trainer]:
    """CPU seconds of a training through the harness, and its trainer."""
    settings = replace(tier(), budget=f"{steps} steps")
    trainer = Trainer(network(name, settings), data, settings, 0, torch.device("cpu"), 1)
    begin = time.process_time()
    trainer.run()
    return time.process_time() - begin, trainer


def bare(name: str, data: TrainingSet, steps: int) -> float:
    """CPU seconds of the same number of steps, data included, without a harness around them."""
    settings, random = tier(), np.random.default_rng(0)
    draw = data.batches(settings.batch_size, random)
    stage = stages_of(network(name, settings))[0]
    step = step_of(stage, settings, data.take(next(draw)))
    begin = time.process_time()
    for _ in range(steps):
        step(data.augmented(next(draw), settings, random))
    return time.process_time() - begin


def overhead(name: str = "unet3d", rounds: int = 4) -> Line:
    """A step through the harness beside one of a bare loop; a network of one stage."""
    keep_freed()  # as in a run
    data, whole, loop = scans(), [], []
    trained(name, data, SHORT)  # what PyTorch imports at its first optimiser is not the loop's
    for _ in range(rounds):
        short, _ = trained(name, data, SHORT)
        long, _ = trained(name, data, LONG)
        whole.append((long - short) / (LONG - SHORT))
        loop.append(bare(name, data, LONG - SHORT) / (LONG - SHORT))
    return Line(
        SECTION,
        f"{name}: a step beside a bare loop",
        f"{1000 * min(whole):.1f} ms",
        f"{1000 * min(loop):.1f} ms",
        100 * (min(whole) / min(loop) - 1),
        "%",
        2.0,
        most=True,
        floor=25.0,
    )


def data_share(name: str, data: TrainingSet, rounds: int = 8) -> Line:
    """CPU time of a batch's draw and augmentation, as a share of the step it feeds."""
    settings, random = tier(), np.random.default_rng(0)
    draw = data.batches(settings.batch_size, random)
    batch = data.take(next(draw))
    stage, _ = main_stage(network(name, settings), batch)
    seconds = least(
        {
            "data": lambda: data.augmented(next(draw), settings, random),
            "step": step_of(stage, settings, batch),
        },
        rounds,
    )
    return Line(
        SECTION,
        f"{name}: data, share of a step",
        f"{1000 * seconds['data']:.1f} ms",
        f"{1000 * seconds['step']:.0f} ms",
        100 * seconds["data"] / seconds["step"],
        "%",
        2.0,
        most=True,
        floor=15.0,
    )


def measure(names: tuple[str, ...] | None = None) -> list[Line]:
    """Data's share for each network, and the overhead of the harness for one."""
    torch.set_num_threads(1)
    keep_freed()
    data = scans()
    return [*(data_share(name, data) for name in names or methods()), overhead()]
