"""Networks that other installed packages offer, found by their entry points. No torch here.

A package offers one with these lines of its pyproject.toml; `pip install` does the rest::

    [project.entry-points."coronary_calcium_benchmark.methods"]
    my-net = "my_package.net:MyNet"
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import entry_points

from benchmark.errors import UserError
from benchmark.methods import METHODS, Method

GROUP = "coronary_calcium_benchmark.methods"


@cache
def installed() -> dict[str, Method]:
    """Methods of installed packages by name; nothing of theirs is imported yet.

    Returns
    -------
    dict of Method
        Outputs are empty until the class is asked. A name that this program has is its
        own: no package takes it over.

    Raises
    ------
    UserError
        If two packages offer different classes under one name.
    """
    found: dict[str, Method] = {}
    for point in sorted(entry_points(group=GROUP), key=lambda point: (point.name, point.value)):
        if point.name in METHODS:
            continue
        other = found.get(point.name)
        if other is not None and other.target != point.value:
            raise UserError(
                f"two installed packages offer a method {point.name!r}: {other.target} and "
                f"{point.value}; uninstall one of them"
            )
        found[point.name] = Method(point.name, point.name, point.value, ())
    return found
