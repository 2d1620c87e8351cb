"""Make the plan of a run, and say in a few lines what it holds and how long it takes."""

from __future__ import annotations

import json
from pathlib import Path

from benchmark import __version__
from benchmark.cohorts.base import Cohort
from benchmark.cohorts.split import Split
from benchmark.methods import Method
from benchmark.runs.display import counted, duration
from benchmark.runs.plan import CellPlan, Plan, make_cell
from benchmark.runs.store import Store
from benchmark.suites.schema import Scale, Suite
from benchmark.training.settings import Budget


def make_plan(
    suite: Suite,
    scale: Scale,
    methods: tuple[Method, ...],
    seeds: range,
    cohort: Cohort,
    split: Split,
    device: str,
    threads: int,
) -> Plan:
    """The cells of a run and the values of its plan.json."""
    settings = scale.settings.as_dict()
    fingerprint = cohort.fingerprint()
    cells = tuple(
        make_cell(method, seed, settings, fingerprint, split.hash, device, threads)
        for method in methods
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
        },
        "split": {
            "hash": split.hash,
            "seed": split.seed,
            "train": list(split.train),
            "test": list(split.test),
        },
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
            }
            for method in methods
        ],
        "cells": [
            {"method": cell.method.name, "seed": cell.seed, "folder": cell.folder} for cell in cells
        ],
        "version": __version__,
    }
    return Plan(json.loads(json.dumps(values)), cells)


def describe_plan(plan: Plan, waiting: list[CellPlan], store: Store, folder: Path) -> list[str]:
    """The lines printed before anything starts."""
    values = plan.values
    split = values["split"]
    lines = [
        f"{values['title']} (suite {values['suite']}, scale {values['scale']})",
        f"  cohort   {values['cohort']['name']}: {len(split['train'])} training and "
        f"{len(split['test'])} test scans, split {split['hash']}",
        f"  budget   {values['budget']} for each method, on {values['device']} with "
        f"{counted(values['threads'], 'thread')}",
        f"  methods  {', '.join(m['name'] for m in values['methods'])}",
        f"  seeds    {', '.join(str(seed) for seed in values['seeds'])}",
        f"  to run   {len(waiting)} of {len(plan.cells)} "
        f"({len(plan.cells) - len(waiting)} finished before)",
        f"  results  {folder}",
    ]
    if waiting:
        lines.insert(-1, f"  time     {_expected_time(plan, waiting, store)}")
    return lines


def _expected_time(plan: Plan, waiting: list[CellPlan], store: Store) -> str:
    """A rough guess: the budget where it is time, what a kept cell took where it is not."""
    budget = Budget.parse(plan.values["settings"]["budget"])
    trained = [cell for cell in waiting if cell.method.trained]
    if budget.unit == "device-seconds":
        # Inference, the clocks outside the budget and the two reference rows: about a tenth more.
        total = 1.1 * budget.amount * len(trained)
        return f"about {duration(total)} of training, after the data are ready"
    known = []
    for cell in plan.cells:
        kept = store.read(cell.folder) if store.finished(cell.folder) else None
        if kept is not None and kept.trained:
            known.append(kept.ledger.get("wall_seconds", 0.0))
    if known:
        total = sum(known) / len(known) * len(trained)
        return f"about {duration(total)} of training, after the data are ready"
    return f"unknown for a budget of {budget}; the first method will show how long one takes"
