"""What a board says of rows whose setting was searched (``--tune``)."""

from __future__ import annotations

from collections.abc import Iterable

from benchmark.runs.store import KeptCell


def how_tuned(plan: dict) -> str:
    """How the tuned rows of a plan came about; nothing where there are none."""
    if not any("space" in method for method in plan["methods"]):
        return ""
    return _words(plan.get("tuning"))


def what_was_chosen(cells: Iterable[KeptCell]) -> list[str]:
    """A sentence for each search: what it spent, what it chose, and by which figures."""
    said = [(cell.title, _words(cell.ledger.get("tuning"))) for cell in cells]
    return [f"{title}, {words}." for title, words in said if words]


def _words(entry: object) -> str:
    words = entry.get("words") if isinstance(entry, dict) else None
    return words if isinstance(words, str) else ""
