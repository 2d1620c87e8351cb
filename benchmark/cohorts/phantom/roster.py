"""The list of patients, known before a scan is made.

Run ``python -m benchmark.cohorts.phantom.roster`` after any change of the phantom (and raise
`generate.VERSION`): it makes all patients of seed 0 and writes ``roster.csv`` beside this file.
"""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Iterable
from pathlib import Path

from benchmark.cohorts.base import Record
from benchmark.cohorts.phantom.difficulty import DEFAULT_DIFFICULTY
from benchmark.cohorts.phantom.making import Recipe, make_many
from benchmark.errors import UserError

#: Patients of the cohort, as in the paper.
COUNT = 676
SHIPPED = Path(__file__).with_name("roster.csv")
_COLUMNS = ("index", "id", "centre", "agatston", "risk")


def write_roster(path: Path, records: Iterable[Record]) -> None:
    """Write records as CSV: index, id, centre, agatston, risk."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(_COLUMNS)
        for record in sorted(records, key=lambda record: record.id):
            index = int(record.id.rpartition("-")[2]) - 1
            writer.writerow(
                (index, record.id, record.centre, f"{record.agatston:.4f}", record.risk)
            )


def read_roster(path: Path) -> tuple[Record, ...]:
    """Return the records of a roster file.

    Raises
    ------
    UserError
        If the file is missing or not a roster.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return tuple(
                Record(row["id"], row["centre"], float(row["agatston"]), int(row["risk"]))
                for row in csv.DictReader(file)
            )
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise UserError(
            f"phantom: {path} is missing or no roster; install the package again"
        ) from error


def build_roster(path: Path = SHIPPED, workers: int | None = None) -> None:
    """Make every patient of the default cohort and write the roster.

    Parameters
    ----------
    path : Path
        File to write.
    workers : int, optional
        Processes; by default one a core.
    """
    records: list[Record] = []
    with tempfile.TemporaryDirectory() as folder:
        make_many(
            range(COUNT), Recipe(0, None, DEFAULT_DIFFICULTY), Path(folder), records.append, workers
        )
    write_roster(path, records)


if __name__ == "__main__":
    build_roster()
