"""What a run that starts from another run's networks (``--init``) must share with it, and not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from benchmark.cohorts.base import Record
from benchmark.cohorts.same_scans import key_of
from benchmark.cohorts.split import Split
from benchmark.errors import UserError
from benchmark.runs.finished import FinishedRun
from benchmark.runs.store import Store
from benchmark.training.settings import CENTRES, SCAN, Settings

SHARED = ("cell_mm", "width")
"""Settings that make up a network and what it sees; budget, rate and batch may differ."""


def start_settings(init: FinishedRun, settings: Settings) -> Settings:
    """The settings of a run that starts from the networks of another.

    Parameters
    ----------
    init : FinishedRun
    settings : Settings
        Of the new run.

    Returns
    -------
    Settings
        With the grid of the run it starts from, unless a grid was asked for: strides and layers
        of a network follow the grid, so that weights fit one grid and not always another. A
        lesion outside it counts as missed, and the board says how many voxels that are.

    Raises
    ------
    UserError
        If cells, centre or width differ: weights of another width do not fit, and cells of another
        size would show a network all it knows at another scale.
    """
    old = init.plan["settings"]
    for name in SHARED:
        mine, theirs = _plain(getattr(settings, name)), _plain(old[name])
        if mine != theirs:
            raise UserError(
                f"--init {init.folder}: its networks were trained with {name} {theirs}, this run "
                f"has {mine}; use --set '{name}={theirs}'"
            )
    mine, theirs = settings.centre, old.get("centre", SCAN)
    if (mine == SCAN) != (theirs == SCAN):
        word = theirs if theirs in CENTRES else "FILE"
        raise UserError(
            f"--init {init.folder}: its networks were trained with the grid centred on the "
            f"{theirs}, this run centres it on the {mine}; use --centre {word}"
        )
    if settings.grid is not None:
        return settings
    store = Store(init.folder.resolve().parents[1])
    for entry in init.plan["cells"]:
        cell = store.read(entry["folder"])
        if cell is not None and cell.state == "finished" and "grid" in cell.ledger:
            return replace(settings, grid=tuple(int(n) for n in cell.ledger["grid"]))
    raise UserError(f"--init {init.folder}: no network of it finished; finish that run first")


def refuse_seen(
    init: FinishedRun, fingerprint: str, split: Split, records: Iterable[Record] = ()
) -> None:
    """Refuse to test on scans that the networks were trained on.

    Parameters
    ----------
    init : FinishedRun
    fingerprint : str
        Of the new run's cohort.
    split : Split
        Of the new run.
    records : iterable of Record
        Of the new run's cohort. Scans of another cohort are told by their voxels, where these
        were read; ids tell them in the same cohort alone.

    Raises
    ------
    UserError
        If a test scan is a training scan of the run that is started from, or of one that this run
        was itself started from.
    """
    known = seen_by(init.plan)
    by_id = {record.id: record for record in records}
    seen = sorted(
        id for id in split.test if id in by_id and key_of(fingerprint, by_id[id]) in known
    )
    if init.plan["cohort"]["fingerprint"] == fingerprint:
        seen = sorted({*seen, *(set(init.plan["split"]["train"]) & set(split.test))})
    if seen:
        place = by_id[seen[0]].source if seen[0] in by_id else ""
        own = known.get(key_of(fingerprint, by_id[seen[0]]), seen[0]) if seen[0] in by_id else ""
        name = f"{seen[0]}{f', {place}' if place else ''}"
        name += f", there {own}" if own and own != seen[0] else ""
        raise UserError(
            f"--init {init.folder}: its networks were trained on {len(seen)} of the "
            f"{len(split.test)} test scans ({name}); keep its split, or test on other scans"
        )


def seen_by(plan: dict) -> dict[str, str]:
    """The scans that a run's networks were trained on, also before they were tuned: ids by key.

    Empty for a run that was kept before this was noted, and for a plan that says it wrongly.
    """
    found = plan.get("trained_on")
    if not isinstance(found, dict):
        return {}
    return {str(key): str(id) for key, id in found.items()}


def _plain(value):
    return list(value) if isinstance(value, list | tuple) else value
