"""Files that are whole or not there, and whether a place takes files at all."""

from __future__ import annotations

import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
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
    draft = draft_file(path.parent, f".{path.name[:100]}.")
    try:
        with named_errors(path):
            # a file's name may hold bytes that are no text
            with draft.open("w", encoding="utf-8", errors="backslashreplace") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.replace(draft, path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def draft_file(folder: Path, prefix: str, suffix: str = "") -> Path:
    """A new empty file with a name of its own, with the modes that the system gives new files.

    Those of `tempfile` are for their owner alone and stay so when they take their place; what a
    group shares has the modes of umask, or of the folder's access control list.

    Raises
    ------
    OSError
        If the folder cannot be written.
    """
    while True:
        path = folder / f"{prefix}{secrets.token_hex(4)}{suffix}"
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
            return path
        except FileExistsError:
            continue


def draft_folder(folder: Path, prefix: str) -> Path:
    """A new folder with a name of its own, with the modes that the system gives new folders.

    Raises
    ------
    OSError
        If the folder around it cannot be written.
    """
    while True:
        path = folder / f"{prefix}{secrets.token_hex(4)}"
        try:
            path.mkdir()
            return path
        except FileExistsError:
            continue


def share(path: Path) -> None:
    """Give a file that a library wrote for its owner alone the modes of new files."""
    pattern = draft_file(path.parent, ".mode-")
    try:
        path.chmod(pattern.stat().st_mode & 0o777)
    finally:
        pattern.unlink()


def require_temporary() -> None:
    """Raise UserError if the system has no folder for temporary files that can be written."""
    try:
        tempfile.gettempdir()
    except FileNotFoundError as error:
        # the list of folders stands at the end of the library's own words
        places = str(error).rpartition(" in ")[2]
        raise UserError(
            f"no folder for temporary files can be written (tried {places}); set TMPDIR to one "
            "that can"
        ) from None


@contextmanager
def named_errors(path: Path) -> Iterator[None]:
    """Name the file in errors of the system that name none, as those of a full disk."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and error.filename is None:
            error.filename = str(path)
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
        draft_file(folder, ".try-").unlink()
    except OSError as error:
        rest = f"; {advice}" if advice else ""
        raise UserError(f"cannot write to {named or folder}: {error.strerror}{rest}") from None
