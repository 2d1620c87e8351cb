"""A folder's manifest: the size and SHA-256 of every file in it, written last of all.

A folder without one was not finished, and one whose files differ from it is damaged: neither is
ever used as a result.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path

from benchmark.whole import named_errors

MANIFEST = "manifest.json"

_NO_MANIFEST = (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)
"""What reading JSON of another shape raises, endless nesting and numbers included."""


def write_manifest(folder: Path) -> None:
    """Write the manifest of the files that are in the folder now, and put all of it on the disk.

    Raises
    ------
    OSError
        If a file cannot be read or the manifest not be written.
    """
    files = {
        path.name: {"bytes": path.stat().st_size, "sha256": sha256(path)}
        for path in sorted(folder.iterdir())
        if path.is_file() and path.name != MANIFEST
    }
    text = json.dumps({"files": files}, indent=1) + "\n"
    (folder / MANIFEST).write_text(text, encoding="utf-8")
    for name in (*files, MANIFEST):
        to_disk(folder / name)
    to_disk(folder)


def fault(folder: Path, read: Iterable[str] = ()) -> str:
    """What is wrong with a folder that has a manifest; empty if it is whole.

    Parameters
    ----------
    folder : Path
    read : iterable of str
        Files whose content is compared as well, for a caller that is about to read them; of the
        others the size alone, which costs nothing. A name that the manifest lacks is a fault if
        there is such a file.
    """
    path = folder / MANIFEST
    try:
        files = json.loads(path.read_text(encoding="utf-8"))["files"]
        expected = {str(name): (int(f["bytes"]), str(f["sha256"])) for name, f in files.items()}
    except FileNotFoundError:
        return f"{MANIFEST} is missing"
    except _NO_MANIFEST as error:
        return f"{MANIFEST} is no manifest ({type(error).__name__})"
    read = set(read)
    for name in sorted(read - set(expected)):
        if (folder / name).exists():
            return f"{name} is not in {MANIFEST}"
    for name, (size, digest) in expected.items():
        file = folder / name
        if "/" in name or "\\" in name or not file.is_file():
            return f"{name} is missing"
        found = file.stat().st_size
        if found != size:
            return f"{name} has {found} bytes and should have {size}"
        if name in read and sha256(file) != digest:
            return f"the content of {name} is not what was written"
    return ""


def sha256(path: Path) -> str:
    """SHA-256 of a file as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def to_disk(path: Path) -> None:
    """Wait until a file or the names in a folder are on the disk: a power failure spares them."""
    handle = os.open(path, os.O_RDONLY)
    try:
        with named_errors(path):
            os.fsync(handle)
    finally:
        os.close(handle)
