"""Whether the stages of a method are those of the contract, and what they spent.

Every stage takes one step, or it would train nothing. A budget that cannot hold that would be
overspent by methods of several stages and not by others: it is refused, and where the cost of a
step is known only afterwards the board says what was spent.
"""

from __future__ import annotations

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
    if all(stage.apart for stage in stages):
        return (
            "all of its stages are counted apart from the budget",
            "give apart or keep to a pretraining or a head; one stage learns from whole scans",
        )
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
    if not _number(stage.apart) or not 0 <= stage.apart < math.inf:
        return (
            f"{who} has an apart of {stage.apart!r}",
            "it is the multiple of a budget of steps or samples that the stage takes on top",
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
