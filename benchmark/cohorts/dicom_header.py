"""DICOM files below a folder, and what is needed of their headers.

Nothing of a header reaches a message.
"""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import SimpleITK as sitk

from benchmark.cohorts.geometry import FARTHEST
from benchmark.errors import UserError

LARGEST_FILE = 64 << 20
"""Bytes of one slice's file; 2048 x 2048 pixels of 32 bits are 16 MB."""

MOST_READS = 20_000
"""Pieces that are read of a header: some thousand elements; those of scanners have hundreds."""

_TAGS = [
    "SeriesInstanceUID", "StudyInstanceUID", "PatientID", "Modality", "ImageType",
    "InstanceNumber", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing",
    "SliceThickness", "Rows", "Columns", "NumberOfFrames", "SamplesPerPixel",
    "PhotometricInterpretation", "ContrastBolusAgent", "SpacingBetweenSlices",
]  # fmt: skip


@dataclass(frozen=True)
class SliceHeader:
    """What the header of one file says, as far as it is needed; identity is used in memory alone.

    Attributes
    ----------
    path : Path
    series, study, patient : str
        Identity, to tell series and patients apart.
    kind : str
        "ct", "other" (no CT), "localizer" or "multiframe".
    number : int or None
        InstanceNumber.
    position : tuple of three floats or None
        Centre of the first pixel, mm.
    axes : tuple of six floats or None
        Directions of rows and columns.
    pixel : tuple of two floats or None
        Distance of pixel centres (y, x), mm.
    thickness : float or None
        mm.
    size : tuple of two ints
        Rows, columns.
    contrast : bool
        Whether a contrast agent is named.
    """

    path: Path
    series: str
    study: str
    patient: str
    kind: str
    number: int | None
    position: tuple[float, ...] | None
    axes: tuple[float, ...] | None
    pixel: tuple[float, ...] | None
    thickness: float | None
    size: tuple[int, int]
    contrast: bool


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


def dicom_files(folder: Path) -> list[Path]:
    """Return all files below a folder that may be DICOM, in order of names."""
    found = []
    for place, below, names in os.walk(folder):
        below.sort()
        for name in sorted(names):
            path = Path(place) / name
            if may_be_dicom(path):
                found.append(path)
    return found


def may_be_dicom(path: Path) -> bool:
    """Whether a file ends in `.dcm` or has the mark of DICOM at byte 128; hidden ones never may."""
    if path.name.startswith("."):
        return False
    if path.name.lower().endswith(".dcm"):
        return True
    try:
        with path.open("rb") as file:
            file.seek(128)
            return file.read(4) == b"DICM"
    except OSError:
        return False


def read_header(path: Path) -> SliceHeader:
    """Read what is needed of a file's header, without its pixels.

    Raises
    ------
    UserError
        If it is no DICOM file; the message names no file.
    """
    import pydicom

    try:
        if path.stat().st_size > LARGEST_FILE:
            raise UserError(f"a file is larger than {LARGEST_FILE >> 20} MB")
        with quiet():
            refuse_deflated(path)
            with path.open("rb") as file:
                data = pydicom.dcmread(
                    _Beginning(file), stop_before_pixels=True, specific_tags=_TAGS
                )
            return _header(path, data)
    except UserError:
        raise
    except Exception:  # whatever pydicom raises on a damaged file; its text may quote the header
        raise UserError("a file cannot be read as DICOM; export it again") from None


def refuse_deflated(path: Path) -> None:
    """Refuse a file that is packed as a whole: it may unpack to any size (PS3.5 A.5).

    Raises
    ------
    UserError
        If it is; the message names no file.
    """
    from pydicom.filereader import read_file_meta_info
    from pydicom.uid import DeflatedExplicitVRLittleEndian

    meta = read_file_meta_info(path)
    if str(meta.get("TransferSyntaxUID", "")) == DeflatedExplicitVRLittleEndian:
        raise UserError("a file is packed as a whole (deflated); export it uncompressed")


class _Beginning:
    """A file of which the beginning alone may be read: headers are short, elements cheap to make.

    A length in a header is only what it claims; no more is asked of the disk than is there.
    """

    def __init__(self, file) -> None:
        self._file = file
        self._reads = 0
        self._size = os.fstat(file.fileno()).st_size
        self.name = file.name

    def read(self, count: int = -1) -> bytes:
        self._reads += 1
        if self._reads > MOST_READS:
            raise ValueError("the header has too many elements")
        left = max(self._size - self._file.tell(), 0)
        return self._file.read(left if count < 0 else min(count, left))

    def tell(self) -> int:
        return self._file.tell()

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def close(self) -> None:
        self._file.close()


def _header(path: Path, data) -> SliceHeader:
    def floats(name: str, count: int) -> tuple[float, ...] | None:
        value = data.get(name)
        if value is None or isinstance(value, str) or len(value) != count:
            return None
        numbers = tuple(float(v) for v in value)
        # what lies further away, NaN too, is no place in a patient
        return numbers if all(abs(number) <= FARTHEST for number in numbers) else None

    if not data.get("SeriesInstanceUID") or not data.get("Modality"):
        raise UserError("a file lacks what every DICOM image says; export it again")
    kind = "ct" if str(data.get("Modality", "")) == "CT" else "other"
    if kind == "ct" and "LOCALIZER" in [str(word).upper() for word in data.get("ImageType") or ()]:
        kind = "localizer"
    if kind == "ct" and int(data.get("NumberOfFrames") or 1) > 1:
        kind = "multiframe"
    if kind == "ct" and int(data.get("SamplesPerPixel") or 1) != 1:
        kind = "other"
    number, thickness = data.get("InstanceNumber"), data.get("SliceThickness")
    return SliceHeader(
        path,
        str(data.get("SeriesInstanceUID", "")),
        str(data.get("StudyInstanceUID", "")),
        str(data.get("PatientID", "")),
        kind,
        None if number is None else int(number),
        floats("ImagePositionPatient", 3),
        floats("ImageOrientationPatient", 6),
        floats("PixelSpacing", 2),
        float(thickness) if thickness else None,
        (int(data.get("Rows") or 0), int(data.get("Columns") or 0)),
        bool(str(data.get("ContrastBolusAgent") or "").strip()),
    )
