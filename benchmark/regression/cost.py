"""What a training step costs, as a ratio to convolutions timed in the same process, and memory.

Seconds tell more of a machine, and of who else is on it, than of a network. Each sitting is a fresh
process that trains a few steps in turn with a fixed loop of convolutions: what slows one slows the
other, and the ratio of their CPU times stays. Memory is the peak above what the process held.
"""

from __future__ import annotations

import multiprocessing
import statistics
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace

from benchmark.cohorts.base import Cohort
from benchmark.cohorts.split import Split
from benchmark.errors import UserError
from benchmark.memory import held_bytes
from benchmark.methods import Method
from benchmark.training.settings import Settings

ROUNDS = 5
"""Trainings of a sitting; their median counts."""

STEPS = 16
SCANS = 8
"""Steps of a round, and training scans that they draw from."""


@dataclass(frozen=True)
class Cost:
    """What one method cost in each sitting.

    Attributes
    ----------
    ratios : tuple of float
        CPU time of a training step over that of the calibration loop.
    bytes : tuple of float
        Peak memory above what the process held before.
    """

    ratios: tuple[float, ...]
    bytes: tuple[float, ...]

    def joined(self, other: Cost) -> Cost:
        """The sittings of both."""
        return Cost(self.ratios + other.ratios, self.bytes + other.bytes)


def prepare_costs(cohort: Cohort, split: Split, settings: Settings, grid: tuple[int, ...]):
    """A few training scans and one test scan on the grid of the suite's runs."""
    from benchmark.training.prepare import prepare

    few = Split(split.train[:SCANS], split.test[:1], split.seed)
    return prepare(cohort, few, replace(settings, grid=tuple(grid), options=None), None, 1)


def measure_costs(
    methods: tuple[Method, ...],
    prepared,
    settings: Settings,
    sittings: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[dict[str, Cost], dict[str, str]]:
    """Cost of each method, and the reason where one could not be measured.

    Parameters
    ----------
    methods : tuple of Method
        With every option stated.
    prepared : Prepared
        See `prepare_costs`.
    settings : Settings
    sittings : int
        Processes for each method. They take turns, so that a busy minute meets all methods.
    progress : callable, optional
        ``progress(done, total)``.
    """
    costs: dict[str, Cost] = {}
    reasons: dict[str, str] = {}
    settings = replace(settings, budget=f"{STEPS} steps", options=None)
    done, total = 0, sittings * len(methods)
    for _ in range(sittings):
        for method in methods:
            if progress is not None:
                progress(done, total)
            done += 1
            try:
                found = _sitting(method, prepared, settings)
            except Exception as error:  # any failure is the method's own, and is reported as such
                words = " ".join(str(error).split())
                reasons[method.name] = words or type(error).__name__
                continue
            before = costs.get(method.name)
            costs[method.name] = found if before is None else before.joined(found)
    return costs, reasons


def _sitting(method: Method, prepared, settings: Settings) -> Cost:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(measure_here, method, prepared, settings).result()


def measure_here(method: Method, prepared, settings: Settings, rounds: int = ROUNDS) -> Cost:
    """One sitting in this process, which should be fresh: it then holds no other's memory."""
    import torch

    from benchmark.training.cell import run_cell

    torch.set_num_threads(1)
    loop = calibration()
    loop()
    held = held_bytes()
    times, ratios, peak = [loop()], [], 0.0
    for count in range(rounds):
        ledger = run_cell(method, prepared, settings, count, "cpu", 1).ledger
        times.append(loop())
        step = ledger["device_seconds"] / ledger["steps"]
        ratios.append(step / statistics.fmean(times[-2:]))
        if not count:
            # later rounds find memory that this one left
            peak = ledger["peak_memory_bytes"] - held
    if peak <= 0:
        raise UserError(f"{method.name}: this system does not tell the memory of a process")
    return Cost((statistics.median(ratios),), (float(peak),))


def calibration() -> Callable[[], float]:
    """A fixed loop of 2D and 3D convolutions, forward and backward; it returns its CPU seconds."""
    import time

    import torch
    from torch import nn

    torch.manual_seed(0)
    parts = (
        (nn.Conv3d(16, 16, 3, padding=1), torch.randn(2, 16, 20, 16, 20)),
        (nn.Conv2d(32, 32, 3, padding=1), torch.randn(40, 32, 16, 20)),
    )

    def loop() -> float:
        begin = time.process_time()
        for _ in range(6):
            for layer, image in parts:
                layer(image).square().mean().backward()
        return time.process_time() - begin

    return loop
