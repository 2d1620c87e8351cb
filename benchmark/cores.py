"""How many cores there are to be used. Imports nothing, so that everything may import it."""

from __future__ import annotations

import math
import os
from pathlib import Path

GROUPS = Path("/proc/self/cgroup")
"""Control groups of this process, a line each: ``number:controllers:path``."""
GROUP_FILES = Path("/sys/fs/cgroup")


def usable_cores() -> int:
    """Cores this process may use, which in a container are fewer than the machine has.

    The least of the cores it is bound to and of the processor time that its control groups
    allow (``docker run --cpus 2``, the limits of Kubernetes), rounded up and at least 1.
    """
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    return max(1, math.ceil(min(cores, quota())))


def quota(groups: Path = GROUPS, files: Path = GROUP_FILES) -> float:
    """Cores' worth of processor time that control groups allow, of version 2 or 1.

    A limit of a group holds for all groups below it. In a container the path of a group may be
    that outside of it; then the root of what is seen inside is the container's own.

    Returns
    -------
    float
        Infinite where there is no limit, or none can be read.
    """
    try:
        lines = groups.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return math.inf
    found = [math.inf]
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers == "":
            roots, read = [files, files / "unified"], _limit_of_two
        elif "cpu" in controllers.split(","):
            roots, read = [files / controllers, files / "cpu"], _limit_of_one
        else:
            continue
        parts = [part for part in path.split("/") if part not in ("", "..")]
        for root in roots:
            found += [read(root.joinpath(*parts[:count])) for count in range(len(parts) + 1)]
    return min(found)


def _limit_of_two(folder: Path) -> float:
    """``cpu.max`` holds ``max 100000`` or microseconds in a period of microseconds."""
    fields = _fields(folder / "cpu.max")
    return _ratio(*fields) if len(fields) == 2 else math.inf


def _limit_of_one(folder: Path) -> float:
    """Two files; a quota of -1 is none."""
    fields = _fields(folder / "cpu.cfs_quota_us") + _fields(folder / "cpu.cfs_period_us")
    return _ratio(*fields) if len(fields) == 2 else math.inf


def _fields(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii", errors="replace").split()
    except OSError:
        return []


def _ratio(share: str, period: str) -> float:
    if not (share.isdecimal() and period.isdecimal() and int(share) and int(period)):
        return math.inf
    return int(share) / int(period)
