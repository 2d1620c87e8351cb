"""Peak memory and time of a step on slices of 512 x 512, with and without activation checkpointing.

Each side is a process of its own: memory that one has freed would serve the other.
"""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import torch
from ratio import Line
from training_steps import batch, network, step_of, tier

from benchmark.contract import stages_of
from benchmark.training.activations import checkpoint_blocks
from benchmark.training.clock import PeakMemory

GRID = (8, 512, 512)
NAMES = ("mmwfanet", "unet3d")


def step(name: str, on: bool) -> tuple[float, float]:
    """In this process: bytes that two steps of one scan add at most, CPU seconds of the second."""
    torch.set_num_threads(1)
    settings = replace(tier(), batch_size=1)
    data, model = batch(settings, GRID), network(name, settings, GRID)
    if on:
        checkpoint_blocks(model)
    work = step_of(stages_of(model)[0], settings, data)
    memory = PeakMemory(torch.device("cpu"))
    before = memory.bytes()
    work()
    begin = time.process_time()
    work()
    return memory.bytes() - before, time.process_time() - begin


def apart(name: str, on: bool) -> tuple[float, float]:
    """What `step` gives, from a process of its own."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import activations; print(*activations.step(sys.argv[2], sys.argv[3] == 'on'))"
    )
    words = [sys.executable, "-c", code, str(Path(__file__).parent), name, "on" if on else "off"]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    return tuple(map(float, done.stdout.split()))


def measure(names: tuple[str, ...] = NAMES) -> list[Line]:
    """Memory and time of a step with checkpointing beside those without."""
    lines = []
    for name in names:
        (without, plain), (saving, again) = (apart(name, on) for on in (False, True))
        section = f"activation checkpointing (an option), {' x '.join(map(str, GRID))} cells"
        lines += [
            Line(
                section,
                f"{name}: peak memory of a step",
                f"{saving / 1e6:.0f} MB",
                f"without {without / 1e6:.0f} MB",
                saving / without,
                "x",
                floor=1.0,
                most=True,
            ),
            Line(
                section,
                f"{name}: time of a step",
                f"{again:.2f} s",
                f"without {plain:.2f} s",
                again / plain,
                "x",
            ),
        ]
    return lines
