"""Where runs are kept: one folder a cell, written whole or not at all. No torch when reading."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from benchmark.errors import UserError
from benchmark.methods import Method
from benchmark.runs.plan import FORMAT, CellPlan

CHECKPOINT = "checkpoint.safetensors"
_ARRAYS = ("reference", "mask", "head", "tp", "fp", "fn", "worst_fp")


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
            If the folder's files cannot be read.
        """
        path = self.cells / folder
        if not (path / "run.json").is_file():
            return None
        try:
            values = json.loads((path / "run.json").read_text(encoding="utf-8"))
            arrays = _read_arrays(path / "predictions.npz")
            if values["format"] != FORMAT:
                raise UserError(
                    f"{path}: written by another version of this program (format "
                    f"{values['format']}, not {FORMAT}); delete the folder to run it again"
                )
            values.pop("format")
            for name in ("outputs", "notes", "data_notes", "curve"):
                values[name] = tuple(values[name])
            return KeptCell(folder=folder, **values, **arrays)
        except (ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
            raise UserError(
                f"{path}: damaged ({type(error).__name__}: {error}); delete it to run it again"
            ) from None

    def weights(self, folder: str) -> dict:
        """The trained weights of the cell kept in that folder, as tensors by name.

        Raises
        ------
        UserError
            If there are none.
        """
        return read_weights(self.cells / folder / CHECKPOINT)

    def finished(self, folder: str) -> bool:
        """Whether that cell is there and did not fail."""
        try:
            text = (self.cells / folder / "run.json").read_text(encoding="utf-8")
            return json.loads(text)["state"] == "finished"
        except (OSError, ValueError, KeyError):
            return False

    def write_finished(
        self, cell: CellPlan, result, log: str, ledger: dict, data_notes: tuple[str, ...] = ()
    ) -> None:
        """Keep a result (see `benchmark.training.cell.CellResult`) with its ledger."""
        arrays = {name: getattr(result, name, None) for name in _ARRAYS}
        arrays = {k: np.asarray(v, np.float64) for k, v in arrays.items() if v is not None}
        arrays["ids"] = np.asarray(list(result.ids), dtype=np.str_)
        components = getattr(result, "components", None)
        if components is not None:
            # Scans have different numbers of components: one long array and where each begins.
            lengths = [len(c) for c in components]
            arrays["components"] = np.concatenate([*components, np.empty(0, np.uint8)])
            arrays["components_start"] = np.cumsum([0, *lengths])
        values = _plain(cell) | {
            "state": "finished",
            "reason": "",
            "ledger": ledger,
            "notes": list(result.notes),
            "data_notes": list(data_notes),
            "curve": [list(point) for point in result.curve],
        }
        with self._new_folder(cell.folder) as folder:
            np.savez_compressed(folder / "predictions.npz", **arrays)
            _save_weights(getattr(result, "state", None), folder / CHECKPOINT)
            (folder / "log.txt").write_text(log, encoding="utf-8")
            _write_json(folder / "run.json", values)

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
        with self._new_folder(cell.folder) as folder:
            (folder / "log.txt").write_text(log, encoding="utf-8")
            _write_json(folder / "run.json", values)

    def check_writable(self) -> None:
        """Make the folder and a file in it.

        Raises
        ------
        UserError
            If that fails, before hours are spent on what could not be kept.
        """
        try:
            self.cells.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self.cells):
                pass
        except OSError as error:
            raise UserError(
                f"cannot write to {self.root}: {error.strerror}; choose another folder with --out"
            ) from None

    @contextmanager
    def _new_folder(self, name: str) -> Iterator[Path]:
        """A temporary folder that takes its name only once everything in it is written."""
        self.cells.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=self.cells))
        try:
            yield draft
            draft.chmod(0o755)
            target = self.cells / name
            if target.exists():
                old = Path(tempfile.mkdtemp(prefix=f".old-{name}-", dir=self.cells))
                os.replace(target, old / name)
                os.replace(draft, target)
                shutil.rmtree(old, ignore_errors=True)
            else:
                os.replace(draft, target)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise


def named(cell: KeptCell | None, method: Method | dict) -> KeptCell | None:
    """The kept cell under the name that a plan has for it: runs share cells, not names."""
    if cell is None:
        return None
    if not isinstance(method, dict):
        method = {"name": method.name, "title": method.title}
    return replace(cell, method=method["name"], title=method["title"])


def read_weights(path: Path) -> dict:
    """The weights of a checkpoint, as tensors by name.

    Raises
    ------
    UserError
        If the file is not there or damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not path.is_file():
        raise UserError(f"{path}: not there; the network whose weights it held failed")
    try:
        return load_file(str(path))
    except SafetensorError as error:
        raise UserError(f"{path}: damaged ({error}); delete its folder to train again") from None


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        draft.write_text(text, encoding="utf-8")
        os.replace(draft, path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


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


def _write_json(path: Path, values: dict) -> None:
    path.write_text(json.dumps(values, indent=1, default=_json_value) + "\n", encoding="utf-8")


def _json_value(value):
    """NumPy's numbers as Python's."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


def _read_arrays(path: Path) -> dict:
    if not path.is_file():
        return {}
    with np.load(path, allow_pickle=False) as file:
        arrays = {name: file[name] for name in _ARRAYS if name in file}
        arrays["ids"] = tuple(str(id) for id in file["ids"])
    return arrays


def _save_weights(state: dict | None, path: Path) -> None:
    if not state:
        return
    from safetensors.torch import save_file

    # The format refuses tensors that share memory, as tied weights do.
    save_file({name: tensor.clone().contiguous() for name, tensor in state.items()}, str(path))
