"""Several runs as one board: rows of any of them, if all were made under the same conditions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmark.errors import UserError
from benchmark.methods import METHODS, find
from benchmark.names import told_apart
from benchmark.report.mixture import refuse_mixture
from benchmark.runs.finished import FinishedRun, read_cells
from benchmark.runs.joined_plan import formats_of, places_of
from benchmark.runs.references import with_one_reference
from benchmark.runs.store import KeptCell
from benchmark.runs.whose import with_one_patients


@dataclass(frozen=True, eq=False)
class JoinedRow:
    """A method with all its cells.

    Attributes
    ----------
    method : dict
        Its entry in plan.json.
    cells : dict of int to KeptCell
        By seed, in ascending order.
    """

    method: dict
    cells: dict[int, KeptCell]

    @property
    def failed(self) -> tuple[int, ...]:
        """Seeds that failed."""
        return tuple(seed for seed, cell in self.cells.items() if cell.state != "finished")

    @property
    def varies(self) -> bool:
        """Whether another seed makes another network of it, its own or its base's."""
        return self.method["trained"]

    @property
    def trains(self) -> bool:
        """Whether it is trained itself, so that its spread over seeds is news."""
        return self.method["trained"] and self.method.get("retrain", True)


@dataclass(frozen=True, eq=False)
class Joined:
    """Rows of several runs.

    Attributes
    ----------
    plan : dict
        Contents of the first run's plan.json.
    rows : dict of str to JoinedRow
        By name.
    pattern : KeptCell
        Any finished cell: all have its scans and reference scores.
    notes : tuple of str
        What a reader must know of the mixture.
    """

    plan: dict
    rows: dict[str, JoinedRow]
    pattern: KeptCell
    notes: tuple[str, ...] = ()

    def find(self, name: str) -> JoinedRow | None:
        """The row of that name, or that is the same change of the same base under another name."""
        if name in self.rows:
            return self.rows[name]
        wanted = find(name)
        if wanted.base is None:
            return None
        for row in self.rows.values():
            if (row.method.get("base"), row.method.get("change")) == (wanted.base, wanted.change):
                return row
        return None


def join(runs: Sequence[FinishedRun]) -> Joined:
    """Put runs together.

    Parameters
    ----------
    runs : sequence of FinishedRun
        Suites, seeds and methods may differ, nothing else.

    Raises
    ------
    UserError
        If cohort, split, budget, recipe, device or number of threads differ, if one method and
        seed has two unlike results, or if nothing finished.
    """
    plan = runs[0].plan
    stated = plan["settings"].get("options") or {}
    for run in runs:
        if (run.plan["settings"].get("options") or {}) != stated:
            raise UserError(
                f"{run.folder}: other options of the tier than {runs[0].folder}; "
                "runs are joined under one recipe only"
            )
    read = [(run, cell) for run in runs for cell in read_cells(run)]
    cells = with_one_patients(
        [run for run, _ in read], with_one_reference([cell for _, cell in read])
    )
    methods = {id(run): {m["name"]: m for m in run.plan["methods"]} for run in runs}
    rows: dict[str, JoinedRow] = {}
    for (run, _), cell in zip(read, cells, strict=True):
        row = rows.setdefault(cell.method, JoinedRow(methods[id(run)][cell.method], {}))
        known = row.cells.get(cell.seed)
        if known is not None and known.folder != cell.folder:
            raise UserError(
                f"{run.folder}: method {cell.method!r}, seed {cell.seed} is there twice with "
                f"unlike results ({known.folder}, {cell.folder}); leave one run out"
            )
        row.cells[cell.seed] = cell
    places = {name: place for run in runs for name, place in places_of(run.plan).items()}
    # runs that were not joined have one device and one format, which must be those of the others
    formats = {
        name: kind
        for run in runs
        if "joined" in run.plan
        for name, kind in formats_of(run.plan).items()
    }
    refuse_mixture(plan, cells, places, formats)
    finished = [cell for cell in cells if cell.state == "finished"]
    if not finished:
        raise UserError(f"{runs[0].folder}: no method finished, so there is nothing to compare")
    titles = told_apart(((name, row.method["title"]) for name, row in rows.items()), METHODS)
    rows = {
        name: JoinedRow({**row.method, "title": titles[name]}, dict(sorted(row.cells.items())))
        for name, row in rows.items()
    }
    return Joined(plan, rows, finished[0], _notes(finished))


def _notes(finished: list[KeptCell]) -> tuple[str, ...]:
    """Differences that do not forbid a comparison, but that a reader must see."""
    notes = []
    for words, values in (
        ("versions of the training code", [cell.key.get("harness", "")[:12] for cell in finished]),
        ("versions of PyTorch", [_torch(cell) for cell in finished]),
        ("number formats", [_precision(cell) for cell in finished if cell.trained]),
        ("machines", [cell.ledger.get("device_name", "") for cell in finished]),
        ("commits", [cell.ledger.get("git_commit", "") for cell in finished]),
    ):
        found = list(dict.fromkeys(str(value) for value in values if value))
        if len(found) > 1:
            notes.append(f"{len(found)} {words} on one board: {', '.join(found)}")
    return tuple(notes)


def _precision(cell: KeptCell) -> str:
    """The number format that a cell was trained in."""
    return str((cell.key.get("settings") or {}).get("precision", ""))


def _torch(cell: KeptCell) -> str:
    """The version of PyTorch that made a cell."""
    versions = cell.key.get("versions")
    return str(versions.get("torch", "")) if isinstance(versions, dict) else ""
