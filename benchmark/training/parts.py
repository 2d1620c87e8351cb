"""How the stages of a method share one budget. No torch here: estimates read this module."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchmark.training.settings import COUNTED, Budget


@dataclass(frozen=True)
class Part:
    """What sharing a budget needs to know of a stage.

    Attributes
    ----------
    share : float
    batch : int
        Scans of a step.
    passed : int
        Scans that it sees once before its steps, to keep their features.
    apart : float
        Multiple of a budget of steps or samples that it takes on top of it; 0 within it.
    """

    share: float
    batch: int
    passed: int
    apart: float

    def least(self, unit: str) -> int:
        """What it spends at least, in steps or samples; nothing where it is not known before."""
        return {"steps": 1, "samples": self.batch + self.passed}.get(unit, 0)


def parts_of(stages: Iterable, batch_size: int, scans: int) -> list[Part]:
    """The parts of a method's stages.

    Parameters
    ----------
    stages : iterable of benchmark.contract.Stage
    batch_size : int
        The suite's.
    scans : int
        Training scans.
    """
    return [
        Part(
            stage.share,
            min(batch_size * stage.batch_scale, scans),
            scans if stage.keep is not None else 0,
            stage.apart,
        )
        for stage in stages
    ]


def ends(parts: Sequence[Part], budget: Budget) -> list[float]:
    """At what spending each stage ends, counted from the start of the training.

    In device-seconds and operations the stages share the one budget. In steps and samples it is the
    stages that learn from whole scans that share it, so that every method takes as many of them,
    and those counted apart (a head on kept features, a pretraining) come on top: a step of theirs
    is no step of the others.

    Parameters
    ----------
    parts : sequence of Part
    budget : Budget

    Returns
    -------
    list of float
        In the budget's unit. In steps and samples a stage ends early enough to leave the later ones
        what they need at least, so that they do not overspend the budget, and a stage counted apart
        takes whole steps.
    """
    unit, amount = budget.unit, budget.amount
    if unit not in COUNTED:
        return [amount * share for share in itertools.accumulate(part.share for part in parts)]
    within = math.fsum(part.share for part in parts if not part.apart)
    found, own, beside = [], [], 0
    for place, part in enumerate(parts):
        if part.apart:
            beside += _whole_steps(part, amount * part.apart, unit)
        else:
            own.append(part.share)
        later = sum(other.least(unit) for other in parts[place + 1 :] if not other.apart)
        # summed anew each time: the last one's share is 1 to the digit, and there are whole steps
        shared = amount * (math.fsum(own) / within)
        found.append(min(shared, amount - later) + beside)
    return found


def _whole_steps(part: Part, wanted: float, unit: str) -> int:
    """What a stage counted apart spends: whole steps, and one at least."""
    step = 1 if unit == "steps" else part.batch
    passed = 0 if unit == "steps" else part.passed
    return passed + step * max(1, math.ceil((wanted - passed) / step - 1e-9))


def too_small(parts: Sequence[Part], budget: Budget) -> str:
    """Why a budget in steps or samples cannot hold the stages, in words; empty if it can."""
    needs = [part.least(budget.unit) for part in parts if not part.apart]
    if sum(needs) <= budget.amount:
        return ""
    what = "one step" if len(needs) == 1 else f"one step of each of its {len(needs)} stages"
    return (
        f"the budget of {budget} is too small for it: {what} takes {sum(needs)} {budget.unit}; "
        f"give every method at least that with --budget '{sum(needs)} {budget.unit}'"
    )
