"""Put the methods of several finished runs on one board, kept as a run like any other."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmark.errors import UserError
from benchmark.methods import METHODS, ranked
from benchmark.names import told_apart
from benchmark.report.devices import device_classes
from benchmark.runs.copies import copy_cell, refuse_other, same_predictions
from benchmark.runs.finished import FinishedRun, read_cells
from benchmark.runs.joined_plan import bare, conditions, described, numbered, parts_of, unlike
from benchmark.runs.references import same_references
from benchmark.runs.store import KeptCell, Store
from benchmark.runs.whose import joined_patients, with_one_patients
from benchmark.training.settings import Budget
from benchmark.tuning import SUFFIX
from benchmark.whole import write_text

_MUST_AGREE = (
    ("suite", lambda plan: plan["suite"]),
    ("tier", lambda plan: plan["scale"]),
    ("content of the cohort", lambda plan: plan["cohort"]["fingerprint"]),
    ("split", lambda plan: plan["split"]["hash"]),
    ("seeds", lambda plan: plan["seeds"]),
    ("run that training starts from", lambda plan: plan.get("init")),
)


@dataclass(frozen=True, eq=False)
class _Row:
    """A method of one run."""

    method: dict
    cells: tuple[KeptCell, ...]
    run: FinishedRun
    part: dict

    @property
    def title(self) -> str:
        return bare(self.run.plan, self.method)

    @property
    def failed(self) -> list[KeptCell]:
        return [cell for cell in self.cells if cell.state != "finished"]


def join_runs(
    runs: Sequence[FinishedRun], out: Path, name: str | None = None, keep_first: bool = False
) -> FinishedRun:
    """Join runs of one suite and tier, and keep the board as a run's folder.

    Parameters
    ----------
    runs : sequence of FinishedRun
        The first one's conditions are those that the others' rows are compared with.
    out : Path
        Folder of all runs; cells that lie elsewhere are copied there.
    name : str, optional
        Of the run's folder; by default one that the cells give.
    keep_first : bool
        Where two runs hold one method with unlike results, the run named first gives the row.

    Raises
    ------
    UserError
        If the runs were not made alike, or hold one method with unlike results: nothing is
        written then.
    """
    if len(runs) < 2:
        raise UserError("join: name at least two runs")
    places = [run.folder.resolve() for run in runs]
    for place in places:
        if places.count(place) > 1:
            raise UserError(f"{place}: named twice; name each run once")
    for run in runs[1:]:
        _refuse_unlike(runs[0], run)
    read = [read_cells(run) for run in runs]
    _refuse_references(runs, read)
    with_one_patients(
        [run for run, cells in zip(runs, read, strict=True) for _ in cells],
        [cell for cells in read for cell in cells],
    )
    rows, notes = _choose(runs, read, keep_first)
    _refuse_times(runs[0].plan, rows)
    plan = _plan(runs, rows, notes)
    store = Store(out)
    name = name or _default_name(plan)
    folder = store.root / plan["suite"] / name
    _refuse_place(folder, name, plan)
    store.check_writable()
    copies = [
        (Store(row.run.folder.resolve().parents[1]), cell) for row in rows for cell in row.cells
    ]
    for source, cell in copies:
        refuse_other(source, cell, store)
    for source, cell in copies:
        copy_cell(source, cell, store)
    write_text(folder / "plan.json", json.dumps(plan, indent=1) + "\n")
    return FinishedRun(folder, plan)


def _refuse_unlike(first: FinishedRun, other: FinishedRun) -> None:
    """Raise UserError unless two runs were asked for alike, but for methods, machine and the number
    format that suits it, which the board names."""
    for words, value in _MUST_AGREE:
        mine, theirs = value(first.plan), value(other.plan)
        if mine != theirs:
            raise UserError(
                f"{other.folder}: {words} {_short(theirs)}, but {_short(mine)} in {first.folder}; "
                "runs are joined only if all but methods and machines is the same"
            )
    mine, theirs = first.plan["settings"], other.plan["settings"]
    for name in dict.fromkeys([*mine, *theirs]):
        if name != "precision" and mine.get(name) != theirs.get(name):
            raise UserError(
                f"{other.folder}: {name} {_short(theirs.get(name))}, but {_short(mine.get(name))} "
                f"in {first.folder}; runs are joined under one recipe and budget only"
            )


def _short(value: object) -> str:
    """A value in an error, cut."""
    text = str(value)
    return text if len(text) <= 40 else f"{text[:16]}..."


def _refuse_references(runs: Sequence[FinishedRun], read: list[tuple[KeptCell, ...]]) -> None:
    """Raise UserError unless all have the same test scans and, but for rounding, references."""
    pattern = None
    for run, cells in zip(runs, read, strict=True):
        for cell in cells:
            if cell.state != "finished":
                continue
            pattern = pattern or cell
            if cell.ids != pattern.ids:
                raise UserError(f"{run.folder}: {cell.folder} has other test scans than the rest")
            if not same_references(pattern, cell):
                apart = float(np.max(np.abs(cell.reference - pattern.reference)))
                raise UserError(
                    f"{run.folder}: reference scores of {cell.folder} differ by up to {apart:.3g} "
                    "from the others', more than machines round: the scans are not the same; run "
                    "it on the same scans"
                )
    if pattern is None:
        raise UserError(f"{runs[0].folder}: no method finished, nor in the other runs")


def _refuse_times(plan: dict, rows: list[_Row]) -> None:
    """Raise UserError if seconds of unlike devices or numbers of threads would be one budget."""
    if Budget.parse(plan["settings"]["budget"]).unit != "device-seconds":
        return
    cells = [cell for row in rows for cell in row.cells if cell.state == "finished"]
    found = dict.fromkeys(
        described((row.part["device"], row.part["threads"]))
        for row in rows
        if row.method["trained"]
    )
    kinds = device_classes(cells)
    if len(found) > 1 or len(kinds) > 1:
        raise UserError(
            f"a budget of device-seconds on {'; '.join(found)} ({', '.join(kinds)}): a second of "
            "one is not a second of another; run all on one kind of device and as many threads, or "
            "give a budget of steps, samples or flops"
        )


def _choose(
    runs: Sequence[FinishedRun], read: list[tuple[KeptCell, ...]], keep_first: bool
) -> tuple[list[_Row], list[str]]:
    """One row a method, and what the reader must know of the choice."""
    chosen: dict[str, _Row] = {}
    notes = []
    for run, cells in zip(runs, read, strict=True):
        parts = {name: part for part in _named_parts(run) for name in part["methods"]}
        notes += run.plan.get("joined", {}).get("notes", [])
        for method in run.plan["methods"]:
            own = tuple(cell for cell in cells if cell.method == method["name"])
            row = _Row(method, own, run, parts[method["name"]])
            known = chosen.get(method["name"])
            if known is None or not _settles(known, row, keep_first, notes):
                chosen[method["name"]] = row
    return list(chosen.values()), list(dict.fromkeys(notes))


def _settles(known: _Row, row: _Row, keep_first: bool, notes: list[str]) -> bool:
    """Whether the row of the run named earlier stands.

    Raises
    ------
    UserError
        If both finished with unlike results.
    """
    title = row.title
    if known.failed or row.failed:
        if not row.failed or not known.failed:
            lost, stands = (known, row) if known.failed else (row, known)
            notes.append(
                f"{title} failed in {lost.part['run']} ({lost.failed[0].reason}); its row is that "
                f"of {stands.part['run']}."
            )
            return stands is known
        if len(known.failed) == len(known.cells) and len(row.failed) == len(row.cells):
            return True
    if _equal(known, row):
        return True
    if keep_first:
        notes.append(
            f"{title} is also in {row.part['run']}, with other results: its row is that of "
            f"{known.part['run']}, the run named first."
        )
        return True
    raise UserError(
        f"{row.run.folder}: {row.method['name']!r} is there with other results than in "
        f"{known.run.folder}; make one of the runs without it (--methods), or give --keep-first to "
        "take the row of the run named first"
    )


def _equal(one: _Row, other: _Row) -> bool:
    """Whether two rows are the same network with the same predictions, but for rounding."""
    if any(one.method.get(name) != other.method.get(name) for name in ("options", "space")):
        return False
    return all(same_predictions(a, b) for a, b in zip(one.cells, other.cells, strict=True))


def _named_parts(run: FinishedRun) -> list[dict]:
    """The runs that a run holds, each with a name."""
    return [
        {**part, "run": part["run"] or run.folder.resolve().name} for part in parts_of(run.plan)
    ]


def _plan(runs: Sequence[FinishedRun], rows: list[_Row], notes: list[str]) -> dict:
    """plan.json of the board: the first run's, with the methods of all."""
    rows = sorted(rows, key=_order(runs[0].plan["suite"]))
    places = {row.method["name"]: place for place, row in enumerate(rows)}
    # a tuned row follows its method's, whichever run they are from
    plain = {name: places.get(name.removesuffix(SUFFIX), place) for name, place in places.items()}
    rows.sort(key=lambda row: (plain[row.method["name"]], places[row.method["name"]]))
    parts: list[dict] = []
    for run in runs:
        for part in _named_parts(run):
            own = [row.method["name"] for row in rows if row.part == part]
            if own:
                parts.append({**part, "methods": own})
    # rows of unlike runs may share a title that each had alone
    titles = told_apart(((row.method["name"], row.title) for row in rows), METHODS)
    main = conditions(cell for row in rows if _of(row, parts[0]) for cell in row.cells)
    for place, part in enumerate(parts[1:], start=2):
        for row in rows:
            if _of(row, part) and unlike(conditions(row.cells), main):
                titles[row.method["name"]] = numbered(titles[row.method["name"]], place)
    notes = [*notes, *_strange_weights(rows, titles)]
    whose = joined_patients(runs)
    return {
        **runs[0].plan,
        **({} if whose is None else {"patients": whose.as_json()}),
        **next(({"tuning": run.plan["tuning"]} for run in runs if "tuning" in run.plan), {}),
        "methods": [{**row.method, "title": titles[row.method["name"]]} for row in rows],
        "cells": [
            {"method": row.method["name"], "seed": cell.seed, "folder": cell.folder}
            for row in rows
            for cell in row.cells
        ],
        "device": parts[0]["device"],
        "threads": parts[0]["threads"],
        "joined": {"parts": parts, "notes": notes},
    }


def _of(row: _Row, part: dict) -> bool:
    return row.method["name"] in part["methods"]


def _order(suite: str):
    """Key that sorts rows as the suite does; methods it lacks follow, then references."""
    from benchmark.suites.load import load_suite

    try:
        found = load_suite(suite)
        names = [method.name for method in (*found.methods, *found.references)]
    except UserError:
        names = []

    def key(row: _Row) -> tuple[bool, int]:
        name = row.method["name"]
        return not ranked(row.method), names.index(name) if name in names else len(names)

    return key


def _strange_weights(rows: list[_Row], titles: dict[str, str]) -> list[str]:
    """Rows tested with weights that are not those of the row of that network."""
    folders = {row.method["name"]: {cell.folder for cell in row.cells} for row in rows}
    found = []
    for row in rows:
        base = row.method.get("base")
        taken = {cell.key["weights"] for cell in row.cells if cell.key.get("weights")}
        if taken and base in folders and not taken <= folders[base]:
            found.append(
                f"{titles[row.method['name']]} was tested with the weights of {titles[base]} in "
                f"{row.part['run']}, not with those of the row {titles[base]} here."
            )
    return found


def _default_name(plan: dict) -> str:
    cells = sorted(cell["folder"] for cell in plan["cells"])
    digest = hashlib.sha256(json.dumps([cells, plan["joined"]["parts"]]).encode()).hexdigest()
    return f"{plan['scale']}-{plan['cohort']['name']}-joined-{digest[:8]}"


def _refuse_place(folder: Path, name: str, plan: dict) -> None:
    """Raise UserError if the folder's name is none, or is another run's."""
    if Path(name).name != name or name in (".", "..", "cells"):
        raise UserError(f"--name {name}: must be the name of a folder, without a path")
    path = folder / "plan.json"
    if not path.exists():
        return
    try:
        same = json.loads(path.read_text(encoding="utf-8")) == plan
    except (OSError, ValueError):
        same = False
    if not same:
        raise UserError(f"{folder}: is another run; choose another --name, or remove it")
