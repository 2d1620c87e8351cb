"""Kinds of device on one board: a second of one is not a second of another."""

from __future__ import annotations

from collections.abc import Iterable

from benchmark.runs.store import KeptCell

TIMES = ("device_seconds", "step_seconds", "wall_seconds", "evaluation_seconds", "data_seconds")
"""Ledger entries that depend on the kind of device."""


def device_classes(cells: Iterable[KeptCell]) -> dict[str, list[str]]:
    """Folders of the cells that were trained, by the kind of device: GPU or CPU model."""
    found: dict[str, list[str]] = {}
    for cell in cells:
        if cell.trained and cell.ledger.get("device_name") and not cell.ledger.get("weights_from"):
            found.setdefault(str(cell.ledger["device_name"]), []).append(cell.folder)
    return found


def without_times(spent: dict) -> dict:
    """Without what says nothing across kinds of device."""
    return {name: value for name, value in spent.items() if name not in TIMES}
