"""What an image file says of itself, judged before its pixels take memory.

Headers come from elsewhere: a size may be absurd, a pixel file may be cut short, and the name of a
pixel file may point out of the folder. ITK itself fills what is missing in a short NIfTI file with
whatever lay in memory, so the length is checked here.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import BinaryIO

from benchmark.cohorts.header_twice import check_meta_twice, check_nrrd_twice, meta_notes
from benchmark.cohorts.nifti_header import check_numbers, read_nifti_header
from benchmark.cohorts.nrrd_header import read_nrrd_header
from benchmark.cohorts.pixel_files import LONGEST_HEADER, LONGEST_LINE, data_file, parts_of
from benchmark.cohorts.stated_scaling import meta_scaling, nrrd_scaling
from benchmark.errors import UserError

__all__ = [
    "LONGEST_HEADER", "check_header", "check_length", "check_size", "notes_of", "parts_of",
    "scaling_of",
]  # fmt: skip

MOST_VOXELS = 2**29
"""512 x 512 x 2048: a header that asks for more is refused before memory is taken."""

LARGEST_UNPACKED = 128 << 20
"""Bytes that a packed image may always unpack to; more only where it is no bomb."""

MOST_PACKED = 200
"""How many times its own size a packed image may unpack to: noise cannot be packed so well."""

_ELEMENT_BYTES = {
    "MET_CHAR": 1, "MET_UCHAR": 1, "MET_SHORT": 2, "MET_USHORT": 2, "MET_INT": 4, "MET_UINT": 4,
    "MET_LONG": 4, "MET_ULONG": 4, "MET_LONG_LONG": 8, "MET_ULONG_LONG": 8, "MET_FLOAT": 4,
    "MET_DOUBLE": 8,
}  # fmt: skip


def check_header(path: Path) -> None:
    """Refuse an image file whose header is absurd or names files that it may not.

    Parameters
    ----------
    path : Path
        A file of any type that can be read; types other than MetaImage, NRRD and NIfTI pass.

    Raises
    ------
    UserError
        If a size is absurd, a pixel file lies outside the header's folder, or two statements of
        the header contradict each other.
    """
    name = path.name.lower()
    if name.endswith((".mhd", ".mha")):
        parts_of(path)
        fields = _meta_fields(path)
        _meta_shape(path, fields)
        check_meta_twice(path, fields)
    elif name.endswith(".nrrd"):
        parts_of(path)
        header = read_nrrd_header(path)
        check_size(header.size, path)
        check_nrrd_twice(path, header)
    elif name.endswith((".nii", ".nii.gz")):
        check_size(read_nifti_header(path).size, path)


def notes_of(path: Path) -> tuple[str, ...]:
    """Return what is unusual about a header that `check_header` let pass."""
    meta = path.name.lower().endswith((".mhd", ".mha"))
    return meta_notes(_meta_fields(path)) if meta else ()


def scaling_of(path: Path) -> tuple[float, float] | None:
    """Return slope and offset that a header states and ITK does not apply; None if there are none.

    Raises
    ------
    UserError
        If they are no scaling of a CT, or their meaning is not certain.
    """
    name = path.name.lower()
    if name.endswith((".mhd", ".mha")):
        return meta_scaling(path, _meta_fields(path))
    if name.endswith(".nrrd"):
        return nrrd_scaling(path, read_nrrd_header(path))
    return None  # ITK applies scl_slope and scl_inter


def check_length(path: Path, image: bool = True) -> None:
    """Refuse an image file whose pixels are not as many as its header says.

    Parameters
    ----------
    path : Path
        A file that `check_header` let pass.
    image : bool
        Whether it holds HU: then it may not unpack to a vast multiple of its size. Label maps,
        which are zero nearly everywhere, do so.

    Raises
    ------
    UserError
        If pixels are missing, or there are more than there should be.
    """
    name = path.name.lower()
    if name.endswith((".mhd", ".mha")):
        _check_meta_image(path, image)
    elif name.endswith((".nii", ".nii.gz")):
        _check_nifti(path, image)
    elif image and name.endswith(".nrrd"):
        _check_nrrd(path)


def check_size(size: tuple[int, ...], where: str | Path) -> None:
    """Refuse more voxels than any cardiac CT has, and sizes that are not positive.

    Raises
    ------
    UserError
        If there are more than `MOST_VOXELS`, or a side has none.
    """
    numbers = [int(n) for n in size]
    if not numbers or min(numbers) < 1 or max(numbers) > MOST_VOXELS or prod(numbers) > MOST_VOXELS:
        text = " x ".join(str(n)[:12] for n in numbers[:8])
        raise UserError(
            f"{where}: a size of {text} is no cardiac CT; is the header damaged? export it again"
        )


def _meta_shape(path: Path, fields: dict[str, str]) -> tuple[list[int], int]:
    """Return size and bytes of a voxel; refuse what is no single-channel image."""
    try:
        shape = [int(n) for n in fields["dimsize"].split()]
        bytes_each = _ELEMENT_BYTES[fields["elementtype"].upper()]
        channels = int(fields.get("elementnumberofchannels", "1"))
        dimensions = int(fields.get("ndims", len(shape)))
    except (KeyError, ValueError):
        raise UserError(
            f"{path}: the header lacks DimSize or a known ElementType; export it again"
        ) from None
    if dimensions != len(shape) or dimensions > 8:
        raise UserError(
            f"{path}: the header says {dimensions} dimensions and sizes of {len(shape)}; "
            "export it again"
        )
    if channels != 1:
        raise UserError(f"{path}: holds {channels} values per voxel; export one")
    check_size(tuple(shape), path)
    return shape, bytes_each


def _check_meta_image(path: Path, image: bool) -> None:
    """Compare the pixels of a MetaImage header with the size it announces."""
    fields = _meta_fields(path)
    shape, bytes_each = _meta_shape(path, fields)
    named, _ = data_file(path)
    local = named.upper() == "LOCAL"
    parts = (path,) if local else parts_of(path)[1:]
    if not parts:
        raise UserError(f"{path}: its pixel file {named[:120]!r} is missing")
    try:
        skip = fields["pixels begin"] if local else int(fields.get("headersize", "0"))
    except ValueError:
        raise UserError(f"{path}: HeaderSize is no number; export it again") from None
    expected = prod(shape) * bytes_each
    packed = fields.get("compresseddata", "").lower() == "true"
    if packed:
        if image:
            _refuse_bomb(parts[0], expected)
        with parts[0].open("rb") as file:
            file.seek(skip if local else 0)
            found = _inflated(file, expected, zlib.decompressobj)
        kind = "bytes after unpacking"
    else:
        found = sum(part.stat().st_size - max(skip, 0) for part in parts)
        # HeaderSize = -1: pixels are the end of the file, whatever comes before.
        found = expected if skip == -1 and found >= expected else found
        kind = "bytes"
    if found != expected:
        size = " x ".join(str(n) for n in shape)
        short = "is cut short" if found < expected else "is too long"
        raise UserError(
            f"{parts[0]}: {short}: {found} {kind}, but {size} voxels of {bytes_each} bytes "
            f"are {expected}; copy it again"
        )
    stored = parts[0].stat().st_size - (skip if local else 0)
    if packed and fields.get("compresseddatasize", str(stored)) != str(stored):
        raise UserError(
            f"{path}: CompressedDataSize says {fields['compresseddatasize'][:20]} bytes, but there "
            f"are {stored}; copy it again"
        )


def _meta_fields(path: Path) -> dict:
    """Fields of a MetaImage header in small letters, and where pixels of its own would begin."""
    with path.open("rb") as file:
        header = file.read(LONGEST_HEADER)
    fields: dict = {}
    place = 0
    for line in header.splitlines(keepends=True):
        place += len(line)
        key, equals, value = line.decode("latin-1").partition("=")
        name = key.strip().lower()
        if len(line) > LONGEST_LINE:
            raise UserError(f"{path}: a line of the header is too long; export it again")
        if equals:
            if name in fields:
                raise UserError(f"{path}: says {key.strip()[:40]} twice; export it again")
            fields[name] = value.strip()
        if name == "elementdatafile":
            break
    return {**fields, "pixels begin": place}


def _check_nifti(path: Path, image: bool) -> None:
    """Compare the length of a NIfTI file with the size its header announces."""
    header = read_nifti_header(path)
    expected = header.length
    # a slice and more beyond the end: the size that the header says is not that of the pixels
    plane = prod(header.size[:2]) * header.dtype.itemsize
    packed = path.name.lower().endswith(".gz")
    if not packed:
        found = path.stat().st_size
    else:
        if image:
            _refuse_bomb(path, expected)
        with path.open("rb") as file:
            file.seek(-4, 2)
            # gzip ends with the unpacked length; a file of several members needs counting.
            said = struct.unpack("<I", file.read(4))[0]
            file.seek(0)
            if said == expected % 2**32:
                found = expected
            else:
                found = _inflated(file, expected + plane, lambda: zlib.decompressobj(31))
    if not expected <= found < expected + plane:
        size = " x ".join(str(n) for n in header.size)
        after = " after unpacking" if packed else ""
        what = "is cut short" if found < expected else "is too long"
        more = " and more" if found > expected else ""
        raise UserError(
            f"{path}: {what}: {found} bytes{more}{after}, but {size} voxels of "
            f"{header.dtype.itemsize} bytes and the header are {expected}; copy it again"
        )
    try:
        check_numbers(path, header)
    except (OSError, EOFError, zlib.error):
        raise UserError(f"{path}: is damaged where it is packed; copy it again") from None


def _check_nrrd(path: Path) -> None:
    """Refuse an NRRD file whose packed pixels are a bomb."""
    header = read_nrrd_header(path)
    if header.packed:
        _refuse_bomb(parts_of(path)[-1], prod(header.size) * header.bytes_each)


def _refuse_bomb(path: Path, unpacked: int) -> None:
    """Refuse a packed image that says it is vastly larger unpacked than it can be."""
    if unpacked > max(LARGEST_UNPACKED, path.stat().st_size * MOST_PACKED):
        raise UserError(
            f"{path}: {path.stat().st_size} bytes cannot hold {unpacked} bytes of a CT; "
            "export it again"
        )


def _inflated(file: BinaryIO, expected: int, stream: Callable) -> int:
    """Count unpacked bytes, at most a few more than expected; a broken stream ends the count.

    `stream` makes what unpacks one member; another may follow it.
    """
    found, member = 0, stream()
    try:
        while found <= expected and (block := file.read(1 << 18)):
            while block and found <= expected:
                found += len(member.decompress(block, 1 << 22))
                block = member.unconsumed_tail
                if member.eof:
                    block, member = member.unused_data, stream()
        if found < expected:
            found += len(member.flush())
    except zlib.error:
        pass  # what follows a whole member may be no packed data; what went before it counts
    return found
