"""What the system refuses, in one line: what happened, at which place, and what to do."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
import traceback
from pathlib import Path

_WORDS = {
    errno.ENOSPC: "no space left on the disk",
    errno.EDQUOT: "the disk quota is used up",
    errno.EACCES: "no permission",
    errno.EPERM: "no permission",
    errno.EROFS: "the file system is read-only",
    errno.ENOENT: "no such file or folder",
    errno.EEXIST: "is there already",
    errno.ENOTDIR: "not a folder",
    errno.EISDIR: "is a folder, not a file",
    errno.ENOTEMPTY: "the folder is not empty",
    errno.EIO: "the disk reports an input/output error",
    errno.EFBIG: "a file would be larger than the system allows",
    errno.ESTALE: "the network folder is gone",
    errno.ENAMETOOLONG: "the name is too long",
    errno.ELOOP: "links that lead in a circle",
    errno.EMFILE: "too many files are open at once",
    errno.ENFILE: "too many files are open at once on this machine",
    errno.EAGAIN: "the system gives no more processes or memory",
    errno.ENOLCK: "the file system has no locks",
    errno.ENOMEM: "not enough memory",
}
_REMEDIES = {
    errno.ENOSPC: "free some space or choose another folder",
    errno.EDQUOT: "free some space or choose another folder",
    errno.EROFS: "choose a folder that can be written",
    errno.EMFILE: "allow more: ulimit -n 4096",
    errno.EAGAIN: "allow more (ulimit -u), or ask for fewer: --workers 1",
    errno.ENOLCK: "choose a folder on a disk that has them",
    errno.ENOMEM: "close other programs, or give it less at once",
}
SHARED_MEMORY = "/dev/shm"
"""Where Linux keeps the locks between a program and its worker processes."""


def in_words(error: OSError) -> str:
    """One line for an error of the system.

    The place is the error's own file; where it names none, what the innermost calls tell: shared
    memory, the folder for temporary files, the current folder, or else the line of this program.
    """
    first = _first(error)
    if first is not None:
        place, words = first
        return "; ".join([f"{words}: {place}", *getattr(error, "__notes__", ())])
    number = error.errno
    words = _WORDS.get(number) or (error.strerror or str(error) or type(error).__name__)
    remedy = _REMEDIES.get(number, "")
    place = os.fspath(error.filename) if _is_path(error.filename) else ""
    if isinstance(place, bytes):
        place = os.fsdecode(place)
    if not place:
        place, found, better = _told_by_calls(error)
        words, remedy = found or words, better or remedy
    line = f"{words}: {place}" if place else words
    return "; ".join([line, *getattr(error, "__notes__", ()), *([remedy] if remedy else [])])


def _is_path(name: object) -> bool:
    return isinstance(name, str | bytes | os.PathLike) and bool(name)


def _first(error: OSError) -> tuple[str, str] | None:
    """Place and reason of the first of many: `shutil` has no number, but a list of three each."""
    if not isinstance(error, shutil.Error):
        return None
    entry = error.args[0][0] if error.args and isinstance(error.args[0], list) else None
    if not isinstance(entry, tuple | list) or len(entry) != 3:
        return None
    source, _, why = (str(part) for part in entry)
    found = next((w for n, w in _WORDS.items() if f"[Errno {n}]" in why), why)
    return source, found


def _told_by_calls(error: OSError) -> tuple[str, str, str]:
    """Place, words and remedy of an error that names no file; empty where nothing is known."""
    frames = traceback.extract_tb(error.__traceback__)
    names = [Path(frame.filename).as_posix() for frame in frames]
    if any(name.endswith("multiprocessing/synchronize.py") for name in names):
        return (
            SHARED_MEMORY,
            "",
            "worker processes need it to be writable; without them: --workers 1",
        )
    if any(frame.filename == tempfile.__file__ for frame in frames) and error.errno == errno.ENOENT:
        return "", "no folder for temporary files can be written", "set TMPDIR to one that can"
    if error.errno == errno.ENOENT:
        try:
            os.getcwd()
        except OSError:
            return "", "the current folder is gone", "change to another"
    own = [frame for frame in frames if "benchmark" in Path(frame.filename).parts]
    if not own or error.errno not in _WORDS:
        return "", "", ""
    return f"at {Path(own[-1].filename).name}, line {own[-1].lineno}", "", ""
