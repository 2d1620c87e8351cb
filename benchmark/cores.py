"""How many cores there are to be used. Imports nothing, so that everything may import it."""

from __future__ import annotations

import os


def usable_cores() -> int:
    """Cores this process may use, which in a container are fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
