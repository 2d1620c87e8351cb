"""Files that are whole or not there, and whether a place takes files at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from benchmark.errors import UserError


def write_text(path: Path, text: str) -> None:
    """Write a file beside its place and rename it: a reader sees the old one or the new one.

    Raises
    ------
    OSError
        If that fails; the old file is then as it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    draft = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.chmod(0o666 & ~_umask())
        os.replace(draft, path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def require_writable(folder: Path, named: Path | str | None = None, advice: str = "") -> None:
    """Make a folder and, for a moment, a file in it: before hours go into what could not be kept.

    Parameters
    ----------
    folder : Path
    named : Path or str, optional
        What the user chose and the message names; by default the folder itself.
    advice : str
        What to do instead, the message's end.

    Raises
    ------
    UserError
        If that fails.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder):
            pass
    except OSError as error:
        rest = f"; {advice}" if advice else ""
        raise UserError(f"cannot write to {named or folder}: {error.strerror}{rest}") from None


def _umask() -> int:
    mask = os.umask(0o022)
    os.umask(mask)
    return mask
