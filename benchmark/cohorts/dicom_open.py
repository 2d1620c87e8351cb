"""DICOM files opened within bounds: what is below a folder, and a file's data set.

Nothing of a header reaches a message.
"""

from __future__ import annotations

import contextlib
import io
import os
import warnings
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import SimpleITK as sitk

from benchmark.errors import UserError

LARGEST_FILE = 64 << 20
"""Bytes of one slice's file; 2048 x 2048 pixels of 32 bits are 16 MB."""

LARGEST_MULTIFRAME = 3 << 29
"""Bytes of a file of several slices: 2^29 voxels of 16 bits, and half of that for the rest."""

MOST_READS = 20_000
"""Pieces that are read of a slice's header: some thousand elements; those of scanners have
hundreds."""

MOST_MULTIFRAME_READS = 2_000_000
"""The same for several slices in one file: some hundred elements for each of 2048 slices."""

MULTIFRAME = {
    "1.2.840.10008.5.1.4.1.1.2.1": "enhanced CT",
    "1.2.840.10008.5.1.4.1.1.2.2": "legacy converted enhanced CT",
    "1.2.840.10008.5.1.4.1.1.66.4": "segmentation",
    "1.2.840.10008.5.1.4.1.1.66.7": "label map",
}
"""SOP classes whose files hold several slices, and may be larger than `LARGEST_FILE`."""


@dataclass(frozen=True)
class Listing:
    """The files below a folder, each list in order of names.

    Attributes
    ----------
    files : list of Path
        What may be DICOM.
    others : int
        Files that are none: texts, tables, pictures.
    hidden : int
        Hidden files and those in hidden folders.
    """

    files: list[Path]
    others: int
    hidden: int


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep pydicom and ITK from printing: their warnings quote values and paths."""
    import pydicom

    before = pydicom.config.settings.reading_validation_mode
    shown = sitk.ProcessObject.GetGlobalWarningDisplay()
    level = pydicom.config.logger.level
    pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
    pydicom.config.logger.setLevel("CRITICAL")
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        pydicom.config.settings.reading_validation_mode = before
        pydicom.config.logger.setLevel(level)
        sitk.ProcessObject.SetGlobalWarningDisplay(shown)


def list_files(folder: Path) -> Listing:
    """Return all files below a folder that may be DICOM, and how many others there are."""
    found, others, hidden = [], 0, 0
    for place, below, names in os.walk(folder):
        below.sort()
        for name in sorted(names):
            path = Path(place) / name
            if name.startswith("."):
                hidden += 1
            elif may_be_dicom(path):
                found.append(path)
            else:
                others += 1
    return Listing(found, others, hidden)


def dicom_files(folder: Path) -> list[Path]:
    """Return all files below a folder that may be DICOM, in order of names."""
    return list_files(folder).files


def may_be_dicom(path: Path) -> bool:
    """Whether a file ends in `.dcm`, has the mark of DICOM at byte 128, or begins as a data set
    without that mark does; hidden ones never may.
    """
    if path.name.startswith("."):
        return False
    if path.name.lower().endswith(".dcm"):
        return True
    try:
        with path.open("rb") as file:
            start = file.read(132)
    except OSError:
        return False
    return start[128:] == b"DICM" or _bare(start)


def open_dicom(path: Path, tags: Sequence[str] | None = None):
    """Return a file's data set; `data.file_meta.TransferSyntaxUID` says how its pixels lie there.

    Files without the mark of DICOM are read too. One that is packed as a whole (deflated,
    PS3.5 A.5) is unpacked as far as a file may be large.

    Parameters
    ----------
    path : Path
    tags : sequence of str, optional
        Keywords of the elements to return, without pixels; None returns all with pixels.

    Raises
    ------
    UserError
        If it is larger or has more elements than any such file; the message names no file.
    Exception
        Whatever pydicom raises on a damaged file; its text may quote the header.
    """
    import pydicom
    from pydicom.filereader import read_file_meta_info
    from pydicom.uid import (
        DeflatedExplicitVRLittleEndian,
        ExplicitVRBigEndian,
        ExplicitVRLittleEndian,
        ImplicitVRLittleEndian,
    )

    with path.open("rb") as file:
        start = file.read(132)
    bare = start[128:] != b"DICM" and _bare(start)
    meta = pydicom.dataset.FileMetaDataset() if bare else read_file_meta_info(path)
    several = str(meta.get("MediaStorageSOPClassUID", "")) in MULTIFRAME
    largest = LARGEST_MULTIFRAME if several else LARGEST_FILE
    size = path.stat().st_size
    deflated = str(meta.get("TransferSyntaxUID", "")) == DeflatedExplicitVRLittleEndian
    if size > largest and (deflated or tags is None):
        raise UserError(f"a file is larger than {largest >> 20} MB")
    with path.open("rb") as file:
        source = file
        if deflated:
            file.seek(144 + int(meta.FileMetaInformationGroupLength))
            # of a header the beginning is enough
            room = LARGEST_FILE if tags is None else LARGEST_FILE // 4
            unpacker = zlib.decompressobj(-zlib.MAX_WBITS)
            source = io.BytesIO(unpacker.decompress(file.read(), room))
            if tags is None and unpacker.unconsumed_tail:
                raise UserError(f"a file unpacks to more than {room >> 20} MB; export it unpacked")
            size = source.getbuffer().nbytes
        if tags is not None:
            source = _Beginning(source, size, MOST_MULTIFRAME_READS if several else MOST_READS)
        data = pydicom.dcmread(
            source, stop_before_pixels=tags is not None, specific_tags=tags, force=True
        )
    if deflated:
        data.file_meta = meta
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
    elif not data.file_meta.get("TransferSyntaxUID"):
        implicit, little = data.original_encoding
        if implicit:
            data.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
        else:
            data.file_meta.TransferSyntaxUID = (
                ExplicitVRLittleEndian if little else ExplicitVRBigEndian
            )
    return data


def _bare(start: bytes) -> bool:
    """Whether a file begins as a data set without preamble: an element of group 2 or 8."""
    if len(start) < 16 or start[:2] not in (b"\x02\x00", b"\x08\x00") or start[3] != 0:
        return False
    explicit = start[4:6].isalpha() and start[4:6].isupper()
    return explicit or int.from_bytes(start[4:8], "little") <= 1024


class _Beginning:
    """A file of which the beginning alone may be read: headers are short, elements cheap to make.

    A length in a header is only what it claims; no more is asked of the disk than is there.
    """

    def __init__(self, file, size: int, most: int) -> None:
        self._file = file
        self._reads = 0
        self._most = most
        self._size = size
        self.name = getattr(file, "name", None)

    def read(self, count: int = -1) -> bytes:
        self._reads += 1
        if self._reads > self._most:
            raise ValueError("the header has too many elements")
        left = max(self._size - self._file.tell(), 0)
        count = left if count < 0 else min(count, left)
        if count > LARGEST_FILE:
            raise ValueError("an element of the header is too long")
        return self._file.read(count)

    def tell(self) -> int:
        return self._file.tell()

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def close(self) -> None:
        self._file.close()
