"""Results that are sent in: label maps or a table of scores, with a manifest.

::

    SUBMISSION/submission.json      board, system, team, training, kind, SHA-256 of every file
    SUBMISSION/labels/ID.nii.gz     or
    SUBMISSION/scores.csv

Files come from strangers: nothing is opened that the manifest does not list, links and names that
lead out are faults, and only numbers are read. No code comes with a submission.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from benchmark.cohorts.base import Progress, Scan
from benchmark.cohorts.headers import parts_of
from benchmark.cohorts.volumes import read_scan
from benchmark.errors import UserError
from benchmark.hidden.hold_out import Public, file_name, image_of, read_public
from benchmark.manifest import sha256
from benchmark.prediction.outside import find_label_maps, read_labels
from benchmark.prediction.table import read_table
from benchmark.whole import draft_folder

FORMAT = 1
MANIFEST = "submission.json"
TABLE = "scores.csv"
LARGEST_MANIFEST = 4 << 20
"""Bytes: hashes of some ten thousand files."""
LONGEST_TEXT = 400
"""Characters of a name or of the sentence about training."""


@dataclass(frozen=True)
class Submission:
    """What a manifest says.

    Attributes
    ----------
    folder : Path
    board : str
        Id of the board it is for.
    system, team : str
        Names for the row, and of who sent it.
    training : str
        On what the system was trained, in its authors' words: nobody else can know.
    kind : "labels" or "scores"
    columns : "mask", "head" or None
        Of a table that has both.
    files : dict of str
        SHA-256 of each file by its path in the folder.
    """

    folder: Path
    board: str
    system: str
    team: str
    training: str
    kind: str
    columns: str | None
    files: dict[str, str]


def make_submission(
    source: Path,
    public: Path,
    out: Path,
    system: str,
    team: str,
    training: str,
    columns: str | None = None,
    progress: Progress | None = None,
) -> Submission:
    """Put predictions into the form of a submission; nothing is written if they have a fault.

    Parameters
    ----------
    source : Path
        Folder of label maps (also one of `benchmark predict`), or a table of scores.
    public : Path
        The board's public part.
    out : Path
        A new folder.
    system, team, training, columns
        See `Submission`.
    progress : callable, optional
        Called as ``progress(done, total)`` for each scan checked.

    Raises
    ------
    UserError
        If the folder is there, or with the first fault that was found.
    """
    board = read_public(public)
    if out.exists() or out.is_symlink():
        raise UserError(f"{out}: is there already; remove it or name another --out")
    out.parent.mkdir(parents=True, exist_ok=True)
    draft = draft_folder(out.parent, f".{out.name}-")
    try:
        kind = "labels" if source.is_dir() else "scores"
        if kind == "labels":
            (draft / "labels").mkdir()
            for path in find_label_maps(source).values():
                for part in parts_of(path):
                    shutil.copyfile(part, draft / "labels" / part.name)
        else:
            shutil.copyfile(source, draft / TABLE)
        files = {name: sha256(draft / name) for name in _there(draft)}
        made = Submission(
            draft, board.board, system.strip(), team.strip(), training.strip(), kind, columns, files
        )
        values = {k: v for k, v in asdict(made).items() if k != "folder"}
        text = json.dumps({"format": FORMAT, **values}, indent=1) + "\n"
        (draft / MANIFEST).write_text(text, encoding="utf-8")
        faults = list(find_faults(draft, public, progress))
        if faults:
            more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
            fault = faults[0].replace(str(draft), str(source))
            raise UserError(f"{source}: {fault.removeprefix(f'{source}: ')}{more}; nothing written")
        os.replace(draft, out)
    except FileNotFoundError as error:
        raise UserError(f"{error.filename}: no such file or folder") from None
    except OSError as error:
        raise UserError(f"{error.filename}: cannot be copied ({error.strerror})") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return read_submission(out)


def find_faults(folder: Path, public: Path, progress: Progress | None = None) -> Iterator[str]:
    """Everything that keeps a submission off the board, one line each; no label is needed.

    Parameters
    ----------
    folder : Path
    public : Path
        The board's public part.
    progress : callable, optional
        Called as ``progress(done, total)`` for each scan checked.
    """
    board = read_public(public)
    try:
        sent = read_submission(folder)
    except UserError as error:
        yield str(error)
        return
    found = list(_faults_of_files(sent))
    if sent.board != board.board:
        found.append(f"{folder / MANIFEST}: for board {sent.board}, this is {board.board}")
    yield from found
    if found:
        return  # what is not as its sender saw it is not opened
    yield from (_label_faults if sent.kind == "labels" else _score_faults)(
        sent, board, public, progress
    )


def read_submission(folder: Path) -> Submission:
    """The manifest of a submission.

    Raises
    ------
    UserError
        If there is none, or it lacks something.
    """
    path = folder / MANIFEST
    if not folder.is_dir():
        raise UserError(f"no such folder: {folder}")
    try:
        if path.stat().st_size > LARGEST_MANIFEST:
            raise UserError(f"{path}: is larger than {LARGEST_MANIFEST >> 20} MB")
        values = json.loads(path.read_text(encoding="utf-8"))
        version = values["format"]
        sent = Submission(folder, **{name: values[name] for name in _NAMES})
    except FileNotFoundError:
        raise UserError(f"{path}: not there; `benchmark submit board` writes one") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    except KeyError as error:
        raise UserError(f"{path}: lacks {error.args[0]!r}; it needs {', '.join(_NAMES)}") from None
    except (ValueError, TypeError, RecursionError):
        raise UserError(f"{path}: is no manifest of a submission") from None
    if version != FORMAT:
        raise UserError(f"{path}: format {version!r}; this version reads {FORMAT}")
    for name in ("board", "system", "team", "training"):
        text = getattr(sent, name)
        if not isinstance(text, str) or not text.strip() or len(text) > LONGEST_TEXT:
            raise UserError(f"{path}: {name} must be a text of 1 to {LONGEST_TEXT} characters")
        if not text.isprintable():
            raise UserError(f"{path}: {name} holds characters that cannot be printed")
    if sent.kind not in ("labels", "scores") or sent.columns not in (None, "mask", "head"):
        raise UserError(f"{path}: kind is labels or scores, columns mask, head or null")
    files = sent.files
    if not isinstance(files, dict) or not all(isinstance(v, str) for v in files.values()):
        raise UserError(f"{path}: files must give the SHA-256 of every file by its path")
    return sent


_NAMES = ("board", "system", "team", "training", "kind", "columns", "files")


def _faults_of_files(sent: Submission) -> Iterator[str]:
    """Links, and what differs between the folder and its manifest."""
    place = sent.folder
    links = [path for path in place.rglob("*") if path.is_symlink()]
    for path in links:
        yield f"{path}: is a link; send the file itself"
    if links:
        return
    there = set(_there(place))
    if not sent.files:
        yield f"{place / MANIFEST}: lists no file"
    for name in sorted(there - set(sent.files)):
        yield f"{place / name}: is not in the manifest"
    for name, wanted in sorted(sent.files.items()):
        if name not in there:
            yield f"{place}/{name!r}: is in the manifest, but not in the folder"
        elif sha256(place / name) != wanted:
            yield f"{place / name}: is not the file of the manifest (another SHA-256)"


def _there(folder: Path) -> list[str]:
    """Files below a folder, but for the manifest."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return [name for path in files if (name := path.relative_to(folder).as_posix()) != MANIFEST]


def _faults_of_ids(given: set[str], board: Public, where: Path) -> Iterator[str]:
    for words, ids in (
        ("has no prediction", set(board.images) - given),
        ("is no test scan of this board", given - set(board.images)),
    ):
        for id in sorted(ids):
            yield f"{where}: scan {id!r} {words}"


def _label_faults(
    sent: Submission, board: Public, public: Path, progress: Progress | None
) -> Iterator[str]:
    try:
        maps = find_label_maps(sent.folder / "labels")
    except UserError as error:
        yield str(error)
        return
    yield from _faults_of_ids(set(maps), board, sent.folder / "labels")
    for done, id in enumerate(board.images, start=1):
        if id in maps:
            try:
                parts_of(maps[id])
                read_labels(maps[id], scan_of(public, board, id))
            except UserError as error:
                yield " ".join(str(error).split())
        if progress is not None:
            progress(done, len(board.images))


def _score_faults(
    sent: Submission, board: Public, public: Path, progress: Progress | None
) -> Iterator[str]:
    path = sent.folder / TABLE
    try:
        scores, _ = read_table(path, sent.columns)
    except UserError as error:
        yield str(error)
        return
    yield from _faults_of_ids(set(scores), board, path)
    for id in sorted(set(scores) & set(board.images)):
        if not np.isfinite(scores[id]).all():
            yield f"{path}: scan {id!r} lacks a score"


def scan_of(public: Path, board: Public, id: str) -> Scan:
    """A test scan without labels.

    Raises
    ------
    UserError
        If its file is missing, or not the board's.
    """
    path = image_of(public, id)
    if not path.is_file():
        raise UserError(f"{path}: not there; fetch the public part again ({file_name(id)})")
    if sha256(path) != board.images[id]:
        raise UserError(f"{path}: was changed; fetch the public part again")
    return read_scan(path, id=id)
