"""Made scans on disk: one compressed, checked file each."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import BinaryIO

import blosc2
import numpy as np

from benchmark.cohorts.base import Labels, Record, Scan
from benchmark.errors import UserError

_MAGIC = b"PHANTOM1"
_VOXELS = {
    "codec": blosc2.Codec.ZSTD,
    "clevel": 3,
    "filters": [blosc2.Filter.BITSHUFFLE],
    "nthreads": 1,
}


def cache_path(folder: Path, id: str) -> Path:
    """Return where a scan is kept."""
    return folder / f"{id}.scan"


def write_scan(path: Path, scan: Scan, record: Record) -> None:
    """Write a scan with labels and its record; the file appears whole or not at all.

    Layout: 8 bytes magic, 32 bytes SHA-256 of what follows, 4 bytes length of a JSON header
    (little-endian), the header, voxels (int16) and labels (uint8), both compressed by Blosc2.

    Raises
    ------
    UserError
        If the folder cannot be written.
    """
    voxels = blosc2.compress2(np.ascontiguousarray(scan.voxels, "<i2"), typesize=2, **_VOXELS)
    labels = blosc2.compress2(np.ascontiguousarray(scan.labels), typesize=1, **_VOXELS)
    header = json.dumps(
        {
            "id": scan.id,
            "centre": scan.centre,
            "shape": scan.voxels.shape,
            "spacing": scan.spacing,
            "agatston": record.agatston,
            "risk": record.risk,
            "voxel_bytes": len(voxels),
        }
    ).encode()
    body = len(header).to_bytes(4, "little") + header + voxels + labels
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


def read_scan(path: Path) -> tuple[Scan, Record] | None:
    """Return a kept scan and its record, or None where there is none or it is damaged."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    body = memoryview(content)[40:]
    if content[:8] != _MAGIC or hashlib.sha256(body).digest() != content[8:40]:
        return None
    start = 4 + int.from_bytes(body[:4], "little")
    header = json.loads(bytes(body[4:start]))
    middle = start + header["voxel_bytes"]
    shape = tuple(header["shape"])
    # straight into arrays that the caller may change
    voxels, labels = np.empty(shape, "<i2"), np.empty(shape, np.uint8)
    blosc2.decompress2(body[start:middle], voxels)
    blosc2.decompress2(body[middle:], labels)
    scan = Scan(
        header["id"],
        header["centre"],
        voxels.astype(np.int16, copy=False),
        tuple(header["spacing"]),
        labels,
    )
    return scan, Record(scan.id, scan.centre, header["agatston"], header["risk"])


def read_labels(path: Path) -> Labels | None:
    """Return the labels of a kept scan, or None where they cannot be read.

    Quick: voxels, nearly all of the file, are neither read nor unpacked, and so the check sum,
    which is over both, is not compared. What `read_scan` gives is checked.
    """
    try:
        with path.open("rb") as file:
            header = _read_header(file)
            if header is None:
                return None
            file.seek(header["voxel_bytes"], os.SEEK_CUR)
            labels = np.empty(tuple(header["shape"]), np.uint8)
            blosc2.decompress2(file.read(), labels)
        return Labels(labels, tuple(header["spacing"]))
    except (OSError, ValueError, KeyError, TypeError, RuntimeError):
        return None


def read_record(path: Path) -> Record | None:
    """Return the record of a kept scan from its header, or None where it cannot be read.

    Quick: voxels are neither read nor checked.
    """
    try:
        with path.open("rb") as file:
            header = _read_header(file)
        if header is None:
            return None
        return Record(header["id"], header["centre"], header["agatston"], header["risk"])
    except (OSError, ValueError, KeyError):
        return None


def _read_header(file: BinaryIO) -> dict | None:
    """The header of a kept scan, from the file's beginning; None if the file is of another kind."""
    start = file.read(44)
    if start[:8] != _MAGIC:
        return None
    return json.loads(file.read(int.from_bytes(start[40:44], "little")))
