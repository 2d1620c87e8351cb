"""A CSV file that names the scans: image, labels, patient, centre and perhaps the split."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path

from benchmark.calcium import DEFAULT, Conventions
from benchmark.cohorts.disk import DiskCohort, Entry
from benchmark.cohorts.named_files import named_file
from benchmark.cohorts.volumes import id_of
from benchmark.csv_tables import read_csv
from benchmark.errors import UserError

COLUMNS = ("image", "labels", "id", "patient", "centre", "split")
"""Columns that are read, in any case; `image` must be there. Others are passed over and named."""

PARTS = {"train": "train", "training": "train", "test": "test", "": ""}
"""What may stand in the column `split`; an empty field is in neither part."""


class TableCohort(DiskCohort):
    """Scans named by a CSV file, one a line.

    ::

        image,labels,patient,centre,split
        ct/a.nii.gz,seg/a.nii.gz,17,Leiden,train
        ct/b.nii.gz,seg/b.nii.gz,18,Utrecht,test
        ct/c.nii.gz,,19,Utrecht,

    Paths are relative to the table's folder, or to `root`, and stay below it. A line without
    labels is for prediction alone. The id is the column `id` or else the image's file name, with
    its folder where names repeat. Patients' names or numbers are used in memory alone.

    Parameters
    ----------
    path, cache, conventions, keep, segments
        As for `DiskCohort`.
    root : path, optional
        Folder that the paths are relative to; by default the table's own.

    Raises
    ------
    UserError
        If the table cannot be read, lacks the column `image`, or has a field that is not known.
    """

    format = "csv"

    def __init__(
        self,
        path: str | Path,
        cache: str | Path | None = None,
        conventions: Conventions = DEFAULT,
        root: str | Path | None = None,
        keep: bool = True,
        segments: Mapping[str, int] | None = None,
    ) -> None:
        self._root = Path(root) if root is not None else Path(path).parent
        super().__init__(path, cache, conventions, keep, segments)
        self.name = self.path.stem

    def _find(self) -> Iterable[Entry]:
        rows, others = _read_rows(self.path)
        for name in others:
            self._pass_over("columns that are not read", name)
        for column in ("patient", "split"):
            empty = [line for line, row in rows if not row[column]]
            if empty and len(empty) < len(rows):
                means = {"patient": "a patient of its own", "split": "in neither part"}[column]
                self._pass_by(
                    f"{len(empty)} lines leave the column {column} empty (line {empty[0]} first): "
                    f"each is {means}."
                )
        stems = Counter(id_of(Path(row["image"])) for _, row in rows)
        for line, row in rows:
            image = Path(row["image"])
            stem = id_of(image) or image.name
            id = (
                row["id"]
                or f"line {line}" * (not image.name)
                or (stem if stems[id_of(image)] == 1 else _long_id(image))
            )
            part = row["split"].lower()
            if part not in PARTS:
                raise UserError(
                    f"{self.path}: line {line}: split {row['split']!r} is not train, test or empty"
                )
            files, fault = {}, ""
            for column in ("image", "labels"):
                try:
                    names = [row[column]] if row[column] else []
                    files[column] = tuple(named_file(self._root, name) for name in names)
                except UserError as error:
                    files[column], fault = (), fault or f"{self.path}: line {line}: {error}"
            yield Entry(
                id,
                files["image"],
                files["labels"],
                centre=row["centre"] or "unknown",
                patient=self._patient(row["patient"]),
                part=PARTS[part],
                fault=fault,
            )


def _read_rows(path: Path) -> tuple[list[tuple[int, dict[str, str]]], list[str]]:
    """Return (line number, fields) for each line of a table, and columns that are not read."""
    names, lines = read_csv(path)
    places = {name: _known(name) for name in names}
    columns = {known: name for name, known in places.items() if known}
    if len(columns) < sum(map(bool, places.values())):
        twice = [name for name, known in places.items() if known and columns[known] != name]
        raise UserError(
            f"{path}: the columns {twice[0]} and {columns[places[twice[0]]]} say the same; keep one"
        )
    others = [name for name in names if name and not places[name]]
    for name in others:
        near = _near(name)
        if near and near not in columns:
            raise UserError(
                f"{path}: the column {name!r} is not read: call it {near}, or, if it is something "
                f"else, by a name less like it (columns: {', '.join(COLUMNS)})"
            )
    if "image" not in columns:
        raise UserError(
            f"{path}: the first line must name the columns, image among them "
            f"(there may be: {', '.join(COLUMNS)})"
        )
    rows = []
    for line, row in lines:
        fields = {name: row[columns[name]] if name in columns else "" for name in COLUMNS}
        if not fields["image"]:
            raise UserError(f"{path}: line {line} names no image")
        rows.append((line, fields))
    if not rows:
        raise UserError(f"{path}: names no scan")
    return rows, others


def _known(name: str) -> str:
    """Return the column that a name means whatever its case; "" if none."""
    name = name.lower()
    name = {"center": "centre"}.get(name, name)
    return name if name in COLUMNS else ""


def _near(name: str) -> str:
    """Return the column that a name seems to be meant for; "" if none."""
    bare = re.sub(r"(_?id|_?number|_?path|_?file)$", "", re.sub(r"[\s_-]+", "_", name.lower()))
    bare = bare.strip("_")
    if bare in COLUMNS:
        return bare
    found = get_close_matches(bare, [name for name in COLUMNS if name != "id"], 1, 0.8)
    return found[0] if found else ""


def _long_id(image: Path) -> str:
    """Return folder and name of a file as one word."""
    folders = [part for part in image.parts[:-1] if part not in ("/", "..", ".")]
    return "_".join([*folders, id_of(image) or image.name])
