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
from typing import NamedTuple

from ratio import Line

SECTION = "a budget of device-seconds, quick tier"
NAMES = ("unet3d", "fcn3d")
SECONDS = 3.0
"""Core-seconds of a training. Short, so that the section takes about two minutes: what is compared
are steps a device-second, which a last step that overruns the budget does not change."""

BUSY = "while True: pass"


class Trained(NamedTuple):
    """What a training of another process came to."""

    wall: float
    steps: int
    rate: float


def train(name: str, threads: int, seconds: float) -> tuple[float, int, float]:
    """Train in this process; wall-clock seconds, steps, and steps a device-second."""
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
    spent = trainer.spending.as_dict()
    return time.monotonic() - begin, spent["steps"], spent["steps"] / spent["device_seconds"]


def started(name: str, threads: int, spin: bool = False) -> subprocess.Popen:
    """A process that trains under `SECONDS` core-seconds; it prints seconds and steps."""
    environment = {**os.environ}
    environment.pop("OMP_NUM_THREADS", None)
    environment["OMP_WAIT_POLICY"] = "ACTIVE" if spin else "PASSIVE"
    return subprocess.Popen(
        [sys.executable, __file__, name, str(threads), str(SECONDS / threads)],
        stdout=subprocess.PIPE, text=True, env=environment, cwd=Path(__file__).parent,
    )  # fmt: skip


def ended(process: subprocess.Popen) -> Trained:
    """What the training came to."""
    words = process.communicate()[0].split()
    return Trained(float(words[-3]), int(words[-2]), float(words[-1]))


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
    """Steps a device-second beside two busy programs over those on the machine as it is."""
    alone = ended(started(name, threads, spin))
    with busy(2):
        loaded = ended(started(name, threads, spin))
    return Line(
        SECTION, f"{name}: steps beside two busy programs, {words}", f"{loaded.rate:.2f} /s",
        f"{alone.rate:.2f} /s", loaded.rate / alone.rate, "x", goal,
        floor=None if goal is None else 0.6,
    )  # fmt: skip


def side_by_side(name: str) -> Line:
    """Steps a wall second of two trainings of one thread, over those of one on two threads."""
    one = ended(started(name, 2))
    pair = [started(name, 1), started(name, 1)]
    both = [ended(process) for process in pair]
    before = one.steps / one.wall
    now = sum(each.steps for each in both) / max(each.wall for each in both)
    return Line(
        SECTION, f"{name}: two trainings side by side, one thread each", f"{now:.1f} steps/s",
        f"{before:.1f} steps/s", now / before, "x", 1.2, floor=0.9,
    )  # fmt: skip


def measure(names: tuple[str, ...] | None = None) -> list[Line]:
    """All lines; with ``names`` only what other work costs the steps of these methods."""
    if names is not None:
        return [beside_work(name, 1, False, "one thread", 0.85) for name in names]
    return [
        side_by_side(NAMES[0]),
        *(beside_work(name, 1, False, "one thread", 0.85) for name in NAMES),
        beside_work(NAMES[0], 2, False, "two threads that sleep", None),
        beside_work(NAMES[0], 2, True, "two threads that spin", None),
    ]


if __name__ == "__main__":
    print(*train(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
