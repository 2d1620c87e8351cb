"""Kinds of device on one board: a second of one is not a second of another."""

from __future__ import annotations

from collections.abc import Iterable

from benchmark.runs.store import KeptCell

COSTS_OF_DEVICE = (
    "device_seconds", "step_seconds", "wall_seconds", "evaluation_seconds", "data_seconds",
    "peak_memory_bytes",
)  # fmt: skip
"""Ledger entries that depend on the kind of device: times, and memory, which is a GPU's own or that
of a process."""


def device_classes(cells: Iterable[KeptCell]) -> dict[str, list[str]]:
    """Folders of the cells that were trained, by the kind of device: GPU or CPU model."""
    found: dict[str, list[str]] = {}
    for cell in cells:
        if cell.trained and cell.ledger.get("device_name") and not cell.ledger.get("weights_from"):
            found.setdefault(str(cell.ledger["device_name"]), []).append(cell.folder)
    return found


def one_machine(cells: Iterable[KeptCell]) -> bool:
    """Whether times and memory of the cells can be compared: one kind of device, equal threads."""
    cells = tuple(cells)
    places = {
        (cell.key.get("device"), cell.key.get("threads"))
        for cell in cells
        if cell.trained and cell.state == "finished"
    }
    return len(places) < 2 and len(device_classes(cells)) < 2


def without_costs_of_device(spent: dict) -> dict:
    """Without what says nothing across kinds of device."""
    return {name: value for name, value in spent.items() if name not in COSTS_OF_DEVICE}
