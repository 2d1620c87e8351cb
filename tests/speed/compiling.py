"""A step with losses compiled by torch.compile beside one without, and what compiling takes."""

from __future__ import annotations

import os
import tempfile
from dataclasses import replace

import torch
from ratio import Line, least
from training_steps import batch, main_stage, network, step_of, tier

from benchmark.training.compilation import compiled, first_pass
from benchmark.training.memory import keep_freed

NAMES = ("mmwfanet", "unet3d")


def measure(names: tuple[str, ...] = NAMES, rounds: int = 8) -> list[Line]:
    """Step, compile time with an empty cache, and the steps that pay for it."""
    torch.set_num_threads(1)
    keep_freed()
    settings, lines = replace(tier(), compile="default"), []
    data = batch(settings)
    for name in names:
        plain, _ = main_stage(network(name, settings), data)
        stage, _ = main_stage(network(name, settings), data)
        with tempfile.TemporaryDirectory() as cache:
            os.environ["TORCHINDUCTOR_CACHE_DIR"] = cache
            stage = compiled(stage, settings.compile)
            seconds = first_pass(stage, data, settings.compile)
            steps = {"with": stage, "without": plain}
            found = least({n: step_of(s, settings, data) for n, s in steps.items()}, rounds)
            del os.environ["TORCHINDUCTOR_CACHE_DIR"]
        gain = found["without"] - found["with"]
        pays = f"pays after {seconds / gain:,.0f} steps" if gain > 0 else "never pays"
        lines.append(
            Line(
                "torch.compile (an option), one thread",
                f"{name}: {pays}",
                f"{1000 * found['with']:.0f} ms, compiled in {seconds:.0f} s",
                f"without {1000 * found['without']:.0f} ms",
                found["without"] / found["with"],
                "x",
                floor=0.9,
            )
        )
    return lines
