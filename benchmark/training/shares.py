"""How the stages of a method share one budget, and what a budget must at least hold.

Every stage takes one step, or it would train nothing, and a stage on kept features sees every scan
once before. A budget that cannot hold that would be overspent by methods of several stages and not
by others: it is refused, and where the cost of a step is known only afterwards the board says what
was spent.
"""

from __future__ import annotations

import itertools
import math
import numbers
from collections.abc import Sequence

from torch import Tensor

from benchmark.contract import Stage
from benchmark.training.settings import Budget

MOST_OVER = 1.5
"""Share of the budget above which a training has overspent it, however long a step is."""


def fault(stages: object) -> tuple[str, str]:
    """What is wrong with a method's stages, and what to do; two empty texts if nothing is.

    Parameters
    ----------
    stages
        What the method's ``stages()`` gave.
    """
    if not isinstance(stages, list | tuple) or not all(isinstance(s, Stage) for s in stages):
        return "stages() does not give a list of Stage", "see benchmark/contract.py"
    if not stages:
        return "stages() gives no stage", "give at least one, Stage(name, 1.0, losses, parameters)"
    for place, stage in enumerate(stages, start=1):
        found = _fault(stage, place)
        if found[0]:
            return found
    names = [stage.name for stage in stages]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        return f"two of its stages are called {twice[0]!r}", "give each stage a name of its own"
    total = sum(stage.share for stage in stages)
    if abs(total - 1) > 1e-6:
        return (
            f"the shares of its stages add up to {total:g}, not to 1",
            "they are shares of one budget",
        )
    return "", ""


def _fault(stage: Stage, place: int) -> tuple[str, str]:
    if not isinstance(stage.name, str) or not stage.name.strip():
        return f"stage {place} has no name: {stage.name!r}", "a stage's name is text"
    who = f"stage {stage.name!r}"
    if not _number(stage.share) or not 0 < stage.share <= 1:
        return (
            f"{who} has a share of {stage.share!r} of the budget",
            "a share is a number above 0 and at most 1; leave out a stage that is not to run",
        )
    if not _number(stage.learning_rate) or not 0 < stage.learning_rate < math.inf:
        return (
            f"{who} has a learning_rate of {stage.learning_rate!r}",
            "it is a positive multiple of the suite's learning rate",
        )
    scale = stage.batch_scale
    if isinstance(scale, bool) or not isinstance(scale, numbers.Integral) or scale < 1:
        return f"{who} has a batch_scale of {scale!r}", "it is a whole number, 1 or more"
    if not callable(stage.losses):
        return f"{who} has losses that cannot be called", "losses(batch) gives a dict of terms"
    if (stage.opponent_losses is None) != (stage.opponent_parameters is None):
        return (
            f"{who} has only one of opponent_losses and opponent_parameters",
            "an adversary needs both",
        )
    for name in ("parameters", "opponent_parameters"):
        values = getattr(stage, name)
        if values is None:
            continue
        if not values or not all(isinstance(value, Tensor) for value in values):
            return (
                f"{who} has no list of parameters in its {name}",
                "give those that the stage is to move, for instance self.parameters()",
            )
    return "", ""


def _number(value: object) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _needs(stages: Sequence[Stage], unit: str, sizes: Sequence[int], scans: int) -> list[int]:
    """Least that each stage spends, in steps or samples; nothing where it is not known before."""
    if unit == "steps":
        return [1] * len(stages)
    if unit == "samples":
        kept = [scans if stage.keep is not None else 0 for stage in stages]
        return [size + keep for size, keep in zip(sizes, kept, strict=True)]
    return [0] * len(stages)


def least(stages: Sequence[Stage], unit: str, sizes: Sequence[int], scans: int) -> int:
    """Steps or samples that a training takes at least, as `ends` has the arguments; else 0."""
    return sum(_needs(stages, unit, sizes, scans))


def ends(stages: Sequence[Stage], budget: Budget, sizes: Sequence[int], scans: int) -> list[float]:
    """Share of the budget at which each stage ends.

    Parameters
    ----------
    stages : sequence of Stage
    budget : Budget
    sizes : sequence of int
        Scans of a step of each stage.
    scans : int
        Training scans, which a stage on kept features sees once before its steps.

    Returns
    -------
    list of float
        The sums of the shares; in steps and samples a stage ends early enough to leave the later
        ones what they need at least, so that they do not overspend the budget.
    """
    needs = _needs(stages, budget.unit, sizes, scans)
    found = []
    for place, end in enumerate(itertools.accumulate(stage.share for stage in stages)):
        found.append(min(end, 1 - sum(needs[place + 1 :]) / budget.amount))
    return found


def too_small(stages: Sequence[Stage], budget: Budget, sizes: Sequence[int], scans: int) -> str:
    """Why a budget in steps or samples cannot hold the stages, in words; empty if it can."""
    needs = _needs(stages, budget.unit, sizes, scans)
    if sum(needs) <= budget.amount:
        return ""
    what = "one step" if len(stages) == 1 else f"one step of each of its {len(stages)} stages"
    if any(need > size for need, size in zip(needs, sizes, strict=True)) and scans:
        what += " and a pass over the training scans whose features it keeps"
    if budget.unit == "steps":
        what = f"one step of each of its {len(stages)} stages"
    return (
        f"the budget of {budget} is too small for it: {what} takes {sum(needs)} {budget.unit}; "
        f"give every method at least that with --budget '{sum(needs)} {budget.unit}'"
    )


def overspent(spent: dict[str, float], ledger: Sequence[dict], budget: Budget) -> str:
    """What a training spent beyond its budget and its last step, as a note; empty if nothing.

    Parameters
    ----------
    spent : dict
        By the ledger's names of the units, as `Spending.as_dict` gives it.
    ledger : sequence of dict
        The stages', with ``steps`` and what they spent.
    budget : Budget
    """
    unit = budget.unit.replace("-", "_")
    step = max((stage[unit] / max(1, stage["steps"]) for stage in ledger), default=0.0)
    if spent[unit] <= min(1.01 * (budget.amount + step), MOST_OVER * budget.amount):
        return ""
    return (
        f"spent {spent[unit]:.4g} {budget.unit}, more than the budget of {budget}: every stage "
        f"takes one step at least, here {spent['steps']} in all; its row is not of equal budgets"
    )
