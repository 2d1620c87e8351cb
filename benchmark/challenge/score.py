"""Score submissions on scans whose reference is at hand, and write what came of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from benchmark.calcium import SCORES, TARGETS
from benchmark.challenge.checker import Progress, check_labels, find_maps, geometry_of, unusual
from benchmark.challenge.maps import NAMING, Naming, read_map
from benchmark.challenge.processes import mapped
from benchmark.challenge.scorer import (
    AS_STATED,
    KEYS,
    SIX,
    Key,
    PatientScore,
    Rules,
    measures,
    score_patient,
)
from benchmark.challenge.source import Source, open_source
from benchmark.cohorts.base import Cohort
from benchmark.errors import UserError
from benchmark.metrics import Estimate
from benchmark.metrics.patients import FEW_PATIENTS

OUTCOMES = ("found", "false", "missed")
"""True positive, false positive and false negative lesions, in words for a table."""


@dataclass(frozen=True, eq=False)
class ScoredSubmission:
    """A submission in numbers.

    Attributes
    ----------
    name : str
        For tables and figures.
    patients : dict of str to PatientScore
        By scan.
    figures : dict of (str, str) to Estimate
        See `benchmark.challenge.scorer.measures`.
    worst : tuple of str
        One line for each scan without a usable map, which takes the worst value.
    unscored : tuple of str
        One line for each scan that cannot be read, or whose reference cannot: these count nowhere.
    remarks : tuple of str
        What else is wrong with the maps; they are scored by the challenge's rules all the same.
    """

    name: str
    patients: dict[str, PatientScore]
    figures: dict[Key, Estimate]
    worst: tuple[str, ...]
    unscored: tuple[str, ...]
    remarks: tuple[str, ...]


def score_submission(
    path: Path,
    cohort: Cohort,
    ids: Iterable[str],
    naming: Naming = NAMING,
    rules: Rules = AS_STATED,
    name: str | None = None,
    progress: Progress | None = None,
    workers: int | None = None,
) -> ScoredSubmission:
    """Score the maps of a folder or zip; a process has one scan in memory at a time.

    Parameters
    ----------
    path : Path
        Read with the same care as in `benchmark.challenge.checker.check_submission`; files that
        belong to no scan are passed over.
    cohort : Cohort
        Gives the scans and their reference labels.
    ids : iterable of str
        Scans with a reference.
    naming, rules : Naming, Rules
    name : str, optional
        By default that of the file or folder.
    progress : callable, optional
        Called as ``progress(done, total)`` after each scan.
    workers : int, optional
        Processes; None reads in this one.

    Raises
    ------
    UserError
        If the submission cannot be opened, or no scan has a reference that can be read.
    """
    ids = tuple(ids)
    source = open_source(path)
    places = find_maps(source, ids, naming)
    patients, worst, unscored, remarks = {}, [], [], []
    task = partial(_score_scan, source, places, cohort, naming, rules)
    for done, (id, found) in enumerate(zip(ids, mapped(task, ids, workers), strict=True), start=1):
        if found.patient is not None:
            patients[id] = found.patient
        worst += found.worst
        unscored += found.unscored
        remarks += found.remarks
        if progress:
            progress(done, len(ids))
    if not patients:
        reason = f" ({unscored[0]})" if unscored else ""
        raise UserError(f"{path}: there is no scan with a reference to score it by{reason}")
    return ScoredSubmission(
        name or path.name.removesuffix(".zip"),
        patients,
        measures(tuple(patients.values())),
        tuple(worst),
        tuple(unscored),
        tuple(remarks),
    )


@dataclass(frozen=True, eq=False)
class _Scored:
    """What came of one scan."""

    patient: PatientScore | None = None
    worst: tuple[str, ...] = ()
    unscored: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


def _score_scan(
    source: Source,
    places: dict[str, list[str]],
    cohort: Cohort,
    naming: Naming,
    rules: Rules,
    id: str,
) -> _Scored:
    """Score one scan's map; without one that can be used the scan takes the worst value."""
    try:
        scan = cohort.load(id)
        if scan.labels is None:
            raise UserError(f"{id}: has no reference labels to be scored by")
    except UserError as error:
        return _Scored(unscored=(f"{id}: not scored: {str(error).removeprefix(f'{id}: ')}",))
    header = places[id][0] if places[id] else None
    reading = read_map(source, header, f"{naming.stem(id)}.mhd", geometry_of(scan))
    worst, remarks = (), reading.faults
    if reading.labels is None:
        worst, remarks = (f"{remarks[-1]} (takes the worst value)",), remarks[:-1]
    else:
        _, faults, warnings = check_labels(
            scan, reading.labels, source.where(header), rules.conventions
        )
        remarks = (*remarks, *faults, *warnings)
    remarks = (*unusual(cohort, id), *remarks)
    patient = score_patient(scan.voxels, scan.labels, reading.labels, scan.spacing, rules)
    return _Scored(patient, worst, (), remarks)


def figure_table(scored: ScoredSubmission) -> str:
    """Return the measures of a submission as lines of text, a row for each measure."""
    rows = [("", *TARGETS)]
    for measure in dict.fromkeys(name for name, _ in KEYS):
        cells = []
        for target in TARGETS:
            found = scored.figures.get((measure, target))
            # a reason is too long for a table's cell; it stands below
            cells.append("" if found is None else found.as_text() if found.is_defined else "–")
        rows.append((f"{measure}{' *' if (measure, 'whole') in SIX else ''}", *cells))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    reasons: dict[str, list[str]] = {}
    for key, found in scored.figures.items():
        if found.is_defined and np.isnan(found.low):
            reasons.setdefault(found.note, []).append(" ".join(key))
    for reason, names in reasons.items():
        lines.append(reason if FEW_PATIENTS in reason else f"{', '.join(names)}: {reason}")
    for (measure, target), found in scored.figures.items():
        if not found.is_defined:
            lines.append(f"– {measure}, {target}: undefined, {found.note}")
    return "\n".join(lines)


def measure_rows(submissions: Iterable[ScoredSubmission]) -> list[dict]:
    """One row for each submission, measure and target."""
    return [
        {
            "submission": scored.name,
            "measure": measure,
            "target": target,
            "value [1]": found.value,
            "95 % interval, low [1]": found.low,
            "95 % interval, high [1]": found.high,
            "patients": found.n if found.patients is None else found.patients,
            "note": found.note,
        }
        for scored in submissions
        for (measure, target), found in scored.figures.items()
    ]


def patient_rows(submissions: Iterable[ScoredSubmission]) -> list[dict]:
    """One row for each submission, scan and target: lesions, volumes and scores."""
    rows = []
    for scored in submissions:
        for id, patient in scored.patients.items():
            for column, target in enumerate(TARGETS):
                rows.append(
                    {"submission": scored.name, "scan": id, "target": target}
                    | _amounts(patient, column)
                )
    return rows


def _amounts(patient: PatientScore, column: int) -> Mapping[str, float]:
    found = {}
    for name, table in (("lesions", patient.lesions), ("volume [mm3]", patient.volumes)):
        for outcome, row in zip(OUTCOMES, table, strict=True):
            found[f"{outcome} {name}"] = row[column]
    units = {"agatston": "Agatston", "volume": "volume [mm3]", "mass": "mass [mg]"}
    for row, score in enumerate(SCORES):
        found[f"reference {units[score]}"] = patient.reference[row, column]
        found[f"submitted {units[score]}"] = patient.scores[row, column]
    return found
