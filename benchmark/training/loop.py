"""The training loop: every stage of a method under one budget, with one recipe for all methods."""

from __future__ import annotations

import itertools
import math
import time

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmark.contract import Batch, Stage, stages_of
from benchmark.training.batches import TrainingSet, augment
from benchmark.training.clock import DeviceClock, Spending
from benchmark.training.curve import LossCurve, Report
from benchmark.training.recipe import autocast, learning_rate_factor, make_optimiser
from benchmark.training.settings import Budget, Settings

GRADIENT_NORM = 5.0
"""Gradients are clipped to this norm: small batches hold a rare large lesion."""


class CellFailed(Exception):
    """A method could not be trained or did not predict; the message is one line for the board."""

    def __init__(self, message: str, traceback: str = "") -> None:
        super().__init__(message)
        self.traceback = traceback


class Trainer:
    """Trains one model under one budget.

    Parameters
    ----------
    model : nn.Module
        A method (see :mod:`benchmark.contract`), on its device.
    data : TrainingSet
    settings : Settings
    seed : int
    device : torch.device
    threads : int
    report : callable, optional
    """

    def __init__(
        self,
        model: nn.Module,
        data: TrainingSet,
        settings: Settings,
        seed: int,
        device: torch.device,
        threads: int,
        report: Report | None = None,
    ) -> None:
        self.model, self.data, self.settings = model, data, settings
        self.device = device
        self.random = np.random.default_rng(np.random.SeedSequence([seed, 20]))
        self.clock = DeviceClock(device, threads)
        self.data_seconds = 0.0
        self.spending = Spending(Budget.parse(settings.budget), self.clock)
        self.curve = LossCurve(self.spending, report)
        self.stage_ledger: list[dict] = []
        self._autocast = autocast(settings, device)
        self._scaler = torch.amp.GradScaler(
            device.type, enabled=settings.precision == "float16" and device.type == "cuda"
        )

    def run(self) -> None:
        """Train all stages; the model is left in training mode on its device.

        Raises
        ------
        CellFailed
            If a loss is not finite, or the stages' shares do not add up to 1.
        """
        stages = stages_of(self.model)
        if abs(sum(stage.share for stage in stages) - 1) > 1e-6:
            raise CellFailed("the shares of its stages do not add up to 1")
        begin = 0.0
        for stage in stages:
            self._run_stage(stage, begin, begin + stage.share)
            begin += stage.share

    def _run_stage(self, stage: Stage, begin: float, end: float) -> None:
        self.model.train()
        size = self.settings.batch_size * stage.batch_scale
        kept = self._keep(stage) if stage.keep is not None else None
        indices = self.data.batches(size, self.random)
        rate = self.settings.learning_rate * stage.learning_rate
        optimiser = make_optimiser(self.settings, stage.parameters, rate)
        opponent = None
        if stage.opponent_parameters is not None:
            opponent = make_optimiser(self.settings, stage.opponent_parameters, rate)
        first = self._batch(next(indices), kept)
        flops = self._warm_up(stage, first)
        self.model.train()
        before = self.spending.as_dict()
        after_step = getattr(self.model, "after_step", None)
        self.curve.begin(stage.name)
        # device-seconds can be overrun by the keeping pass alone; a stage takes one step at least
        for count in itertools.count():
            spent = self.spending.fraction
            if count and spent >= end - 1e-9:
                break
            batch = first if count == 0 else self._batch(next(indices), kept)
            factor = learning_rate_factor(self.settings, (spent - begin) / (end - begin))
            for group in (*optimiser.param_groups, *(opponent.param_groups if opponent else ())):
                group["lr"] = rate * factor
            with self.clock:
                if opponent is not None:
                    self._step(stage.opponent_losses, batch, opponent, stage.opponent_parameters)
                loss = self._step(stage.losses, batch, optimiser, stage.parameters)
                if after_step is not None:
                    after_step()
            self.spending.add(1, len(batch.scores), flops)
            # reading the loss waits for a GPU: only now and then
            if count % 10 == 0 or self.device.type == "cpu":
                value = float(loss)
                if not math.isfinite(value):
                    raise CellFailed(
                        f"loss became {value} at step {count + 1} of stage {stage.name!r}"
                    )
                self.curve.add(value)
        after = self.spending.as_dict()
        self.curve.end()
        self.stage_ledger.append(
            {
                "name": stage.name,
                "share": stage.share,
                "learning_rate": rate,
                "batch_size": min(size, len(self.data)),
                "adversary": opponent is not None,
                "on_kept_features": kept is not None,
                "flops_per_step": flops,
                **{key: round(after[key] - before[key], 3) for key in after},
            }
        )

    def _batch(self, index: np.ndarray, kept: dict[str, Tensor] | None) -> Batch:
        """The next batch, on the clock of the data."""
        begin = time.perf_counter()
        if kept is not None:
            chosen = torch.from_numpy(index)
            empty = torch.empty(0)
            batch = Batch(
                empty,
                empty,
                empty,
                self.data.scores[chosen],
                self.data.slice_scores[chosen],
                {name: values[chosen] for name, values in kept.items()},
            )
        else:
            batch = augment(self.data.take(index), self.settings, self.random)
        batch = batch.to(self.device)
        self.data_seconds += time.perf_counter() - begin
        return batch

    def _step(self, losses, batch: Batch, optimiser, parameters) -> Tensor:
        optimiser.zero_grad(set_to_none=True)
        with self._autocast:
            terms = losses(batch)
            loss = sum(terms.values())
        self._scaler.scale(loss).backward()
        self._scaler.unscale_(optimiser)
        nn.utils.clip_grad_norm_([p for p in parameters if p.grad is not None], GRADIENT_NORM)
        self._scaler.step(optimiser)
        self._scaler.update()
        return loss.detach()

    def _warm_up(self, stage: Stage, batch: Batch) -> float:
        """Run one step outside the clock and undo it; returns its floating point operations."""
        state = {name: value.clone() for name, value in self.model.state_dict().items()}
        random_state = torch.get_rng_state()
        with FlopCounterMode(display=False) as counter, self._autocast:
            if stage.opponent_losses is not None:
                sum(stage.opponent_losses(batch).values()).backward()
            sum(stage.losses(batch).values()).backward()
        self.model.zero_grad(set_to_none=True)
        self.model.load_state_dict(state)
        torch.set_rng_state(random_state)
        return float(counter.get_total_flops())

    def _keep(self, stage: Stage) -> dict[str, Tensor]:
        """Compute the stage's kept features of every training scan, under the budget."""
        self.model.eval()
        parts: list[dict[str, Tensor]] = []
        flops = 0.0
        with torch.no_grad():
            for begin in range(0, len(self.data), self.settings.batch_size):
                index = np.arange(begin, min(begin + self.settings.batch_size, len(self.data)))
                image = self.data.take(index).image.to(self.device)
                with self.clock, self._autocast:
                    if begin == 0:
                        with FlopCounterMode(display=False) as counter:
                            parts.append(stage.keep(image))
                        flops = counter.get_total_flops() / len(index)
                    else:
                        parts.append(stage.keep(image))
                self.spending.add(0, len(index), flops * len(index))
        return {name: torch.cat([part[name].float().cpu() for part in parts]) for name in parts[0]}
