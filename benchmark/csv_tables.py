"""CSV tables from anybody: read whole, but never more of them than a table has."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from benchmark.errors import UserError

LARGEST_TABLE = 32 << 20
"""Bytes of a table: some hundred thousand scans."""

MOST_LINES = 200_000
MOST_FIELDS = 5_000_000
"""Lines times columns."""

LONGEST_LINE = 1 << 16
"""Characters of a line."""


def read_csv(path: Path) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """Read a table whose first line names its columns.

    Parameters
    ----------
    path : Path
        UTF-8, with or without a byte order mark.

    Returns
    -------
    names : list of str
        Of the columns, without spaces around them.
    rows : list of (int, dict of str)
        Line number, and the fields by column without spaces around them; a missing field is "".

    Raises
    ------
    UserError
        If the file cannot be read, is too large, is no text in UTF-8, or a column is named twice.
    """
    try:
        if path.stat().st_size > LARGEST_TABLE:
            raise UserError(f"{path}: is larger than {LARGEST_TABLE >> 20} MB; is it a table?")
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path}: is no text in UTF-8 (byte {error.start}); save the table as CSV UTF-8"
        ) from None
    if "\0" in text:
        raise UserError(f"{path}: holds NUL bytes; save the table as CSV UTF-8")
    count = 0
    for count, line in enumerate(io.StringIO(text, newline=None), start=1):
        if len(line) > LONGEST_LINE:
            raise UserError(f"{path}: line {count} has more than {LONGEST_LINE} characters")
    if count > MOST_LINES:
        raise UserError(f"{path}: has {count} lines; {MOST_LINES} are the most that are read")
    reader = csv.DictReader(io.StringIO(text, newline=""), skipinitialspace=True)
    try:
        names = [name.strip() for name in reader.fieldnames or ()]
        twice = sorted({name for name in names if name and names.count(name) > 1})
        if twice:
            raise UserError(f"{path}: the first line names the column {twice[0][:40]!r} twice")
        if count * len(names) > MOST_FIELDS:
            raise UserError(f"{path}: {count} lines of {len(names)} columns are too many")
        reader.fieldnames = names
        rows = [
            (reader.line_num, {name: (row.get(name) or "").strip() for name in names})
            for row in reader
        ]
    except csv.Error as error:
        raise UserError(f"{path}: line {reader.line_num} is no CSV ({error})") from None
    return names, rows
