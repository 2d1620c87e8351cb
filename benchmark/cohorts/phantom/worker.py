"""One worker: reads a JSON order a line, makes that scan, answers with its id as JSON.

Started by `benchmark.cohorts.phantom.making`; ends when its standard input is closed.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from benchmark.cohorts.phantom.making import Recipe, make_and_keep
from benchmark.errors import UserError


def work() -> None:
    """Answer orders from standard input until it is closed."""
    for line in sys.stdin:
        order = json.loads(line)
        spacing = order["spacing"]
        recipe = Recipe(
            order["seed"],
            tuple(spacing) if isinstance(spacing, list) else spacing,
            order["protocol"],
        )
        try:
            answer = {"id": make_and_keep(order["index"], recipe, Path(order["folder"])).id}
        except UserError as error:
            answer = {"error": str(error)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    work()
