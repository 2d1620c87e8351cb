"""A dry run's figures beside those of the same runs, where some are kept already."""

from __future__ import annotations

from statistics import mean

from benchmark.runs.execute import Settled
from benchmark.runs.store import Store
from benchmark.scale.dry_run import aligned
from benchmark.scale.estimate import Cost

HEADINGS = (
    "predicted : kept", "runs", "steps", "FLOP", "to predict", "parameters", "memory", "training",
    "whole run", "storage",
)  # fmt: skip


def ratios(cost: Cost, ledger: dict, size: float) -> dict[str, float | None]:
    """What was predicted of one run, divided by what its ledger says.

    Parameters
    ----------
    cost : Cost
    ledger : dict
    size : float
        Bytes of its folder.

    Returns
    -------
    dict
        By the names in `HEADINGS`; None where the ledger, an older one perhaps, does not say.
    """
    whole = None
    if {"wall_seconds", "evaluation_seconds"} <= ledger.keys():
        whole = ledger["wall_seconds"] + ledger["evaluation_seconds"]
    pairs = {
        "steps": (cost.steps, ledger.get("steps")),
        "FLOP": (cost.flops, ledger.get("flops")),
        "to predict": (cost.prediction_flops, ledger.get("prediction_flops")),
        "parameters": (cost.parameters, ledger.get("parameters")),
        "memory": (cost.memory, ledger.get("peak_memory_bytes")),
        "training": (cost.seconds, ledger.get("device_seconds")),
        "whole run": (cost.whole_seconds, whole),
        "storage": (cost.storage, size),
    }
    return {name: ours / theirs if theirs else None for name, (ours, theirs) in pairs.items()}


def beside(settled: Settled, costs: dict[str, Cost], store: Store) -> list[str]:
    """A table of `ratios`, their means over the seeds that are kept; nothing if none is.

    Parameters
    ----------
    settled : Settled
    costs : dict of Cost
        By method.
    store : Store
    """
    rows = []
    titles = {cell.method.name: cell.method.title for cell in settled.plan.cells}
    for name, title in titles.items():
        found = []
        for cell in settled.plan.cells:
            if cell.method.name != name or not cell.method.trained or name not in costs:
                continue
            if store.standing(cell.folder).state == "finished":
                size = sum(path.stat().st_size for path in (store.cells / cell.folder).iterdir())
                found.append(ratios(costs[name], store.read(cell.folder).ledger, size))
        if found:
            row = [title, str(len(found))]
            for heading in HEADINGS[2:]:
                known = [one[heading] for one in found if one[heading] is not None]
                row.append(f"{mean(known):.2f}" if known else "–")
            rows.append(row)
    if not rows:
        return []
    return ["", *aligned([HEADINGS, *rows])]
