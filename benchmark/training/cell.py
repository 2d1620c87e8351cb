"""One cell of a suite: build a method, train it under the budget, predict the test scans."""

from __future__ import annotations

import math
import time
import traceback
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmark import inference
from benchmark.cohorts.base import Cohort
from benchmark.contract import CLASSES, SCORE_COUNT, parameter_count
from benchmark.methods import Method
from benchmark.training import kept, parallel, shares
from benchmark.training import memory as process_memory
from benchmark.training.batches import TrainingSet
from benchmark.training.checkpoint import Resume
from benchmark.training.clock import PeakMemory
from benchmark.training.curve import Report
from benchmark.training.determinism import Determinism, seed_all
from benchmark.training.grid import CHANNELS
from benchmark.training.loop import CellFailed, Trainer
from benchmark.training.machine import machine
from benchmark.training.outside import Shared
from benchmark.training.predict import CellResult, expect_masks, predict, record_mask
from benchmark.training.prepare import Prepared
from benchmark.training.settings import Settings
from benchmark.training.tune import search, shared_report
from benchmark.training.witness import Witness, answers_otherwise, made_up_scan

NOTHING_SPENT = {"device_seconds": 0.0, "steps": 0, "samples": 0, "flops": 0.0, "stages": []}
"""Ledger of a row without learning, and of a network that is tested with given weights."""


def choose_device(name: str) -> torch.device:
    """``auto`` is the GPU where there is one; else the device of that name."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(name)


def build(
    method: Method, prepared: Prepared, settings: Settings, kind: type | None = None
) -> nn.Module:
    """Construct a method's network for the training grid.

    Parameters
    ----------
    method : Method
    prepared : Prepared
    settings : Settings
    kind : type, optional
        Its class, where it was loaded before: a file's class is another one each time.

    Raises
    ------
    CellFailed
        If the constructor raises.
    """
    options = {**method.options, **(settings.options or {}).get(method.name, {})}
    try:
        kind = kind or method.load()
        model = kind(prepared.grid.shape, CHANNELS, settings.width, **options)
    except Exception as error:
        raise CellFailed(
            f"could not be built: {type(error).__name__}: {error}", traceback.format_exc()
        ) from error
    return model


@torch.no_grad()
def _check_outputs(
    method: Method, model: nn.Module, prepared: Prepared, device: torch.device
) -> float:
    """Predict one training scan: outputs of wrong shapes fail before the budget is spent.

    Returns
    -------
    float
        Floating point operations of predicting a scan.
    """
    model.eval()
    image = torch.from_numpy(prepared.train[0].image[None]).float().to(device)
    with FlopCounterMode(display=False) as counter:
        output = model(image)
    wanted = {
        "mask": ("logits", (1, CLASSES, *prepared.grid.shape)),
        "head": ("scores", (1, SCORE_COUNT)),
    }
    for kind in method.outputs:
        name, shape = wanted[kind]
        if not isinstance(output, dict) or name not in output:
            raise CellFailed(
                f"forward gives no {name!r}, which outputs = {method.outputs} promises"
            )
        if tuple(output[name].shape) != shape:
            raise CellFailed(f"{name!r} has shape {tuple(output[name].shape)}, not {shape}")
    return float(counter.get_total_flops())


def run_cell(
    method: Method,
    prepared: Prepared,
    settings: Settings,
    seed: int,
    device: str = "auto",
    threads: int = 1,
    on_progress: Report | None = None,
    weights: dict[str, Tensor] | None = None,
    start: dict[str, Tensor] | None = None,
    cohort: Cohort | None = None,
    resume: Resume | None = None,
) -> CellResult:
    """Train one method and predict every test scan.

    Parameters
    ----------
    method : Method
    prepared : Prepared
    settings : Settings
    seed : int
        Of the weights, the data order, augmentation and dropout.
    device : str
    threads : int
        Threads of torch on the CPU.
    on_progress : callable, optional
        ``on_progress(stage, share spent, loss, seconds left)``.
    weights : dict of Tensor, optional
        A trained network's state. It is then tested as it is: nothing is trained, and the ledger
        says that nothing was spent.
    start : dict of Tensor, optional
        A trained network's state, which training starts from (fine-tuning).
    cohort : Cohort, optional
        The scans themselves, for a method that trains itself, and for one that needs the owners
        of their candidates.
    resume : Resume, optional
        The training's checkpoint: it goes on from there, and keeps one there. Not for a method
        that trains itself.

    Returns
    -------
    CellResult
        Where several devices train together, only the first one's holds predictions.

    Raises
    ------
    CellFailed
        If the network fails in a way that is its own, or the weights are not its own: the message
        is one line for the board.
    """
    result = CellResult(
        method.name,
        seed,
        prepared.test_ids,
        prepared.reference,
        np.stack(
            [inference.worst_false_positives(e.candidates, e.voxel_mm3) for e in prepared.test]
        ),
    )
    if not method.trained:
        if weights is not None or start is not None:
            raise CellFailed("has no weights that could be taken over")
        return _run_reference(method, prepared, result, cohort)
    if method.external:
        if weights is not None or start is not None:
            raise CellFailed("trains itself, and cannot start from given weights")
        system = method.load()(**method.options)
        where = choose_device(device).type
        return system.run(result, cohort, prepared, settings, seed, where, threads, on_progress)
    where = choose_device(device)
    method.load()  # what its file does to seeds and threads when imported comes before ours
    torch.set_num_threads(threads)
    process_memory.keep_freed()
    begin, searched = time.perf_counter(), None
    if method.tuning is not None and weights is None:
        searched = search(
            method, prepared, settings, seed, where, threads, build, start, resume, on_progress
        )
        # what follows is the training of any method, under what is left of the budget
        method, settings, share = searched.method, searched.settings, searched.share
        on_progress = shared_report(on_progress, "", share, 1 - share)
        resume = resume and Resume(resume.folder / "training", resume.every_seconds, resume.say)
        begin = time.perf_counter() - searched.seconds
    seed_all(seed)
    memory = PeakMemory(where)
    model = build(method, prepared, settings).to(where)
    witness = _witness(model, method, prepared, settings, where)
    # now: a later stage may freeze what an earlier one has trained
    parameters = parameter_count(model)
    trainer, remarks = None, []
    if start is not None:
        _load(model, start)
        if apart := answers_otherwise(model, start, witness.images[-1], settings, where):
            remarks.append(
                "the weights that it starts from answer otherwise here than where they were "
                f"trained (by up to {apart:.2g}): the code changed, or they are not all of it"
            )
    if weights is None:
        scans = TrainingSet.of(prepared.train, settings.shift_cells)
        data = scans.on(where)
        if parallel.group().largest(int(data is scans)):
            data = scans  # all devices alike, or they would not draw the same noise
        del scans
        trainer = Trainer(model, data, settings, seed, where, threads, on_progress, resume)
    else:
        _load(model, weights)
    determinism = Determinism(settings.deterministic)
    try:
        with determinism:
            scan_flops = _check_outputs(method, model, prepared, where)
            kept.state_of(model)  # what cannot be kept fails before the budget is spent
            if trainer is not None:
                trainer.run()
            trained = time.perf_counter()
            peak = memory.bytes()
            spent = NOTHING_SPENT
            if trainer is not None:
                spent, peak = _spent(trainer, settings), trainer.group.largest(peak)
                if trainer.group.rank:
                    return result  # the first device predicts
            witness.hear(model)
            predict(model, method, prepared.test, settings, where, result)
            witness.hear_again(model)
            result.state = kept.Weights(kept.state_of(model))
    except (CellFailed, KeyboardInterrupt):
        raise
    except kept.NotTheNetwork as error:
        raise CellFailed(str(error)) from error
    except Exception as error:
        raise CellFailed(
            f"{type(error).__name__}: {_first_line(error)}", traceback.format_exc()
        ) from error
    count = 1 if trainer is None else trainer.group.count
    before = (0.0, 0) if trainer is None else (trainer.seconds_before, trainer.peak_before)
    # of the training itself: what the harness keeps of the scans there is the same for all
    scans = 0 if trainer is None else trainer.data.device_bytes
    result.ledger = {
        **spent,
        "wall_seconds": round(trained - begin + before[0], 3),
        "evaluation_seconds": round(time.perf_counter() - trained, 3),
        "peak_memory_bytes": max(memory.bytes(), peak, before[1]) - scans,
        "prediction_flops": scan_flops * len(prepared.test),
        "parameters": parameters,
        "grid": list(prepared.grid.shape),
        **determinism.as_dict(),
        **machine(where, threads),
        **({"devices": count} if count > 1 else {}),
    }
    diagnostics = getattr(model, "diagnostics", None)
    if diagnostics:
        result.ledger["diagnostics"] = {
            name: float(value) if math.isfinite(value) else None
            for name, value in diagnostics.items()
        }
    result.curve = [] if trainer is None else trainer.curve.points
    result.notes = (
        *getattr(model, "notes", ()), *_events(trainer, spent), *remarks, *witness.remarks()
    )  # fmt: skip
    if searched is not None:
        result.ledger, result.curve = searched.account(result.ledger, result.curve)
    result.state.answers = witness.for_file()
    result.witness = witness
    return result


def _witness(
    model: nn.Module,
    method: Method,
    prepared: Prepared,
    settings: Settings,
    device: torch.device,
) -> Witness:
    """Who is asked about a test scan with many candidates and about a made-up scan."""
    shared = Shared(model)
    scan = max(prepared.test or prepared.train, key=lambda example: example.candidates.count)
    images = (
        torch.from_numpy(scan.image[None]).float(),
        made_up_scan(prepared.grid.shape, CHANNELS),
    )
    rebuild = partial(build, method, prepared, settings, type(model))
    return Witness(rebuild, images, settings, device, fresh=shared.as_at_first)


def _load(model: nn.Module, weights: dict[str, Tensor]) -> None:
    """Give a network the weights of another training, all of them or none."""
    try:
        kept.load_into(model, weights)
    except kept.NotTheNetwork as error:
        raise CellFailed(str(error)) from error


def _spent(trainer: Trainer, settings: Settings) -> dict:
    """What a training cost, for the ledger."""
    spent, compiling = trainer.spending.as_dict(), trainer.compile_seconds
    # of the dearest stage: a head on kept features takes many steps that cost next to nothing
    dearest = max(trainer.stage_ledger, key=lambda stage: stage["flops_per_step"])
    return {
        **spent,
        "budget": settings.budget,
        "step_seconds": round(dearest["device_seconds"] / max(1, dearest["steps"]), 4),
        "flops_per_step": dearest["flops_per_step"],
        "stages": trainer.stage_ledger,
        "data_seconds": round(trainer.data_seconds, 3),
        **({"checkpointed_blocks": trainer.checkpointed} if trainer.checkpointed else {}),
        **({"compile_seconds": round(compiling, 3)} if compiling else {}),
        **({"divergences": trainer.events} if trainer.events else {}),
        **({"resumed": trainer.resumed} if trainer.resumed else {}),
    }


def _events(trainer: Trainer | None, spent: dict) -> list[str]:
    """What a reader of the board should know of the training."""
    if trainer is None:
        return []
    words = shares.overspent(spent, trainer.stage_ledger, trainer.spending.budget)
    return [words] * bool(words) + [
        f"its loss became {event['loss']} at step {event['step']} of stage {event['stage']!r}; "
        f"retried from step {event['retried_from_step']} with the scans in another order"
        + (
            f" (not taken back: {', '.join(event['not_taken_back'])})"
            if "not_taken_back" in event
            else ""
        )
        for event in trainer.events
    ]


def _run_reference(
    method: Method, prepared: Prepared, result: CellResult, cohort: Cohort | None
) -> CellResult:
    """A row without learning: fitted on the training split by counting, not by gradients."""
    rule = method.load()()
    rule.fit(prepared.train)
    expect_masks(result)
    for row, example in enumerate(prepared.test):
        known = ()
        if method.needs_owners:
            known = (None if cohort is None else cohort.owners(example.id),)
            if known[0] is None:
                raise CellFailed(f"the owners of scan {example.id} are not known")
        record_mask(result, row, example, rule.classify(example, *known))
    result.notes = tuple(rule.notes)
    result.ledger = {
        **NOTHING_SPENT,
        "parameters": 0,
        **machine(torch.device("cpu"), 1),
    }
    return result


def _first_line(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0][:300] if text else "no message"
