"""What the plan of a joined board says: which run each row comes from, and under which conditions.

``plan["joined"]`` holds ``parts``, one a run (``run``, ``device``, ``threads``, ``precision``,
``version``, ``methods``), and ``notes``, sentences for the reader. Other plans have no such entry.
"""

from __future__ import annotations

from collections.abc import Iterable

from benchmark.runs.display import counted
from benchmark.runs.store import KeptCell

Place = tuple[str, int]
"""Device ("cpu" or "cuda") and number of threads."""


def parts_of(plan: dict) -> list[dict]:
    """The runs that a plan was joined from; itself alone where it was not."""
    own = plan["settings"].get("precision", "")
    if "joined" in plan:
        # boards that were joined when one format was required do not name it
        return [{"precision": own, **part} for part in plan["joined"]["parts"]]
    return [
        {
            "run": plan.get("run", ""),
            "device": plan["device"],
            "threads": plan["threads"],
            "precision": own,
            "version": plan.get("version"),
            "methods": [method["name"] for method in plan["methods"]],
        }
    ]


def places_of(plan: dict) -> dict[str, Place]:
    """Device and threads by method, where the plan was joined; empty otherwise."""
    if "joined" not in plan:
        return {}
    return {
        name: (part["device"], part["threads"])
        for part in plan["joined"]["parts"]
        for name in part["methods"]
    }


def formats_of(plan: dict) -> dict[str, str]:
    """Number format that each method's row was trained in, by method."""
    return {name: part["precision"] for part in parts_of(plan) for name in part["methods"]}


def formats_in_words(plan: dict) -> str:
    """``"float32"``, or ``"float32 | bfloat16"`` where the runs of a board differ in it."""
    return " | ".join(dict.fromkeys(formats_of(plan).values()))


def described(place: Place) -> str:
    """``"cuda, 1 thread"``."""
    return f"{place[0]}, {counted(place[1], 'thread')}"


def bare(plan: dict, method: dict) -> str:
    """The title of a plan's method without the number of its run, which a joined plan adds.

    Other brackets at its end are its own, as those of ``views [2]``.
    """
    parts = plan["joined"]["parts"] if "joined" in plan else []
    places = [place for place, part in enumerate(parts, 1) if method["name"] in part["methods"]]
    mark = f" [{places[0]}]" if places and places[0] > 1 else ""
    return method["title"].removesuffix(mark)


def numbered(title: str, number: int) -> str:
    """A method's bare title with the number of its run."""
    return f"{title} [{number}]"


def conditions(cells: Iterable[KeptCell]) -> dict[str, tuple[str, ...]]:
    """On what the figures of some cells may depend beside method, seed, recipe and scans.

    Returns
    -------
    dict
        Device, number format, kind of device, training code and library versions; each as all
        values that occur.
    """
    found: dict[str, dict[str, None]] = {}
    for cell in cells:
        if cell.state != "finished":
            continue
        own = {
            "device": f"{cell.key.get('device')}, {counted(cell.key.get('threads', 0), 'thread')}",
            "training code": str(cell.key.get("harness", ""))[:12],
            **{name: str(value) for name, value in (cell.key.get("versions") or {}).items()},
        }
        if cell.trained and not cell.ledger.get("weights_from"):
            own["kind of device"] = str(cell.ledger.get("device_name") or "")
        if cell.trained:
            own["number format"] = str((cell.key.get("settings") or {}).get("precision", ""))
        for name, value in own.items():
            if value:
                found.setdefault(name, {})[value] = None
    return {name: tuple(values) for name, values in found.items()}


def unlike(own: dict[str, tuple[str, ...]], main: dict[str, tuple[str, ...]]) -> list[str]:
    """In what some cells' `conditions` differ from others': ``"torch 2.11.0 (2.12.0)"``."""
    return [
        f"{name} {' / '.join(values)} ({' / '.join(main[name])})"
        for name, values in own.items()
        if name in main and not set(values) <= set(main[name])
    ]
