"""One trial of a search: a setting trained on a part of the training split, judged on the rest."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor, nn

from benchmark.contract import stages_of
from benchmark.methods import Method
from benchmark.training import kept, parts, shares
from benchmark.training.batches import TrainingSet
from benchmark.training.clock import DeviceClock, Spending
from benchmark.training.curve import Report
from benchmark.training.determinism import seed_all
from benchmark.training.loop import CellFailed, Trainer
from benchmark.training.outside import Shared
from benchmark.training.prepare import Prepared
from benchmark.training.settings import Budget, Settings
from benchmark.training.trials import UNITS, Outcome
from benchmark.training.validation import validate
from benchmark.tuning import applied

HALF = 0.5
"""Of a trial's budget, after which it is looked at."""

Build = Callable[[Method, Prepared, Settings], nn.Module]


class _Pruned(Exception):
    """A trial is given up."""


class TooSmall(Exception):
    """A trial's budget cannot hold a step of each stage, whatever the setting."""


class Trials:
    """Trains and judges settings, each from the same start and under the same budget.

    Parameters
    ----------
    method, prepared, settings, seed, device, threads, build, start
        See `benchmark.training.tune.search`.
    each : Budget
        Of a trial.
    """

    def __init__(
        self,
        method: Method,
        prepared: Prepared,
        settings: Settings,
        each: Budget,
        seed: int,
        device: torch.device,
        threads: int,
        build: Build,
        start: dict[str, Tensor] | None,
    ) -> None:
        self._method, self._settings, self._each = method, settings, each
        self._seed, self._device, self._threads = seed, device, threads
        self._build, self._start = build, start
        held_out = set(method.tuning.validation)
        self._validation = tuple(e for e in prepared.train if e.id in held_out)
        self._prepared = replace(
            prepared, train=tuple(e for e in prepared.train if e.id not in held_out), test=()
        )
        self._data: TrainingSet | None = None
        self._shared: Shared | None = None

    def run(
        self,
        number: int,
        setting: dict,
        go_on: Callable[[float], bool],
        report: Report | None,
    ) -> Outcome:
        """Train under a trial's budget and judge; what it costs is counted, whatever comes of it.

        Raises
        ------
        Exception
            Of the network's own, in the first trial: it is not the setting's fault.
        """
        begin = time.perf_counter()
        outcome = Outcome(number, setting)
        # looks have a clock of their own: they do not shorten the training or move its rate
        looks = Spending(self._each, DeviceClock(self._device, self._threads))
        trainer: list[Trainer] = []
        try:
            self._train(outcome, go_on, report, trainer, looks)
        except CellFailed as error:
            outcome.fail(str(error))
        except OSError:
            raise
        except Exception as error:
            if number == 0:
                raise
            outcome.fail(f"{type(error).__name__}: {' '.join(str(error).split())[:200]}")
        spent = [looks.state(), *(one.spending.state() for one in trainer)]
        outcome.spent = {name: sum(one[name] for one in spent) for name in UNITS}
        outcome.wall_seconds = time.perf_counter() - begin
        trainer.clear()
        if self._device.type == "cuda":
            gc.collect()  # a network may hold itself in a circle, and its memory
        return outcome

    def _train(
        self,
        outcome: Outcome,
        go_on: Callable[[float], bool],
        report: Report | None,
        made: list[Trainer],
        looks: Spending,
    ) -> None:
        values, options = applied(outcome.setting, self._settings)
        settings = replace(
            self._settings, **values, budget=f"{self._each.amount!r} {self._each.unit}"
        )
        method = replace(self._method, options={**self._method.options, **options})
        self.restore()
        seed_all(self._seed)
        model = self._build(method, self._prepared, settings).to(self._device)
        if self._shared is None:
            self._shared = Shared(model)
        if self._start is not None:
            try:
                kept.load_into(model, self._start)
            except kept.NotTheNetwork as error:
                raise CellFailed(str(error)) from error
        if self._data is None:
            self._refuse_small(model, settings)
            scans = TrainingSet.of(self._prepared.train, settings.shift_cells)
            self._data = scans.on(self._device)

        def judge() -> float:
            return validate(model, method.outputs, self._validation, settings, self._device, looks)

        def look(trainer: Trainer) -> None:
            share = trainer.spending.fraction
            if outcome.half is None and HALF <= share < 1 - 1e-9:
                outcome.half = judge()
                model.train()
                if not go_on(outcome.half):
                    raise _Pruned

        trainer = Trainer(
            model, self._data, settings, self._seed, self._device, self._threads, report,
            watch=look,
        )  # fmt: skip
        made.append(trainer)
        try:
            trainer.run()
        except _Pruned:
            outcome.state = "pruned"
            return
        outcome.value = judge()
        outcome.state = "complete"

    def restore(self) -> None:
        """Undo what trials left in the network's class or its module."""
        if self._shared is not None:
            self._shared.restore()

    def _refuse_small(self, model: nn.Module, settings: Settings) -> None:
        stages, scans = stages_of(model), len(self._prepared.train)
        if shares.fault(stages)[0]:
            return  # the loop says it
        sizes = parts.parts_of(stages, settings.batch_size, scans)
        each = self._each
        need = sum(part.least(each.unit) for part in sizes if not part.apart)
        if need > each.amount:
            trials = self._method.tuning.trials
            least = math.ceil(need * trials / self._method.tuning.share - 1e-6)
            raise TooSmall(
                f"the budget of {self._settings.budget} is too small for --tune {trials}: a trial "
                f"of it takes {need} {each.unit} at least; take fewer trials, or give every method "
                f"--budget '{least} {each.unit}'"
            )
