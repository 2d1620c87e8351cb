"""The table of 12 scores a scan, written by `predict` and read by `evaluate`."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from benchmark.calcium import RISK_NAMES, SCORES, TARGETS, risk_category
from benchmark.csv_tables import CsvTable, load_table
from benchmark.errors import UserError

KINDS = ("mask", "head")
COLUMNS = tuple(f"{score}_{target}" for score in SCORES for target in TARGETS)
"""``agatston_LAD`` to ``mass_whole``, in the order of a (3, 4) array."""

ARTERY_COLUMNS = tuple(name for name in COLUMNS if not name.endswith("_whole"))
ID_COLUMNS = ("scan", "id")


def write_table(rows: Iterable[Mapping], kinds: Iterable[str] = KINDS) -> str:
    """The table of `benchmark predict` as CSV.

    Parameters
    ----------
    rows : iterable of mapping
        ``scan``, of each kind 12 numbers (None: no usable one), and ``warning``.
    kinds : iterable of str
        "mask", "head" or both.

    Returns
    -------
    str
        A line a scan: of each kind the scores, volume in mm3 and mass in mg, and the risk category.
    """
    kinds = tuple(kinds)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    parts = (*COLUMNS, "risk", "risk_name")
    writer.writerow(["scan", *(f"{kind}_{part}" for kind in kinds for part in parts), "warning"])
    for row in rows:
        fields = [field for kind in kinds for field in _fields(row[kind])]
        writer.writerow([row["scan"], *fields, row["warning"]])
    return out.getvalue()


def _fields(scores: Iterable[float | None]) -> list[str]:
    """12 scores, risk category and its name as text."""
    values = np.asarray([math.nan if v is None else v for v in scores], float)
    whole = values[COLUMNS.index("agatston_whole")]
    risk = ["", ""]
    if math.isfinite(whole):
        category = risk_category(whole)
        risk = [str(category), RISK_NAMES[category]]
    return [f"{value:.6g}" if math.isfinite(value) else "" for value in values] + risk


def read_table(path: Path, kind: str | None = None) -> tuple[dict[str, np.ndarray], str]:
    """Scores by scan from anybody's table.

    Parameters
    ----------
    path : Path
        CSV with a column ``scan`` or ``id`` and the columns `COLUMNS`, perhaps with ``mask_`` or
        ``head_`` before the name; those of the whole heart may be left out and are then the sums
        over the arteries. Other columns are passed over. An empty field is a missing score. Where
        semicolons or tabs part the fields, numbers may have a decimal comma.
    kind : "mask" or "head", optional
        Which columns, where a table has both.

    Returns
    -------
    scores : dict of ndarray, (3, 4)
        NaN where a field is empty.
    source : str
        "mask" or "head": what the columns said of themselves, else "head".

    Raises
    ------
    UserError
        If the table cannot be read, lacks a column, names a scan twice, or holds what is no score.
    """
    table = load_table(path)
    names, lines = table.names, table.rows
    prefix = _prefix(path, names, kind)
    id_column = next((name for name in ID_COLUMNS if name in names), None)
    if id_column is None:
        raise UserError(f"{path}: has no column scan (or id), which names the scans")
    columns = [prefix + name for name in COLUMNS if prefix + name in names]
    comma = decimal_comma(path, table, columns)
    scores: dict[str, np.ndarray] = {}
    for line, row in lines:
        id = row[id_column]
        if not id:
            raise UserError(f"{path}: line {line} names no scan")
        if id in scores:
            raise UserError(f"{path}: line {line}: scan {id!r} stands there twice")
        values = np.full((3, 4), math.nan)
        for place, name in enumerate(COLUMNS):
            if prefix + name in names:
                text = row[prefix + name]
                text = text.replace(",", ".") if comma else text
                values.flat[place] = _number(path, line, prefix + name, text)
        for score in range(3):
            if f"{prefix}{SCORES[score]}_whole" not in names:
                values[score, 3] = values[score, :3].sum()
        scores[id] = values
    if not scores:
        raise UserError(f"{path}: names no scan")
    return scores, prefix.removesuffix("_") or "head"


def decimal_comma(path: Path, table: CsvTable, columns: Iterable[str]) -> bool:
    """Whether the numbers of some columns have a decimal comma.

    Raises
    ------
    UserError
        If some have a comma and others a point, or a comma might as well part thousands.
    """
    if table.separator == ",":
        return False  # a quoted number with a comma is refused as no number
    columns = list(columns)
    texts = [(line, row[name]) for line, row in table.rows for name in columns]
    commas = [(line, text) for line, text in texts if re.fullmatch(r"[+-]?\d+,\d+", text)]
    points = [(line, text) for line, text in texts if re.fullmatch(r"[+-]?\d*\.\d+", text)]
    if commas and points:
        raise UserError(
            f"{path}: {commas[0][1]} in line {commas[0][0]} and {points[0][1]} in line "
            f"{points[0][0]}: write all numbers with one decimal sign"
        )
    if commas and all(re.fullmatch(r"[+-]?[1-9]\d{0,2},\d{3}", text) for _, text in commas):
        raise UserError(
            f"{path}: line {commas[0][0]}: {commas[0][1]} may have a decimal comma or part "
            "thousands; write it with a decimal point"
        )
    return bool(commas)


def _prefix(path: Path, names: list[str], kind: str | None) -> str:
    """What stands before the names of the columns to be read."""
    wanted = ("", "mask_", "head_") if kind is None else (f"{kind}_",)
    found = [p for p in wanted if all(p + name in names for name in ARTERY_COLUMNS)]
    if kind is None and {"mask_", "head_"} <= set(found) and "" not in found:
        raise UserError(
            f"{path}: holds scores from the mask and from the head; say which with --columns mask "
            "or --columns head"
        )
    if not found:
        first = wanted[0] if kind else ""
        missing = [first + name for name in ARTERY_COLUMNS if first + name not in names]
        raise UserError(
            f"{path}: has no column {missing[0]} ({len(missing)} of {len(ARTERY_COLUMNS)} are "
            f"missing); it needs {first}{ARTERY_COLUMNS[0]} to {first}{ARTERY_COLUMNS[-1]}: "
            f"{', '.join(SCORES)} x {', '.join(TARGETS[:3])}"
        )
    return found[0]


def _number(path: Path, line: int, name: str, text: str) -> float:
    if not text:
        return math.nan
    try:
        value = float(text)
    except ValueError:
        raise UserError(f"{path}: line {line}: {name} is {text[:40]!r}, not a number") from None
    if value < 0:
        raise UserError(f"{path}: line {line}: {name} is {text[:40]}; a score is not negative")
    return value if math.isfinite(value) else math.nan
