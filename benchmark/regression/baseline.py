"""The baseline's file: figures of several seeds, what they were made under, and why."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmark.errors import UserError
from benchmark.regression import table as figures_of
from benchmark.regression.cost import Cost
from benchmark.regression.rule import Rule
from benchmark.regression.table import Table
from benchmark.whole import write_text

FORMAT = 1
LARGEST = 16_000_000
"""Bytes; a larger file is no baseline."""


@dataclass(frozen=True)
class Entry:
    """Why a baseline was made.

    Attributes
    ----------
    date : str
        UTC, ISO 8601.
    reason : str
    commit, version : str
        Of the program that made it.
    """

    date: str
    reason: str
    commit: str
    version: str


@dataclass(frozen=True)
class Baseline:
    """What a check is compared with.

    Attributes
    ----------
    entry : Entry
    conditions : dict
        See `conditions.Watched`.
    rule : Rule
    seeds : tuple of int
    table : dict
        Figures by name; see `table.Figures`.
    costs : dict of str to Cost
        By method.
    machine : dict
        Where it was made, with versions of the libraries.
    history : tuple of Entry
        Of the baselines before this one, oldest first.
    """

    entry: Entry
    conditions: dict
    rule: Rule
    seeds: tuple[int, ...]
    table: Table
    costs: dict[str, Cost]
    machine: dict = field(default_factory=dict)
    history: tuple[Entry, ...] = ()


def write_baseline(path: Path, baseline: Baseline) -> None:
    """Write the file, whole or not at all; one line a figure, so that a diff is readable."""
    values = {
        "format": FORMAT,
        **asdict(baseline.entry),
        "history": [asdict(entry) for entry in baseline.history],
        "rule": asdict(baseline.rule),
        "conditions": baseline.conditions,
        "machine": baseline.machine,
        "seeds": list(baseline.seeds),
        "costs": {name: asdict(cost) for name, cost in baseline.costs.items()},
        "figures": figures_of.as_json(baseline.table),
    }
    lines = []
    for name, value in values.items():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            inner = ",\n".join(f"  {json.dumps(item, ensure_ascii=False)}" for item in value)
            text = f"[\n{inner}\n ]"
        elif isinstance(value, dict):
            inner = ",\n".join(
                f"  {json.dumps(key)}: {json.dumps(item, ensure_ascii=False)}"
                for key, item in value.items()
            )
            text = f"{{\n{inner}\n }}"
        else:
            text = json.dumps(value, ensure_ascii=False)
        lines.append(f" {json.dumps(name)}: {text}")
    write_text(path, "{\n" + ",\n".join(lines) + "\n}\n")


def read_baseline(path: Path, remedy: str) -> Baseline:
    """The baseline in that file.

    Parameters
    ----------
    path : Path
    remedy : str
        What makes one, for the message.

    Raises
    ------
    UserError
        If there is none, or it is damaged.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such baseline; {remedy}")
    try:
        if path.stat().st_size > LARGEST:
            raise ValueError(f"larger than {LARGEST:,} bytes")
        values = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(values, dict):
            raise ValueError("not a mapping")
        if values["format"] != FORMAT:
            raise UserError(
                f"{path}: written by another version of this program (format "
                f"{values['format']}, not {FORMAT}); {remedy}"
            )
        return _parse(values)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UserError(
            f"{path}: not a whole baseline ({type(error).__name__}: {error}); take it from version "
            f"control again, or delete it and {remedy}"
        ) from None


def _parse(values: dict) -> Baseline:
    table = figures_of.from_json(values["figures"])
    seeds = tuple(int(seed) for seed in values["seeds"])
    if any(len(figures.values) != len(seeds) for figures in table.values()):
        raise ValueError(f"figures do not belong to {len(seeds)} seeds")
    costs = {name: Cost(**_lists(cost)) for name, cost in values["costs"].items()}
    for name, cost in costs.items():
        for measured in (cost.ratios, cost.bytes):
            if len(measured) < 2 or not all(math.isfinite(v) and v > 0 for v in measured):
                raise ValueError(f"costs of {name}")
    rule = values["rule"]
    return Baseline(
        entry=_entry(values),
        conditions=dict(values["conditions"]),
        rule=Rule(float(rule["family"]), float(rule["confidence"]), int(rule["seeds"])),
        seeds=seeds,
        table=table,
        costs=costs,
        machine=dict(values["machine"]),
        history=tuple(_entry(entry) for entry in values["history"]),
    )


def _entry(values: dict) -> Entry:
    return Entry(*(str(values[key]) for key in ("date", "reason", "commit", "version")))


def _lists(cost: dict) -> dict:
    return {name: tuple(float(v) for v in measured) for name, measured in cost.items()}
