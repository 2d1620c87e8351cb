"""The pixels of one DICOM slice as HU."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from benchmark.cohorts.dicom_header import SliceHeader, quiet
from benchmark.cohorts.volumes import PADDING
from benchmark.errors import UserError

STEEPEST = 1e5
"""Largest slope and intercept: HU are at most some ten thousand."""


def read_pixels(header: SliceHeader) -> np.ndarray:
    """Return the HU of one slice, (rows, columns) int16, clipped to `PADDING` below.

    Stored values are signed or unsigned; RescaleSlope and RescaleIntercept of this very slice
    turn them into HU. The value that fills the corners (PixelPaddingValue) becomes air where it
    is no HU of a body. Compressed pixels are read by SimpleITK.

    Raises
    ------
    UserError
        If the pixels cannot be read; the message names no file.
    """
    import pydicom

    try:
        with quiet():
            data = pydicom.dcmread(header.path)
            if str(data.get("PhotometricInterpretation", "MONOCHROME2")) != "MONOCHROME2":
                raise UserError("a slice is no CT: its pixels are inverted or coloured")
            stored, slope, intercept = _stored(data, header.path)
            packed = data.file_meta.TransferSyntaxUID.is_compressed
            padding = None if packed else data.get("PixelPaddingValue")
            padding = None if padding is None else int(padding)
    except UserError:
        raise
    except Exception:  # damaged files: pydicom raises many kinds, whose text may quote the header
        raise UserError("the pixels of a slice cannot be read; export the series again") from None
    if stored.shape != header.size:
        raise UserError("the pixels of a slice do not have the size that it says")
    hu = _to_hu(stored, slope, intercept)
    if padding is not None:
        signed = stored.dtype.kind == "i"
        fill = padding
        # The value may have been kept with the sign that the pixels do not have.
        fill = fill - 65536 if signed and fill > 32767 else fill % 65536 if not signed else fill
        # A fill that reads as tissue (0 HU, say) cannot be told from tissue and stays.
        if not PADDING < fill * slope + intercept < 4000:
            hu[stored == fill] = PADDING
    return hu


def _stored(data, path: Path) -> tuple[np.ndarray, float, float]:
    """Return stored values, slope and intercept; those of compressed files are HU already."""
    slope = float(data.get("RescaleSlope", 1) or 1)
    intercept = float(data.get("RescaleIntercept", 0) or 0)
    # Exact negations: NaN is no number of a CT either.
    if not (0 < abs(slope) <= STEEPEST and abs(intercept) <= STEEPEST):
        raise UserError("rescale slope or intercept of a slice is no number of a CT")
    if not data.file_meta.TransferSyntaxUID.is_compressed:
        expected = int(data.Rows) * int(data.Columns) * int(data.BitsAllocated) // 8
        if len(data.PixelData) > expected + expected % 2:
            raise UserError("a slice holds more pixels than it says")
        return data.pixel_array, slope, intercept
    values = sitk.GetArrayFromImage(sitk.ReadImage(str(path)))
    return values.reshape(values.shape[-2:]), 1.0, 0.0


def _to_hu(stored: np.ndarray, slope: float, intercept: float) -> np.ndarray:
    whole = slope.is_integer() and intercept.is_integer()
    values = stored.astype(np.int64 if whole and abs(slope) > 1 else np.int32 if whole else float)
    values = values * (int(slope) if whole else slope) + (int(intercept) if whole else intercept)
    if not whole:
        values = np.rint(values)
    return np.clip(values, PADDING, np.iinfo(np.int16).max).astype(np.int16)
