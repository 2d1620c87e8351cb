"""Where the rows of a board come from, if it was joined from several runs."""

from __future__ import annotations

from collections.abc import Iterable

from benchmark.runs.joined_plan import bare, conditions, described, formats_of, unlike
from benchmark.runs.store import KeptCell


def origin_facts(plan: dict) -> list[tuple[str, str]]:
    """One line a run: its number, device, threads and rows. Nothing for a board of one run."""
    if "joined" not in plan:
        return []
    titles = {method["name"]: bare(plan, method) for method in plan["methods"]}
    return [
        (
            f"run [{place}]",
            f"{part['run']}, {described((part['device'], part['threads']))}: "
            f"{', '.join(titles[name] for name in part['methods'])}",
        )
        for place, part in enumerate(plan["joined"]["parts"], start=1)
    ]


def origin_notes(plan: dict) -> list[str]:
    """Sentences for the reader of a joined board."""
    if "joined" not in plan:
        return []
    parts = plan["joined"]["parts"]
    if len(parts) < 2:
        return list(plan["joined"]["notes"])
    first = (
        f"The rows come from {len(parts)} runs of one recipe, budget and split, on the same test "
        "scans. A number after a method's name says that its run was made under other conditions "
        "than [1]: what differs stands among the notes on that method."
    )
    return [first, *_formats(plan), *plan["joined"]["notes"]]


def _formats(plan: dict) -> list[str]:
    """Which rows were trained in which number format, where it is not one for all."""
    by_name, rows = formats_of(plan), {}
    for method in plan["methods"]:
        if method["trained"] and method["name"] in by_name:
            rows.setdefault(by_name[method["name"]], []).append(method["title"])
    if len(rows) < 2:
        return []
    listed = "; ".join(f"{kind}: {', '.join(titles)}" for kind, titles in rows.items())
    return [
        f"Number formats differ ({listed}). A difference or mark between rows of unlike formats is "
        "one of method and number format together, not of the method alone."
    ]


def origins(plan: dict, cells: Iterable[KeptCell]) -> dict[str, tuple[str, ...]]:
    """What differs between each row of another run and the rows of the first, by method."""
    if "joined" not in plan:
        return {}
    by_method: dict[str, list[KeptCell]] = {}
    for cell in cells:
        by_method.setdefault(cell.method, []).append(cell)
    first, *rest = plan["joined"]["parts"]
    main = conditions(cell for name in first["methods"] for cell in by_method.get(name, ()))
    found = {}
    for part in rest:
        for name in part["methods"]:
            apart = unlike(conditions(by_method.get(name, ())), main)
            if apart:
                found[name] = (f"from run {part['run']}, unlike the others in: {'; '.join(apart)}",)
    return found
