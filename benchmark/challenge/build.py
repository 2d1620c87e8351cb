"""Make a submission: predict, write, check the whole, and only then give it its name."""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

import numpy as np

from benchmark.challenge.checker import Progress, Report, check_submission, geometry_of
from benchmark.challenge.maps import NAMING, Naming
from benchmark.cohorts.base import Cohort, Scan
from benchmark.cohorts.geometry import write_labels
from benchmark.cohorts.same_scans import content_of
from benchmark.errors import UserError
from benchmark.whole import draft_file, draft_folder

LONG_AGO = (1980, 1, 1, 0, 0, 0)
"""Date of every file in the zip, so that the same maps give the same bytes."""


class Labeller(Protocol):
    """What `build` needs of a trained network; `benchmark.prediction.Predictor` is one."""

    def predict(self, scan: Scan):
        """Return something with ``labels`` (z, y, x), or None where the network gives no mask."""


def build_submission(
    labeller: Labeller,
    cohort: Cohort,
    ids: Iterable[str],
    out: Path,
    naming: Naming = NAMING,
    progress: Progress | None = None,
    workers: int | None = None,
) -> Report:
    """Label scans and write a submission, or nothing at all.

    The label maps are written to a folder of their own beside `out`, read back from there and
    checked as anybody's would be (`check_submission`). `out` appears only if there is no fault.

    Parameters
    ----------
    labeller : Labeller
    cohort : Cohort
        Gives the scans.
    ids : iterable of str
        Scans to be labelled.
    out : Path
        A zip, if the name ends in ``.zip``; else a folder. Must not be there yet.
    naming : Naming
    progress : callable, optional
        Called as ``progress(done, total)`` after each scan that was labelled.
    workers : int, optional
        Processes of the check.

    Returns
    -------
    Report
        With faults, if nothing was written: scans that could not be labelled, or those of the
        check. A scan that fails does not keep the others from being tried.

    Raises
    ------
    UserError
        If `out` is there already.
    """
    ids = tuple(ids)
    out = Path(out)
    if out.exists() or out.is_symlink():
        raise UserError(f"{out}: is there already; remove it or name another --out")
    out.parent.mkdir(parents=True, exist_ok=True)
    draft = draft_folder(out.parent, f".{out.name}.")
    try:
        failed, seen = _write_maps(labeller, cohort, ids, draft, naming, progress)
        if failed:
            return Report(faults=failed)
        report = check_submission(draft, cohort, ids, naming, workers=workers)
        if seen:
            report.warnings.insert(
                0, f"the network was trained on {len(seen)} of these scans ({', '.join(seen[:3])})"
            )
        # The draft's name means nothing to anybody.
        for lines in (report.faults, report.warnings):
            lines[:] = [line.replace(str(draft), str(out)) for line in lines]
        if not report.faults:
            _publish(draft, out)
        return report
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _write_maps(
    labeller: Labeller,
    cohort: Cohort,
    ids: tuple[str, ...],
    folder: Path,
    naming: Naming,
    progress: Progress | None,
) -> tuple[list[str], list[str]]:
    """Write the map of each scan; return a line for each that has none, and ids trained on."""
    failed, seen = [], []
    known = getattr(labeller, "trained_on", {})
    for done, id in enumerate(ids, start=1):
        try:
            scan = cohort.load(id)
            if known and content_of(scan.voxels) in known:
                seen.append(id)
            labels = labeller.predict(scan).labels
            if labels is None:
                raise UserError(f"{id}: the network gives scores and no labels")
            path = folder / naming.header(id)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_labels(path, labels, geometry_of(scan), dtype=np.int16, compress=False)
        except UserError as error:
            text = str(error).replace(str(folder) + "/", "")
            failed.append(text if id in text else f"{id}: {text}")
        if progress:
            progress(done, len(ids))
    return failed, seen


def _publish(draft: Path, out: Path) -> None:
    """Give a checked folder its name, or pack it into a zip of that name."""
    if out.suffix.lower() != ".zip":
        os.rename(draft, out)
        return
    packed = draft_file(out.parent, f".{out.name}.")
    try:
        with packed.open("wb") as file:
            pack(draft, file)
        os.replace(packed, out)
    finally:
        packed.unlink(missing_ok=True)


def pack(folder: Path, target: Path | object) -> None:
    """Pack a folder's files into a zip, in order of name, without dates or owners.

    Parameters
    ----------
    folder : Path
    target : path or file opened for writing
    """
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            if not path.is_file():
                continue
            entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), LONG_AGO)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o100644 << 16
            entry.file_size = path.stat().st_size
            with path.open("rb") as file, archive.open(entry, "w") as stream:
                shutil.copyfileobj(file, stream, 1 << 20)
