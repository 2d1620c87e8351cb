"""Find runs again by folder or by suite, and read them without torch."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from benchmark.cohorts.patients import patients_in
from benchmark.errors import UserError
from benchmark.methods import METHODS
from benchmark.names import told_apart
from benchmark.runs.references import with_one_reference
from benchmark.runs.store import KeptCell, Store, named

LARGEST_PLAN = 64 << 20
"""Bytes of a plan: ids of some hundred thousand scans and the keys of some thousand cells."""

_KINDS = {
    "suite": str, "seeds": list, "methods": list, "cells": list, "budget": str, "split": dict,
    "cohort": dict,
}  # fmt: skip


@dataclass(frozen=True)
class FinishedRun:
    """A run's folder and its plan.

    Attributes
    ----------
    folder : Path
    plan : dict
        Contents of plan.json.
    """

    folder: Path
    plan: dict

    @property
    def summary(self) -> str:
        """One line for lists."""
        board = "leaderboard" if (self.folder / "leaderboard.json").is_file() else "not finished"
        seeds, methods = len(self.plan["seeds"]), len(self.plan["methods"])
        return f"{methods} methods, {seeds} seeds, {self.plan['budget']}, {board}"


def finished_runs(out: Path, closed: list[Path] | None = None) -> list[FinishedRun]:
    """All runs under `out` that this user may read, newest first.

    Parameters
    ----------
    out : Path
    closed : list of Path, optional
        Gets the plans of other users that may not be read.
    """
    found = []
    for path in Path(out).glob("*/*/plan.json"):
        if path.parents[1].name == "cells":
            continue
        try:
            found.append((_when(path), FinishedRun(path.parent, _read_plan(path))))
        except PermissionError:
            if closed is not None:
                closed.append(path)
    found.sort(key=lambda one: one[0], reverse=True)
    return [run for _, run in found]


def find_run(name: str | None, out: Path) -> FinishedRun:
    """The run in that folder, the newest of that suite, or the newest of all.

    Raises
    ------
    UserError
        If there is none.
    """
    if name is not None and (Path(name) / "plan.json").is_file():
        return FinishedRun(Path(name), _read_plan(Path(name) / "plan.json"))
    runs = finished_runs(out)
    if not runs:
        raise UserError(f"no runs in {out}; make one with: benchmark run --suite table1")
    if name is None:
        return runs[0]
    chosen = [run for run in runs if name in (run.plan["suite"], run.folder.name)]
    if not chosen:
        from benchmark.suites.schema import nearest

        known = dict.fromkeys([run.plan["suite"] for run in runs] + [r.folder.name for r in runs])
        hint = nearest(name, known)
        raise UserError(f"no run {name!r} in {out}{hint} (see: benchmark list runs)")
    return chosen[0]


def read_cells(run: FinishedRun) -> tuple[KeptCell, ...]:
    """The kept cells of a run.

    Raises
    ------
    UserError
        If one is missing, as after an interruption.
    """
    store = Store(run.folder.resolve().parents[1])
    names = [cell["folder"] for cell in run.plan["cells"]]
    cells = [store.read(name) for name in names]
    missing = [name for name, cell in zip(names, cells, strict=True) if cell is None]
    if missing:
        raise UserError(
            f"{run.folder}: {len(missing)} of {len(names)} runs are not there ({missing[0]}); "
            "finish them with the same `benchmark run` command"
        )
    methods = {method["name"]: method for method in run.plan["methods"]}
    patients = patients_in(run.plan)
    found = tuple(
        named(cell, methods[entry["method"]], patients)
        for cell, entry in zip(cells, run.plan["cells"], strict=True)
    )
    return with_one_reference(found) if "joined" in run.plan else found


def _when(path: Path) -> float:
    board = path.with_name("leaderboard.json")
    return (board if board.is_file() else path).stat().st_mtime


def _read_plan(path: Path) -> dict:
    """Read a plan; what the commands rely on is there and of the right kind."""
    try:
        if path.stat().st_size > LARGEST_PLAN:
            raise UserError(f"{path}: is larger than {LARGEST_PLAN >> 20} MB; no plan of a run")
        plan = json.loads(path.read_text(encoding="utf-8"))
        for key, kind in _KINDS.items():
            if not isinstance(plan[key], kind):
                raise TypeError(f"{key} is {type(plan[key]).__name__}")
        names = {str(method["name"]): str(method["title"]) for method in plan["methods"]}
        for cell in plan["cells"]:
            folder = cell["folder"]
            # The name of a folder in cells/, and no path out of it.
            if not isinstance(folder, str) or Path(folder).name != folder or "\0" in folder:
                raise ValueError(f"the folder {str(folder)[:40]!r} is no name")
            if cell["method"] not in names or not isinstance(cell["seed"], int):
                raise ValueError(f"a run of {str(cell['method'])[:40]!r}, which is no method")
        whose = patients_in(plan)
        if whose is not None:
            for part in ("train", "test"):
                whose.count(plan["split"].get(part, ()))  # of ids, not of lists or numbers
        titles = told_apart(names.items(), METHODS)
        methods = [{**method, "title": titles[method["name"]]} for method in plan["methods"]]
        return {**plan, "methods": methods}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(f"{path}: not a plan of a run ({type(error).__name__}: {error})") from None
