"""What the plan of a joined board says: which run each row comes from, and under which conditions.

``plan["joined"]`` holds ``parts``, one a run (``run``, ``device``, ``threads``, ``version``,
``methods``), and ``notes``, sentences for the reader. Other plans have no such entry.
"""

from __future__ import annotations

from collections.abc import Iterable

from benchmark.runs.display import counted
from benchmark.runs.store import KeptCell

Place = tuple[str, int]
"""Device ("cpu" or "cuda") and number of threads."""


def parts_of(plan: dict) -> list[dict]:
    """The runs that a plan was joined from; itself alone where it was not."""
    if "joined" in plan:
        return [dict(part) for part in plan["joined"]["parts"]]
    return [
        {
            "run": plan.get("run", ""),
            "device": plan["device"],
            "threads": plan["threads"],
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
        Device, kind of device, training code and library versions; each as all values that occur.
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
