"""Carry out a suite: cohort, split, plan, one cell after another, leaderboard."""

from __future__ import annotations

import errno
import json
import time
import traceback
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace

from benchmark.cohorts.base import Cohort
from benchmark.cohorts.split_choice import parse_choice
from benchmark.errors import UserError
from benchmark.methods import find
from benchmark.runs.display import Display, duration
from benchmark.runs.finished import find_run
from benchmark.runs.planning import describe_plan, make_plan
from benchmark.runs.request import (
    Request,
    chosen_device,
    chosen_methods,
    chosen_scale,
    usable_cores,
)
from benchmark.runs.sources import COHORTS, open_cohort, tier_split
from benchmark.runs.start import refuse_seen, start_settings
from benchmark.runs.store import KeptCell, Store, named, read_weights
from benchmark.whole import write_text
from benchmark.suites.load import load_suite
from benchmark.training.settings import Settings

DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS)
"""What ends the whole run and not one method alone."""


@dataclass(frozen=True)
class Outcome:
    """What came of it.

    Attributes
    ----------
    plan : dict
        Contents of plan.json.
    cells : tuple of KeptCell
    folder : Path
        The run's folder.
    failed : tuple of KeptCell
    cohort : Cohort
    """

    plan: dict
    cells: tuple[KeptCell, ...]
    folder: Path
    failed: tuple[KeptCell, ...]
    cohort: Cohort


def execute(request: Request, display: Display, trainer=None) -> Outcome:
    """Do what was asked for.

    Parameters
    ----------
    request : Request
    display : Display
    trainer : object, optional
        Offers ``prepare`` and ``run_cell``; by default those of `benchmark.training`.

    Raises
    ------
    UserError
        On bad input, before anything is written.
    """
    suite = load_suite(request.suite)
    # Everything a person may have mistyped comes before torch, which takes seconds to import.
    methods = chosen_methods(suite, request.methods)
    if request.scale is not None:
        chosen_scale(suite, request.scale, request)
    if request.data is None and (request.cohort or suite.cohort) not in COHORTS:
        open_cohort(request.cohort or suite.cohort)
    if request.data is not None and not request.data.exists():
        raise UserError(f"no such folder or file: {request.data} (docs/data.md has the formats)")
    choice = parse_choice(request.split, request.fold, request.split_seed)
    if request.seeds is not None and request.seeds < 1:
        raise UserError(f"--seeds must be at least 1, not {request.seeds}")
    device = chosen_device(request.device)
    tier = request.scale or ("full" if device == "cuda" else "quick")
    scale = chosen_scale(suite, tier, request)
    for name in scale.settings.options or {}:
        find(name)
    spacing = request.spacing if request.spacing is not None else scale.spacing
    cohort = open_cohort(request.cohort or suite.cohort, request.data, spacing, request.cache)
    asked = {key for key, _ in request.changes}
    if hasattr(cohort, "check"):
        # scans of one's own are read and judged in parallel, once
        with display.counting(f"reading {cohort.name}") as progress:
            cohort.check(progress, request.workers)
    split = tier_split(cohort, scale.train, scale.test, asked, choice)
    init = None if request.init is None else find_run(str(request.init), request.out)
    if init is not None:
        refuse_seen(init, cohort.fingerprint(), split)
        scale = replace(scale, settings=start_settings(init, scale.settings))
    threads = request.threads or usable_cores()
    seeds = range(request.first_seed, request.first_seed + (request.seeds or suite.seeds))
    plan = make_plan(suite, scale, methods, seeds, cohort, split, device, threads, init)
    store = Store(request.out)
    require_bases(plan, store)
    store.check_writable()
    folder = store.root / suite.name / plan.run_name
    waiting = [cell for cell in plan.cells if not store.finished(cell.folder)]
    for line in describe_plan(plan, waiting, store, folder):
        display.say(line)
    write_text(folder / "plan.json", json.dumps(plan.values, indent=1) + "\n")
    if waiting:
        trainer = trainer or _trainer()
        prepared = _prepare(trainer, cohort, split, scale.settings, display, request.workers)
    for place, cell in enumerate(plan.cells, start=1):
        count = f"[{place}/{len(plan.cells)}]"
        # one cell may stand under two names: an ablation that changes nothing
        if cell not in waiting or store.finished(cell.folder):
            display.say(f"{count} {cell.label}: kept from before")
            continue
        line = _run(
            trainer, cell, cohort, prepared, scale.settings, device, threads, store, display
        )
        display.say(f"{count} {line}")
    cells = tuple(named(store.read(cell.folder), cell.method) for cell in plan.cells)
    failed = tuple(cell for cell in cells if cell.state == "failed")
    return Outcome(plan.values, cells, folder, failed, cohort)


def require_bases(plan, store: Store) -> None:
    """Raise UserError if an ablation tests weights that this run will not have."""
    coming = {cell.folder for cell in plan.cells}
    for cell in plan.cells:
        if cell.weights and cell.weights not in coming and not store.finished(cell.weights):
            raise UserError(
                f"{cell.method.name} tests the weights of {cell.method.family}, which is not among "
                f"the methods and not kept from before: add {cell.method.family} to --methods"
            )


def _trainer() -> SimpleNamespace:
    from benchmark.training.cell import run_cell
    from benchmark.training.prepare import prepare

    return SimpleNamespace(prepare=prepare, run_cell=run_cell)


def _prepare(trainer, cohort, split, settings: Settings, display: Display, workers: int | None):
    begin = time.monotonic()
    with display.counting(f"cohort {cohort.name}") as progress:
        cohort.prepare((*split.train, *split.test), progress, workers)
    with display.counting("training grid and candidates") as progress:
        prepared = trainer.prepare(cohort, split, settings, progress, workers)
    display.say(f"data ready in {duration(time.monotonic() - begin)}")
    return prepared


def _run(trainer, cell, cohort, prepared, settings, device, threads, store, display) -> str:
    """Train and test one cell and keep what came of it; the line to be printed."""
    log = [f"{cell.label}, {settings.budget}, {device}, {threads} threads"]
    begin = time.monotonic()

    def note(stage: str, spent: float, loss: float, left: float) -> None:
        if time.monotonic() - note.last >= 2:
            note.last = time.monotonic()
            share = f"{100 * spent:5.1f} %"
            log.append(f"{note.last - begin:8.1f} s  {stage}  {share}  loss {loss:.5g}")
        show(stage, spent, loss, left)

    note.last = 0.0
    try:
        if cell.broken:
            raise UserError(cell.broken)
        with display.training(cell.label) as show:
            more = {}
            if cell.weights is not None:
                more["weights"] = store.weights(cell.weights)
            if cell.method.external:
                more["cohort"] = cohort
            if cell.start is not None:
                more["start"] = read_weights(cell.start)
            # the method states all its options, those of the tier among them
            settings = replace(settings, options=None)
            result = trainer.run_cell(
                cell.method, prepared, settings, cell.seed, device, threads, note, **more
            )
        wall = time.monotonic() - begin
        log.append(f"finished after {wall:.1f} s")
        ledger = {"wall_seconds": wall, **result.ledger}
        if cell.weights is not None:
            ledger["weights_from"] = find(cell.method.family).title
        data_notes = tuple(getattr(prepared, "notes", ()))
        store.write_finished(cell, result, "\n".join(log) + "\n", ledger, data_notes)
        return f"{cell.label}: finished in {duration(wall)}{_spent(ledger)}"
    except Exception as error:
        if isinstance(error, OSError) and error.errno in DISK_ERRORS:
            raise
        reason = _reason(error)
        log.append(getattr(error, "traceback", None) or traceback.format_exc())
        ledger = {"wall_seconds": time.monotonic() - begin}
        store.write_failed(cell, reason, "\n".join(log) + "\n", ledger)
        return f"{cell.label}: FAILED: {reason}"


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split())
    if isinstance(error, UserError) or type(error).__name__ == "CellFailed":
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _spent(ledger: dict) -> str:
    parts = []
    if ledger.get("device_seconds"):
        parts.append(f"{ledger['device_seconds']:.1f} device-seconds")
    if ledger.get("steps"):
        parts.append(f"{ledger['steps']} steps")
    return f" ({', '.join(parts)})" if parts else ""
