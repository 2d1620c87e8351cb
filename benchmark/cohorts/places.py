"""Where scans that were made or converted are kept."""

from __future__ import annotations

import os
from pathlib import Path

from benchmark.errors import UserError


def default_cache() -> Path:
    """Return the folder for what can be made again: ``$XDG_CACHE_HOME`` or ``~/.cache``.

    Raises
    ------
    UserError
        If the system knows no home directory.
    """
    base = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(base) if base else Path.home() / ".cache") / "mmwfanet"
    except RuntimeError:
        raise UserError(
            "no place to keep scans: this user has no home directory; name a folder with --cache, "
            "or set XDG_CACHE_HOME"
        ) from None
