"""Memory that this process holds, and the most that it held: the same everywhere it is told of.

Linux tells both in ``/proc`` and lets the mark of the most begin anew. Other systems tell the most
since the process began.
"""

from __future__ import annotations

import ctypes
import os
import resource
import sys
from pathlib import Path

_PROC = Path("/proc/self")
_CGROUPS = (
    # container limits, version 2 and version 1: limit, used, and what of it the system may drop
    ("memory.max", "memory.current", "memory.stat", "inactive_file"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat",
     "total_inactive_file"),
)  # fmt: skip


def held_bytes() -> int:
    """Memory that this process holds now, bytes; the most so far where only that is told."""
    return _told("VmRSS") or _most()


def peak_bytes() -> int:
    """Most memory that this process held, bytes, since `begin_peak` where the system heeds it."""
    return _told("VmHWM") or _most()


def available_bytes(
    meminfo: Path = Path("/proc/meminfo"), cgroup: Path = Path("/sys/fs/cgroup")
) -> int | None:
    """Memory that further processes may take, bytes; None where the system does not tell.

    In a container this is what its limit leaves, if that is less than the machine has free.
    """
    found = []
    try:
        for line in meminfo.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                found.append(int(line.split()[1]) * 1024)
    except (OSError, ValueError, IndexError):
        pass
    for limit, used, stat, cache in _CGROUPS:
        try:
            most = int((cgroup / limit).read_text())  # "max" is no number: no limit
            held = int((cgroup / used).read_text())
            values = dict(line.split() for line in (cgroup / stat).read_text().splitlines())
            found.append(max(0, most - held + int(values.get(cache, 0))))
        except (OSError, ValueError):
            continue
    return min(found, default=None)


def begin_peak() -> None:
    """Let the mark of the most begin anew with what is held now, where the system can (Linux).

    Freed memory that the C library keeps for reuse (`benchmark.training.memory`) goes back first:
    it was another's.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if os.name == "posix" else None
    if trim is not None:
        trim(0)
    try:
        (_PROC / "clear_refs").write_text("5")
    except OSError:
        pass


def _told(name: str) -> int:
    """A size of ``/proc/self/status``, bytes; 0 where it is not told."""
    try:
        for line in (_PROC / "status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def _most() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
