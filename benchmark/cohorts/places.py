"""Where scans that were made or converted are kept."""

from __future__ import annotations

import os
from pathlib import Path


def default_cache() -> Path:
    """Return the folder for what can be made again: ``$XDG_CACHE_HOME`` or ``~/.cache``."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "mmwfanet"
