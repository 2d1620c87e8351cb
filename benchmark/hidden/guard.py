"""Hidden labels are for `benchmark evaluate` alone: every other way to them is closed here."""

from __future__ import annotations

from pathlib import Path

from benchmark.errors import UserError

MARK = "hidden-labels.json"
"""File that says that a folder's labels are hidden; `benchmark.hidden.hold_out` writes it."""


def hidden_part(path: Path) -> Path | None:
    """The hidden folder that a path is or lies in, links followed; None for any other path."""
    place = path.resolve()
    return next((folder for folder in (place, *place.parents) if (folder / MARK).is_file()), None)


def refuse_hidden(path: Path) -> None:
    """Raise UserError if a path is or lies in a folder of hidden labels."""
    folder = hidden_part(path)
    if folder is not None:
        raise UserError(
            f"{path}: {folder} holds the hidden labels of a test part, which only `benchmark "
            "evaluate --hidden` reads; train on the train/ folder of the public part"
        )


def refuse_hidden_labels(cohort) -> None:
    """Raise UserError if one scan of a cohort on disk takes its labels from a hidden folder.

    Parameters
    ----------
    cohort : Cohort
        One without files, such as the phantom, has none.
    """
    files = [file for entry in getattr(cohort, "_entries", {}).values() for file in entry.labels]
    for folder in {file.resolve().parent for file in files}:
        refuse_hidden(folder)
