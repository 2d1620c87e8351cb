"""A suite on all folds of a cross-validation, joined and scored as the orCaScore challenge does.

Every scan is labelled once, by a network that was trained or tuned on the other folds. The label
maps of all folds together are then scored like one submission.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from benchmark.calcium import label_candidates
from benchmark.challenge.score import ScoredSubmission
from benchmark.challenge.scorer import AS_STATED, SIX, Key, Rules, measures, score_patient
from benchmark.cohorts.base import Scan
from benchmark.cohorts.patients import Patients
from benchmark.errors import UserError
from benchmark.metrics.patients import FEW_PATIENTS, MIN_PATIENTS
from benchmark.report.reliance import counted_scans
from benchmark.runs.display import Display
from benchmark.runs.execute import Outcome, execute
from benchmark.runs.request import Request
from benchmark.runs.store import KeptCell
from benchmark.sources import one_reading
from benchmark.whole import write_text

Progress = Callable[[int, int], None]


@dataclass
class Joined:
    """The label maps of one method and seed over all folds.

    Attributes
    ----------
    name : str
        For tables and figures.
    classes : dict of str to ndarray of uint8, shape (n + 1,), or None
        Class of each component above 130 HU, by scan; None where the method failed.
    worst : list of str
        One line for each scan that takes the worst value.
    """

    name: str
    classes: dict[str, np.ndarray | None] = field(default_factory=dict)
    worst: list[str] = field(default_factory=list)


def run_folds(request: Request, display: Display, count: int, trainer=None) -> tuple[Outcome, ...]:
    """Carry out a suite once for every fold; what is finished is kept, as in any run.

    Parameters
    ----------
    request : Request
    display : Display
    count : int
        Number of folds.
    trainer : object, optional
        See `benchmark.runs.execute.execute`.

    Raises
    ------
    UserError
        On bad input; also if another split was asked for.
    """
    if request.split is not None or request.fold is not None:
        raise UserError(
            f"this suite goes through all {count} folds itself: leave --split and --fold out "
            "(--split-seed deals the scans out anew)"
        )
    outcomes = []
    with one_reading():  # a file edited between two folds would be another network
        for fold in range(1, count + 1):
            display.say(f"fold {fold} of {count}")
            outcomes.append(execute(replace(request, fold=f"{fold}/{count}"), display, trainer))
    return tuple(outcomes)


def join(outcomes: Sequence[Outcome]) -> list[Joined]:
    """Collect the label maps of all folds, by method and seed; methods without labels are left out.

    Raises
    ------
    UserError
        If what a run kept is damaged.
    """
    found: dict[tuple[str, int], Joined] = {}
    several = len(outcomes[0].plan["seeds"]) > 1
    for fold, outcome in enumerate(outcomes, start=1):
        ids = outcome.plan["split"]["test"]
        for cell in outcome.cells:
            if "mask" not in cell.outputs:
                continue
            name = f"{cell.title}, seed {cell.seed}" if several and cell.trained else cell.title
            joined = found.setdefault((cell.method, cell.seed), Joined(name))
            kept = _classes(outcome, cell) if cell.state == "finished" else {}
            reason = cell.reason or "no finite answer"
            for id in ids:
                joined.classes[id] = kept.get(id)
                if kept.get(id) is None:
                    joined.worst.append(f"{id}: fold {fold}: {reason} (takes the worst value)")
    # a row that learns nothing is the same with every seed
    first = outcomes[0].plan["seeds"][0]
    trained = {method["name"]: method["trained"] for method in outcomes[0].plan["methods"]}
    return [made for (name, seed), made in found.items() if trained[name] or seed == first]


def _classes(outcome: Outcome, cell: KeptCell) -> dict[str, np.ndarray]:
    """Classes of the scans on which the network gave a finite answer."""
    from benchmark.figures.examples import kept_classes
    from benchmark.runs.finished import FinishedRun

    kept = kept_classes(FinishedRun(outcome.folder, outcome.plan), cell)
    finite = dict(zip(cell.ids, np.isfinite(cell.mask).all(axis=(1, 2)), strict=True))
    return {id: classes for id, classes in kept.items() if finite[id]}


def score_joined(
    joined: Sequence[Joined],
    load: Callable[[str], Scan],
    rules: Rules = AS_STATED,
    progress: Progress | None = None,
    patients: Patients | None = None,
) -> list[ScoredSubmission]:
    """Score joined label maps by the challenge's measures; each scan is read once.

    Parameters
    ----------
    joined : sequence of Joined
        All of the same scans.
    load : callable
        Gives a scan with its reference by id.
    rules : Rules
    progress : callable, optional
        Called as ``progress(done, total)`` after each scan.
    patients : Patients, optional
        Whose scans they are; without it each is of another patient.

    Raises
    ------
    UserError
        If a scan is not the one that the run saw.
    """
    ids = sorted(joined[0].classes)
    scores: list[dict] = [{} for _ in joined]
    whose = None if patients is None else patients.numbers(ids)
    for done, id in enumerate(ids, start=1):
        scan = load(id)
        components, count = label_candidates(scan.voxels, rules.conventions)
        for place, one in enumerate(joined):
            classes = one.classes[id]
            if classes is not None and len(classes) != count + 1:
                raise UserError(
                    f"{id}: has {count} components above {rules.conventions.threshold:g} HU, but "
                    f"{len(classes) - 1} when it was labelled; run the suite again"
                )
            labels = None if classes is None else classes[components]
            scores[place][id] = score_patient(scan.voxels, scan.labels, labels, scan.spacing, rules)
        if progress:
            progress(done, len(ids))
    return [
        ScoredSubmission(
            one.name,
            scored,
            measures(tuple(scored.values()), whose=whose),
            tuple(one.worst),
            (),
            (),
        )
        for one, scored in zip(joined, scores, strict=True)
    ]


def joined_folder(outcomes: Sequence[Outcome]) -> Path:
    """Where the joined figures are kept: beside the runs of the folds, named by them."""
    names = [outcome.folder.name for outcome in outcomes]
    digest = hashlib.sha256("\n".join(names).encode()).hexdigest()[:8]
    return outcomes[0].folder.with_name(f"{names[0].rpartition('-')[0]}-joined-{digest}")


def write_joined(
    outcomes: Sequence[Outcome], scored: Sequence[ScoredSubmission], lines: Sequence[str]
) -> list[Path]:
    """Write the joined figures, figure 10, and which runs they come from.

    Returns
    -------
    list of Path
    """
    from benchmark.figures.challenge import challenge_figure

    folder = joined_folder(outcomes)
    values = {
        "folds": [outcome.folder.name for outcome in outcomes],
        "settings": outcomes[0].plan["settings"],
        "cohort": outcomes[0].plan["cohort"]["fingerprint"],
        "init": outcomes[0].plan.get("init"),
        "tested": [outcome.plan["split"]["test"] for outcome in outcomes],
        "worst": {one.name: list(one.worst) for one in scored if one.worst},
    }
    write_text(folder / "joined.json", json.dumps(values, indent=1) + "\n")
    write_text(folder / "board.txt", "\n".join(lines) + "\n")
    drawn = challenge_figure(scored, folder, folds=len(outcomes))
    return [folder / "board.txt", folder / "joined.json", *drawn]


def board_lines(scored: Sequence[ScoredSubmission], scans: int, folds: int) -> list[str]:
    """The six measures of figure 10, a row for each method, published figures below."""
    from benchmark.figures.challenge import PRINTED_AS, TITLES, published

    keys: tuple[Key, ...] = SIX
    head = ("", *(TITLES[key] for key in keys))
    ours = [
        (
            one.name,
            *(
                one.figures[key].as_text() if one.figures[key].is_defined else "undefined"
                for key in keys
            ),
        )
        for one in scored
    ]
    printed = [
        (name, *(_plain(figures.get(PRINTED_AS.get(key, ("", "")))) for key in keys))
        for name, figures in published().items()
    ]
    patients = scored[0].figures[SIX[0]].patients
    few = patients is not None and patients < MIN_PATIENTS
    over = FEW_PATIENTS if few else "95 % intervals, bootstrap over patients"
    training = counted_scans(scans, patients).replace(" scan", " training scan", 1)
    rows = [head, *ours, *printed]
    widths = [max(len(row[k]) for row in rows) for k in range(len(head))]

    def line(row: tuple[str, ...]) -> str:
        return "  ".join(v.ljust(w) for v, w in zip(row, widths, strict=True)).rstrip()

    return [
        line(head),
        *map(line, ours),
        "as the paper prints it:",
        *map(line, printed),
        f"Ours: {training}, each labelled by a network of the {folds} folds that has not seen it; "
        f"whole heart; {over}.",
        "The paper's are of the challenge's test scans or of scans it does not name, and it does "
        "not say which score its ICC is of; – is not printed.",
    ]


def _plain(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
