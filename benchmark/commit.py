"""The commit that this program runs from. No torch here."""

from __future__ import annotations

import os
import subprocess
from functools import cache
from pathlib import Path

VARIABLE = "BENCHMARK_RUNS_FROM_COMMIT"
"""By which a run tells the interpreters that it starts: another may be checked out by then."""


@cache
def git_commit() -> str:
    """Commit of the source tree this package runs from, with ``+`` if it holds changes."""
    told = os.environ.get(VARIABLE)
    if told:
        return told
    here = Path(__file__).resolve().parent
    try:
        commit = subprocess.run(
            ["git", "-C", str(here), "rev-parse", "--short=12", "HEAD"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        ).stdout.strip()
        dirty = subprocess.run(
            ["git", "-C", str(here), "status", "--porcelain", "--untracked-files=no"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return commit + ("+" if dirty else "")
