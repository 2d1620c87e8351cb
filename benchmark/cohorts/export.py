"""A cohort written out in a format that other programs read."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from benchmark.cohorts.base import Cohort, Progress, Scan
from benchmark.cohorts.export_coca import write_coca
from benchmark.cohorts.folder import PATIENTS_FILE
from benchmark.cohorts.geometry import Geometry, to_scan_grid, write_image, write_labels
from benchmark.cohorts.orcascore import NAME
from benchmark.cohorts.patients import Patients, patients_of
from benchmark.cohorts.split import Split
from benchmark.errors import UserError

NAMES_FILE = "ids.csv"
"""Which name of the written files is which id, where the format does not take the id itself."""


def export_cohort(
    cohort: Cohort,
    ids: Iterable[str],
    format: str,
    out: Path,
    split: Split | None = None,
    progress: Progress | None = None,
) -> None:
    """Write scans with their labels, each on the grid of the file it came from.

    Parameters
    ----------
    cohort : Cohort
    ids : iterable of str
        Scans to write; all have labels.
    format : {"nifti", "orcascore", "coca", "nnunet"}
    out : Path
        A new or empty folder.
    split : Split, optional
        For "nnunet": its test part goes to ``imagesTs`` and ``labelsTs``. For "orcascore": its test
        part gets names of test scans (``TEV1P1``) and no reference, as the challenge has it.
    progress : callable, optional

    Raises
    ------
    UserError
        If the folder holds files, or one cannot be written.
    """
    ids = tuple(ids)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out}: is not empty; choose a new folder")
    centres = {record.id: record.centre for record in cohort.records()}
    test = set(split.test) if split else set()
    names = _orcascore_names(ids, centres, test) if format == "orcascore" else {}
    names = {id: str(n) for n, id in enumerate(ids)} if format == "coca" else names
    try:
        out.mkdir(parents=True, exist_ok=True)
        for done, id in enumerate(ids, start=1):
            scan = cohort.load(id)
            if format == "nifti":
                _write_pair(scan, out / "images" / f"{id}.nii.gz", out / "labels" / f"{id}.nii.gz")
            elif format == "orcascore":
                _write_orcascore(scan, out, names[id])
            elif format == "coca":
                write_coca(scan, out, names[id])
            else:
                part = "Ts" if id in test else "Tr"
                image = out / f"images{part}" / f"{id}_0000.nii.gz"
                _write_pair(scan, image, out / f"labels{part}" / f"{id}.nii.gz")
            if progress:
                progress(done, len(ids))
        if format == "nifti":
            _write_csv(out / "centres.csv", ("id", "centre"), ((id, centres[id]) for id in ids))
            write_patients(patients_of(cohort, ids), ids, out)
        elif format == "nnunet":
            _write_dataset(out / "dataset.json", len(ids) - len(test & set(ids)))
        if names:
            _write_csv(out / NAMES_FILE, ("name", "id"), ((names[id], id) for id in ids))
    except OSError as error:
        raise UserError(f"{error.filename or out}: cannot be written ({error.strerror})") from error


def file_geometry(scan: Scan) -> Geometry:
    """Return the grid of a scan's file, or an upright one if it has none."""
    return scan.geometry or Geometry.upright(scan.voxels.shape, scan.spacing)


def _write_pair(scan: Scan, image: Path, labels: Path) -> None:
    for path in (image, labels):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_image(to_scan_grid(scan.voxels, file_geometry(scan)), image)
    write_labels(labels, scan.labels, file_geometry(scan))


def _write_orcascore(scan: Scan, out: Path, name: str) -> None:
    """Write CT and, of a training scan, reference as the challenge has them: short, `.raw`."""
    image = to_scan_grid(scan.voxels, file_geometry(scan))
    write_image(image, out / f"{name}CTI.mhd", compress=False)
    if name.startswith("TE"):
        return
    reference = out / f"{name}R.mhd"
    write_labels(reference, scan.labels, file_geometry(scan), dtype=np.int16, compress=False)


def _orcascore_names(
    ids: tuple[str, ...], centres: dict[str, str], test: set[str]
) -> dict[str, str]:
    """Return names as the challenge's, a vendor number for each centre; its own ids stay."""
    if not test and all(NAME.fullmatch(f"{id}R.mhd") for id in ids):
        return {id: id for id in ids}
    vendors = {centre: v for v, centre in enumerate(sorted({centres[id] for id in ids}), start=1)}
    counts, names = defaultdict(int), {}
    for id in ids:
        part = "TE" if id in test else "TR"
        counts[part, centres[id]] += 1
        names[id] = f"{part}V{vendors[centres[id]]}P{counts[part, centres[id]]}"
    return names


def write_patients(patients: Patients, ids: Sequence[str], folder: Path) -> None:
    """Write `patients.csv` of a folder where a patient has several scans: numbers made anew."""
    if patients.together:
        ids = sorted(ids)
        numbers = patients.numbers(ids)
        rows = ((id, f"{number + 1}") for id, number in zip(ids, numbers, strict=True))
        _write_csv(folder / PATIENTS_FILE, ("id", "patient"), rows)


def _write_dataset(path: Path, count: int) -> None:
    values = {
        "channel_names": {"0": "CT"},
        "labels": {"background": 0, "LAD": 1, "LCX": 2, "RCA": 3},
        "numTraining": count,
        "file_ending": ".nii.gz",
    }
    path.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")


def _write_csv(path: Path, header: tuple[str, ...], rows: Iterable[tuple]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)
