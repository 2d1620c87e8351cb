"""Standard streams that take any text: whatever the terminal's encoding, closed or cut off.

Our lines hold signs such as the en dash, and names of anybody's. Where the output cannot take
one, its nearest in ASCII stands in its place; a letter without one is written by its number.
"""

from __future__ import annotations

import codecs
import io
import os
import sys
import unicodedata

NEAREST = "nearest"
"""Name of the codecs' error handler, for files that are written in another encoding too."""

_SIGNS = {
    "–": "-", "—": "-", "−": "-", "…": "...", "≥": ">=", "≤": "<=", "≠": "!=", "≈": "~", "×": "x",
    "±": "+-", "→": "->", "µ": "u", "μ": "u", "✗": "x", "★": "*", "•": "*", "·": ".", "∞": "inf",
    "‘": "'", "’": "'", "“": '"', "”": '"', "│": "|", "─": "-", "━": "-", "║": "|", "═": "=",
}  # fmt: skip


def nearest(error: UnicodeError) -> tuple[str, int]:
    """What stands for letters that an encoding lacks: a handler for `codecs.register_error`."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_spelled, error.object[error.start : error.end])), error.end


def _spelled(letter: str) -> str:
    if letter in _SIGNS:
        return _SIGNS[letter]
    if "\udc80" <= letter <= "\udcff":  # a byte of a file's name that is no text
        return f"\\x{ord(letter) - 0xDC00:02x}"
    if not letter.isalpha():
        plain = unicodedata.normalize("NFKD", letter).encode("ascii", "ignore").decode()
        if plain:
            return plain
    return letter.encode("ascii", "backslashreplace").decode()


codecs.register_error(NEAREST, nearest)


class _Patient(io.FileIO):
    """Goes on without a word when the reader, ``head`` for instance, has seen enough."""

    def write(self, data) -> int | None:
        try:
            return super().write(data)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.fileno())
            return len(memoryview(data))


def make_ready() -> None:
    """Let standard output and error take any text, and go on when nobody reads them any more.

    A stream that was closed is opened on nothing: the next file would take its number, and what is
    printed would be written into it.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDONLY if number == 0 else os.O_WRONLY)
    for number, name in ((1, "stdout"), (2, "stderr")):
        stream = getattr(sys, name)
        if stream is None:
            stream = open(number, "w", encoding="utf-8", closefd=False)
            setattr(sys, name, stream)
        if not isinstance(stream, io.TextIOWrapper):
            continue  # a test's or a notebook's own
        # without buffers (python -u) the file itself stands in their place
        file = getattr(stream.buffer, "raw", stream.buffer)
        if stream is getattr(sys, f"__{name}__") and isinstance(file, io.FileIO):
            stream.flush()
            raw = _Patient(number, "w", closefd=False)
            stream = io.TextIOWrapper(
                io.BufferedWriter(raw),
                encoding=stream.encoding,
                line_buffering=stream.line_buffering,
                write_through=stream.write_through,
            )
            setattr(sys, name, stream)
        stream.reconfigure(errors=NEAREST)
