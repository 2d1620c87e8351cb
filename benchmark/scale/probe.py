"""A few steps of a method on noise, through the training loop itself: operations, time, memory.

Where the training grid is small, or a GPU is there, the probe runs on the grid itself and its
figures are measurements. A grid too large for that is probed at four small sizes. Operations and
what is kept for the backward pass are then fitted by ``a + b Z + c Y X + d Z Y X``: convolutions
give the last term, what works slice by slice or column by column the middle ones, heads the first.
Parameters are counted on the grid itself, without storage (torch's meta device).
"""

from __future__ import annotations

import gc
import math
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from itertools import islice
from multiprocessing import get_context

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmark.contract import parameter_count, stages_of
from benchmark.memory import held_bytes
from benchmark.methods import Method
from benchmark.scale.noise import noise_scans, training_set
from benchmark.scale.watch import Kept, LapClock
from benchmark.sources import is_own
from benchmark.training.batches import TrainingSet
from benchmark.training.cell import build
from benchmark.training.clock import PeakMemory
from benchmark.training.grid import TrainingGrid
from benchmark.training.loop import CellFailed, Trainer
from benchmark.training.prepare import Prepared
from benchmark.training.recipe import autocast
from benchmark.training.settings import Settings

Shape = tuple[int, int, int]

SIZES: tuple[Shape, ...] = ((8, 32, 32), (16, 32, 32), (8, 32, 48), (16, 32, 48))
"""Grids (Z, Y, X) that a fit is made on."""

LARGEST_DIRECT = {"cpu": 200_000, "cuda": 1 << 62}
"""Cells of a scan up to which the grid itself is probed, by device."""

LEAST_STEPS = 3
"""Steps that are timed of each stage."""


@dataclass(frozen=True)
class StageProbe:
    """A stage of training.

    Attributes
    ----------
    name : str
    share : float
        Of the budget.
    batch : int
        Scans a step.
    flops, seconds : float
        Of a step; seconds are NaN where the grid itself was not timed.
    keep_flops : float
        Of keeping one scan's features before the stage.
    apart : float
        Multiple of a budget of steps or samples that it takes on top.
    """

    name: str
    share: float
    batch: int
    flops: float
    seconds: float
    keep_flops: float = 0.0
    apart: float = 0.0


@dataclass(frozen=True)
class Probe:
    """What a method needs on a grid.

    Attributes
    ----------
    stages : tuple of StageProbe
    test_flops, test_seconds : float
        Of predicting one scan; seconds as above.
    parameters : int
    state_bytes : int
        Of the trained network as it is kept.
    saved_bytes : float
        Most that a step keeps for its backward pass, and the network with gradients and moments.
    base_bytes : float
        In use before the network was built: of the process, or nothing on a GPU.
    peak_bytes : float
        Most memory, of the GPU or of the whole process; NaN unless direct.
    rate : float
        Operations a second in the training steps that were timed, on whatever grid.
    direct : bool
        Whether the grid itself was probed.
    start_seconds, data_seconds : float
        Wall-clock seconds of building the network and of its steps outside the clock, and of
        drawing and augmenting a step's batch; 0 where the grid itself was not timed.
    """

    stages: tuple[StageProbe, ...]
    test_flops: float
    test_seconds: float
    parameters: int
    state_bytes: int
    saved_bytes: float
    base_bytes: float
    peak_bytes: float
    rate: float
    direct: bool
    start_seconds: float = 0.0
    data_seconds: float = 0.0


def probe_apart(*arguments) -> Probe:
    """`probe` in a fork of this process on a CPU, as runs are: memory is then that of a run.

    A user's network is probed in a process of its own on a GPU too, as its file may change torch
    for all that comes after.
    """
    method, device = arguments[0], arguments[3]
    forks = device.type == "cpu" and sys.platform == "linux"
    if not forks and not is_own(method.target):
        return probe(*arguments)
    with ProcessPoolExecutor(1, mp_context=get_context("fork" if forks else "spawn")) as pool:
        try:
            return pool.submit(_probe_or_fail, *arguments).result()
        except BrokenProcessPool:
            raise CellFailed("ended the program while it was probed") from None


def _probe_or_fail(*arguments) -> Probe:
    """`probe`; a network that ends the program fails, as anything else of its own."""
    try:
        return probe(*arguments)
    except SystemExit as error:
        raise CellFailed(f"it ended the program (SystemExit: {error})") from None


def probe(
    method: Method,
    settings: Settings,
    grid: Shape,
    device: torch.device,
    threads: int,
    timed: bool = True,
) -> Probe:
    """Measure a method on a grid, or fit it from smaller ones.

    Parameters
    ----------
    method : Method
        Trained here, with every option stated.
    settings : Settings
        Its recipe; the budget does not matter.
    grid : (Z, Y, X)
        Cells of the training grid.
    device : torch.device
    threads : int
    timed : bool
        Whether its speed is wanted too; if not, a step of each stage is enough.

    Returns
    -------
    Probe

    Raises
    ------
    benchmark.training.loop.CellFailed
        If the network cannot be built or trained.
    """
    method.load()  # its import may set the threads
    torch.set_num_threads(threads)
    settings = settings.of(method.family)
    if math.prod(grid) * settings.batch_size <= LARGEST_DIRECT[device.type]:
        try:
            return _direct(method, settings, grid, device, threads, timed)
        except torch.OutOfMemoryError:
            gc.collect()
            torch.cuda.empty_cache()
    narrow = settings.precision != "float32"
    # on a CPU 16-bit arithmetic is emulated and slow; a tensor that is kept takes half the bytes
    full = replace(settings, precision="float32") if device.type == "cpu" else settings
    small = [_direct(method, full, size, device, threads, timed) for size in SIZES]
    return _fitted(small, method, settings, grid, 0.5 if narrow and full is not settings else 1.0)


def _direct(
    method: Method,
    settings: Settings,
    grid: Shape,
    device: torch.device,
    threads: int,
    timed: bool,
) -> Probe:
    prepared = noise_scans(grid, settings)
    torch.manual_seed(0)
    gc.collect()
    before = _in_use(device)
    memory = PeakMemory(device)
    begin = time.perf_counter()
    model = build(method, prepared, settings).to(device)
    stages = stages_of(model)
    batches = [settings.batch_size * stage.batch_scale for stage in stages]
    least = min(stage.share for stage in stages)
    data = training_set(prepared, max(batches), settings)
    one = replace(settings, budget="1 steps")
    trainer = Trainer(model, data, one, 0, device, threads, whole_budget=False)
    kept = Kept(model)
    with kept.watching():
        trainer.run()
    counted = trainer.stage_ledger
    # the rest of it are warm-up steps, which a run takes too
    start = time.perf_counter() - begin - trainer.spending.clock.settle() - trainer.data_seconds
    flops = [stage["flops_per_step"] for stage in counted]
    own = sum(stage["flops"] for stage in counted)
    keepers = sum(stage["on_kept_features"] for stage in counted)
    keep = (trainer.spending.flops - own) / len(data) / max(1, keepers)
    test_flops = _prediction_flops(model, data, settings, device)
    seconds, data_seconds, test_seconds, rate = [math.nan] * len(stages), 0.0, math.nan, math.nan
    if timed:
        # built anew: stages may have frozen parts of a network that was trained
        del trainer, model
        gc.collect()
        model = build(method, prepared, settings).to(device)
        short = replace(settings, budget=f"{math.ceil(LEAST_STEPS / least)} steps")
        trainer = Trainer(model, data, short, 0, device, threads)
        clock = trainer.clock = trainer.spending.clock = LapClock(device, threads)
        trainer.run()
        seconds = _step_seconds(clock, trainer.stage_ledger, -(-len(data) // settings.batch_size))
        data_seconds = trainer.data_seconds / trainer.spending.steps
        test_seconds = _prediction_seconds(model, data, settings, device, threads)
        rate = sum(flops) / max(sum(seconds), 1e-9)
    peak = memory.bytes()
    found = tuple(
        StageProbe(
            stage["name"],
            stage["share"],
            batch,
            *cost,
            keep * stage["on_kept_features"],
            own.apart,
        )
        for own, stage, batch, cost in zip(
            stages, counted, batches, zip(flops, seconds, strict=True), strict=True
        )
    )
    parameters, state_bytes, optimised = _sizes(method, settings, grid)
    return Probe(
        found,
        test_flops,
        test_seconds,
        parameters,
        state_bytes,
        kept.most + optimised,
        float(before),
        float(peak),
        rate,
        True,
        start if timed else 0.0,
        data_seconds,
    )


def _step_seconds(clock: LapClock, ledger: list[dict], chunks: int) -> list[float]:
    """Seconds of a usual step of each stage; a stage that keeps features has so many laps more."""
    clock.settle()
    found, laps = [], iter(clock.laps)
    for stage in ledger:
        before = chunks if stage["on_kept_features"] else 0
        own = list(islice(laps, before + int(stage["steps"])))[before:]
        found.append(float(np.median(own)))
    return found


def _fitted(
    small: list[Probe], method: Method, settings: Settings, grid: Shape, narrow: float = 1.0
) -> Probe:
    """Figures for a grid from those of `SIZES`; what is kept shrinks by the factor ``narrow``."""

    def fit(values: list[float]) -> float:
        table = np.array([_terms(size) for size in SIZES])
        # exact in four unknowns; no term of a cost is below zero but by rounding
        weights = np.linalg.solve(table, np.array(values, float))
        return float(max(weights @ _terms(grid), 0.0))

    parameters, state_bytes, optimised = _sizes(method, settings, grid)
    own = [_sizes(method, settings, size)[2] for size in SIZES]
    stages = tuple(
        replace(
            stage,
            flops=fit([p.stages[place].flops for p in small]),
            seconds=math.nan,
            keep_flops=fit([p.stages[place].keep_flops for p in small]),
        )
        for place, stage in enumerate(small[-1].stages)
    )
    saved = [p.saved_bytes - o for p, o in zip(small, own, strict=True)]
    return Probe(
        stages,
        fit([p.test_flops for p in small]),
        math.nan,
        parameters,
        state_bytes,
        narrow * fit(saved) + optimised,
        small[0].base_bytes,
        math.nan,
        small[-1].rate,
        False,
    )


def _terms(grid: Shape) -> np.ndarray:
    z, y, x = grid
    return np.array([1.0, z, y * x, z * y * x])


def _sizes(method: Method, settings: Settings, grid: Shape) -> tuple[int, int, int]:
    """Parameters, bytes of the kept state, bytes of weights with gradients and two moments."""
    prepared = Prepared((), (), TrainingGrid(tuple(settings.cell_mm), grid))
    try:
        with torch.device("meta"):
            model = build(method, prepared, settings)
    except Exception:  # a constructor that computes with its weights needs real ones
        model = build(method, prepared, settings)
    count = parameter_count(model)
    state = sum(v.numel() * v.element_size() for v in model.state_dict().values())
    return count, state, state + 3 * 4 * count


@torch.no_grad()
def _prediction_flops(model, data: TrainingSet, settings: Settings, device) -> float:
    """Operations of predicting one scan."""
    model.eval()
    image = data.take(np.arange(1)).image.to(device)
    with FlopCounterMode(display=False) as counter, autocast(settings, device):
        model(image)
    return float(counter.get_total_flops())


@torch.no_grad()
def _prediction_seconds(model, data: TrainingSet, settings: Settings, device, threads) -> float:
    """Seconds of predicting one scan, the scans in batches."""
    model.eval()
    size = min(settings.batch_size, len(data))
    image = data.take(np.arange(size)).image.to(device)
    clock = LapClock(device, threads)
    for _ in range(1 + LEAST_STEPS):
        with clock, autocast(settings, device):
            model(image)
    clock.settle()
    return float(np.median(clock.laps[1:])) / size


def _in_use(device: torch.device) -> int:
    """Bytes in use before a probe: 0 on a GPU, whose allocator counts its own alone."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
        return 0
    return held_bytes()
