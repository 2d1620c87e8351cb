"""What a reader of scans noticed, said on stderr: tables and files of results stay clean."""

from __future__ import annotations

import sys

MOST = 20
"""Lines that are said of one cohort; after them one says where all can be seen."""


class Teller:
    """Says each line once.

    Parameters
    ----------
    where : str
        The place of the scans, for the last line.
    most : int
        Lines that are said.
    """

    def __init__(self, where: str, most: int = MOST) -> None:
        self.where, self.most = where, most
        self._said: set[str] = set()

    def __call__(self, line: str) -> None:
        """Say a line, unless it or too many others were said before."""
        line = " ".join(line.split())
        if line in self._said or len(self._said) > self.most:
            return
        self._said.add(line)
        if len(self._said) > self.most:
            line = f"there are more; `benchmark data check {self.where}` lists all"
        warn(line)


def warn(line: str) -> None:
    """Say one line on stderr; names of files may hold what would steer a terminal."""
    print(f"warning: {printable(line)}", file=sys.stderr, flush=True)


def printable(text: str) -> str:
    """Return a text in one line and without control characters."""
    return "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))
