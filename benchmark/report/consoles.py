"""The console that commands print to, and its tables: what they are given is text, no markup.

Names of methods, files and scans come from people, and so do reasons of failures: brackets in
them are brackets. Whoever prints takes console and table from here.
"""

from __future__ import annotations

import sys

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

WIDE = 160
"""Characters a line takes in a file or a pipe, where nobody knows a width."""


def make_console(stderr: bool = False) -> Console:
    """A rich console: as wide as the terminal, or `WIDE` where there is none."""
    plain = {"markup": False, "emoji": False, "highlight": False, "stderr": stderr}
    stream = sys.stderr if stderr else sys.stdout
    if stream is not None and stream.isatty():
        return Console(**plain)
    return Console(width=WIDE, force_terminal=False, **plain)


class TextTable(Table):
    """A table whose texts are printed as they are, on any console.

    Parameters
    ----------
    title : str
    **more
        As of `rich.table.Table`.
    """

    def __init__(self, title: str = "", **more) -> None:
        super().__init__(
            title=Text(title) if title else None,
            title_justify="left",
            title_style="bold",
            box=box.SIMPLE_HEAD,
            pad_edge=False,
            **more,
        )

    def add_column(self, header="", *arguments, **more) -> None:
        """As of `rich.table.Table`."""
        super().add_column(_as_text(header), *arguments, **more)

    def add_row(self, *cells, **more) -> None:
        """As of `rich.table.Table`."""
        super().add_row(*map(_as_text, cells), **more)


def _as_text(cell):
    return Text(cell) if isinstance(cell, str) else cell
