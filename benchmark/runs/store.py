"""Where runs are kept: one folder a cell, written whole or not at all. No torch when reading."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from benchmark.cohorts.patients import Patients
from benchmark.errors import UserError
from benchmark.manifest import MANIFEST, fault, to_disk, write_manifest
from benchmark.methods import Method
from benchmark.runs.kept_files import SCORES, UNREADABLE, VOLUMES, read_arrays, read_values
from benchmark.runs.plan import FORMAT, CellPlan
from benchmark.whole import draft_folder, require_writable, share

__all__ = ["CHECKPOINT", "KeptCell", "Store", "named", "read_weights"]

CHECKPOINT = "checkpoint.safetensors"
PARTIAL, DRAFT, OLD = ".partial-", ".draft-", ".old-"
"""Beginnings of the names of folders that are no cells: an unfinished training, a cell that is
being written, and one that is being replaced."""
LOCKS = ".locks"
"""Folder of the files that say who is at work on which cell."""
PREDICTIONS = "predictions.npz"
RUN = "run.json"
CLOSED = "no permission to read it; ask for it (chmod -R g+rX), or choose another folder with --out"
WITHOUT_MANIFEST = 1
"""The format whose folders have no manifest: they can be shown, and are not used by a new run."""


@dataclass(frozen=True, eq=False)
class KeptCell:
    """What is kept of one method with one seed, as read back.

    Attributes
    ----------
    folder : str
    method, title : str
    outputs : tuple of str
    trained : bool
    seed : int
    key : dict
        All that the result depends on.
    state : str
        "finished" or "failed".
    reason : str
        Why it failed; empty otherwise.
    ledger : dict
        What it spent, and on which machine.
    notes : tuple of str
        Deviations and remarks of the method.
    data_notes : tuple of str
        What happened to the scans on their way to the training grid.
    curve : tuple
        (stage, spent, samples, loss).
    ids : tuple of str
        Test scans; the arrays follow their order.
    reference, mask, head : ndarray (n, 3, 4) or None
        Scores: reference, estimated from the mask, estimated by the head.
    tp, fp, fn, worst_fp : ndarray (n, 4) or None
        Volumes in mm3 for LAD, LCX, RCA and whole; the last is what a failure costs.
    patients : tuple of int or None
        Number of the patient of each test scan; None: nobody knows. Runs share cells and not what
        is known of patients: it stands in the run's plan, and is not kept with the cell.
    """

    folder: str
    method: str
    title: str
    outputs: tuple[str, ...]
    trained: bool
    seed: int
    key: dict
    state: str
    reason: str = ""
    ledger: dict = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    data_notes: tuple[str, ...] = ()
    curve: tuple = ()
    ids: tuple[str, ...] = ()
    reference: np.ndarray | None = None
    mask: np.ndarray | None = None
    head: np.ndarray | None = None
    tp: np.ndarray | None = None
    fp: np.ndarray | None = None
    fn: np.ndarray | None = None
    worst_fp: np.ndarray | None = None
    patients: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Standing:
    """How a cell stands.

    Attributes
    ----------
    state : str
        "absent", "old" (of a format without manifests), "damaged", "closed" (another user's, not
        to be read here), "finished" or "failed".
    reason : str
        Why it failed, or what is damaged.
    key : dict
        All that its result depends on, as far as it could be read.
    """

    state: str
    reason: str = ""
    key: dict = field(default_factory=dict)


class Store:
    """The folder of all runs, ``results/runs`` by default.

    Parameters
    ----------
    root : Path
        Holds ``cells/`` (shared by all suites) and ``<suite>/<run>/``.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root)
        self.cells = self.root / "cells"

    def read(self, folder: str) -> KeptCell | None:
        """The cell kept in that folder, or None if there is none.

        Raises
        ------
        UserError
            If the folder's files are damaged or cannot be read.
        """
        path = self.cells / folder
        try:
            if not (path / RUN).is_file() and not (path / MANIFEST).is_file():
                return None
            wrong = self._fault(path, (RUN, PREDICTIONS))
            if wrong:
                raise ValueError(wrong)
            values = read_values(path / RUN)
            arrays = read_arrays(path / PREDICTIONS)
            if values["format"] not in (WITHOUT_MANIFEST, FORMAT):
                raise UserError(
                    f"{path}: written by another version of this program (format "
                    f"{values['format']}, not {FORMAT}); delete the folder to run it again"
                )
            values.pop("format")
            for name in ("outputs", "notes", "data_notes", "curve"):
                values[name] = tuple(values[name])
            return KeptCell(folder=folder, **values, **arrays)
        except PermissionError as error:
            raise UserError(f"{error.filename or path} is {owner_of(path)}'s: {CLOSED}") from None
        except UNREADABLE as error:
            raise UserError(
                f"{path}: damaged ({type(error).__name__}: {error}); the suite's `benchmark run` "
                "trains it again"
            ) from None

    def _fault(self, path: Path, read: Iterable[str] = ()) -> str:
        """What is wrong with a cell's folder; of a format without manifests nothing is known."""
        if _is_old(path):
            return ""
        return fault(path, read)

    def standing(self, folder: str, read: bool = False) -> Standing:
        """How the cell of that folder stands, without reading its arrays.

        Parameters
        ----------
        folder : str
        read : bool
            Compare the content of its predictions with the manifest too, not sizes alone.
        """
        try:
            return self._standing(folder, read)
        except PermissionError as error:
            path = error.filename or self.cells / folder
            return Standing("closed", f"{path} is {owner_of(self.cells / folder)}'s: {CLOSED}")

    def _standing(self, folder: str, read: bool) -> Standing:
        path = self.cells / folder
        if not path.is_dir():
            return Standing("absent")
        if _is_old(path):
            return Standing("old", "kept by a version of this program that wrote no manifest")
        wrong = fault(path, (RUN, PREDICTIONS) if read else (RUN,))
        if wrong:
            return Standing("damaged", wrong)
        try:
            values = read_values(path / RUN)
            return Standing(values["state"], values["reason"], values["key"])
        except UNREADABLE as error:
            return Standing("damaged", f"{RUN}: {type(error).__name__}: {error}")

    def weights(self, folder: str) -> dict:
        """The trained weights of the cell kept in that folder, as tensors by name.

        Raises
        ------
        UserError
            If there are none.
        """
        return read_weights(self.cells / folder / CHECKPOINT)

    def finished(self, folder: str) -> bool:
        """Whether that cell is there, whole, and did not fail."""
        return self.standing(folder).state == "finished"

    def stamp(self, folder: str) -> tuple[int, int] | None:
        """What changes when a cell is written anew; None if there is none."""
        try:
            facts = (self.cells / folder / RUN).stat()
        except OSError:
            return None
        return facts.st_ino, facts.st_mtime_ns

    def partial(self, folder: str) -> Path:
        """Where the checkpoint of an unfinished training lies."""
        return self.cells / f"{PARTIAL}{folder}"

    def leftovers(self, folder: str = "") -> list[Path]:
        """Folders that were being written when a process was killed, of one cell or of all."""
        if not self.cells.is_dir():
            return []
        return sorted(
            path
            for path in self.cells.iterdir()
            if path.name.startswith((f"{DRAFT}{folder}", f"{OLD}{folder}"))
        )

    def cell_of(self, leftover: Path) -> str:
        """The cell that a folder of `leftovers` or a checkpoint's folder belongs to."""
        name = leftover.name
        for prefix in (DRAFT, OLD):
            if name.startswith(prefix):
                return name.removeprefix(prefix).rpartition("-")[0]
        return name.removeprefix(PARTIAL)

    def write_finished(
        self, cell: CellPlan, result, log: str, ledger: dict, data_notes: tuple[str, ...] = ()
    ) -> None:
        """Keep a result (see `benchmark.training.cell.CellResult`) with its ledger."""
        with self.draft(cell.folder) as draft:
            write_arrays(draft, result)
            rest = {"notes": result.notes, "curve": result.curve, "ledger": ledger}
            self.finish(cell, draft, rest, log, data_notes)

    def finish(
        self, cell: CellPlan, draft: Path, rest: dict, log: str, data_notes: tuple[str, ...] = ()
    ) -> None:
        """Give a draft that holds a result's arrays (`write_arrays`) the rest and its place.

        Parameters
        ----------
        cell : CellPlan
        draft : Path
            See `draft`.
        rest : dict
            The result's ``ledger``, ``notes`` and ``curve``.
        log : str
        data_notes : tuple of str
        """
        values = _plain(cell) | {
            "state": "finished",
            "reason": "",
            "ledger": rest["ledger"],
            "notes": list(rest["notes"]),
            "data_notes": list(data_notes),
            "curve": [list(point) for point in rest["curve"]],
        }
        self._place(cell.folder, draft, values, log)

    def write_failed(self, cell: CellPlan, reason: str, log: str, ledger: dict) -> None:
        """Keep a failure with its reason: it is shown, and tried again by the next run."""
        values = _plain(cell) | {
            "state": "failed",
            "reason": reason,
            "ledger": ledger,
            "notes": [],
            "data_notes": [],
            "curve": [],
        }
        with self.draft(cell.folder) as draft:
            self._place(cell.folder, draft, values, log)

    def check_writable(self) -> None:
        """Make the folder and a file in it.

        Raises
        ------
        UserError
            If that fails, before hours are spent on what could not be kept.
        """
        require_writable(self.cells, self.root, "choose another folder with --out")

    @contextmanager
    def draft(self, name: str) -> Iterator[Path]:
        """A folder beside the cells in which one is written; gone afterwards, whatever happens."""
        self.cells.mkdir(parents=True, exist_ok=True)
        draft = draft_folder(self.cells, f"{DRAFT}{name}-")
        try:
            yield draft
        finally:
            shutil.rmtree(draft, ignore_errors=True)

    def _place(self, name: str, draft: Path, values: dict, log: str) -> None:
        """Complete a draft and let it take its name only once all of it is on the disk."""
        (draft / "log.txt").write_text(log, encoding="utf-8")
        _write_json(draft / RUN, values)
        write_manifest(draft)
        self.place(name, draft)

    def place(self, name: str, draft: Path) -> None:
        """Let a draft that is complete take its name, in the place of what bore it.

        Raises
        ------
        UserError
            If what bears the name is another user's and cannot be moved: it stays as it is.
        """
        target = self.cells / name
        if target.exists():
            old = self._move_away(name)
            try:
                os.replace(draft, target)
            except BaseException:
                os.rename(old, target)
                raise
            shutil.rmtree(old, ignore_errors=True)
        else:
            os.replace(draft, target)
        to_disk(self.cells)

    def _move_away(self, name: str) -> Path:
        """Give a cell's folder a name of `leftovers`.

        Within one folder a name can be changed by all who may write there, whoever owns what bears
        it; to move it into another takes rights to the folder itself.
        """
        target = self.cells / name
        old = target.with_name(f"{OLD}{name}-{secrets.token_hex(4)}")
        try:
            os.rename(target, old)
        except PermissionError:
            raise UserError(
                f"{target} is {owner_of(target)}'s and may not be replaced here: ask for its "
                "removal, or choose another folder with --out"
            ) from None
        return old

    def require_replaceable(self, name: str) -> None:
        """Try whether a result could take its place: before hours go into it.

        Raises
        ------
        UserError
            If another user's folder bears the cell's name and cannot be moved.
        """
        if (self.cells / name).exists():
            os.rename(self._move_away(name), self.cells / name)


def write_arrays(draft: Path, result) -> None:
    """Write what is large of a result (see `benchmark.training.cell.CellResult`) into a draft."""
    arrays = {name: getattr(result, name, None) for name in (*SCORES, *VOLUMES)}
    arrays = {k: np.asarray(v, np.float64) for k, v in arrays.items() if v is not None}
    arrays["ids"] = np.asarray(list(result.ids), dtype=np.str_)
    components = getattr(result, "components", None)
    if components is not None:
        # Scans have different numbers of components: one long array and where each begins.
        lengths = [len(c) for c in components]
        arrays["components"] = np.concatenate([*components, np.empty(0, np.uint8)])
        arrays["components_start"] = np.cumsum([0, *lengths])
    np.savez_compressed(draft / PREDICTIONS, **arrays)
    _save_weights(getattr(result, "state", None), draft / CHECKPOINT)


def named(
    cell: KeptCell | None, method: Method | dict, patients: Patients | None = None
) -> KeptCell | None:
    """The kept cell under the name that a plan has for it, and with the plan's patients.

    Runs share cells, not names, nor what is known of patients.
    """
    if cell is None:
        return None
    if not isinstance(method, dict):
        method = {"name": method.name, "title": method.title}
    whose = None if patients is None else patients.numbers(cell.ids)
    return replace(cell, method=method["name"], title=method["title"], patients=whose)


def refused_cell(cell: CellPlan, reason: str) -> KeptCell:
    """A cell that could not be done here, in the form of a kept one that failed."""
    values = _plain(cell)
    values.pop("format")
    values["outputs"] = tuple(values["outputs"])
    return KeptCell(cell.folder, **values, state="failed", reason=reason)


def read_weights(path: Path) -> dict:
    """The weights of a checkpoint, as tensors by name (`benchmark.training.kept.Weights`).

    Raises
    ------
    UserError
        If the file is not there or damaged.
    """
    from safetensors import SafetensorError, safe_open

    from benchmark.training.kept import unpacked

    if not path.is_file():
        raise UserError(f"{path}: not there; the network whose weights it held failed")
    if (path.parent / MANIFEST).is_file():
        wrong = fault(path.parent, (path.name,))
        if wrong:
            raise UserError(f"{path}: damaged ({wrong}); delete its folder to train again")
    try:
        with safe_open(str(path), "pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}
            return unpacked(tensors, file.metadata())
    except (SafetensorError, ValueError) as error:
        words = " ".join(str(error).split())[:200]
        raise UserError(f"{path}: damaged ({words}); delete its folder to train again") from None


def owner_of(path: Path) -> str:
    """Name of the user whose file it is, or the number where there is no name."""
    try:
        return path.owner()
    except (KeyError, OSError, NotImplementedError):
        return f"user {path.stat().st_uid}"


def _plain(cell: CellPlan) -> dict:
    return {
        "format": FORMAT,
        "method": cell.method.name,
        "title": cell.method.title,
        "outputs": list(cell.method.outputs),
        "trained": cell.method.trained,
        "seed": cell.seed,
        "key": cell.key,
    }


def _is_old(path: Path) -> bool:
    """Whether a cell's folder is of the format without manifests."""
    if (path / MANIFEST).is_file():
        return False
    try:
        values = json.loads((path / RUN).read_text(encoding="utf-8"))
        return values["format"] == WITHOUT_MANIFEST
    except UNREADABLE:
        return False


def _write_json(path: Path, values: dict) -> None:
    path.write_text(json.dumps(values, indent=1, default=_json_value) + "\n", encoding="utf-8")


def _json_value(value):
    """NumPy's numbers as Python's."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


def _save_weights(state: dict | None, path: Path) -> None:
    if not state:
        return
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    from benchmark.training.kept import packed

    tensors, metadata = packed(state, getattr(state, "answers", None))
    try:
        save_file(tensors, str(path), metadata or None)
        share(path)
    except SafetensorError as error:
        # the library tells a full disk in words alone
        number = re.search(r"os error (\d+)", str(error))
        if number is None:
            raise
        raise OSError(int(number[1]), os.strerror(int(number[1])), str(path)) from None
