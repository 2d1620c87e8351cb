"""Make the plan of a run, and say in a few lines what it holds and how long it takes."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

from benchmark import __version__
from benchmark.cohorts.base import Cohort
from benchmark.cohorts.patients import patients_of, scans_in_words
from benchmark.cohorts.same_scans import trained_on
from benchmark.cohorts.split import Split
from benchmark.errors import UserError
from benchmark.methods import Method, find, with_own_titles
from benchmark.runs.display import counted, duration
from benchmark.runs.finished import FinishedRun
from benchmark.runs.plan import CellPlan, Plan, make_cell, own_settings
from benchmark.runs.start import seen_by
from benchmark.runs.store import CHECKPOINT, Store
from benchmark.suites.schema import Scale, Suite
from benchmark.training.settings import Budget
from benchmark.tuning import SHARE, trial_budget, tuned, validation_part, why_not

TRIAL_GRID = (16, 32, 32)
"""Cells (Z, Y, X) of the grid on which options are tried out: the network is built, not run."""

CHANNEL_COUNT = 3
"""Channels of `benchmark.contract.Batch.image`; benchmark.training.grid would import torch."""


def make_plan(
    suite: Suite,
    scale: Scale,
    methods: tuple[Method, ...],
    seeds: range,
    cohort: Cohort,
    split: Split,
    device: str,
    threads: int,
    init: FinishedRun | None = None,
    tune: int | None = None,
) -> Plan:
    """The cells of a run and the values of its plan.json.

    Parameters
    ----------
    suite, scale, methods, seeds, cohort, split, device, threads
        What is run, on what.
    init : FinishedRun, optional
        Run whose networks training starts from (fine-tuning).
    tune : int, optional
        Trials of a search for each method's setting; its row comes behind the method's own.

    Raises
    ------
    UserError
        If an option is wrong, or budget or scans are too few for the trials.
    """
    methods = with_own_titles(methods)
    settings = scale.settings.as_dict()
    fingerprint = cohort.fingerprint()
    changes = {method.name: method.change for method in methods}
    bases = {method.name: method.base for method in methods}
    changed = {method.name: set(method.options) if method.base else set() for method in methods}
    settled = [_settle(method, settings) for method in methods]
    searches: dict = {}
    if tune is not None:
        each = trial_budget(Budget.parse(settings["budget"]), tune)
        part = validation_part(cohort.records(), split)
        searches = {
            "trials": tune,
            "share": SHARE,
            "trial": str(each),
            "validation": len(part),
            "training": len(split.train) - len(part),
            "words": (
                f"rows called tuned: {counted(tune, 'trial')} and the training with what was "
                f"chosen share the same budget; trials trained on {len(split.train) - len(part)} "
                f"and judged on {len(part)} of the training scans, {each} of training each at most"
            ),
            "not_tuned": {
                method.name: words
                for method, broken in settled
                if (words := "cannot be loaded" if broken else why_not(method))
            },
        }
        rows = []
        for method, broken in settled:
            rows.append((method, broken))
            if method.name in searches["not_tuned"]:
                continue
            row = tuned(method, changed[method.name], settings, tune, part, init is None)
            bases[row.name] = method.name
            changes[row.name] = f"tuned, {counted(tune, 'trial')}"
            rows.append((row, None))
        settled = rows
    methods = tuple(method for method, _ in settled)

    def cell_of(method: Method, seed: int, **more) -> CellPlan:
        return make_cell(method, seed, settings, fingerprint, split.hash, device, threads, **more)

    def weights_of(method: Method, seed: int) -> str | None:
        """Folder of the base's cell, for an ablation that trains nothing."""
        if method.retrain:
            return None
        base, broken = _settle(replace(find(method.family), code=method.code), settings)
        return cell_of(base, seed, start=_checkpoint(init, base, seed), broken=broken).folder

    cells = tuple(
        cell_of(
            method,
            seed,
            weights=weights_of(method, seed),
            start=_checkpoint(init, method, seed) if method.retrain else None,
            broken=broken,
        )
        for method, broken in settled
        for seed in seeds
    )
    values = {
        "suite": suite.name,
        "title": suite.title,
        "paper_table": suite.paper_table,
        "scale": scale.name,
        "settings": settings,
        "budget": str(Budget.parse(scale.settings.budget)),
        "cohort": {
            "name": cohort.name,
            "fingerprint": fingerprint,
            "notes": list(cohort.notes),
            "scans": len(cohort.records()),
            "spacing": getattr(cohort, "spacing", None),
        },
        "split": {
            "hash": split.hash,
            "seed": split.seed,
            "kind": split.kind,
            "train": list(split.train),
            "test": list(split.test),
        },
        "patients": patients_of(cohort, (*split.train, *split.test)).as_json(),
        "seeds": list(seeds),
        "device": device,
        "threads": threads,
        "methods": [
            {
                "name": method.name,
                "title": method.title,
                "outputs": list(method.outputs),
                "paper": method.paper,
                "trained": method.trained,
                "reference": method.reference,
                "options": method.options,
                "base": bases[method.name],
                "change": changes[method.name],
                "expect": method.expect,
                "retrain": method.retrain,
                **({} if method.tuning is None else {"space": method.tuning.space}),
            }
            for method in methods
        ],
        "cells": [
            {"method": cell.method.name, "seed": cell.seed, "folder": cell.folder} for cell in cells
        ],
        "version": __version__,
    }
    if searches:
        values["tuning"] = searches
    values["trained_on"] = trained_on(fingerprint, cohort.records(), split.train)
    if init is not None:
        values["init"] = init.folder.name
        values["trained_on"] = seen_by(init.plan) | values["trained_on"]
    return Plan(json.loads(json.dumps(values)), cells)


def _checkpoint(init: FinishedRun | None, method: Method, seed: int) -> Path | None:
    """Checkpoint of a method in the run that is tuned: of the same seed, or of its first.

    Raises
    ------
    UserError
        If that run has none.
    """
    if init is None or not method.trained:
        return None
    name = method.name if method.tuning is None else method.tuning.of
    own = [cell for cell in init.plan["cells"] if cell["method"] == name]
    own.sort(key=lambda cell: (cell["seed"] != seed, cell["seed"]))
    for cell in own:
        path = init.folder.resolve().parents[1] / "cells" / cell["folder"] / CHECKPOINT
        if path.is_file():
            return path
    raise UserError(
        f"--init {init.folder}: it holds no trained {method.name}; train it there first, or name "
        "others with --methods"
    )


def _settle(method: Method, settings: dict) -> tuple[Method, str | None]:
    """The method with every option stated, and why it cannot be loaded, if it cannot.

    Raises
    ------
    UserError
        If an option is unknown or has a value that the class refuses: found now, not after the
        methods before it have trained for an hour.
    """
    if not method.trained:
        return method, None
    try:
        method = method.read()
        if method.code is None:
            method.load()
    except UserError as error:
        return method, str(error)
    stated = method.settled(settings.get("options"))
    if method.base is None and not (settings.get("options") or {}).get(method.name):
        return stated, None
    if method.external:
        stated.try_to_build()
        return stated, None
    width = own_settings(settings, method.family)["width"]
    outputs = stated.try_to_build(TRIAL_GRID, CHANNEL_COUNT, width)
    return replace(stated, outputs=outputs), None


def describe_plan(
    plan: Plan, waiting: list[CellPlan], store: Store, folder: Path, jobs: int = 1
) -> list[str]:
    """The lines printed before anything starts; ``jobs`` cells are at work side by side."""
    values = plan.values
    split = values["split"]
    lines = [
        f"{values['title']} (suite {values['suite']}, scale {values['scale']})",
        f"  cohort   {values['cohort']['name']}: {scans_in_words(values)}, split {split['hash']}",
        f"  budget   {values['budget']} for each method, on {values['device']} with "
        f"{counted(values['threads'], 'thread')}"
        + (f", {jobs} side by side as memory allows" if jobs > 1 else ""),
        f"  methods  {', '.join(m['name'] for m in values['methods'])}",
        f"  seeds    {', '.join(str(seed) for seed in values['seeds'])}",
        f"  to run   {len(waiting)} of {len(plan.cells)} "
        f"({len(plan.cells) - len(waiting)} finished before)",
        f"  results  {folder}",
    ]
    if "tuning" in values:
        lines[-2:-2] = [f"  tuning   {line}" for line in tuning_lines(values)]
    if "init" in values:
        lines.insert(-2, f"  start    from the networks of {values['init']}")
        for title in dict.fromkeys(c.method.title for c in plan.cells if _started_by_other(c)):
            lines.insert(
                -2,
                f"  note     the code of {title} changed since they were trained: it starts from "
                "their weights as it is now",
            )
    if waiting:
        lines.insert(-1, f"  time     {_expected_time(plan, waiting, store, jobs)}")
    return lines


def tuning_lines(values: dict) -> list[str]:
    """What a plan with a search says of it, and which methods have none."""
    found = values["tuning"]
    scans = found["validation"] + found["training"]
    lines = [
        f"{counted(found['trials'], 'trial')} of each method for a row of its own, inside its "
        f"budget: {found['trial']} of training each at most, judged on {found['validation']} of "
        f"{scans} training scans; the training with what was chosen takes the rest"
    ]
    if found["not_tuned"]:
        each = [f"{name} ({words})" for name, words in found["not_tuned"].items()]
        lines.append(f"not for {', '.join(each)}")
    return lines


def _started_by_other(cell: CellPlan) -> bool:
    """Whether a training starts from weights of other code than its own."""
    if cell.start is None:
        return False
    old = Store(cell.start.parents[2]).standing(cell.start.parent.name).key
    return old.get("source") != cell.key["source"]


def _expected_time(plan: Plan, waiting: list[CellPlan], store: Store, jobs: int) -> str:
    """A rough guess: the budget where it is time, what a kept cell took where it is not."""
    budget = Budget.parse(plan.values["settings"]["budget"])
    trained = {c.folder for c in waiting if c.method.trained and c.weights is None}
    if budget.unit == "device-seconds":
        # Inference, the clocks outside the budget and the two reference rows: about a tenth more.
        total = 1.1 * budget.amount * math.ceil(len(trained) / jobs)
        return f"about {duration(total)} of training, after the data are ready"
    known = []
    to_do = {cell.folder for cell in waiting}  # a damaged cell among them
    for cell in plan.cells:
        there = cell.folder not in to_do and store.finished(cell.folder)
        kept = store.read(cell.folder) if there else None
        if kept is not None and kept.trained:
            known.append(kept.ledger.get("wall_seconds", 0.0))
    if known:
        total = sum(known) / len(known) * math.ceil(len(trained) / jobs)
        return f"about {duration(total)} of training, after the data are ready"
    return f"unknown for a budget of {budget}; the first method will show how long one takes"
