"""What is needed of the headers of DICOM files: where each slice lies, and how it becomes HU.

Nothing of a header reaches a message.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path

from benchmark.cohorts.dicom_open import MULTIFRAME, dicom_files, open_dicom, quiet
from benchmark.cohorts.geometry import FARTHEST
from benchmark.errors import UserError

__all__ = ["AGREE", "SliceHeader", "dicom_files", "read_headers"]

AGREE = (
    "PatientID", "PatientName", "StudyInstanceUID", "FrameOfReferenceUID", "Modality",
    "ImageType", "ConvolutionKernel", "NominalPercentageOfCardiacPhase",
    "TemporalPositionIdentifier", "TemporalPositionIndex", "StackID",
)  # fmt: skip
"""Elements that all slices of one scan share, as far as they have them."""

_TAGS = [
    *AGREE, "SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "InstanceNumber",
    "AcquisitionNumber", "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing",
    "ImagerPixelSpacing", "SliceThickness", "SliceLocation", "SpacingBetweenSlices", "Rows",
    "Columns", "NumberOfFrames", "SamplesPerPixel", "PhotometricInterpretation",
    "ContrastBolusAgent", "RescaleSlope", "RescaleIntercept", "RescaleType",
    "ModalityLUTSequence", "LossyImageCompression", "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence", "BitsAllocated", "GantryDetectorTilt",
    "ReferencedSeriesSequence",
]  # fmt: skip

KINDS = {
    "1.2.840.10008.5.1.4.1.1.66.4": "segmentation",
    "1.2.840.10008.5.1.4.1.1.66.7": "segmentation",
    "1.2.840.10008.5.1.4.1.1.481.3": "contours",
    "1.2.840.10008.1.3.10": "directory",
}
"""Kinds of files that hold no image, by their SOP class."""


@dataclass(frozen=True)
class SliceHeader:
    """What the header says of one slice, as far as it is needed; identity is used in memory alone.

    Attributes
    ----------
    path : Path
    series, study, patient : str
        Identity, to tell series and patients apart.
    kind : str
        "ct", "localizer", "multiframe" (several slices that cannot be told apart), "colour",
        "segmentation", "contours", "directory", or "other" (no CT).
    number : int or None
        InstanceNumber; in a file of several slices the place of the slice.
    position : tuple of three floats or None
        Centre of the first pixel, mm.
    axes : tuple of six floats or None
        Directions of rows and columns.
    pixel : tuple of two floats or None
        Distance of pixel centres (y, x), mm.
    thickness, between, location, tilt : float or None
        SliceThickness, SpacingBetweenSlices, SliceLocation, mm; GantryDetectorTilt, degrees.
    size : tuple of two ints
        Rows, columns.
    contrast, lossy : bool
        Whether a contrast agent is named; whether pixels were once compressed with loss.
    frame : int
        Place of the slice in its file.
    slope, intercept : float or None
        From stored values to HU; None where the header does not say, NaN where it is no number.
    unit : str
        RescaleType in capitals; "" if there is none.
    table : bool
        Whether a table (ModalityLUTSequence) takes the place of slope and intercept.
    acquisition : str
        AcquisitionNumber.
    instance : str
        SOPInstanceUID.
    same : dict
        The elements of `AGREE` that are there, as text.
    refers : tuple of str
        For a segmentation the SeriesInstanceUIDs that it is of.
    lacks : str
        For a "multiframe" what its header lacks.
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
    between: float | None = None
    location: float | None = None
    tilt: float | None = None
    imager: tuple[float, ...] | None = None
    lossy: bool = False
    frame: int = 0
    slope: float | None = None
    intercept: float | None = None
    unit: str = ""
    table: bool = False
    acquisition: str = ""
    instance: str = ""
    same: dict[str, str] = field(default_factory=dict)
    refers: tuple[str, ...] = ()
    lacks: str = ""


def read_headers(path: Path) -> list[SliceHeader]:
    """Read what is needed of a file's header, without its pixels: one header for each slice.

    Raises
    ------
    UserError
        If it is no DICOM file; the message names no file.
    """
    from benchmark.cohorts.dicom_enhanced import frames_of

    try:
        with quiet():
            data = open_dicom(path, _TAGS)
            header = _header(path, data)
            return frames_of(header, data) if header.kind == "multiframe" else [header]
    except UserError:
        raise
    except Exception:  # whatever pydicom raises on a damaged file; its text may quote the header
        raise UserError("a file cannot be read as DICOM; export it again") from None


def floats(data, name: str, count: int) -> tuple[float, ...] | None:
    """Return an element of so many numbers, or None where it is none or no place in a patient."""
    value = data.get(name)
    if value is None or isinstance(value, str) or len(value) != count:
        return None
    numbers = tuple(float(v) for v in value)
    # what lies further away, NaN too, is no place in a patient
    return numbers if all(abs(number) <= FARTHEST for number in numbers) else None


def number(data, name: str) -> float | None:
    """Return an element of one number; None if there is none, NaN if it is something else."""
    value = data.get(name)
    if value is None or value == "":
        return None
    try:
        return float(value)
    except (TypeError, ValueError):
        return math.nan


def rescale(data) -> dict:
    """Return the fields of a `SliceHeader` that say how stored values become HU."""
    return {
        "slope": number(data, "RescaleSlope"),
        "intercept": number(data, "RescaleIntercept"),
        "unit": str(data.get("RescaleType") or "").strip().upper(),
    }


def _kind(data) -> str:
    named = KINDS.get(str(data.get("SOPClassUID", "")))
    if named:
        return named
    if str(data.get("Modality", "")) != "CT":
        return "other"
    image_type = data.get("ImageType") or ()
    words = [image_type] if isinstance(image_type, str) else list(image_type)
    if "LOCALIZER" in [str(word).upper() for word in words]:
        return "localizer"
    if int(data.get("SamplesPerPixel") or 1) != 1:
        return "colour"
    several = MULTIFRAME.get(str(data.get("SOPClassUID", "")))
    return "multiframe" if several or int(data.get("NumberOfFrames") or 1) > 1 else "ct"


def _header(path: Path, data) -> SliceHeader:
    kind = _kind(data)
    if kind == "directory":
        return SliceHeader(path, "", "", "", kind, None, *(None,) * 4, (0, 0), False)
    for name in ("SeriesInstanceUID", "Modality"):
        if not data.get(name):
            raise UserError(f"a file lacks {name}, which every DICOM image has; export it again")
    place, acquisition = data.get("InstanceNumber"), data.get("AcquisitionNumber")
    return SliceHeader(
        path,
        str(data.get("SeriesInstanceUID", "")),
        str(data.get("StudyInstanceUID", "")),
        str(data.get("PatientID", "")),
        kind,
        None if place is None else int(place),
        floats(data, "ImagePositionPatient", 3),
        floats(data, "ImageOrientationPatient", 6),
        floats(data, "PixelSpacing", 2),
        number(data, "SliceThickness") or None,
        (int(data.get("Rows") or 0), int(data.get("Columns") or 0)),
        bool(str(data.get("ContrastBolusAgent") or "").strip()),
        between=number(data, "SpacingBetweenSlices") or None,
        location=number(data, "SliceLocation"),
        tilt=number(data, "GantryDetectorTilt"),
        imager=floats(data, "ImagerPixelSpacing", 2),
        lossy=str(data.get("LossyImageCompression") or "").strip() == "01",
        **rescale(data),
        table="ModalityLUTSequence" in data,
        acquisition="" if acquisition is None else str(acquisition),
        instance=str(data.get("SOPInstanceUID", "")),
        refers=tuple(
            str(item.get("SeriesInstanceUID", ""))
            for item in data.get("ReferencedSeriesSequence") or ()
        ),
        same={name: text for name in AGREE if (text := same_text(name, data.get(name)))},
    )


def same_text(name: str, value) -> str:
    """Return an element as text that is equal where the element says the same."""
    if value is None:
        return ""
    if name == "ImageType":  # what follows the third word may differ from slice to slice
        words = [value] if isinstance(value, str) else list(value)
        return "\\".join(str(word).strip().upper() for word in words[:3])
    text = " ".join(str(value).split()).upper()
    return text.rstrip("^ ").replace("^", " ") if name == "PatientName" else text
