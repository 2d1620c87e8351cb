"""What a budget in device-seconds buys: beside other work, and with two trainings side by side.

Each training is a process of its own, as in a run. Its budget is counted by the product's clock.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from ratio import Line

SECTION = "a budget of device-seconds, quick tier"
NAMES = ("unet3d", "fcn3d")
SECONDS = 6.0
"""Core-seconds of a training."""

BUSY = "while True: pass"


def train(name: str, threads: int, seconds: float) -> tuple[float, int]:
    """Train in this process; wall-clock seconds and the steps that the budget bought."""
    import torch
    from harness import scans
    from training_steps import network, tier

    from benchmark.training.loop import Trainer
    from benchmark.training.memory import keep_freed

    torch.set_num_threads(threads)
    keep_freed()
    settings = replace(tier(), budget=f"{seconds} s")
    trainer = Trainer(network(name, settings), scans(), settings, 0, torch.device("cpu"), threads)
    begin = time.monotonic()
    trainer.run()
    return time.monotonic() - begin, trainer.spending.steps


def started(name: str, threads: int, spin: bool = False) -> subprocess.Popen:
    """A process that trains under `SECONDS` core-seconds; it prints seconds and steps."""
    environment = {**os.environ}
    environment.pop("OMP_NUM_THREADS", None)
    environment["OMP_WAIT_POLICY"] = "ACTIVE" if spin else "PASSIVE"
    return subprocess.Popen(
        [sys.executable, __file__, name, str(threads), str(SECONDS / threads)],
        stdout=subprocess.PIPE, text=True, env=environment, cwd=Path(__file__).parent,
    )  # fmt: skip


def ended(process: subprocess.Popen) -> tuple[float, int]:
    """Wall-clock seconds of the training, and its steps."""
    words = process.communicate()[0].split()
    return float(words[-2]), int(words[-1])


@contextmanager
def busy(count: int):
    """Other programs at work meanwhile."""
    others = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(count)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def beside_work(name: str, threads: int, spin: bool, words: str, goal: float | None) -> Line:
    """Steps beside two busy programs over those on the machine as it is, with equal budgets."""
    alone = ended(started(name, threads, spin))[1]
    with busy(2):
        loaded = ended(started(name, threads, spin))[1]
    return Line(
        SECTION, f"{name}: steps beside two busy programs, {words}", f"{loaded}", f"{alone}",
        loaded / alone, "x", goal, floor=None if goal is None else 0.6,
    )  # fmt: skip


def side_by_side(name: str) -> Line:
    """Steps a wall second of two trainings of one thread, over one after the other on two."""
    one = [ended(started(name, 2)) for _ in range(2)]
    pair = [started(name, 1), started(name, 1)]
    both = [ended(process) for process in pair]
    before = sum(steps for _, steps in one) / sum(wall for wall, _ in one)
    now = sum(steps for _, steps in both) / max(wall for wall, _ in both)
    return Line(
        SECTION, f"{name}: two trainings side by side, one thread each", f"{now:.1f} steps/s",
        f"{before:.1f} steps/s", now / before, "x", 1.2, floor=0.9,
    )  # fmt: skip


def measure() -> list[Line]:
    """All lines."""
    lines = [side_by_side(name) for name in NAMES]
    lines += [beside_work(name, 1, False, "one thread", 0.85) for name in NAMES]
    lines.append(beside_work("unet3d", 2, False, "two threads that sleep", None))
    lines.append(beside_work("unet3d", 2, True, "two threads that spin", None))
    return lines


if __name__ == "__main__":
    print(*train(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
