"""What a NIfTI file says of itself, and whether as much follows.

ITK itself fills what is missing in a short file with whatever lay in memory, and turns voxels that
are no numbers into zeros; so both are looked for here.
Source: nifti1.h and nifti2.h of the NIfTI data format working group.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from dataclasses import dataclass
from math import isfinite, prod
from pathlib import Path

import numpy as np

from benchmark.cohorts.nifti_twice import check_said_twice
from benchmark.errors import UserError

TYPES = {
    2: "u1", 4: "i2", 8: "i4", 16: "f4", 64: "f8", 256: "i1", 512: "u2", 768: "u4", 1024: "i8",
    1280: "u8",
}  # fmt: skip
"""Pixel types that can be read, by number; others are complex, coloured or of 128 bits."""

FARTHEST_OFFSET = 16 << 20
"""Bytes of header and extensions before the pixels."""

_BLOCK = 1 << 22


@dataclass(frozen=True)
class NiftiHeader:
    """The part of a header that says how long the file must be.

    Attributes
    ----------
    size : tuple of int
        Voxels along each axis.
    offset : int
        Bytes before the pixels.
    dtype : numpy.dtype
        Of a voxel, in the file's byte order.
    """

    size: tuple[int, ...]
    offset: int
    dtype: np.dtype

    @property
    def length(self) -> int:
        """Bytes of the whole file, unpacked."""
        return self.offset + prod(self.size) * self.dtype.itemsize


def read_nifti_header(path: Path) -> NiftiHeader:
    """Read the header of a `.nii` or `.nii.gz` file.

    Raises
    ------
    UserError
        If there is none, or it says what no CT can be.
    """
    try:
        with _opened(path) as file:
            data = file.read(540)
    except (OSError, EOFError, zlib.error):
        raise UserError(f"{path}: cannot be read (no whole gzip file); export it again") from None
    for order in "<>":
        if len(data) >= 348 and struct.unpack_from(order + "i", data)[0] == 348:
            get = _Fields(path, data, order)
            dims, type_, offset = get("8h", 40), get("2h", 70), get("f", 108)[0]
            known, place = data[344:348] == b"n+1\0", (252, "2h", 256, "18f", 76, "8f")
            rest = get("2f", 112), get("b", 123)[0]
        elif len(data) >= 540 and struct.unpack_from(order + "i", data)[0] == 540:
            get = _Fields(path, data, order)
            dims, type_, offset = get("8q", 16), get("2h", 12), get("q", 168)[0]
            known, place = data[4:8] == b"n+2\0", (344, "2i", 352, "18d", 104, "8d")
            rest = get("2d", 176), get("i", 500)[0]
        else:
            continue
        if not known or not 1 <= dims[0] <= 7:
            break
        codes, numbers, spacing = _place(get, place)
        dtype = TYPES.get(type_[0])
        if dtype is None or np.dtype(dtype).itemsize * 8 != type_[1]:
            raise UserError(
                f"{path}: pixels of type {type_[0]} and {type_[1]} bits are no CT; export it again"
            )
        if not 0 <= offset <= FARTHEST_OFFSET:
            raise UserError(f"{path}: the header does not say where pixels begin; export it again")
        size = dims[1 : dims[0] + 1]
        check_said_twice(path, size, codes, numbers, spacing, *rest)
        return NiftiHeader(tuple(size), int(offset), np.dtype(dtype).newbyteorder(order))
    raise UserError(f"{path}: cannot be read (no NIfTI header); export it again")


def check_numbers(path: Path, header: NiftiHeader) -> None:
    """Refuse a file with voxels that are NaN or infinite, which ITK would make zeros of.

    Raises
    ------
    UserError
        If there is one.
    """
    if header.dtype.kind != "f":
        return
    left = prod(header.size) * header.dtype.itemsize
    with _opened(path) as file:
        file.seek(header.offset)
        while left and (block := file.read(min(left, _BLOCK))):
            left -= len(block)
            whole = len(block) - len(block) % header.dtype.itemsize
            if not np.isfinite(np.frombuffer(block[:whole], header.dtype)).all():
                raise UserError(f"{path}: holds NaN or infinite voxels; fill them with -1024")


class _Fields:
    """Numbers at a place of a header."""

    def __init__(self, path: Path, data: bytes, order: str) -> None:
        self.path, self.data, self.order = path, data, order

    def __call__(self, kind: str, place: int) -> tuple:
        return struct.unpack_from(self.order + kind, self.data, place)


def _place(get: _Fields, place: tuple) -> tuple[tuple, tuple, tuple]:
    """Return what a header says of spacing and position: codes, quaternion and rows, pixdim.

    NaN and infinity are refused where they are used.
    """
    codes_at, codes, rows_at, rows, spacing_at, spacing = place
    by_quaternion, by_rows = get(codes, codes_at)
    numbers = get(rows, rows_at)  # three of the quaternion, three of the origin, twelve of rows
    steps = get(spacing, spacing_at)
    used = list(steps[:4])
    used += numbers[:6] if by_quaternion else ()
    used += numbers[6:] if by_rows else ()
    if not all(map(isfinite, used)):
        raise UserError(
            f"{get.path}: spacing, origin or directions are NaN or infinite; is the header "
            "damaged? export it again"
        )
    return (by_quaternion, by_rows), numbers, steps


def _opened(path: Path):
    return gzip.open(path) if path.name.lower().endswith(".gz") else path.open("rb")
