"""Arrays in a `.npz` archive from anybody: numbers and text alone, and no more than is there.

`numpy.load` takes the memory that a header asks for before it reads on; here what is packed and
what it says it unpacks to are looked at first. Pickled objects are never read.
"""

from __future__ import annotations

import math
import zipfile
from pathlib import Path

import numpy as np

LARGEST = 4 << 30
"""Bytes of all arrays together."""

MOST_PACKED = 1100
"""Deflate packs nothing to less than a 1032nd; a larger claim is a lie."""

MOST_ENTRIES = 1000


def load_arrays(path: Path, most: int = LARGEST) -> dict[str, np.ndarray]:
    """Read all arrays of an archive.

    Parameters
    ----------
    path : Path
    most : int
        Bytes of all arrays together.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it is no such archive, is damaged, holds objects, or more than it may.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
            total = sum(entry.file_size for entry in entries)
            if len(entries) > MOST_ENTRIES or total > most:
                raise ValueError(f"holds {len(entries)} arrays of {total} bytes together")
            return {
                entry.filename.removesuffix(".npy"): _array(archive, entry) for entry in entries
            }
    except (zipfile.BadZipFile, NotImplementedError, EOFError, RuntimeError, MemoryError) as error:
        raise ValueError(str(error) or type(error).__name__) from None
    except Exception as error:
        if isinstance(error, OSError | ValueError):
            raise
        # zlib, struct and tokenize have kinds of their own for a damaged stream or header
        raise ValueError(f"{type(error).__name__}: {error}") from None


def _array(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> np.ndarray:
    if entry.file_size > max(entry.compress_size, 64) * MOST_PACKED:
        raise ValueError(f"{entry.filename} says that it unpacks to {entry.file_size} bytes")
    with archive.open(entry) as stream:
        version = np.lib.format.read_magic(stream)
        if version == (1, 0):
            shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
        elif version == (2, 0):
            shape, _, dtype = np.lib.format.read_array_header_2_0(stream)
        else:
            raise ValueError(f"{entry.filename} is of an unknown version")
        if dtype.hasobject or any(side < 0 for side in shape):
            raise ValueError(f"{entry.filename} holds objects, or sides below zero")
        if math.prod(int(side) for side in shape) * dtype.itemsize > entry.file_size:
            raise ValueError(f"{entry.filename} is cut short")
        stream.seek(0)
        return np.lib.format.read_array(stream, allow_pickle=False)
