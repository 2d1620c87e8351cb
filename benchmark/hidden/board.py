"""Score a submission by hidden labels and put it on the board of all that were scored.

What is kept of an entry (its figures scan by scan) would give reference volumes away: it stays in
the hidden folder. The board, which is published, holds figures over all scans alone.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmark.cohorts.base import Scan
from benchmark.errors import UserError
from benchmark.hidden.hold_out import (
    Public,
    labels_of,
    patients_of_hidden,
    read_hidden,
    read_public,
)
from benchmark.hidden.submission import (
    MANIFEST,
    TABLE,
    Submission,
    find_faults,
    read_submission,
    scan_of,
)
from benchmark.manifest import sha256
from benchmark.names import system_name
from benchmark.prediction.board import outside_cell
from benchmark.prediction.outside import find_label_maps, judge_labels, judge_scores, read_labels
from benchmark.prediction.table import read_table
from benchmark.report.board import Board, Line, Row
from benchmark.report.files import as_csv, as_json, as_markdown
from benchmark.report.leaderboard import RANKED
from benchmark.report.measure import differences_to_best, figures_of, marks, measure
from benchmark.report.reliance import counted_scans, few_patients, sample
from benchmark.runs.display import Display
from benchmark.runs.store import KeptCell
from benchmark.whole import write_text

DAY = 86400.0
_ARRAYS = ("reference", "worst_fp", "mask", "head", "tp", "fp", "fn")


@dataclass(frozen=True)
class Entry:
    """A submission that was scored.

    Attributes
    ----------
    system, team, training : str
        As its manifest says.
    when : float
        Seconds since 1970.
    digest : str
        SHA-256 of its manifest, which holds the hashes of all its files.
    cell : KeptCell
        Its figures, scan by scan.
    """

    system: str
    team: str
    training: str
    when: float
    digest: str
    cell: KeptCell


def add_submission(
    folder: Path, public: Path, hidden: Path, display: Display, now: float | None = None
) -> Board:
    """Check, score and add a submission; the board with its row.

    Parameters
    ----------
    folder : Path
        The submission.
    public, hidden : Path
        Both parts of the hold-out.
    display : Display
    now : float, optional
        Seconds since 1970.

    Raises
    ------
    UserError
        If it has a fault, was scored before, bears a name that is on the board, or its team has
        used up its limit: nothing is added then.
    """
    from filelock import FileLock

    known = read_public(public)
    read_hidden(hidden, known)
    # one at a time: names and limits are looked at before the scoring, and kept after it
    with FileLock(hidden / "entries.lock"):
        return _add(folder, public, hidden, known, display, now)


def _add(
    folder: Path, public: Path, hidden: Path, board: Public, display: Display, now: float | None
) -> Board:
    entries = read_entries(hidden)
    sent = read_submission(folder)
    now = time.time() if now is None else now
    _refuse(sent, entries, board, now)
    with display.counting(f"checking {sent.system}") as progress:
        faults = list(find_faults(folder, public, progress))
    for fault in faults:
        display.say(f"fault: {fault}")
    if faults:
        more = f" and {len(faults) - 1} more" if len(faults) > 1 else ""
        raise UserError(f"{folder}: not scored: {faults[0]}{more}")
    cell = _judge(sent, board, public, hidden, display)
    entry = Entry(sent.system, sent.team, sent.training, now, sha256(folder / MANIFEST), cell)
    for other in entries:
        same = np.array_equal(other.cell.reference, cell.reference)
        if other.cell.ids != cell.ids or not same:
            raise UserError(f"{hidden}: entry {other.system!r} was scored by another reference")
    _keep(entry, hidden)
    return make_hidden_board(board, (*entries, entry))


def make_hidden_board(board: Public, entries: tuple[Entry, ...]) -> Board:
    """The board of all entries, in the order in which they came.

    Every row was judged by labels that none of their makers has seen, so the best of each column
    is marked, with those whose paired interval of the difference holds 0.
    """
    rows, measured = [], []
    for entry in entries:
        source = entry.cell.outputs[0]
        figures, filled = measure([entry.cell], source, entry.cell)
        measured.append(figures)
        rows.append((entry, Line(source, figures_of(figures, {}), filled)))
    # nobody's training is known here: entries are told apart by patients alone
    found = marks(measured, [line.source for _, line in rows], RANKED, {})
    made = []
    gaps = differences_to_best(measured, measured, found)
    for (entry, line), own, (whole, arteries) in zip(rows, found, gaps, strict=True):
        line = replace(line, marks=own, difference=whole, difference_arteries=arteries)
        day = time.strftime("%Y-%m-%d", time.gmtime(entry.when))
        notes = (f"by {entry.team}, {day}; trained on, as they say: {entry.training}",)
        title = entry.system
        rest = tuple(note for note in entry.cell.notes[1:])
        made.append(Row(entry.cell.method, title, True, (line,), notes=(*notes, *rest)))
    limit = "none" if board.limit is None else f"{board.limit[0]} in {board.limit[1]} days"
    return Board(
        suite="hold-out",
        title=f"Hidden test part of {board.cohort}",
        scale=counted_scans(len(board.images), sample(made)[1]),
        rows=tuple(made),
        facts=(
            ("board", board.board),
            ("split", f"{board.split['kind']}, seed {board.split['seed']}, {board.split['hash']}"),
            ("labels", f"hidden; committed to by SHA-256 {board.commitment}"),
            ("limit", f"results of a team that are scored: {limit}"),
        ),
        notes=(
            *few_patients(made),
            "Predictions made elsewhere and sent in; what a system was trained on, and whether a "
            "person drew its labels, is its makers' word.",
            *board.notes,
        ),
        columns=RANKED,
    )


def read_entries(hidden: Path) -> tuple[Entry, ...]:
    """All entries of a board, oldest first.

    Raises
    ------
    UserError
        If one is damaged.
    """
    place = hidden / "entries"
    if not place.is_dir():
        return ()
    found = []
    whose = patients_of_hidden(hidden)
    for folder in sorted(place.iterdir()):
        if folder.name.startswith("."):
            continue
        try:
            values = json.loads((folder / "entry.json").read_text(encoding="utf-8"))
            own = values.pop("cell")
            with np.load(folder / "figures.npz", allow_pickle=False) as file:
                arrays = {name: file[name] for name in _ARRAYS if name in file}
                ids = tuple(map(str, file["ids"]))
            cell = KeptCell(
                folder=folder.name,
                method=folder.name,
                title=values["system"],
                outputs=tuple(own["outputs"]),
                trained=False,
                seed=0,
                key={},
                state="finished",
                notes=tuple(own["notes"]),
                ids=ids,
                patients=None if whose is None else whose.numbers(ids),
                **arrays,
            )
            found.append(Entry(**values, cell=cell))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{folder}: damaged ({type(error).__name__}: {error}); restore it, or remove it "
                "and score its submission again"
            ) from None
    return tuple(sorted(found, key=lambda entry: (entry.when, entry.system)))


def write_board(board: Board, folder: Path) -> list[Path]:
    """Write what may be published: the board as Markdown, CSV and JSON, nothing scan by scan."""
    texts = {
        "leaderboard.md": as_markdown(board),
        "leaderboard.csv": as_csv(board),
        "leaderboard.json": as_json(board),
    }
    for name, text in texts.items():
        write_text(folder / name, text)
    return [folder / name for name in texts]


def _refuse(sent: Submission, entries: tuple[Entry, ...], board: Public, now: float) -> None:
    """What a submission may not be, whatever it holds."""
    digest = sha256(sent.folder / MANIFEST)
    for entry in entries:
        if entry.digest == digest:
            raise UserError(f"{sent.folder}: was scored before, as {entry.system!r}")
    name = system_name(sent.system)
    if name in {entry.cell.method for entry in entries}:
        raise UserError(
            f"{sent.folder}: the board has a system {name!r}; give it another name in {MANIFEST}"
        )
    if board.limit is None:
        return
    count, days = board.limit
    team = " ".join(sent.team.casefold().split())
    times = [e.when for e in entries if " ".join(e.team.casefold().split()) == team]
    recent = sorted(when for when in times if when > now - days * DAY)
    if len(recent) >= count:
        again = time.gmtime(recent[-count] + days * DAY)
        raise UserError(
            f"{sent.folder}: {sent.team} had {len(recent)} results scored in {days} days, the "
            f"limit of this board; again from {time.strftime('%Y-%m-%d %H:%M UTC', again)}"
        )


def _judge(
    sent: Submission, board: Public, public: Path, hidden: Path, display: Display
) -> KeptCell:
    """Compare the predictions with the hidden labels."""
    ids = tuple(board.images)

    def load(id: str) -> Scan:
        scan = scan_of(public, board, id)
        return replace(scan, labels=read_labels(labels_of(hidden, id), scan))

    def fault(id: str, reason: str) -> None:
        raise UserError(f"{sent.folder}: {id}: {reason}")

    maps = find_label_maps(sent.folder / "labels") if sent.kind == "labels" else {}
    ignore = fault if maps else lambda id, reason: None
    with display.counting(f"scoring {sent.system}") as progress:
        judged = judge_labels(ids, load, maps, ignore, progress)
    if sent.kind == "scores":
        scores, source = read_table(sent.folder / TABLE, sent.columns)
        judged = judge_scores(judged.ids, judged.reference, judged.worst_fp, scores, source)
    whose = patients_of_hidden(hidden)
    judged.patients = None if whose is None else whose.numbers(judged.ids)
    return outside_cell(sent.system, judged)


def _keep(entry: Entry, hidden: Path) -> None:
    """Write an entry whole or not at all."""
    place = hidden / "entries"
    place.mkdir(exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{entry.cell.method}-", dir=place))
    try:
        arrays = {name: getattr(entry.cell, name) for name in _ARRAYS}
        arrays = {name: value for name, value in arrays.items() if value is not None}
        np.savez_compressed(draft / "figures.npz", ids=np.asarray(entry.cell.ids), **arrays)
        values = {
            "system": entry.system,
            "team": entry.team,
            "training": entry.training,
            "when": entry.when,
            "digest": entry.digest,
            "cell": {"outputs": list(entry.cell.outputs), "notes": list(entry.cell.notes)},
        }
        write_text(draft / "entry.json", json.dumps(values, indent=1) + "\n")
        os.rename(draft, place / entry.cell.method)
    except OSError as error:
        raise UserError(
            f"{place / entry.cell.method}: cannot be kept ({error.strerror})"
        ) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
