"""The search for a method's setting, inside its budget: trials on a part of the training split.

optuna draws the settings (its tree-structured Parzen estimator, seeded) and prunes by successive
halving: a trial goes on after a half only if it is among the better half of those that came so far.
The first trial is the method as it is. No test scan is ever seen: `Prepared.test` is not read.
"""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from benchmark.methods import Method
from benchmark.training.checkpoint import Resume
from benchmark.training.curve import Report
from benchmark.training.determinism import Determinism
from benchmark.training.loop import CellFailed
from benchmark.training.prepare import Prepared
from benchmark.training.settings import COUNTED, Budget, Settings
from benchmark.training.trial import Build, TooSmall, Trials
from benchmark.training.trials import UNITS, Outcome, Record, Study
from benchmark.training.validation import objective_words
from benchmark.tuning import applied, in_words, trial_budget


@dataclass
class Searched:
    """What a search came to.

    Attributes
    ----------
    method, settings
        With the chosen setting, and with what the search left of the budget.
    outcomes : list of Outcome
        In the order of the trials.
    spent : dict
        By the ledger's names of the units.
    share : float
        Of the whole budget.
    whole : str
        The whole budget.
    entry : dict
        For the ledger; ``words`` are for the board.
    """

    method: Method
    settings: Settings
    outcomes: list[Outcome]
    spent: dict
    share: float
    whole: str
    entry: dict

    @property
    def seconds(self) -> float:
        """Wall-clock seconds of all trials."""
        return sum(outcome.wall_seconds for outcome in self.outcomes)

    def account(self, ledger: dict, curve: list) -> tuple[dict, list]:
        """The ledger and the loss curve of the final training with the search in them.

        What was spent is then that of both, and the search the first stage.
        """
        first = {
            "name": "search", "share": self.share, "learning_rate": self.settings.learning_rate,
            "batch_size": self.settings.batch_size, "adversary": False, "on_kept_features": False,
            "trials": len(self.outcomes), **self.spent,
        }  # fmt: skip
        stages = [{**s, "share": s["share"] * (1 - self.share)} for s in ledger["stages"]]
        totals = {name: ledger[name] + self.spent[name] for name in self.spent}
        totals["device_seconds"] = round(totals["device_seconds"], 3)
        after = self.spent["samples"]
        moved = [
            (stage, round(self.share + (1 - self.share) * share, 5), samples + after, loss)
            for stage, share, samples, loss in curve
        ]
        return {
            **ledger, **totals, "budget": self.whole, "stages": [first, *stages],
            "tuning": self.entry,
        }, moved  # fmt: skip


def search(
    method: Method,
    prepared: Prepared,
    settings: Settings,
    seed: int,
    device: torch.device,
    threads: int,
    build: Build,
    start: dict[str, Tensor] | None = None,
    resume: Resume | None = None,
    report: Report | None = None,
) -> Searched:
    """Try settings of a method and choose one.

    Parameters
    ----------
    method : Method
        With its `Method.tuning`.
    prepared, settings, seed, device, threads, start, report
        As of `benchmark.training.cell.run_cell`. Every trial has the cell's seed.
    build : callable
        `benchmark.training.cell.build`.
    resume : Resume, optional
        Beside its folder's checkpoint the trials that are done are kept; a search that was
        stopped goes on after them, and the trial that was under way begins anew.

    Raises
    ------
    CellFailed
        If the budget cannot hold the trials, or none of them gave a figure.
    KeyboardInterrupt
        If it was asked to stop.
    """
    tuning, budget = method.tuning, Budget.parse(settings.budget)
    each = trial_budget(budget, tuning.trials)
    trials = Trials(method, prepared, settings, each, seed, device, threads, build, start)
    record = Record(None if resume is None else resume.folder / "search.json")
    say = (lambda line: None) if resume is None else resume.say

    def run(number: int, setting: dict, go_on: Callable[[float], bool]) -> Outcome:
        begin, width = number / tuning.trials * tuning.share, tuning.share / tuning.trials
        own = shared_report(report, f"trial {number + 1} of {tuning.trials}: ", begin, width)
        return trials.run(number, setting, go_on, own)

    study = Study(tuning.space, tuning.trials, seed)
    try:
        with Determinism(settings.deterministic):
            outcomes = study.run(run, record, say)
        trials.restore()
    except TooSmall as error:
        raise CellFailed(str(error)) from None
    except (CellFailed, OSError):
        raise
    except Exception as error:
        words = " ".join(str(error).split())[:300]
        raise CellFailed(
            f"in a trial of its search: {type(error).__name__}: {words}", traceback.format_exc()
        ) from error
    return _choose(method, settings, budget, outcomes, seed, len(prepared.train))


def _choose(
    method: Method,
    settings: Settings,
    budget: Budget,
    outcomes: list[Outcome],
    seed: int,
    scans: int,
) -> Searched:
    tuning = method.tuning
    whole = [one for one in outcomes if one.state == "complete"]
    if not whole:
        raise CellFailed(f"no trial of its search gave a figure: {outcomes[0].reason}")
    best = max(whole, key=lambda one: one.value)  # of equals the first, so that defaults stay
    spent = {name: sum(one.spent[name] for one in outcomes) for name in UNITS}
    unit = budget.unit.replace("-", "_")
    held = spent[unit] - spent.get(f"apart_{unit}", 0)
    rest = budget.amount - held
    if rest <= 0:
        raise CellFailed(
            f"its search spent {held:.4g} of {budget}, so that nothing is left to train "
            "with: take fewer trials (--tune) or a larger budget"
        )
    values, options = applied(best.setting, settings)
    entry = {
        "trials": tuning.trials,
        "pruned": sum(one.state == "pruned" for one in outcomes),
        "failed": sum(one.state == "failed" for one in outcomes),
        "share": tuning.share,
        "objective": objective_words(method.outputs),
        "validation_scans": len(tuning.validation),
        "training_scans": scans - len(tuning.validation),
        "spent": spent,
        "default": outcomes[0].value,
        "best": best.value,
        "chosen_trial": outcomes.index(best) + 1,
        "chosen": {"settings": values, "options": options},
        "history": [one.as_dict() for one in outcomes],
    }
    entry["words"] = _in_words(entry, outcomes, best, f"{held:.4g} of {budget}", seed)
    left = int(rest) if budget.unit in COUNTED else rest
    return Searched(
        replace(method, options={**method.options, **options}),
        replace(settings, **values, budget=f"{left!r} {budget.unit}"),
        outcomes,
        spent,
        min(1.0, held / budget.amount),
        settings.budget,
        entry,
    )


def _in_words(entry: dict, outcomes: list[Outcome], best: Outcome, spent: str, seed: int) -> str:
    """``"seed 0: 4 trials (2 pruned) spent 18 of 60 steps and chose width 12; ..."``."""
    lost = ", ".join(f"{entry[word]} {word}" for word in ("pruned", "failed") if entry[word])
    default = "failed" if outcomes[0].value is None else f"{outcomes[0].value:.3f}"
    chosen = "the defaults" if best is outcomes[0] else in_words(entry["chosen"])
    return (
        f"seed {seed}: {entry['trials']} trials{f' ({lost})' if lost else ''} spent {spent} and "
        f"chose {chosen}; {entry['objective']} on {entry['validation_scans']} training scans that "
        f"trials did not see {best.value:.3f}, of the defaults {default}"
    )


def shared_report(report: Report | None, label: str, begin: float, width: float) -> Report | None:
    """A report of a training that is a part of a cell's, at ``begin`` and ``width`` wide."""
    if report is None:
        return None
    started = time.monotonic()

    def part(stage: str, share: float, loss: float, left: float) -> None:
        whole = begin + width * share
        done = max(whole - begin, 1e-6)
        report(label + stage, whole, loss, (time.monotonic() - started) * (1 - whole) / done)

    return part
