"""What has been spent: the clock of the device, and the count of steps, samples and operations."""

from __future__ import annotations

import time

import torch

from benchmark import memory
from benchmark.training.settings import Budget


class DeviceClock:
    """Seconds that the device worked, on a clock that stands still for data and evaluation.

    On a GPU: time between CUDA events around each step. On a CPU: CPU time of the process divided
    by the number of threads. Waiting for a core is not counted. What other work costs all the same,
    caches and memory shared with it, shows in a stage's `Rate`.

    Parameters
    ----------
    device : torch.device
    threads : int
        Threads that torch may use (CPU).
    """

    def __init__(self, device: torch.device, threads: int) -> None:
        self.device = device
        self.threads = max(1, threads)
        self._seconds = 0.0
        self._started: float | None = None
        self._events: list[tuple[torch.cuda.Event, torch.cuda.Event]] = []

    def __enter__(self) -> DeviceClock:
        if self.device.type == "cuda":
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            self._events.append((start, end))
        else:
            self._started = time.process_time()
        return self

    def __exit__(self, *exception: object) -> None:
        if self.device.type == "cuda":
            self._events[-1][1].record()
        else:
            self._count((time.process_time() - self._started) / self.threads)
            self._started = None

    def _count(self, seconds: float) -> None:
        """Add what was timed between one ``with`` and its end."""
        self._seconds += seconds

    @property
    def seconds(self) -> float:
        """Device-seconds so far; on a GPU those of the steps that have finished (no waiting)."""
        while self._events and self._events[0][1].query():
            start, end = self._events.pop(0)
            self._count(start.elapsed_time(end) / 1000)
        return self._seconds

    def restore(self, seconds: float) -> None:
        """Go on from these device-seconds, as after an interruption."""
        self.settle()
        self._events.clear()
        self._seconds = seconds

    def settle(self) -> float:
        """Wait for the device and return all device-seconds."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return self.seconds


class Spending:
    """All units of a budget, counted together; only one of them limits a run.

    Attributes
    ----------
    apart : bool
        Set while a stage is at work that a budget of steps or samples does not hold.
    apart_steps, apart_samples : int
        What such stages took of all steps and samples.
    """

    def __init__(self, budget: Budget, clock: DeviceClock) -> None:
        self.budget = budget
        self.clock = clock
        self.steps = 0
        self.samples = 0
        self.flops = 0.0
        self.apart = False
        self.apart_steps = self.apart_samples = 0

    def add(self, steps: int, samples: int, flops: float) -> None:
        """Count a step (or a pass that keeps features: no step, but samples and operations)."""
        self.steps += steps
        self.samples += samples
        self.flops += flops
        if self.apart:
            self.apart_steps += steps
            self.apart_samples += samples

    def state(self) -> dict[str, float]:
        """All that was spent, unrounded."""
        return {
            "device_seconds": self.clock.settle(),
            "steps": self.steps,
            "samples": self.samples,
            "flops": self.flops,
            "apart_steps": self.apart_steps,
            "apart_samples": self.apart_samples,
        }

    def restore(self, state: dict[str, float]) -> None:
        """Go on from what `state` gave."""
        self.clock.restore(float(state["device_seconds"]))
        self.steps, self.samples = int(state["steps"]), int(state["samples"])
        self.flops = float(state["flops"])
        self.apart_steps, self.apart_samples = (
            int(state["apart_steps"]),
            int(state["apart_samples"]),
        )

    @property
    def fraction(self) -> float:
        """Share of the budget that is spent."""
        spent = {
            "device-seconds": self.clock.seconds,
            "steps": self.steps,
            "samples": self.samples,
            "flops": self.flops,
        }[self.budget.unit]
        return spent / self.budget.amount

    def as_dict(self) -> dict[str, float]:
        """For the ledger."""
        return self.state() | {"device_seconds": round(self.clock.settle(), 3)}


class PeakMemory:
    """Peak memory of a run: of the GPU's allocator, or of the process since the run began.

    Parameters
    ----------
    device : torch.device
    begin : bool
        Start the mark anew, so that one method does not inherit another's.
    """

    def __init__(self, device: torch.device, begin: bool = True) -> None:
        self.device = device
        if not begin:
            return
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
            return
        memory.begin_peak()

    def bytes(self) -> int:
        """Peak so far."""
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self.device)
        return memory.peak_bytes()


class Rate:
    """Steps a device-second of a stage: over its first tenth and over all of it.

    A device-second that buys fewer and fewer steps is one that other work took a part of: the
    board says so, since a budget in device-seconds was then not what it was at the start.

    Parameters
    ----------
    clock : DeviceClock
    first : tuple of int and float, optional
        Steps and device-seconds of the first tenth, where the stage goes on after an interruption.
    """

    def __init__(self, clock: DeviceClock, first: tuple[int, float] | None = None) -> None:
        self._clock = clock
        self.first = None if first is None else (int(first[0]), float(first[1]))

    def step(self, count: int, share: float, seconds_before: float) -> None:
        """Take in a step.

        Parameters
        ----------
        count : int
            Steps of the stage so far.
        share : float
            Of the stage's budget that is spent.
        seconds_before : float
            Device-seconds before the stage's first step.
        """
        if self.first is None and share >= FIRST_SHARE:
            self.first = (count, self._clock.seconds - seconds_before)

    def as_dict(self, count: int, seconds: float) -> dict[str, float]:
        """For the ledger: ``first`` and ``whole``, steps a device-second; empty if unknown."""
        if self.first is None or not (self.first[1] > 0 and seconds > 0):
            return {}
        steps, begin = self.first
        return {"first": round(steps / begin, 4), "whole": round(count / seconds, 4)}


FIRST_SHARE = 0.1
"""Of a stage, over which its rate at the start is taken."""
