"""Patients of the test scans in several runs: the same in all that know them, and then in all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from benchmark.cohorts.patients import Patients, patients_in
from benchmark.errors import UserError
from benchmark.runs.finished import FinishedRun
from benchmark.runs.store import KeptCell

UNLIKE = "the same test scans are of other patients"


def with_one_patients(
    runs: Sequence[FinishedRun], cells: Sequence[KeptCell]
) -> tuple[KeptCell, ...]:
    """The cells, those of runs that do not know the patients with what the others know.

    Parameters
    ----------
    runs : sequence of FinishedRun
        Of each cell.
    cells : sequence of KeptCell
        Of the same test scans.

    Raises
    ------
    UserError
        If one scan is of unlike patients in two runs.
    """
    known = None
    for run, cell in zip(runs, cells, strict=True):
        if cell.patients is None or not cell.ids:
            continue
        known = known or (run, cell)
        if cell.ids == known[1].ids and cell.patients != known[1].patients:
            raise UserError(
                f"{run.folder}: {UNLIKE} than in {known[0].folder}; run one of them again with "
                "the patients of the other (the column patient of a table)"
            )
    if known is None:
        return tuple(cells)
    pattern = known[1]
    return tuple(
        replace(cell, patients=pattern.patients)
        if cell.patients is None and cell.ids == pattern.ids
        else cell
        for cell in cells
    )


def joined_patients(runs: Sequence[FinishedRun]) -> Patients | None:
    """What the first run that knows says; None if no run does. Checked by `with_one_patients`."""
    found = [patients_in(run.plan) for run in runs]
    sure = [one for one in found if one is not None and (one.known or one.together)]
    return next((one for one in (*sure, *found) if one is not None), None)
