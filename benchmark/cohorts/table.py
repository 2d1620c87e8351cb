"""A CSV file that names the scans: image, labels, patient, centre and perhaps the split."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from benchmark.calcium import DEFAULT, Conventions
from benchmark.cohorts.disk import DiskCohort, Entry
from benchmark.cohorts.named_files import named_file
from benchmark.cohorts.volumes import id_of
from benchmark.csv_tables import read_csv
from benchmark.errors import UserError

COLUMNS = ("image", "labels", "id", "patient", "centre", "split")
"""Columns that are read; `image` must be there. Others are passed over."""

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
        rows = _read_rows(self.path)
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


def _read_rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    """Return (line number, fields) for each line of a table."""
    names, lines = read_csv(path)
    if "image" not in names:
        raise UserError(
            f"{path}: the first line must name the columns, image among them "
            f"(there may be: {', '.join(COLUMNS)})"
        )
    rows = []
    for line, row in lines:
        fields = {name: row.get(name, "") for name in COLUMNS}
        if not fields["image"]:
            raise UserError(f"{path}: line {line} names no image")
        rows.append((line, fields))
    if not rows:
        raise UserError(f"{path}: names no scan")
    return rows


def _long_id(image: Path) -> str:
    """Return folder and name of a file as one word."""
    folders = [part for part in image.parts[:-1] if part not in ("/", "..", ".")]
    return "_".join([*folders, id_of(image) or image.name])
