"""Options of a method: what a run can note in JSON and give back as it was. No torch here."""

from __future__ import annotations

import json
from collections import OrderedDict
from enum import Enum

REMEDY = "take a number, text, true or false, or a list of them: a run notes every option"


def holds(value: object) -> bool:
    """Whether JSON holds a value so that a constructor is given the same again.

    A tuple comes back as a list, which is taken for the same. An `Enum` of numbers or text does
    not come back as one, nor does a tuple with names, nor a dict whose keys are not text.
    """
    if isinstance(value, Enum) or hasattr(value, "_fields"):
        return False
    if isinstance(value, list | tuple):
        return all(holds(item) for item in value)
    if isinstance(value, dict):
        plain = type(value) in (dict, OrderedDict)
        return plain and all(type(k) is str and holds(v) for k, v in value.items())
    if not (value is None or isinstance(value, str | int | float)):
        return False
    try:
        return bool(json.loads(json.dumps(value, allow_nan=False)) == value)
    except (TypeError, ValueError):
        return False


def refusal(option: str, shown: str) -> str:
    """What is wrong with a default that JSON cannot hold.

    Parameters
    ----------
    option : str
    shown : str
        The default's `repr`.
    """
    return f"the default of {option!r}, {shown:.60}, cannot be written as JSON"


def as_json(options: dict) -> dict:
    """Options as JSON has them: tuples become lists.

    Raises
    ------
    TypeError
        If JSON cannot hold one; see `holds`.
    """
    return json.loads(json.dumps(options))
