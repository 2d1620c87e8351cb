"""Predict many scans into a folder: one after another, each kept whole or not at all.

::

    OUT/labels/ID.nii.gz      labels on the scan's own grid (or .mha, .mhd)
    OUT/pictures/ID.png
    OUT/scans/ID.json         scores; written last, so that it says that the scan is done
    OUT/scores.csv            all of them, see `benchmark.prediction.table`
    OUT/predicted.json        which network, in which format
"""

from __future__ import annotations

import json
import os
import re
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import numpy as np

from benchmark.cohorts.base import Scan
from benchmark.cohorts.geometry import Geometry, write_labels
from benchmark.cohorts.told import Teller
from benchmark.errors import UserError
from benchmark.prediction.predictor import Prediction, Predictor
from benchmark.prediction.scans import Scans
from benchmark.prediction.table import write_table
from benchmark.runs.display import Display, counted
from benchmark.whole import draft_folder, write_text

SUFFIXES = {"nifti": ".nii.gz", "metaimage": ".mha", "mhd": ".mhd"}
"""Types of label files by the name of the option; ``mhd`` is a pair with a ``.zraw`` file."""

TABLE = "scores.csv"

TRAINED_ON = "the network was trained on this scan"
"""Of a scan whose prediction is no test of the network; `benchmark evaluate` looks for it."""


@dataclass(frozen=True)
class Outcome:
    """What came of a folder.

    Attributes
    ----------
    table : Path or None
        The score table; None if no scan was predicted.
    done, kept : int
        Scans predicted now, and found predicted before.
    faults : tuple of (str, str)
        Id and reason of each scan that was not predicted.
    judged : tuple of bool
        Of each test scan of the network's own run: whether it got the scores of the run.
    """

    table: Path | None
    done: int
    kept: int
    faults: tuple[tuple[str, str], ...]
    judged: tuple[bool, ...] = ()


def predict_folder(
    predictor: Predictor,
    scans: Scans,
    out: Path,
    display: Display,
    form: str = "nifti",
    pictures: bool = True,
) -> Outcome:
    """Predict scans and write what comes of it.

    A scan that cannot be read, or for which the network has no answer, is passed over with one
    line. Scans that the same network predicted here before, from files that did not change since,
    are kept.

    Parameters
    ----------
    predictor : Predictor
    scans : Scans
    out : Path
        Is made if it is not there.
    display : Display
    form : str
        One of `SUFFIXES`.
    pictures : bool

    Raises
    ------
    UserError
        If the folder holds another network's predictions, or cannot be written.
    """
    if not scans.ids:
        raise UserError(f"{scans.name}: holds no scan")
    if len({_file_name(id).lower() for id in scans.ids}) < len(scans.ids):
        raise UserError(f"{scans.name}: two ids differ in upper and lower case alone; rename one")
    _claim(predictor, out, form)
    place = _Place(out, SUFFIXES[form] if "mask" in predictor.outputs else "", pictures)
    place.clear_drafts()
    rows, faults, done = {}, [], 0
    tell = Teller(scans.name)
    for line in scans.passed_over:
        tell(line)
    waiting = []
    for id in scans.ids:
        kept = place.read(id, scans.stamp(id))
        if kept is None:
            waiting.append(id)
        else:
            rows[id] = kept
    if rows:
        display.say(f"{counted(len(rows), 'scan')} predicted before, {len(waiting)} to do")
    try:
        with display.counting("predicting") as progress:
            for count, id in enumerate(waiting, start=1):
                try:
                    rows[id] = place.write(id, scans, predictor)
                    done += 1
                except UserError as error:
                    reason = " ".join(str(error).split()).removeprefix(f"{id}: ")
                    faults.append((id, reason))
                    display.say(f"{id}: {reason}")
                progress(count, len(waiting))
    finally:
        # also after an interruption: the table holds what was done
        ordered = [rows[id] for id in scans.ids if id in rows]
        if ordered:
            write_text(out / TABLE, write_table(ordered, predictor.outputs))
    table = out / TABLE if ordered else None
    seen = [row["scan"] for row in ordered if row.get("trained_on")]
    if seen:
        some = ", ".join(seen[:3]) + (f" and {len(seen) - 3} more" if len(seen) > 3 else "")
        tell(
            f"{len(seen)} of {len(ordered)} scans are among those that {predictor.title} was "
            f"trained on ({some}): what it does on them is no test of it"
        )
    for row in ordered:
        if row["warning"] and row["warning"] != TRAINED_ON:
            tell(f"{row['scan']}: {row['warning']}")
    judged = [row.get("as_judged") for row in rows.values()]
    known = tuple(same for same in judged if isinstance(same, bool))
    return Outcome(table, done, len(rows) - done, tuple(faults), known)


def _claim(predictor: Predictor, out: Path, form: str) -> None:
    """Write whose predictions the folder holds; refuse one that holds others."""
    path = out / "predicted.json"
    own = {
        "network": predictor.title,
        "method": predictor.method,
        "seed": predictor.seed,
        "identity": predictor.identity,
        "format": form,
    }
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
        same = known["identity"] == own["identity"] and known["format"] == form
    except FileNotFoundError:
        if out.is_dir() and any(out.iterdir()):
            raise UserError(
                f"{out}: holds other files; give a new or empty folder with --out"
            ) from None
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{path}: damaged; give another folder with --out") from None
    else:
        if same:
            return
        raise UserError(
            f"{out}: holds predictions of {known.get('network')}, seed {known.get('seed')}, as "
            f"{known['format']}; give another folder with --out"
        )
    write_text(path, json.dumps(own, indent=1) + "\n")


def _file_name(id: str) -> str:
    """An id as a file's name, one to one: it may hold a slash or begin with a dot."""
    name = quote(id, safe=" ()+,=@")
    return re.sub(r"^\.", "%2E", name)


@dataclass(frozen=True)
class _Place:
    """The files of each scan. An empty suffix: no labels are written."""

    out: Path
    suffix: str
    pictures: bool

    def files(self, id: str) -> list[str]:
        """Paths below `out` that a finished scan has besides its JSON."""
        name = _file_name(id)
        labels = [f"labels/{name}{self.suffix}"] if self.suffix else []
        if self.suffix == ".mhd":
            # pixels first: the header names them
            labels.insert(0, f"labels/{name}.zraw")
        return labels + [f"pictures/{name}.png"] * self.pictures

    def record(self, id: str) -> Path:
        """The JSON that says that a scan is done."""
        return self.out / "scans" / f"{_file_name(id)}.json"

    def read(self, id: str, stamp: str) -> dict | None:
        """What is kept of a scan, or None if anything of it is missing or its files changed."""
        try:
            values = json.loads(self.record(id).read_text(encoding="utf-8"))
            if values["scan"] != id or values.pop("stamp") != stamp:
                return None
            _ = values["mask"], values["head"], values["warning"]
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
        return values if all((self.out / name).is_file() for name in self.files(id)) else None

    def write(self, id: str, scans: Scans, predictor: Predictor) -> dict:
        """Predict a scan and move its files into place, the JSON last."""
        # before reading: a file that changes meanwhile is read again next time
        stamp = scans.stamp(id)
        try:
            scan = scans.load(id)
            prediction = predictor.predict(scan)
        except MemoryError:
            raise UserError(f"{id}: does not fit into memory") from None
        trained_on = scans.key(scan) in predictor.trained_on
        values = {
            "scan": id,
            "mask": _numbers(prediction.scores_mask),
            "head": _numbers(prediction.scores_head),
            "warning": _warning(scans.warning(scan), trained_on, prediction),
            "trained_on": trained_on,
            "as_judged": prediction.as_judged,
        }
        self.out.mkdir(parents=True, exist_ok=True)
        draft = draft_folder(self.out, ".draft-")
        try:
            self._draw_up(draft, scan, prediction, predictor.title)
            record = self.record(id)
            record.unlink(missing_ok=True)
            for name in self.files(id):
                (self.out / name).parent.mkdir(parents=True, exist_ok=True)
                os.replace(draft / name, self.out / name)
            write_text(record, json.dumps({**values, "stamp": stamp}) + "\n")
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        return values

    def _draw_up(self, draft: Path, scan: Scan, prediction: Prediction, title: str) -> None:
        for part in ("labels", "pictures"):
            (draft / part).mkdir()
        name = _file_name(scan.id)
        if self.suffix:
            grid = scan.geometry or Geometry.upright(scan.voxels.shape, scan.spacing)
            write_labels(draft / f"labels/{name}{self.suffix}", prediction.labels, grid)
        if self.pictures:
            from benchmark.prediction.picture import draw_picture

            picture = draw_picture(scan, prediction, title)
            (draft / f"pictures/{name}.png").write_bytes(picture)

    def clear_drafts(self) -> None:
        """Delete what an interrupted call left."""
        for draft in self.out.glob(".draft-*"):
            with suppress(OSError):
                shutil.rmtree(draft)


def _numbers(scores: np.ndarray | None) -> list[float | None] | None:
    """12 numbers as JSON has them; null where there is none."""
    if scores is None:
        return None
    return [float(v) if np.isfinite(v) else None for v in scores.ravel()]


def _warning(unusual: str, trained_on: bool, prediction: Prediction) -> str:
    """What a reader of the scores should know of the scan."""
    found = [TRAINED_ON if trained_on else "", unusual]
    if prediction.warning not in unusual:  # a file's check says it too
        found.append(prediction.warning)
    head = prediction.scores_head
    if head is not None and not np.isfinite(head).all():
        found.append("the score head gives no usable number")
    return "; ".join(text for text in found if text)
