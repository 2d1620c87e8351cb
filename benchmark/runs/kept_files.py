"""Reading the files of a kept cell, whoever wrote them: numbers and words of the right kind."""

from __future__ import annotations

import json
from pathlib import Path

from benchmark.npz import load_arrays

SCORES, VOLUMES = ("reference", "mask", "head"), ("tp", "fp", "fn", "worst_fp")
"""Arrays of shape (n, 3, 4) and of shape (n, 4)."""

UNREADABLE = (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError)
"""What reading a file of a stranger may raise; JSON nested without end is a RecursionError."""

_KINDS = {
    "method": str, "title": str, "outputs": list, "trained": bool, "seed": int, "key": dict,
    "state": str, "reason": str, "ledger": dict, "notes": list, "data_notes": list, "curve": list,
}  # fmt: skip


def read_values(path: Path) -> dict:
    """Read a run.json.

    Parameters
    ----------
    path : Path

    Returns
    -------
    dict
        With all that `benchmark.runs.store.KeptCell` needs but its arrays, each of its kind.

    Raises
    ------
    Exception
        One of `UNREADABLE`.
    """
    values = json.loads(path.read_text(encoding="utf-8"))
    for name, kind in _KINDS.items():
        if not isinstance(values[name], kind):
            raise TypeError(f"{name} is {type(values[name]).__name__}, not {kind.__name__}")
    return values


def read_arrays(path: Path) -> dict:
    """Read a predictions.npz.

    Parameters
    ----------
    path : Path

    Returns
    -------
    dict
        ``ids`` as a tuple of str, and those of the arrays `SCORES` and `VOLUMES` that are there;
        empty if there is no such file, as for a method that failed.

    Raises
    ------
    Exception
        One of `UNREADABLE`, also if an array is not of as many scans as there are ids.
    """
    if not path.is_file():
        return {}
    found = load_arrays(path)
    ids = tuple(str(id) for id in found["ids"])
    arrays = {name: found[name] for name in (*SCORES, *VOLUMES) if name in found}
    for name, array in arrays.items():
        shape = (len(ids), 3, 4) if name in SCORES else (len(ids), 4)
        if array.shape != shape or array.dtype.kind not in "iuf":
            raise ValueError(f"{name} is {array.dtype} of shape {array.shape}, not {shape}")
    return arrays | {"ids": ids}
