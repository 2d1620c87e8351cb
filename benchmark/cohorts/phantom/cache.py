"""Made scans on disk: one compressed, checked file each."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import BinaryIO

import blosc2
import numpy as np

from benchmark.cohorts.base import Labels, Scan
from benchmark.errors import UserError

_MAGIC = b"PHANTOM3"
_VOXELS = {
    "codec": blosc2.Codec.ZSTD,
    "clevel": 3,
    "filters": [blosc2.Filter.BITSHUFFLE],
    "nthreads": 1,
}


def cache_path(folder: Path, id: str) -> Path:
    """Return where a scan is kept."""
    return folder / f"{id}.scan"


def write_scan(path: Path, scan: Scan, owners: np.ndarray) -> None:
    """Write a scan with its labels and true owners; the file appears whole or not at all.

    Layout: 8 bytes magic, 32 bytes SHA-256 of what follows, 4 bytes length of a JSON header
    (little-endian), the header, voxels (int16), labels and owners (uint8), compressed by Blosc2.

    Raises
    ------
    UserError
        If the folder cannot be written.
    """
    parts = {
        "voxels": blosc2.compress2(np.ascontiguousarray(scan.voxels, "<i2"), typesize=2, **_VOXELS),
        "labels": blosc2.compress2(np.ascontiguousarray(scan.labels), typesize=1, **_VOXELS),
        "owners": blosc2.compress2(np.ascontiguousarray(owners), typesize=1, **_VOXELS),
    }
    header = json.dumps(
        {
            "id": scan.id,
            "centre": scan.centre,
            "shape": scan.voxels.shape,
            "spacing": scan.spacing,
            "bytes": {name: len(part) for name, part in parts.items()},
        }
    ).encode()
    body = len(header).to_bytes(4, "little") + header + b"".join(parts.values())
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # A name of its own for each process, so that two that make one scan do not collide.
        part = path.with_name(f"{path.name}.{os.getpid()}.part")
        try:
            part.write_bytes(_MAGIC + hashlib.sha256(body).digest() + body)
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(
            f"phantom cache: cannot write {path} ({error.strerror}); "
            "free some space or choose another cache folder"
        ) from error


def read_scan(path: Path) -> Scan | None:
    """Return a kept scan, or None where there is none or it is damaged."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    body = memoryview(content)[40:]
    if content[:8] != _MAGIC or hashlib.sha256(body).digest() != content[8:40]:
        return None
    start = 4 + int.from_bytes(body[:4], "little")
    header = json.loads(bytes(body[4:start]))
    middle = start + header["bytes"]["voxels"]
    end = middle + header["bytes"]["labels"]
    shape = tuple(header["shape"])
    # straight into arrays that the caller may change
    voxels, labels = np.empty(shape, "<i2"), np.empty(shape, np.uint8)
    blosc2.decompress2(body[start:middle], voxels)
    blosc2.decompress2(body[middle:end], labels)
    return Scan(
        header["id"],
        header["centre"],
        voxels.astype(np.int16, copy=False),
        tuple(header["spacing"]),
        labels,
    )


def read_map(path: Path, which: str) -> Labels | None:
    """Return labels or owners of a kept scan, or None where they cannot be read.

    Quick: voxels, nearly all of the file, are neither read nor unpacked, and so the check sum,
    which is over all, is not compared. What `read_scan` gives is checked.

    Parameters
    ----------
    which : str
        ``"labels"`` or ``"owners"``.
    """
    try:
        with path.open("rb") as file:
            header = _read_header(file)
            if header is None:
                return None
            for name, length in header["bytes"].items():
                if name == which:
                    break
                file.seek(length, os.SEEK_CUR)
            found = np.empty(tuple(header["shape"]), np.uint8)
            blosc2.decompress2(file.read(header["bytes"][which]), found)
        return Labels(found, tuple(header["spacing"]))
    except (OSError, ValueError, KeyError, TypeError, RuntimeError):
        return None


def is_kept(path: Path) -> bool:
    """Say whether a scan is kept, by its header alone: voxels are neither read nor checked."""
    try:
        with path.open("rb") as file:
            return _read_header(file) is not None
    except (OSError, ValueError):
        return False


def _read_header(file: BinaryIO) -> dict | None:
    """The header of a kept scan, from the file's beginning; None if the file is of another kind."""
    start = file.read(44)
    if start[:8] != _MAGIC:
        return None
    return json.loads(file.read(int.from_bytes(start[40:44], "little")))
