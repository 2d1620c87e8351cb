"""Two runs side by side: first what differs in how they were made, then by how much they differ."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from benchmark.cohorts.patients import patients_in
from benchmark.errors import UserError
from benchmark.metrics.estimate import join_notes
from benchmark.metrics.verdict import (
    CONTRADICTED,
    SUPPORTED,
    UNDECIDED,
    Contrast,
    contrast,
    decide,
    pooled_noise,
)
from benchmark.report.ablations import COMPARED, JUDGED
from benchmark.report.board import Column, Figure
from benchmark.report.measure import Measured, figures_of, measure
from benchmark.runs.finished import FinishedRun, read_cells
from benchmark.runs.joined_plan import described, formats_in_words, parts_of
from benchmark.runs.references import same_references
from benchmark.runs.store import KeptCell
from benchmark.runs.whose import UNLIKE, with_one_patients

NONE = "–"
HIGHER, LOWER = "higher in B", "lower in B"
SAME, NOT_PAIRED = "the same predictions", "not paired"


@dataclass(frozen=True)
class Setting:
    """One thing that differs.

    Attributes
    ----------
    name : str
    a, b : str
        What it is in either run; an en dash where a run does not say.
    """

    name: str
    a: str
    b: str


@dataclass(frozen=True)
class ComparedLine:
    """One method from one source in both runs.

    Attributes
    ----------
    method, title : str
    source : str
        "mask" or "head".
    seeds : tuple of (tuple of int)
        Of A and of B.
    a, b : dict of Column to Figure
        Values with intervals over patients.
    differences : dict of Column to Contrast
        B less A, paired; empty if the runs cannot be paired.
    judged : Column
        The column that decides (`ablations.JUDGED`).
    verdict : str
        "higher in B", "lower in B", "undecided", "the same predictions", or "not paired".
    p : float
        In the judged column, adjusted after Holm over all lines; NaN if not paired.
    note : str
    """

    method: str
    title: str
    source: str
    seeds: tuple[tuple[int, ...], tuple[int, ...]]
    a: dict[Column, Figure]
    b: dict[Column, Figure]
    differences: dict[Column, Contrast]
    judged: Column
    verdict: str
    p: float = math.nan
    note: str = ""


@dataclass(frozen=True)
class Comparison:
    """All that any form shows.

    Attributes
    ----------
    names : tuple of str
        Folders of A and B.
    settings : tuple of Setting
        What differs in configuration; empty if nothing does.
    unpaired : str
        Why the figures are not paired; empty if they are.
    lines : tuple of ComparedLine
    only : tuple of (tuple of str)
        Methods of A alone, and of B alone.
    """

    names: tuple[str, str]
    settings: tuple[Setting, ...]
    unpaired: str
    lines: tuple[ComparedLine, ...]
    only: tuple[tuple[str, ...], tuple[str, ...]]


def compare(a: FinishedRun, b: FinishedRun) -> Comparison:
    """Compare two finished runs, or two versions, machines or settings of one.

    Parameters
    ----------
    a, b : FinishedRun

    Raises
    ------
    UserError
        If a run is not finished, or a cell cannot be read.
    """
    cells = read_cells(a), read_cells(b)
    unpaired = why_unpaired(*cells)
    if not unpaired:
        try:
            both = [a] * len(cells[0]) + [b] * len(cells[1])
            settled = with_one_patients(both, [*cells[0], *cells[1]])
            cells = settled[: len(cells[0])], settled[len(cells[0]) :]
        except UserError:
            unpaired = f"{UNLIKE} in either"
    names = [[method["name"] for method in run.plan["methods"]] for run in (a, b)]
    common = [name for name in names[0] if name in names[1]]
    only = tuple(
        tuple(name for name in own if name not in other) for own, other in (names, names[::-1])
    )
    return Comparison(
        (str(a.folder), str(b.folder)),
        tuple(differing(a, b, *cells)),
        unpaired,
        _lines(common, (a, b), cells, unpaired),
        only,
    )


def differing(
    a: FinishedRun, b: FinishedRun, cells_a: Sequence[KeptCell], cells_b: Sequence[KeptCell]
) -> list[Setting]:
    """Everything on which the figures may depend and that is not the same in both runs."""
    names_b = {method["name"] for method in b.plan["methods"]}
    common = {method["name"] for method in a.plan["methods"]} & names_b
    sides = [_stated(a, cells_a, common), _stated(b, cells_b, common)]
    names = list(dict.fromkeys([*sides[0], *sides[1]]))
    found = []
    for name in names:
        one, other = (side.get(name, NONE) for side in sides)
        if one != other:
            found.append(Setting(name, one, other))
    return found


def _stated(run: FinishedRun, cells: Sequence[KeptCell], common: set[str]) -> dict[str, str]:
    """What a run says of itself, by name; plans of earlier versions say less."""
    plan, cohort, split = run.plan, run.plan["cohort"], run.plan["split"]
    found = {
        "suite": plan["suite"],
        "scale": plan["scale"],
        "budget": plan["budget"],
        "seeds": _list(plan["seeds"]),
        "cohort": cohort["name"],
        "cohort fingerprint": cohort["fingerprint"][:16],
        "cohort scans": cohort.get("scans"),
        "cohort spacing (mm)": cohort.get("spacing"),
        "split": split["hash"],
        "split seed": split.get("seed"),
        "training scans": len(split["train"]),
        "test scans": len(split["test"]),
        "test patients": _patients(plan),
        "device": " | ".join(described((p["device"], p["threads"])) for p in parts_of(plan)),
    }
    settings = {name: value for name, value in plan["settings"].items() if name != "options"}
    if "precision" in settings:
        settings["precision"] = formats_in_words(plan)
    found |= {f"setting {name}": value for name, value in settings.items()}
    for method, options in (plan["settings"].get("options") or {}).items():
        found |= {f"tier option {method}.{name}": value for name, value in options.items()}
    for method in (method for method in plan["methods"] if method["name"] in common):
        # absent in plans of earlier versions: then nothing is known, not that there are none
        for name, value in (method.get("options") or {}).items():
            found[f"option {method['name']}.{name}"] = value
    finished = [cell for cell in cells if cell.state == "finished"]
    for name, values in {
        "training code": [cell.key.get("harness", "")[:12] for cell in finished],
        "machine": [cell.ledger.get("device_name") for cell in finished],
        "platform": [cell.ledger.get("platform") for cell in finished],
        "python": [cell.ledger.get("python") for cell in finished],
        "commit": [cell.ledger.get("git_commit") for cell in finished],
    }.items():
        found[name] = _list(dict.fromkeys(value for value in values if value))
    for cell in finished:
        for name, version in (cell.ledger.get("versions") or {}).items():
            found[f"version of {name}"] = version
        if cell.trained and cell.method in common:
            found[f"code of {cell.method}"] = cell.key.get("source", "")[:12]
    found["version of benchmark"] = plan.get("version")
    return {name: str(value) for name, value in found.items() if value not in (None, "")}


def _patients(plan: dict) -> int | None:
    """Number of test patients, where the run knows them."""
    found = patients_in(plan)
    ids = plan["split"]["test"]
    return None if found is None or found.numbers(ids) is None else found.count(ids)


def _list(values) -> str:
    return ", ".join(str(value) for value in values)


def why_unpaired(a: Sequence[KeptCell], b: Sequence[KeptCell]) -> str:
    """Why two runs cannot be compared scan by scan; empty if they can."""
    pair = [next((c for c in cells if c.state == "finished"), None) for cells in (a, b)]
    for name, cell in zip("AB", pair, strict=True):
        if cell is None:
            return f"nothing in {name} finished"
    one, other = pair
    if set(one.ids) != set(other.ids):
        shared = len(set(one.ids) & set(other.ids))
        return (
            f"the test scans differ: {len(one.ids)} in A, {len(other.ids)} in B, {shared} of the "
            "same name"
        )
    if one.ids != other.ids:
        return "the test scans are the same, but in another order"
    if not same_references(one, other):
        return "the reference scores of the test scans differ"
    return ""


@dataclass(frozen=True, eq=False)
class _Measured:
    """A line with what its differences are made from."""

    line: ComparedLine
    figures: tuple[Measured, Measured]
    failed: bool
    varies: bool  # another seed makes another network of it, its own or its base's
    trains: bool


def _lines(common, runs, cells, unpaired: str) -> tuple[ComparedLine, ...]:
    """Figures, differences and verdicts of the common methods."""
    found = []
    patterns = [next((c for c in side if c.state == "finished"), None) for side in cells]
    for name in common if all(patterns) else ():
        entries = [_entry(run, name) for run in runs]
        own = [
            sorted((cell for cell in side if cell.method == name), key=lambda cell: cell.seed)
            for side in cells
        ]
        for source in ("mask", "head"):
            if all(source in entry["outputs"] for entry in entries):
                found.append(_line(entries[0], source, own, patterns, unpaired))
    return tuple(one.line for one in found) if unpaired else _judged(found)


def _line(entry: dict, source: str, own, patterns, unpaired: str) -> _Measured:
    measured = tuple(
        measure(side, source, pattern)[0] for side, pattern in zip(own, patterns, strict=True)
    )
    a, b = (
        {column: figure for column, figure in figures_of(side, {}).items() if column in COMPARED}
        for side in measured
    )
    failed = [
        f"seed {cell.seed} in {side}"
        for side, cells in zip("AB", own, strict=True)
        for cell in cells
        if cell.state != "finished"
    ]
    verdict = SAME if _identical(own, source) else UNDECIDED
    line = ComparedLine(
        method=entry["name"],
        title=entry["title"],
        source=source,
        seeds=tuple(tuple(cell.seed for cell in side) for side in own),
        a=a,
        b=b,
        differences={},
        judged=JUDGED[source],
        verdict=NOT_PAIRED if unpaired else verdict,
        note=f"failed, counted as missing every scan: {', '.join(failed)}" if failed else "",
    )
    trains = entry["trained"] and entry.get("retrain", True)
    return _Measured(line, measured, bool(failed), entry["trained"], trains)


def _identical(own: Sequence[Sequence[KeptCell]], source: str) -> bool:
    """Whether both runs hold the very same predictions, seed by seed."""
    names = (source, "tp", "fp", "fn") if source == "mask" else (source,)
    if [cell.seed for cell in own[0]] != [cell.seed for cell in own[1]]:
        return False
    pairs = [
        (getattr(one, name), getattr(other, name))
        for one, other in zip(*own, strict=True)
        for name in names
    ]
    return all(
        a is not None and b is not None and np.array_equal(a, b, equal_nan=True) for a, b in pairs
    )


def _judged(found: list[_Measured]) -> tuple[ComparedLine, ...]:
    """Paired differences, B less A, with the noise of training pooled over both runs' methods."""
    lines = []
    for one in found:
        differences = {}
        for column in one.line.a:
            noise = None
            if one.varies:
                noise = pooled_noise(
                    side[column]
                    for other in found
                    if other.line.source == one.line.source and other.trains and not other.failed
                    for side in other.figures
                    if column in side
                )
            a, b = (side[column] for side in one.figures)
            differences[column] = contrast([(1, b, noise), (-1, a, noise)])
        lines.append(replace(one.line, differences=differences))
    words = {SUPPORTED: HIGHER, CONTRADICTED: LOWER, UNDECIDED: UNDECIDED}
    decisions = decide([[line.differences[line.judged]] for line in lines])
    return tuple(
        replace(
            line,
            verdict=SAME if line.verdict == SAME else words[decision.verdict],
            p=decision.p,
            note=join_notes(line.note, _no_interval(line.differences[line.judged])),
        )
        for line, decision in zip(lines, decisions, strict=True)
    )


def _no_interval(gap: Contrast) -> str:
    """Why the difference that decides has no interval; nothing where it has one or is undefined."""
    return gap.note if math.isnan(gap.low) and not math.isnan(gap.value) else ""


def _entry(run: FinishedRun, name: str) -> dict:
    return next(method for method in run.plan["methods"] if method["name"] == name)
