"""From probes to the cost of a study: operations, time, memory, storage, money. No torch here."""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass

from benchmark.training.parts import Part
from benchmark.training.parts import ends as ends_of
from benchmark.training.settings import UNITS, Budget

CELL_BYTES = {"image": 6, "target": 1, "candidate": 1}
"""Bytes of a cell of the training grid in a prepared scan: three channels of float16, and masks."""

PER_SCAN_BYTES = 500
"""Of a test scan in a cell's kept predictions, packed."""

PER_CELL_BYTES = 12_000
"""Of a cell's log, ledger and manifest."""

WORKSPACE = 1.6
"""Of the fitted memory: gradients of activations and the libraries' own buffers."""


@dataclass(frozen=True)
class Cost:
    """What one run of a method takes.

    Attributes
    ----------
    steps, samples, flops : float
        Of training, as in a run's ledger.
    prediction_flops : float
        Of predicting the test scans.
    seconds, prediction_seconds : float
        On the device: of training, by the budget's clock (the ledger's device-seconds), and of
        prediction.
    other_seconds : float
        Of building the network, of steps that no budget counts and of the batches; 0 if unknown.
    memory : float
        Peak, bytes; of the device's memory on a GPU, of the process on a CPU.
    measured : bool
        Whether memory was measured on the grid itself.
    parameters : int
        Values that training changes in any of its stages.
    storage : float
        Bytes kept for good.
    draft : float
        Bytes of the checkpoint that is there while it runs.
    """

    steps: float = math.nan
    samples: float = math.nan
    flops: float = math.nan
    prediction_flops: float = 0.0
    seconds: float = math.nan
    prediction_seconds: float = 0.0
    other_seconds: float = 0.0
    memory: float = math.nan
    measured: bool = False
    parameters: int = 0
    storage: float = 0.0
    draft: float = 0.0

    @property
    def whole_seconds(self) -> float:
        """Of the run from its start to its predictions."""
        return self.seconds + self.other_seconds + self.prediction_seconds


def cost_of(
    probe,
    budget: Budget | None,
    train: int,
    test: int,
    rate: float | None,
    on_gpu: bool = False,
    prepared: float = 0.0,
) -> Cost:
    """The cost of one run.

    Parameters
    ----------
    probe : benchmark.scale.probe.Probe
    budget : Budget or None
        None: tested with another's weights.
    train, test : int
        Scans.
    rate : float or None
        Operations a second of the device; None takes what the probe measured.
    on_gpu : bool
        Whether memory is a GPU's. On a CPU it is the process's, and holds the prepared scans.
    prepared : float
        Bytes of these.
    """
    speed = rate or probe.rate
    spent = dict.fromkeys(UNITS, 0.0)
    stages = probe.stages if budget is not None else ()
    parts = [
        Part(s.share, min(s.batch, train), train if s.keep_flops else 0, s.apart) for s in stages
    ]
    ends = ends_of(parts, budget) if stages else []

    def spend(times: float, step: dict[str, float]) -> None:
        for unit, amount in step.items():
            spent[unit] += times * amount

    for stage, end in zip(stages, ends, strict=True):
        # a pass that keeps features is no step, but sees every scan
        keeping = train * stage.keep_flops
        if keeping:
            spend(1, dict(zip(UNITS, (keeping / speed, 0, train, keeping), strict=True)))
        own = _seconds(stage.flops, stage.seconds, rate, speed)
        batch = min(stage.batch, train)
        step = dict(zip(UNITS, (own, 1, batch, stage.flops), strict=True))
        left = (end - spent[budget.unit]) / max(step[budget.unit], 1e-30)
        # the loop stops after the step that reaches the end, and takes one at least
        spend(max(1, math.ceil(left - 1e-9)), step)
    testing = test * _seconds(probe.test_flops, probe.test_seconds, rate, speed)
    memory = probe.peak_bytes if probe.direct else WORKSPACE * probe.saved_bytes
    if not on_gpu:
        memory += prepared + (0.0 if probe.direct else probe.base_bytes)
    moments = 2 * 4 * probe.parameters
    return Cost(
        spent["steps"],
        spent["samples"],
        spent["flops"],
        test * probe.test_flops,
        spent["device-seconds"],
        testing,
        probe.start_seconds + spent["steps"] * probe.data_seconds if budget is not None else 0.0,
        memory,
        probe.direct,
        probe.parameters,
        probe.state_bytes + test * PER_SCAN_BYTES + PER_CELL_BYTES,
        probe.state_bytes + moments,
    )


def untrained_cost(test: int) -> Cost:
    """A row without learning: counted in an instant on the CPU."""
    kept = test * PER_SCAN_BYTES + PER_CELL_BYTES
    return Cost(0, 0, 0.0, 0.0, 0.0, 0.0, 0.0, math.nan, False, 0, kept, 0.0)


def _seconds(flops: float, measured: float, rate: float | None, speed: float) -> float:
    if rate is None and math.isfinite(measured):
        return measured
    return flops / speed


def prepared_bytes(grid: tuple[int, int, int], train: int, test: int) -> float:
    """Memory of all prepared scans; the training scans lie there twice, stacked for batches."""
    cells = math.prod(grid) * sum(CELL_BYTES.values())
    return cells * (2.0 * train + test)


def makespan(seconds: list[float], devices: int) -> float:
    """Time until the last run ends, each device taking the longest run that waits."""
    if any(math.isnan(value) for value in seconds):
        return math.nan
    free = [0.0] * max(1, devices)
    for value in sorted(seconds, reverse=True):
        heapq.heapreplace(free, free[0] + value)
    return max(free)
