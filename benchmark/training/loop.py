"""The training loop: every stage of a method under one budget, with one recipe for all methods."""

from __future__ import annotations

import itertools
import math
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmark.contract import Batch, Stage, stages_of
from benchmark.training import compilation, parallel, parts, shares, state, stop
from benchmark.training.activations import checkpoint_blocks
from benchmark.training.batches import TrainingSet
from benchmark.training.checkpoint import Resume
from benchmark.training.clock import PeakMemory, Rate, Spending
from benchmark.training.curve import LossCurve, Report
from benchmark.training.gradients import HALF_WAY, LEAST_STEPS, gradient_shares
from benchmark.training.outside import Outside
from benchmark.training.recipe import autocast, learning_rate_factor, make_optimiser
from benchmark.training.settings import COUNTED, Budget, Settings

GRADIENT_NORM = 5.0
"""Gradients are clipped to this norm: small batches hold a rare large lesion."""

SMALLEST_SHARE = 1e-12


class CellFailed(Exception):
    """A method could not be trained or did not predict; the message is one line for the board."""

    def __init__(self, message: str, traceback: str = "") -> None:
        super().__init__(message)
        self.traceback = traceback


class _Diverged(Exception):
    """A loss was not finite."""

    def __init__(self, loss: float, stage: str, step: int) -> None:
        super().__init__(f"loss became {loss} at step {step} of stage {stage!r}")
        self.event = {"stage": stage, "step": step, "loss": str(loss)}


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
    resume : Resume, optional
        The training's checkpoint: it goes on from there, and keeps one there.
    whole_budget : bool
        Refuse a budget that cannot hold a step of each stage. Not where costs alone are wanted.
    watch : callable, optional
        ``watch(trainer)`` after each step, for the trial of a search, which an exception of it
        ends. A loss that is not finite is then not retried: the setting is at fault.

    Attributes
    ----------
    events : list of dict
        Each divergence that was retried, for the ledger.
    resumed : list of dict
        Where the training went on after an interruption, for the ledger.
    checkpointed : int
        Blocks that the backward pass computes again.
    compile_seconds : float
        Wall-clock seconds that compiling took.
    seconds_before, peak_before : float, int
        Wall-clock seconds and peak memory (bytes) before the interruption.
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
        resume: Resume | None = None,
        whole_budget: bool = True,
        watch: Callable[[Trainer], None] | None = None,
    ) -> None:
        self._whole_budget, self._watch = whole_budget, watch
        self.model, self.data, self.settings = model, data, settings
        self.device = device
        self.random = np.random.default_rng(np.random.SeedSequence([seed, 20]))
        self.group = parallel.group()
        self.group.prepare(model)
        self.checkpointed = 0
        if settings.activation_checkpointing:
            self.checkpointed = checkpoint_blocks(model)
        self.clock = self.group.clock(device, threads)
        self.data_seconds = self.compile_seconds = 0.0
        self.spending = Spending(Budget.parse(settings.budget), self.clock)
        self.curve = LossCurve(self.spending, report)
        self.stage_ledger: list[dict] = []
        self.events: list[dict] = []
        self.resumed: list[dict] = []
        self.seconds_before, self.peak_before = 0.0, 0
        self._began = time.perf_counter()
        self._seed, self._resume = seed, resume
        self._memory = PeakMemory(device, begin=False)
        self._good: state.Snapshot | None = None
        self._autocast = autocast(settings, device)
        self._scaler = torch.amp.GradScaler(
            device.type, enabled=settings.precision == "float16" and device.type == "cuda"
        )

    def run(self) -> None:
        """Train all stages; the model is left in training mode on its device.

        A loss that is not finite is retried once, from the last good state with the scans in
        another order: the same order would lead to the same place. What was spent since then is
        given back, and stands in `events`.

        Raises
        ------
        CellFailed
            If a loss is not finite a second time, or the stages are not those of the contract.
        KeyboardInterrupt
            If it was asked to stop; the checkpoint is written then.
        """
        stages, ends = self._stages()
        self._outside = Outside(self.model, stages)
        if self._resume is not None:
            snapshot = self.group.first(self._resume.load)
        else:
            snapshot = None
        if snapshot is not None:
            snapshot = self._accept(snapshot, stages)
        place = 0 if snapshot is None else int(snapshot.values["stage"])
        with stop.heeding(), self.group.working():
            while place < len(stages):
                begin = ends[place - 1] if place else 0.0
                try:
                    self._run_stage(place, stages[place], begin, ends[place], snapshot)
                except _Diverged as diverged:
                    snapshot = self._retry(diverged)
                    place = int(snapshot.values["stage"])
                    continue
                snapshot = None
                place += 1
            due = self._resume is not None and self._resume.due(at_end=True)
            if self.group.agree(self.clock, due)[0]:
                self._save(len(stages), None)

    def _stages(self) -> tuple[list[Stage], list[float]]:
        """The method's stages, and the share of its whole budget at which each ends."""
        stages = stages_of(self.model)
        if words := "; ".join(filter(None, shares.fault(stages))):
            raise CellFailed(words)
        budget = Budget.parse(self.settings.budget)
        sizes = parts.parts_of(stages, self.settings.batch_size, len(self.data))
        if self._whole_budget and (words := parts.too_small(sizes, budget)):
            raise CellFailed(words)
        ends = parts.ends(sizes, budget)
        self._shares = [stage.share for stage in stages]
        # with what is counted apart
        self.spending.budget = Budget(max(ends), budget.unit)
        return list(stages), [end / max(ends) for end in ends]

    def _run_stage(
        self, place: int, stage: Stage, begin: float, end: float, snapshot: state.Snapshot | None
    ) -> None:
        """One stage from its beginning, or from within as a snapshot has it."""
        self.model.train()
        costs = [0.0, *itertools.accumulate(self._shares)]
        self.curve.span(begin, end, costs[place], costs[place + 1])
        self.spending.apart = bool(stage.apart) and self.spending.budget.unit in COUNTED
        size = self.settings.batch_size * stage.batch_scale
        if fault := self.group.fault(min(size, len(self.data))):
            raise CellFailed(fault)
        rate = self.settings.learning_rate * stage.learning_rate
        within = None if snapshot is None else snapshot.values["within"]
        if snapshot is not None:
            self._restore_model(snapshot)
        if within is None:
            self._good = self._snapshot(place, None)
            kept = self._keep(stage) if stage.keep is not None else None
        else:
            kept = None
            if stage.keep is not None:
                kept = {
                    key.removeprefix("kept/"): tensor
                    for key, tensor in snapshot.tensors.items()
                    if key.startswith("kept/")
                }
        indices = self.data.batches(size, self.random)
        optimiser = make_optimiser(self.settings, stage.parameters, rate)
        opponent = None
        if stage.opponent_parameters is not None:
            opponent = make_optimiser(self.settings, stage.opponent_parameters, rate)
        if within is None:
            first = self._batch(next(indices), kept)
            self.model.train()  # features are kept without; cuDNN's LSTM has no backward then
            self._check_shared(stage, first)
            flops = self._warm_up(stage, first)
            self._refuse_flops(flops)
            before, done = self.spending.as_dict(), 0
            self.curve.begin(stage.name)
        else:
            first = None
            before, done, flops = within["before"], int(within["count"]), within["flops"]
            state.restore_optimiser(optimiser, "optimiser", snapshot.tensors)
            if opponent is not None:
                state.restore_optimiser(opponent, "opponent", snapshot.tensors)
            if snapshot.values.get("redraw"):
                indices = self.data.batches(size, self.random)
            else:
                indices.restore(within["draw"])
                # the new draw took numbers that the old one had not
                self.random.bit_generator.state = snapshot.values["order"]
        pace = Rate(self.clock, None if within is None else within.get("rate"))
        measured = None if within is None else within.get("gradients")
        if self.settings.compile != "none":
            stage = self._compile(stage, np.arange(min(size, len(self.data))), kept)
        after_step = getattr(self.model, "after_step", None)
        # device-seconds can be overrun by the keeping pass alone; a stage takes one step at least
        for count in itertools.count(done):
            spent = self.spending.fraction
            # a share may be too small for the difference of two sums to hold it
            share = (spent - begin) / max(end - begin, SMALLEST_SHARE)
            if count:
                pace.step(count, share, before["device_seconds"])
            if count and spent >= end - 1e-9:
                break
            batch = first if first is not None else self._batch(next(indices), kept)
            first = None
            if measured is None and share >= HALF_WAY and count >= LEAST_STEPS:
                alone = self.group.count == 1 and self.settings.compile == "none"
                # a trial of a search keeps no ledger of its stages
                wanted = alone and self._watch is None
                measured = (
                    gradient_shares(self.model, place, batch, self._autocast) if wanted else {}
                )
            factor = learning_rate_factor(self.settings, share)
            for group in (*optimiser.param_groups, *(opponent.param_groups if opponent else ())):
                group["lr"] = rate * factor
            with self.clock:
                if opponent is not None:
                    self._step(stage.opponent_losses, batch, opponent, stage.opponent_parameters)
                loss = self._step(stage.losses, batch, optimiser, stage.parameters)
                if after_step is not None:
                    after_step()
            self.spending.add(1, len(batch.scores) * self.group.count, flops)
            ending = stop.asked()
            due = self._resume is not None and (ending or self._resume.due())
            ending, due = self.group.agree(self.clock, ending, due)
            # reading the loss waits for a GPU: only now and then
            if count % 10 == 0 or self.device.type == "cpu" or due:
                value = self.group.mean(loss)
                if not math.isfinite(value):
                    raise _Diverged(value, stage.name, count + 1)
                if count % 10 == 0 or self.device.type == "cpu":
                    self.curve.add(value)
            if self._watch is not None:
                self._watch(self)
            if due:
                within = {
                    "count": count + 1, "flops": flops, "before": before, "draw": indices.state(),
                    "rate": pace.first, "gradients": measured,
                }  # fmt: skip
                self._save(place, within, optimiser, opponent, kept)
            if ending:
                raise KeyboardInterrupt
        if self.group.count > 1:
            self._keep_model({})  # raises if the devices' networks have drifted apart
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
                "apart": self.spending.apart,
                "flops_per_step": flops,
                "gradient_shares": measured or {},
                "steps_per_second": pace.as_dict(
                    after["steps"] - before["steps"],
                    after["device_seconds"] - before["device_seconds"],
                ),
                **{key: round(after[key] - before[key], 3) for key in after},
            }
        )

    # ---- states between two steps

    def _snapshot(
        self,
        place: int,
        within: dict | None,
        optimiser: torch.optim.Optimizer | None = None,
        opponent: torch.optim.Optimizer | None = None,
        kept: dict[str, Tensor] | None = None,
    ) -> state.Snapshot:
        """Where the training stands: before a stage, or ``within`` one."""
        tensors: dict[str, Tensor] = {}
        values = {
            "stage": place,
            "within": within,
            "model": self._keep_model(tensors),
            "random": state.keep_random(tensors, self.device),
            "order": self.random.bit_generator.state,
            "scaler": self._scaler.state_dict(),
            "spending": self.spending.state(),
            "data_seconds": self.data_seconds,
            "curve": self.curve.state(),
            "stages": list(self.stage_ledger),
            "events": list(self.events),
            "resumed": list(self.resumed),
            "seconds": self.seconds,
            "peak": max(self.peak_before, self._memory.bytes()),
        }
        for prefix, one in (("optimiser", optimiser), ("opponent", opponent)):
            if one is not None:
                state.keep_optimiser(one, prefix, tensors)
        # never changed after they were computed: not copied
        tensors |= {f"kept/{name}": tensor.contiguous() for name, tensor in (kept or {}).items()}
        return state.Snapshot(tensors, values)

    def _keep_model(self, tensors: dict[str, Tensor]) -> dict:
        """The network's state, the same whatever the number of devices."""
        found: dict[str, Tensor] = {}
        values = state.keep_model(self.model, found)
        try:
            tensors.update(self.group.gathered(self.model, found))
        except ValueError as error:
            raise CellFailed(str(error)) from None
        return values

    def _restore_model(self, snapshot: state.Snapshot, whole: bool = False) -> None:
        """Give the network a snapshot's state: this device's part of it, or the ``whole``."""
        tensors = snapshot.tensors
        if not whole:
            tensors = self.group.part(self.model, tensors)
        state.restore_model(self.model, tensors, snapshot.values["model"])

    def _save(self, place: int, within: dict | None, *parts) -> None:
        """Write the checkpoint, unless a weight is no number: that is nothing to go on from."""
        if not state.finite(self.model):
            return
        self._good = self._snapshot(place, within, *parts)  # all devices take part
        if self._resume.failed:
            return
        tensors = dict(self._good.tensors)
        shared, lost = self._outside.keep(tensors)
        if lost:
            # to go on without it would be another training
            self._resume.failed = True
            self._resume.say(
                f"no checkpoints from here on: it changes {', '.join(lost[:3])}, which they cannot "
                "hold (buffers can be, and attributes that are tensors, numbers, text, lists or "
                "dicts); stopped, it begins anew"
            )
            return
        self._resume.save(state.Snapshot(tensors, self._good.values | {"shared": shared}))

    @property
    def seconds(self) -> float:
        """Wall-clock seconds of training, those before an interruption among them."""
        return self.seconds_before + time.perf_counter() - self._began

    def _accept(self, snapshot: state.Snapshot, stages: list[Stage]) -> state.Snapshot | None:
        """Go on from a checkpoint; None, with a line, if it is not this training's."""
        before = self._snapshot(0, None)
        try:
            self._restore(snapshot)
            values = snapshot.values
            if not 0 <= int(values["stage"]) <= len(stages):
                raise ValueError("it is in a stage that the network does not have")
            self._restore_model(snapshot)
            self._outside.restore(snapshot.tensors, values.get("shared", {}))
        except (
            KeyError, ValueError, TypeError, IndexError, RuntimeError, AttributeError
        ) as error:  # fmt: skip
            self._restore(before)
            self._restore_model(before)
            self._resume.discard(str(error) or type(error).__name__)
            return None
        self.seconds_before, self.peak_before = float(values["seconds"]), int(values["peak"])
        self.resumed = [*values["resumed"], {"steps": self.spending.steps}]
        self._good = snapshot
        self._resume.say(
            f"goes on after {self.spending.steps} steps, "
            f"{100 * min(1.0, self.spending.fraction):.0f} % of its budget"
        )
        return snapshot

    def _restore(self, snapshot: state.Snapshot) -> None:
        """All but the network and its optimisers, which belong to a stage."""
        values = snapshot.values
        state.restore_random(snapshot.tensors, values["random"], self.device)
        self.random.bit_generator.state = values["order"]
        if values["scaler"]:
            self._scaler.load_state_dict(values["scaler"])
        self.spending.restore(values["spending"])
        self.data_seconds = float(values["data_seconds"])
        self.curve.restore(values["curve"])
        self.stage_ledger = list(values["stages"])
        self.events = list(values["events"])

    def _retry(self, diverged: _Diverged) -> state.Snapshot:
        """The last good state, to go on from in another order.

        Raises
        ------
        CellFailed
            If it was retried before.
        """
        if self._watch is not None:
            raise CellFailed(str(diverged))
        if self.events:
            again = f", and at step {self.events[0]['step']} before"
            raise CellFailed(f"{diverged}{again}")
        snapshot, lost = self._good, self.spending.state()
        self._restore(snapshot)
        back = self.spending.state()
        event = diverged.event | {"retried_from_step": back["steps"]}
        if kept := self._outside.changed():
            event["not_taken_back"] = kept
        event |= {f"lost_{key}": round(lost[key] - back[key], 3) for key in lost}
        self.events.append(event)
        self.random = np.random.default_rng(np.random.SeedSequence([self._seed, 20, 1]))
        if self._resume is not None:
            self._resume.say(f"{diverged}: retried once, from step {back['steps']}")
        return state.Snapshot(snapshot.tensors, snapshot.values | {"redraw": True})

    def _batch(self, index: np.ndarray, kept: dict[str, Tensor] | None) -> Batch:
        """The next batch, on the clock of the data."""
        begin = time.perf_counter()
        if kept is not None:
            chosen = torch.from_numpy(index)
            there = chosen.to(self.data.scores.device)
            empty = torch.empty(0)
            batch = Batch(
                empty,
                empty,
                empty,
                self.data.scores[there],
                self.data.slice_scores[there],
                {name: values[chosen] for name, values in kept.items()},
            )
        else:
            batch = self.data.augmented(index, self.settings, self.random)
        batch = self.group.share(batch).to(self.device)
        self.data_seconds += time.perf_counter() - begin
        return batch

    def _step(self, losses, batch: Batch, optimiser, parameters) -> Tensor:
        optimiser.zero_grad(set_to_none=True)
        compilation.new_step(self.settings.compile)
        with self._autocast:
            terms = losses(batch)
            loss = sum(terms.values())
        self._scaler.scale(loss).backward()
        self.group.average(parameters)
        self._scaler.unscale_(optimiser)
        nn.utils.clip_grad_norm_([p for p in parameters if p.grad is not None], GRADIENT_NORM)
        self._scaler.step(optimiser)
        self._scaler.update()
        return loss.detach()

    def _warm_up(self, stage: Stage, batch: Batch) -> float:
        """Run one step outside the clock and undo it; returns its floating point operations."""
        with self._undone(), FlopCounterMode(display=False) as counter, self._autocast:
            if stage.opponent_losses is not None:
                sum(stage.opponent_losses(batch).values()).backward()
            sum(stage.losses(batch).values()).backward()
        return float(counter.get_total_flops() * self.group.count)

    def _refuse_flops(self, flops: float) -> None:
        """Fail before the first step if it alone takes more operations than the budget has."""
        budget = self.spending.budget
        if self._whole_budget and budget.unit == "flops" and flops > budget.amount:
            raise CellFailed(
                f"the budget of {budget} is too small for it: one step takes {flops:.3g} flops"
            )

    def _compile(self, stage: Stage, index: np.ndarray, kept: dict[str, Tensor] | None) -> Stage:
        """The stage with compiled losses, outside the clock; nothing is learnt and none drawn."""
        if self.group.count > 1:
            raise CellFailed("compile is for one device: here several share a batch")
        # the scans as they are: an augmented batch would take random numbers
        batch = self._batch(index, kept) if kept is not None else self.data.take(index)
        stage = compilation.compiled(stage, self.settings.compile)
        if self._resume is not None:
            self._resume.say(f"compiles stage {stage.name!r}, half a minute or more")
        try:
            with self._undone(), self._autocast:
                seconds = compilation.first_pass(
                    stage, batch.to(self.device), self.settings.compile
                )
        except compilation.NotCompiled as error:
            if stop.asked():  # the compiler was stopped as well
                raise KeyboardInterrupt from None
            raise CellFailed(str(error), traceback.format_exc()) from error
        self.compile_seconds += seconds
        self.curve.pause(seconds)
        return stage

    @contextmanager
    def _undone(self) -> Iterator[None]:
        """Within, passes leave no trace in weights, buffers, gradients and the random numbers.

        What a network keeps in attributes stays: an adversary's first pairs come from here.
        """
        weights = [(value, value.detach().clone()) for value in self.model.parameters()]
        # also those that are no part of the state_dict; a pass may put a new one in their place
        buffers = [
            (module, name, value, None if value is None else value.detach().clone())
            for module in self.model.modules()
            for name, value in module._buffers.items()
        ]
        random_state = torch.get_rng_state()
        yield
        self.model.zero_grad(set_to_none=True)
        with torch.no_grad():
            for value, before in weights:
                value.copy_(before)
            for module, name, value, before in buffers:
                module._buffers[name] = value
                if value is not None:
                    value.copy_(before)
        torch.set_rng_state(random_state)

    def _check_shared(self, stage: Stage, batch: Batch) -> None:
        """Make sure that a loss on the parts of a batch is that of the batch."""
        if self.group.count == 1:
            return
        before = self._snapshot(0, None)

        def losses(whole: Batch | None) -> float:
            with torch.no_grad(), self._autocast:
                chosen = batch if whole is None else whole.to(self.device)
                return float(sum(stage.losses(chosen).values()))

        def restore(whole: bool) -> None:
            self._restore_model(before, whole)
            state.restore_random(before.tensors, before.values["random"], self.device)

        if fault := self.group.check(losses, restore):
            raise CellFailed(fault)

    def _keep(self, stage: Stage) -> dict[str, Tensor]:
        """Compute the stage's kept features of every training scan, under the budget."""
        self.model.eval()
        parts: list[dict[str, Tensor]] = []
        chunks: list[int] = []
        flops = 0.0
        with torch.no_grad():
            for begin in range(0, len(self.data), self.settings.batch_size):
                end = min(begin + self.settings.batch_size, len(self.data))
                chunks.append(end - begin)
                index = self.group.rows(begin, end)
                if not len(index):  # fewer scans than devices are left
                    self.spending.add(0, chunks[-1], flops * chunks[-1])
                    continue
                image = self.data.take(index).image.to(self.device)
                with self.clock, self._autocast:
                    if begin == 0:
                        with FlopCounterMode(display=False) as counter:
                            parts.append(stage.keep(image))
                        flops = counter.get_total_flops() / len(index)
                    else:
                        parts.append(stage.keep(image))
                parts[-1] = {name: value.float().cpu() for name, value in parts[-1].items()}
                self.spending.add(0, chunks[-1], flops * chunks[-1])
        return self.group.join(parts, chunks)
