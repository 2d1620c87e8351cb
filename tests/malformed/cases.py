"""What a malformed file is called, which command reads it, and how that command must end."""

from __future__ import annotations

import struct
import sys
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "cohorts"))

BAD_INPUT, REFUSED = 2, 1


@dataclass(frozen=True)
class Case:
    """One malformed file with the command that reads it.

    Attributes
    ----------
    name : str
        ``reader/what is wrong``; the folder that it lies in.
    arguments : tuple of str
        Of ``python -m benchmark``, run in the corpus' folder.
    status : int
        2: the file is all there is to read. 1: other scans beside it are good.
    """

    name: str
    arguments: tuple[str, ...]
    status: int = BAD_INPUT

    @property
    def reader(self) -> str:
        return self.name.partition("/")[0]


Maker = Callable[[Path], Iterator[Case]]
"""Writes its files below a folder and gives a case for each."""


def place_of(root: Path, name: str) -> Path:
    """A new folder for a case."""
    folder = root / name
    folder.mkdir(parents=True)
    return folder


def cuts(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Ways to spoil any binary file that has a header: it ends too early, or is something else."""
    yield "empty", b""
    yield "one byte", data[:1]
    for share in (5, 20, 50, 90):
        yield f"cut at {share} per cent", data[: len(data) * share // 100]
    yield "zeros", bytes(len(data))
    yield "all bits set", b"\xff" * len(data)
    yield "text", b"not an image at all\n" * 20
    yield (
        "a pickle",
        b"\x80\x04\x95\x15\x00\x00\x00\x00\x00\x00\x00\x8c\x02os\x94\x8c\x06system\x94.",
    )
    yield "a page", b"<!DOCTYPE html><html><body>404 Not Found</body></html>"
    yield "a picture", b"\x89PNG\r\n\x1a\n" + bytes(100)


def encodings(text: str) -> Iterator[tuple[str, bytes]]:
    """Ways to write a text that is no UTF-8."""
    yield "UTF-16", text.encode("utf-16")
    yield "UTF-32", text.encode("utf-32")
    yield "Latin-1", text.encode() + "\n# Größe\n".encode("latin-1")
    yield "NUL bytes", text[:3].encode() + b"\0" + text[3:].encode()
    yield "binary", bytes(range(256)) * 4


def deflated_zeros(mebibytes: int) -> bytes:
    """Packed zeros; it is written piece by piece, since packing them at once takes seconds."""
    packer = zlib.compressobj(6, zlib.DEFLATED, -15)
    piece = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)
    return piece * mebibytes + packer.flush()


def zlib_zeros(mebibytes: int) -> bytes:
    """The same as a stream of zlib."""
    size = mebibytes << 20
    checksum = (size % 65521 << 16) | 1  # Adler-32 of so many zeros
    return b"\x78\x9c" + deflated_zeros(mebibytes) + struct.pack(">I", checksum)


def gzip_zeros(mebibytes: int) -> bytes:
    """The same as a file of gzip."""
    checksum = zlib.crc32(bytes(mebibytes << 20))
    end = struct.pack("<2I", checksum, mebibytes << 20)
    return b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + deflated_zeros(mebibytes) + end
