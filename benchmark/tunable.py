"""What a class declares that may be tuned (``--tune``), checked and in one form. No torch here.

::

    tunable = {
        "omega": (0.1, 1.0, "log"),     # an option of the constructor: a range, evenly in its log
        "depth": (2, 4),                # whole numbers where both ends are
        "pooling": ["mean", "max"],     # choices
        "width": [0.75, 1.0, 1.5],      # multiples of the suite's, as learning_rate, weight_decay
    }
"""

from __future__ import annotations

import math

from benchmark.option_values import holds

RATES = ("learning_rate", "weight_decay")
MULTIPLES = (*RATES, "width")
"""Settings of the suite that may be tuned: a setting is a multiple of the suite's value."""

MOST_TRIALS = 1000
"""Of a search."""

MOST_DECLARED = 50
"""Names, and choices of one name."""


def declared(kind: object) -> tuple[dict, str]:
    """What a class declares, each in one form, and what is wrong with it (or nothing).

    Returns
    -------
    dict
        By name: ``{"low", "high", "log", "whole"}`` or ``{"choices"}``; empty if there is a fault.
    str
    """
    stated = getattr(kind, "tunable", {})
    if not isinstance(stated, dict) or not all(isinstance(name, str) for name in stated):
        return {}, f"tunable is {stated!r:.60}, not a dict by name"
    if len(stated) > MOST_DECLARED:
        return {}, f"tunable names {len(stated)} settings, more than {MOST_DECLARED}"
    found = {}
    for name, one in stated.items():
        spec = spec_of(one)
        if spec is None:
            return {}, (
                f"tunable[{name!r}] is {one!r:.60}: write (low, high), (low, high, 'log') with a "
                "low above 0, or a list of at least two numbers, texts or truth values"
            )
        least = spec["choices"] if "choices" in spec else [spec["low"]]
        if name in MULTIPLES and not all(is_number(value) and value > 0 for value in least):
            return {}, f"tunable[{name!r}] holds {one!r:.60}: it is a multiple, above 0"
        found[name] = spec
    return found, ""


def spec_of(one: object) -> dict | None:
    """One declared range or list in the form of `declared`; None if it is neither."""
    if isinstance(one, list):
        plain = [v for v in one if isinstance(v, str | int | float) and holds(v)]
        good = len(plain) == len(one) <= MOST_DECLARED and len(set(map(repr, one))) == len(one) > 1
        return {"choices": list(one)} if good else None
    if not isinstance(one, tuple) or len(one) not in (2, 3) or one[2:] not in ((), ("log",)):
        return None
    low, high = one[:2]
    if not (is_number(low) and is_number(high) and low < high) or (len(one) == 3 and low <= 0):
        return None
    whole = isinstance(low, int) and isinstance(high, int)
    return {"low": low, "high": high, "log": len(one) == 3, "whole": whole}


def is_number(value: object) -> bool:
    """Whether it is a finite number, and no truth value."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def fault_of(facts: dict) -> str:
    """What is wrong with a class's declaration, from `Method.facts`; empty if nothing is."""
    if facts.get("tunable_fault"):
        return facts["tunable_fault"]
    known = {*MULTIPLES, *facts["defaults"]}
    unknown = [name for name in facts.get("tunable", {}) if name not in known]
    if unknown and not facts["takes_any"]:
        return (
            f"tunable names {unknown[0]!r}, which is no option of its constructor and none of "
            f"{', '.join(MULTIPLES)}"
        )
    return ""
