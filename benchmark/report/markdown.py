"""Tables and lines in Markdown whose texts are text: no name in them becomes markup."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_MARKUP = re.compile(
    r"""\\(?=[!-/:-@\[-`{-~])           # would take the sign behind it
    |[`|]
    |\*(?=\S)|(?<=\S)\*                 # emphasis; a star between spaces is none
    |(?<![^\W_])_(?=\S)|(?<=\S)_(?![^\W_])
    |~(?=~)|<(?=[A-Za-z/!?])|&(?=\#?\w+;)
    |\](?=[(\[:])                       # a link
    """,
    re.VERBOSE,
)


def text(words: str) -> str:
    """Words on one line that Markdown shows as they are, in a cell of a table too."""
    line = " ".join(words.split())
    return _MARKUP.sub(lambda sign: "&lt;" if sign[0] == "<" else f"\\{sign[0]}", line)


def bullets(lines: Iterable[str]) -> str:
    """A list, one line each."""
    return "\n".join(f"- {text(line)}" for line in lines)


def table(
    head: Sequence[str], rows: Iterable[Sequence[str]], words: int | None = None, left: int = 1
) -> str:
    """A table with pipes.

    Parameters
    ----------
    head : sequence of str
    rows : iterable of sequence of str
    words : int, optional
        So many columns at the left are words; the others hold our own figures, with marks in
        Markdown. By default all are words.
    left : int
        So many columns are flush left, the others right.
    """
    words = len(head) if words is None else words

    def shown(cells: Sequence[str]) -> str:
        own = [text(c) if k < words else c.replace("|", "\\|") for k, c in enumerate(cells)]
        return "| " + " | ".join(cell.replace("\n", " ") for cell in own) + " |"

    rule = "|" + " --- |" * left + " --: |" * (len(head) - left)
    return "\n".join([shown(head), rule, *map(shown, rows)])
