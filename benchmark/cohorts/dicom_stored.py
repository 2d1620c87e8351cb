"""Stored values of DICOM slices, bit for bit as they were before they were packed.

Packed pixels are unpacked without their rescale: sign, padding and rescale are then the same
arithmetic for every transfer syntax.
"""

from __future__ import annotations

import struct
import tempfile
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from benchmark.cohorts.headers import LARGEST_UNPACKED, MOST_PACKED
from benchmark.errors import UserError

JPEG = {
    "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51",
    "1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70",
    "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81",
}  # fmt: skip
"""JPEG and JPEG-LS, unpacked by GDCM: pydicom's own decoders know no lossless and no 12-bit JPEG,
and pyjpegls never ends on JPEG-LS that is cut short."""

PACKED = {
    "1.2.840.10008.1.2.5",
    "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91",
    "1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.202", "1.2.840.10008.1.2.4.203",
}  # fmt: skip
"""RLE, JPEG 2000 and high-throughput JPEG 2000, unpacked by pydicom's decoders."""

RLE = "1.2.840.10008.1.2.5"
"""Unpacks to at most 64 times its size, and says no size of its own."""

LOSSY = {"1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51", "1.2.840.10008.1.2.4.81"}
"""Transfer syntaxes that always lose something; the others say in the header whether they did."""


def syntax_name(data) -> str:
    """Return the name of a file's transfer syntax from the standard's list."""
    uid = data.file_meta.TransferSyntaxUID
    return uid.name if uid.name != str(uid) and not uid.is_private else "a private way"


def is_packed(data) -> bool:
    """Whether a file's pixels are compressed.

    Raises
    ------
    UserError
        If its transfer syntax is none of the standard.
    """
    try:
        return data.file_meta.TransferSyntaxUID.is_compressed
    except ValueError:
        raise UserError("its transfer syntax is unknown; export the series again") from None


def frame_count(data) -> int:
    """Return how many slices a file holds."""
    return int(data.get("NumberOfFrames") or 1)


def check_pixels(data, size: tuple[int, int]) -> None:
    """Refuse a file whose pixels cannot be unpacked, or are not as many as it says.

    Parameters
    ----------
    data : pydicom.Dataset
        The whole file.
    size : tuple of two ints
        Rows, columns; at most those of a CT.

    Raises
    ------
    UserError
        One line that says what is wrong; it names no file.
    """
    packed = is_packed(data)
    bits = int(data.BitsAllocated)
    if bits not in (8, 16, 32):
        raise UserError(f"pixels of {bits} bits (BitsAllocated) are none of a CT; export it again")
    expected = size[0] * size[1] * bits // 8 * frame_count(data)
    syntax = data.file_meta.TransferSyntaxUID
    found = len(data.PixelData)
    if not packed:
        if found > expected + expected % 2:
            raise UserError("a slice holds more pixels than it says")
        if found < expected:
            raise UserError("the pixels of a slice cannot be read: they are cut short; "
                            "export the series again")  # fmt: skip
    elif syntax not in JPEG and syntax not in PACKED:
        raise UserError(
            f"its pixels are packed as {syntax_name(data)}, which is not read; "
            "export the series uncompressed"
        )
    elif expected > max(LARGEST_UNPACKED, found * MOST_PACKED):
        raise UserError(f"{found} bytes cannot hold {expected} bytes of a CT; export it again")


def stored_values(data, frame: int, size: tuple[int, int]) -> np.ndarray:
    """Return the bits of one slice's pixels as unsigned numbers, (rows, columns).

    Parameters
    ----------
    data : pydicom.Dataset
        A whole file that `check_pixels` let pass.
    frame : int
        Which of its slices.
    size : tuple of two ints
        Rows, columns.

    Raises
    ------
    UserError
        If the packed pixels are of another size than the file says.
    Exception
        Whatever a decoder raises on damaged pixels.
    """
    from pydicom.encaps import get_frame
    from pydicom.pixels import get_decoder

    syntax = data.file_meta.TransferSyntaxUID
    if is_packed(data):
        packed = get_frame(data.PixelData, frame, number_of_frames=frame_count(data))
        if syntax != RLE and packed_size(packed) != size:
            raise UserError("the pixels of a slice do not have the size that it says")
        if syntax in JPEG:
            return _by_gdcm(data, packed)
    # The bits as they lie there: what the unused ones hold is judged later.
    values, _ = get_decoder(syntax).as_array(data, index=frame, raw=True, correct_unused_bits=False)
    if values.shape != size:
        raise UserError("the pixels of a slice do not have the size that it says")
    bits = int(data.BitsAllocated)
    return values.astype(f"i{bits // 8}", copy=False).view(f"u{bits // 8}")


def packed_size(packed: bytes) -> tuple[int, int] | None:
    """Return rows and columns that JPEG, JPEG-LS or JPEG 2000 says of itself; else None.

    A decoder takes memory for this size before anyone can compare it.
    """
    if packed[:2] != b"\xff\xd8":
        start = packed.find(b"\xff\x4f\xff\x51", 0, 4096)  # ISO/IEC 15444-1, A.5.1
        if start < 0 or len(packed) < start + 24:
            return None
        right, low, left, top = struct.unpack(">4I", packed[start + 8 : start + 24])
        return low - top, right - left
    place = 2
    while place + 9 <= len(packed) and packed[place] == 0xFF:  # ISO/IEC 10918-1, B.1.1
        marker = packed[place + 1]
        if marker == 0xF7 or (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)):
            return struct.unpack(">2H", packed[place + 5 : place + 9])
        place += 2 + int.from_bytes(packed[place + 2 : place + 4], "big")
    return None


def _by_gdcm(data, packed: bytes) -> np.ndarray:
    """Unpack one slice by SimpleITK's GDCM, out of a file that holds pixels and no rescale."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.encaps import encapsulate
    from pydicom.uid import SecondaryCaptureImageStorage, generate_uid

    alone = Dataset()
    alone.file_meta = FileMetaDataset()
    alone.file_meta.TransferSyntaxUID = data.file_meta.TransferSyntaxUID
    alone.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    alone.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    alone.SOPClassUID = SecondaryCaptureImageStorage
    alone.SOPInstanceUID = alone.file_meta.MediaStorageSOPInstanceUID
    alone.Modality, alone.PhotometricInterpretation, alone.SamplesPerPixel = "OT", "MONOCHROME2", 1
    for name in (
        "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"
    ):  # fmt: skip
        setattr(alone, name, int(data.get(name) or 0))
    alone.PixelData = encapsulate([packed])
    alone["PixelData"].is_undefined_length = True
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "slice.dcm"
        alone.save_as(path, enforce_file_format=True)
        values = sitk.GetArrayFromImage(sitk.ReadImage(str(path), imageIO="GDCMImageIO"))
    bits = int(data.BitsAllocated)
    values = values.reshape(values.shape[-2:]).astype(np.int64)
    return (values & ((1 << bits) - 1)).astype(f"u{bits // 8}")
