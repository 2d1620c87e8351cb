"""The training loop: every stage of a method under one budget, with one recipe for all methods."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmark.calcium import risk_category
from benchmark.contract import Batch, Stage, stages_of
from benchmark.training.clock import DeviceClock, Spending
from benchmark.training.prepare import Example
from benchmark.training.settings import Budget, Settings

Report = Callable[[str, float, float, float], None]
"""Called as ``report(stage, share spent of the whole budget, loss, seconds left)``."""

WARM_UP = 0.05
"""Share of a stage over which the learning rate rises to its full value."""
GRADIENT_NORM = 5.0
"""Gradients are clipped to this norm: small batches hold a rare large lesion."""
DECAY_PER_EPOCH = 0.985
PAPER_EPOCHS = 200


class CellFailed(Exception):
    """A method could not be trained or did not predict; the message is one line for the board."""

    def __init__(self, message: str, traceback: str = "") -> None:
        super().__init__(message)
        self.traceback = traceback


@dataclass
class TrainingSet:
    """The training scans as tensors on the CPU, and the random draw of batches."""

    image: Tensor
    target: Tensor
    candidate: Tensor
    scores: Tensor
    slice_scores: Tensor

    @classmethod
    def of(cls, examples: tuple[Example, ...]) -> TrainingSet:
        """Stack the training scans."""
        return cls(
            torch.from_numpy(np.stack([e.image for e in examples])),
            torch.from_numpy(np.stack([e.target for e in examples])),
            torch.from_numpy(np.stack([e.candidate for e in examples])),
            torch.from_numpy(
                np.log1p(np.stack([e.scores for e in examples])).reshape(-1, 12)
            ).float(),
            torch.from_numpy(np.log1p(np.stack([e.slice_scores for e in examples])))
            .float()
            .flatten(2),
        )

    def __len__(self) -> int:
        return len(self.image)

    def batches(self, size: int, random: np.random.Generator) -> Iterator[np.ndarray]:
        """Indices, endlessly, each risk category equally often; a batch is always full.

        In a clinic's order a third of the steps would see no calcium at all, and the heavy patients
        on whom volumes and agreement depend would come once in ten scans. Within a category the
        scans come in a new order each time round.
        """
        size = min(size, len(self))
        category = risk_category(np.expm1(self.scores[:, 3].double().numpy()))
        members = [np.flatnonzero(category == c) for c in range(5)]
        queues = {c: random.permutation(m) for c, m in enumerate(members) if len(m)}
        order = np.empty(0, np.int64)
        while True:
            chosen = []
            while len(chosen) < size:
                if not len(order):
                    order = random.permutation(list(queues))
                kind, order = int(order[0]), order[1:]
                chosen.append(queues[kind][0])
                queues[kind] = queues[kind][1:]
                if not len(queues[kind]):
                    queues[kind] = random.permutation(members[kind])
            yield np.asarray(chosen)

    def take(self, index: np.ndarray) -> Batch:
        """The scans of these indices as they are."""
        chosen = torch.from_numpy(index)
        return Batch(
            self.image[chosen].float(),
            self.target[chosen].long(),
            self.candidate[chosen],
            self.scores[chosen],
            self.slice_scores[chosen],
        )


def augment(batch: Batch, settings: Settings, random: np.random.Generator) -> Batch:
    """Shift each scan by whole cells and add noise. Never a reflection: the arteries have sides."""
    images, targets, candidates, slice_scores = [], [], [], []
    reach = settings.shift_cells
    for i in range(len(batch.image)):
        shifts = (
            random.integers(-(reach // 2), reach // 2 + 1),
            *random.integers(-reach, reach + 1, 2),
        )
        image, target, candidate = batch.image[i], batch.target[i], batch.candidate[i]
        parts = batch.slice_scores[i]
        for axis, shift in enumerate(shifts):
            if shift:
                size = target.shape[axis]
                index = torch.arange(size).sub_(int(shift)).clamp_(0, size - 1)
                image = image.index_select(axis + 1, index)
                target = target.index_select(axis, index)
                candidate = candidate.index_select(axis, index)
                if axis == 0:
                    parts = parts.index_select(0, index)
        images.append(image)
        targets.append(target)
        candidates.append(candidate)
        slice_scores.append(parts)
    image = torch.stack(images)
    if settings.noise:
        generator = torch.Generator().manual_seed(int(random.integers(2**62)))
        image += settings.noise * torch.randn(image.shape, generator=generator)
    return Batch(
        image,
        torch.stack(targets),
        torch.stack(candidates),
        batch.scores,
        torch.stack(slice_scores),
        batch.kept,
    )


def learning_rate_factor(
    settings: Settings, spent: float, epochs_planned: float = PAPER_EPOCHS
) -> float:
    """Multiple of the learning rate at a share ``spent`` (0 to 1) of a stage's budget."""
    if settings.schedule == "exponential":
        return DECAY_PER_EPOCH ** (epochs_planned * min(spent, 1.0))
    if spent < WARM_UP:
        return max(spent / WARM_UP, 0.05)
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (spent - WARM_UP) / (1 - WARM_UP))))


def _optimiser(settings: Settings, parameters, rate: float, device: torch.device):
    kind = torch.optim.AdamW if settings.optimiser == "adamw" else torch.optim.Adam
    decay = settings.weight_decay if settings.optimiser == "adamw" else 0.0
    return kind(list(parameters), lr=rate, weight_decay=decay, fused=True)


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
        self.report = report
        self.curve: list[tuple[str, float, int, float]] = []
        self.stage_ledger: list[dict] = []
        kind = {"bfloat16": torch.bfloat16, "float16": torch.float16}.get(settings.precision)
        self._autocast = torch.autocast(
            device.type, kind or torch.bfloat16, enabled=kind is not None
        )
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
        started = time.monotonic()
        for stage in stages:
            self._run_stage(stage, begin, begin + stage.share, started)
            begin += stage.share

    def _run_stage(self, stage: Stage, begin: float, end: float, started: float) -> None:
        self.model.train()
        size = self.settings.batch_size * stage.batch_scale
        kept = self._keep(stage) if stage.keep is not None else None
        indices = self.data.batches(size, self.random)
        rate = self.settings.learning_rate * stage.learning_rate
        optimiser = _optimiser(self.settings, stage.parameters, rate, self.device)
        opponent = None
        if stage.opponent_parameters is not None:
            opponent = _optimiser(self.settings, stage.opponent_parameters, rate, self.device)
        first = self._batch(next(indices), kept)
        flops = self._warm_up(stage, first)
        self.model.train()
        before = self.spending.as_dict()
        after_step = getattr(self.model, "after_step", None)
        smooth = None
        last_report = 0.0
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
                smooth = value if smooth is None else 0.9 * smooth + 0.1 * value
                now = time.monotonic()
                if now - last_report > 0.5:
                    last_report = now
                    share = min(self.spending.fraction, 1.0)
                    self.curve.append((stage.name, round(share, 5), self.spending.samples, smooth))
                    if self.report is not None:
                        left = (now - started) * (1 - share) / max(share, 1e-6)
                        self.report(stage.name, share, smooth, left)
        after = self.spending.as_dict()
        self.curve.append(
            (stage.name, round(min(self.spending.fraction, 1.0), 5), self.spending.samples, smooth)
        )
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
