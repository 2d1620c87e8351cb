"""Memory that a step has freed is kept for the next one, in place of being given back and zeroed.

A step allocates and frees the same tensors again and again. glibc gives large ones back to the
system at once, which zeroes each of their pages when the next step touches it: 3 to 15 % of a step
(docs/speed.md). No number changes by it.
"""

from __future__ import annotations

import ctypes
import sys
from functools import cache

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""Names of mallopt's parameters in glibc's malloc.h."""

LARGEST = 1 << 30
"""Larger tensors, bytes, still get pages of their own, which go back when they are freed."""


@cache
def keep_freed() -> bool:
    """Let this process keep what it frees; False where the C library has no such setting."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    # older versions of glibc know no larger threshold than 32 MiB
    kept = mallopt(_MMAP_THRESHOLD, LARGEST) or mallopt(_MMAP_THRESHOLD, 32 << 20)
    return bool(kept and mallopt(_TRIM_THRESHOLD, 2 * LARGEST - 1))
