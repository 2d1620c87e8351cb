"""CSV tables from anybody: read whole, but never more of them than a table has."""

from __future__ import annotations

import codecs
import csv
import io
import re
from dataclasses import dataclass
from pathlib import Path

from benchmark.errors import UserError

LARGEST_TABLE = 32 << 20
"""Bytes of a table: some hundred thousand scans."""

MOST_LINES = 200_000
MOST_FIELDS = 5_000_000
"""Lines times columns."""

LONGEST_LINE = 1 << 16
"""Characters of a line."""


SEPARATORS = (",", ";", "\t")
"""What may stand between fields; Excel writes ``;`` where the comma is the decimal sign."""


@dataclass(frozen=True)
class CsvTable:
    """A table as text.

    Attributes
    ----------
    names : list of str
        Of the columns, without spaces around them.
    rows : list of (int, dict of str)
        Line number, and the fields by column without spaces around them; a missing field is "".
    separator : str
        One of `SEPARATORS`.
    """

    names: list[str]
    rows: list[tuple[int, dict[str, str]]]
    separator: str


def read_csv(path: Path) -> tuple[list[str], list[tuple[int, dict[str, str]]]]:
    """Read a table whose first line names its columns: `CsvTable.names` and `CsvTable.rows`.

    Raises
    ------
    UserError
        As `load_table`.
    """
    table = load_table(path)
    return table.names, table.rows


def load_table(path: Path) -> CsvTable:
    """Read a table whose first line names its columns.

    Fields stand between commas, semicolons or tabs, whichever parts the first line most; a line
    before it may say which, as ``sep=;``. Lines without any field filled are blank.

    Parameters
    ----------
    path : Path
        UTF-8, with or without a byte order mark, or UTF-16 with one.

    Raises
    ------
    UserError
        If the file cannot be read, is too large, is no such text, a column is named twice, or a
        line has more fields than there are columns.
    """
    text = _text_of(path)
    count = 0
    for count, line in enumerate(io.StringIO(text, newline=None), start=1):
        if len(line) > LONGEST_LINE:
            raise UserError(f"{path}: line {count} has more than {LONGEST_LINE} characters")
    if count > MOST_LINES:
        raise UserError(f"{path}: has {count} lines; {MOST_LINES} are the most that are read")
    stream = io.StringIO(text, newline="")
    separator, skipped = _separator(text)
    for _ in range(skipped):
        stream.readline()
    reader = csv.DictReader(stream, skipinitialspace=True, delimiter=separator)
    rows = []
    try:
        names = [name.strip() for name in reader.fieldnames or ()]
        twice = sorted({name for name in names if name and names.count(name) > 1})
        if twice:
            raise UserError(f"{path}: the first line names the column {twice[0][:40]!r} twice")
        if count * len(names) > MOST_FIELDS:
            raise UserError(f"{path}: {count} lines of {len(names)} columns are too many")
        reader.fieldnames = names
        for row in reader:
            line = reader.line_num + skipped
            more = [field for field in row.get(None) or () if field.strip()]
            if more:
                raise UserError(
                    f"{path}: line {line} has more fields than the first line has columns "
                    f"({len(names)}): {more[0][:40]!r}; put quotes around a field that holds "
                    f"{'a tab' if separator == chr(9) else repr(separator)}"
                )
            fields = {name: (row.get(name) or "").strip() for name in names}
            if any(fields.values()):
                rows.append((line, fields))
    except csv.Error as error:
        raise UserError(f"{path}: line {reader.line_num + skipped} is no CSV ({error})") from None
    return CsvTable(names, rows, separator)


def _text_of(path: Path) -> str:
    """Return the text of a table, without its byte order mark."""
    try:
        if path.stat().st_size > LARGEST_TABLE:
            raise UserError(f"{path}: is larger than {LARGEST_TABLE >> 20} MB; is it a table?")
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    try:
        text = data.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path}: is no text in UTF-{16 if wide else 8} (byte {error.start}); save the table "
            "as CSV UTF-8"
        ) from None
    if "\0" in text:
        raise UserError(f"{path}: holds NUL bytes; save the table as CSV UTF-8")
    return text


def _separator(text: str) -> tuple[str, int]:
    """Return what parts fields, and how many lines stand before the names of the columns."""
    first = next(iter(io.StringIO(text, newline=None)), "").strip("\n")
    said = re.fullmatch(r"sep=(.)", first, re.IGNORECASE)
    if said and said[1] in SEPARATORS:
        return said[1], 1
    counts = {}
    for separator in SEPARATORS:
        try:
            counts[separator] = len(next(csv.reader([first], delimiter=separator), ()))
        except csv.Error:
            counts[separator] = 0
    return max(SEPARATORS, key=counts.__getitem__), 0
