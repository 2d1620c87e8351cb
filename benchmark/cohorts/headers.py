"""What an image file says of itself, judged before its pixels take memory.

Headers come from elsewhere: a size may be absurd, a pixel file may be cut short, and the name of a
pixel file may point out of the folder. ITK itself fills what is missing in a short NIfTI file with
whatever lay in memory, so the length is checked here.
"""

from __future__ import annotations

import gzip
import re
import struct
import zlib
from math import prod
from pathlib import Path

from benchmark.errors import UserError

MOST_VOXELS = 2**29
"""512 x 512 x 2048: a header that asks for more is refused before memory is taken."""

LONGEST_HEADER = 1 << 16
"""Bytes of a MetaImage or NRRD header that are looked at."""

_ELEMENT_BYTES = {
    "MET_CHAR": 1, "MET_UCHAR": 1, "MET_SHORT": 2, "MET_USHORT": 2, "MET_INT": 4, "MET_UINT": 4,
    "MET_LONG": 4, "MET_ULONG": 4, "MET_LONG_LONG": 8, "MET_ULONG_LONG": 8, "MET_FLOAT": 4,
    "MET_DOUBLE": 8,
}  # fmt: skip


def check_header(path: Path) -> None:
    """Refuse an image file whose header is absurd, or whose pixel file is not what it says.

    Parameters
    ----------
    path : Path
        A file of any type that can be read; types other than MetaImage, NRRD and NIfTI pass.

    Raises
    ------
    UserError
        If a pixel file lies outside the header's folder, is missing, or has the wrong size.
    """
    name = path.name.lower()
    if name.endswith((".mhd", ".mha", ".nrrd")):
        parts_of(path)
    if name.endswith(".mhd"):
        _check_meta_image(path)
    elif name.endswith((".nii", ".nii.gz")):
        _check_nifti(path)


def check_size(size: tuple[int, ...], where: str | Path) -> None:
    """Refuse more voxels than any cardiac CT has.

    Raises
    ------
    UserError
        If there are more than `MOST_VOXELS`.
    """
    if prod(int(n) for n in size) > MOST_VOXELS:
        numbers = " x ".join(str(n) for n in size)
        raise UserError(
            f"{where}: a size of {numbers} is no cardiac CT; is the header damaged? export it again"
        )


def parts_of(path: Path) -> tuple[Path, ...]:
    """Return an image file and the pixel files that its `.mhd` or `.nrrd` header names.

    Raises
    ------
    UserError
        If a name leaves the header's folder: an absolute path, one through `..`, or a link to
        a file elsewhere.
    """
    suffix = path.suffix.lower()
    if suffix not in (".mhd", ".mha", ".nrrd"):
        return (path,)
    try:
        with path.open("rb") as file:
            header = file.read(LONGEST_HEADER).decode("latin-1")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    if suffix == ".nrrd":
        header = re.split(r"\r?\n\r?\n", header, maxsplit=1)[0]  # pixels follow an empty line
    named = re.search(r"(?im)^(?:ElementDataFile\s*=|data ?file:)\s*(.+?)\s*$", header)
    if named is None or named[1] == "LOCAL":
        return (path,)
    if named[1].split()[0] == "LIST":
        names = [line.strip() for line in header[named.end() :].splitlines() if line.strip()]
    else:
        pattern = re.fullmatch(r"(\S*%\d*d\S*)\s+(\d{1,4})\s+(\d{1,4})\s+(\d{1,4})", named[1])
        names = [named[1]]
        if pattern:  # MetaImage and NRRD: name with a number, first, last, step
            first, last, step = (int(n) for n in pattern.groups()[1:])
            names = [pattern[1] % number for number in range(first, last + 1, max(step, 1))]
    return (path, *(part for part in (_inside(path, name) for name in names) if part.is_file()))


def _inside(header: Path, name: str) -> Path:
    """Return the file of that name beside a header; refuse one that lies anywhere else."""
    place = header.parent / name
    if Path(name).is_absolute() or re.match(r"[A-Za-z]:|\\", name) or ".." in Path(name).parts:
        raise UserError(
            f"{header}: names a pixel file outside its folder; put both into one folder"
        )
    if place.exists():
        homes = (header.parent.resolve(), header.resolve().parent)
        if not any(place.resolve().is_relative_to(home) for home in homes):
            raise UserError(
                f"{header}: its pixel file is a link to a place outside its folder; "
                "put both into one folder"
            )
    return place


def _check_meta_image(path: Path) -> None:
    """Compare the pixel file of a `.mhd` header with the size it announces."""
    fields = _meta_fields(path)
    try:
        shape = [int(n) for n in fields["dimsize"].split()]
        bytes_each = _ELEMENT_BYTES[fields["elementtype"].upper()]
        channels = int(fields.get("elementnumberofchannels", "1"))
        skip = int(fields.get("headersize", "0"))
    except (KeyError, ValueError):
        raise UserError(
            f"{path}: the header lacks DimSize or a known ElementType; export it again"
        ) from None
    check_size(tuple(shape), path)
    parts = parts_of(path)[1:]
    if not parts:
        raise UserError(f"{path}: its pixel file {fields.get('elementdatafile', '')!r} is missing")
    expected = prod(shape) * bytes_each * channels
    if fields.get("compresseddata", "").lower() == "true":
        with parts[0].open("rb") as file:
            found = _inflated(file, expected, zlib.decompressobj())
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


def _meta_fields(path: Path) -> dict[str, str]:
    with path.open("rb") as file:
        text = file.read(LONGEST_HEADER).decode("latin-1")
    fields = {}
    for line in text.splitlines():
        key, equals, value = line.partition("=")
        if equals:
            fields[key.strip().lower()] = value.strip()
    return fields


def _check_nifti(path: Path) -> None:
    """Compare the length of a NIfTI file with the size its header announces."""
    packed = path.name.lower().endswith(".gz")
    try:
        with gzip.open(path) if packed else path.open("rb") as file:
            header = file.read(540)
    except (OSError, EOFError, zlib.error):
        return  # ITK says what is wrong with it
    expected = _nifti_length(header)
    if expected is None:
        return
    if not packed:
        found = path.stat().st_size
    else:
        with path.open("rb") as file:
            file.seek(-4, 2)
            # gzip ends with the unpacked length; a file of several members needs counting.
            if struct.unpack("<I", file.read(4))[0] == expected % 2**32:
                return
            file.seek(0)
            found = _inflated(file, expected, None)
    if found < expected:
        raise UserError(
            f"{path}: is cut short: {found} bytes of {expected}, after unpacking if it is "
            "packed; copy it again"
        )


def _nifti_length(header: bytes) -> int | None:
    """Return how long a NIfTI-1 or NIfTI-2 file must be, or None if the header is neither."""
    for order in "<>":
        if len(header) >= 348 and struct.unpack(order + "i", header[:4])[0] == 348:
            shape = struct.unpack(order + "8h", header[40:56])
            bits = struct.unpack(order + "h", header[72:74])[0]
            offset = int(struct.unpack(order + "f", header[108:112])[0])
        elif len(header) >= 540 and struct.unpack(order + "i", header[:4])[0] == 540:
            shape = struct.unpack(order + "8q", header[16:80])
            bits = struct.unpack(order + "h", header[14:16])[0]
            offset = struct.unpack(order + "q", header[168:176])[0]
        else:
            continue
        if not 1 <= shape[0] <= 7:
            return None
        return offset + prod(max(n, 1) for n in shape[1 : shape[0] + 1]) * bits // 8
    return None


def _inflated(file, expected: int, stream) -> int:
    """Count unpacked bytes, at most one more than expected; a broken stream ends the count."""
    found = 0
    try:
        if stream is None:
            with gzip.GzipFile(fileobj=file) as unpacked:
                while block := unpacked.read(1 << 20):
                    found += len(block)
            return found
        while (block := file.read(1 << 18)) and found <= expected:
            while block and found <= expected:
                found += len(stream.decompress(block, 1 << 22))
                block = stream.unconsumed_tail
        return found
    except (OSError, EOFError, zlib.error):
        return found
