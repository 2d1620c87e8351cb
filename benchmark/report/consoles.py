"""The console that commands print to."""

from __future__ import annotations

import sys

from rich.console import Console

WIDE = 160
"""Characters a line takes in a file or a pipe, where nobody knows a width."""


def make_console() -> Console:
    """A rich console: as wide as the terminal, or `WIDE` where there is none."""
    if sys.stdout.isatty():
        return Console()
    return Console(width=WIDE, force_terminal=False)
