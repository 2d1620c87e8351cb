"""``--tune``: the row of a method's tuned setting, its space, and what the search may spend.

`benchmark.tunable` has what a class may declare, `benchmark.training.tune` the search. No torch.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from benchmark.cohorts.base import Record
from benchmark.cohorts.split import Split, make_split
from benchmark.errors import UserError
from benchmark.training.settings import COUNTED, Budget, Settings
from benchmark.tunable import MULTIPLES, RATES, fault_of, is_number, spec_of

if TYPE_CHECKING:
    from benchmark.methods import Method

SUFFIX = " tuned"
"""Behind the name and the title of a method whose row is that of its tuned setting."""

SHARE = 1 / 3
"""Of a method's budget, that all trials of its search may spend on training."""

VALIDATION = 0.2
"""Of the training split's patients, those that trials are judged on and do not see."""

LEAST_VALIDATION = 3
"""Scans without which an agreement (ICC) is undefined."""

FOR_ALL = {"learning_rate": (0.25, 4.0, "log")}
"""What is tuned of every method that does not declare it otherwise."""


@dataclass(frozen=True)
class Tuning:
    """A search over a method's settings, part of its cell's key.

    Attributes
    ----------
    of : str
        Name of the method whose setting is searched.
    family : str
        That method's `Method.family`.
    trials : int
    share : float
        See `SHARE`.
    space : dict
        By name: ``low``, ``high``, ``log`` and ``whole``, or ``choices``; and the ``default``,
        which lies within.
    validation : tuple of str
        Ids of the training scans that trials are judged on; the others they are trained on.
    """

    of: str
    family: str
    trials: int
    share: float
    space: dict = field(hash=False)
    validation: tuple[str, ...] = ()

    @property
    def defaults(self) -> dict:
        """The setting of the first trial."""
        return {name: spec["default"] for name, spec in self.space.items()}

    def as_key(self) -> dict:
        """For the key of a cell."""
        ids = "\n".join(sorted(self.validation))
        return {
            "trials": self.trials,
            "share": self.share,
            "space": self.space,
            "validation": hashlib.sha256(ids.encode("utf-8", "surrogateescape")).hexdigest()[:16],
        }


def why_not(method: Method) -> str:
    """Why a method has no tuned row, in a few words; empty if it has one."""
    if not method.trained:
        return "learns nothing"
    if method.external:
        return "trains itself"
    return "" if method.retrain else "tested with the weights of another"


def tuned(
    method: Method,
    changed: Collection[str],
    settings: dict,
    trials: int,
    validation: tuple[str, ...],
    fresh: bool = True,
) -> Method:
    """The row of a method's tuned setting.

    Parameters
    ----------
    method : Method
        With every option stated.
    changed : collection of str
        Options that make it the ablation it is: they are left alone.
    settings : dict
        `Settings.as_dict()`.
    trials : int
    validation : tuple of str
    fresh : bool
        False where training starts from weights: then only learning rate and decay are tuned.

    Raises
    ------
    UserError
        If the class's declaration is wrong.
    """
    facts = method.facts()
    if fault := fault_of(facts):
        raise UserError(f"method {method.name!r}: {fault}")
    unit = Budget.parse(settings["budget"]).unit
    space = {}
    stated = {**{name: spec_of(one) for name, one in FOR_ALL.items()}, **facts.get("tunable", {})}
    for name, spec in stated.items():
        if name in changed or (not fresh and name not in RATES):
            continue
        if name == "width" and unit in COUNTED:
            continue  # a wider network would cost nothing
        if name == "weight_decay" and not (
            settings["optimiser"] == "adamw" and settings["weight_decay"]
        ):
            continue
        if name not in MULTIPLES and name not in method.options:
            continue  # of a constructor that takes any option: there is no default
        whole = _with_default(spec, 1.0 if name in MULTIPLES else method.options[name])
        if whole is not None:
            space[name] = whole
    return replace(
        method,
        name=method.name + SUFFIX,
        title=method.title + SUFFIX,
        paper=None,
        expect="higher",
        tuning=Tuning(method.name, method.family, trials, SHARE, space, validation),
    )


def _with_default(spec: dict, default: object) -> dict | None:
    """A space that holds the default; None where there can be none."""
    if "choices" in spec:
        choices = spec["choices"]
        if not isinstance(default, str | int | float):
            return None
        there = default in choices
        return {"choices": choices if there else [default, *choices], "default": default}
    if not is_number(default) or (spec["log"] and default <= 0):
        return None
    return {
        **spec,
        "low": min(spec["low"], default),
        "high": max(spec["high"], default),
        "whole": spec["whole"] and isinstance(default, int),
        "default": default,
    }


def validation_part(records: Iterable[Record], split: Split) -> tuple[str, ...]:
    """The training scans that trials are judged on: a fifth of the patients, stratified by risk.

    Raises
    ------
    UserError
        If the training split is too small.
    """
    own = set(split.train)
    try:
        part = make_split([r for r in records if r.id in own], 1 - VALIDATION, split.seed).test
    except UserError:
        part = ()
    if len(part) < LEAST_VALIDATION:
        raise UserError(
            f"--tune: a fifth of {len(own)} training scans is fewer than {LEAST_VALIDATION}, too "
            "few to judge a setting by"
        )
    return part


def trial_budget(budget: Budget, trials: int) -> Budget:
    """What one trial may spend on training.

    Raises
    ------
    UserError
        If that is less than a step or a scan.
    """
    each = budget.amount * SHARE / trials
    if budget.unit in COUNTED:
        each = math.floor(each + 1e-9)
        if each < 1:
            least = math.ceil(trials / SHARE - 1e-9)
            raise UserError(
                f"--tune {trials}: a third of the budget of {budget} is less than one of its "
                f"{budget.unit} for each trial; take fewer trials, or --budget '{least} "
                f"{budget.unit}' and more"
            )
    return Budget(each, budget.unit)


# A setting of the space


def applied(setting: dict, settings: Settings) -> tuple[dict, dict]:
    """A setting as values of the suite's settings and options of the constructor, both by name."""
    values = {}
    for name in MULTIPLES:
        if name in setting:
            own, multiple = getattr(settings, name), setting[name]
            values[name] = own if multiple == 1 else own * multiple
    if "width" in values:
        # networks halve and quarter it
        values["width"] = max(4, 4 * round(values["width"] / 4)) if setting["width"] != 1 else (
            settings.width
        )  # fmt: skip
    return values, {name: value for name, value in setting.items() if name not in MULTIPLES}


def in_words(chosen: dict) -> str:
    """``"learning_rate 0.0052, width 12, omega_qua 0.31"`` of what a ledger says was chosen."""
    values = {**chosen["settings"], **chosen["options"]}
    return ", ".join(
        f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in values.items()
    )


def built_with(ledger: dict, options: dict, width: int) -> tuple[dict, int]:
    """Options and width of a cell's network, where a search may have chosen others than its key's.

    Raises
    ------
    ValueError, TypeError, KeyError
        If the ledger's entry is of another form.
    """
    entry = ledger.get("tuning")
    if entry is None:
        return options, width
    chosen = entry["chosen"]
    if not isinstance(chosen["options"], dict) or not isinstance(chosen["settings"], dict):
        raise TypeError("the chosen setting is no dict")
    return {**options, **chosen["options"]}, int(chosen["settings"].get("width", width))
