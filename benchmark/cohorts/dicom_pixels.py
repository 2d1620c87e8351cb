"""The pixels of DICOM slices as HU, and what they tell of whether they are HU.

Nothing of a header reaches a message.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from benchmark.cohorts.dicom_header import SliceHeader
from benchmark.cohorts.dicom_open import open_dicom, quiet
from benchmark.cohorts.dicom_stored import (
    LOSSY,
    check_pixels,
    frame_count,
    is_packed,
    stored_values,
    syntax_name,
)
from benchmark.cohorts.volumes import PADDING
from benchmark.errors import UserError

STEEPEST = 1e5
"""Largest slope and intercept: HU are at most some ten thousand."""

HIGHEST = 4095
"""HU of the densest that most scanners write; metal alone goes beyond, on few that do."""

MOST_HU = 31743
"""Highest HU of any scanner's extended scale."""

LOWEST = -1200
"""HU below which no noise in air comes, in more than a few voxels."""

FAT = -200
"""HU that all tissue but lung lies above."""

LUNG = (-1100, -600)
"""HU of lung and air."""


@dataclass(frozen=True, eq=False)
class Slice:
    """One slice.

    Attributes
    ----------
    hu : numpy.ndarray of int16, shape (rows, columns)
        Clipped to `PADDING` below.
    count : int
        Pixels that are no padding; all below is about these alone.
    low, middle, high : float
        Lowest, median and highest HU before they were clipped.
    above, below, cut, tissue : int
        Pixels above `HIGHEST`, below `LOWEST` (without the most frequent value there), above
        `MOST_HU`, and above `FAT`.
    lung : numpy.ndarray of int
        Pixels of each whole HU of `LUNG`.
    corners : int
        Pixels of a fill that no header declares, too dense for any tissue; they became air.
    extended, bare : bool
        Whether unused bits repeat the sign of a negative value; whether they do not.
    lossy : bool
        Whether the pixels are packed in a way that loses something.
    """

    hu: np.ndarray
    count: int
    low: float
    middle: float
    high: float
    above: int
    below: int
    cut: int
    tissue: int
    lung: np.ndarray
    corners: int
    extended: bool
    bare: bool
    lossy: bool


class PixelReader:
    """Reads slices; the file of the last one is kept, as it may hold the next one."""

    def __init__(self) -> None:
        self._path, self._data = None, None

    def read(self, header: SliceHeader) -> Slice:
        """Return one slice as HU.

        Stored values are signed or unsigned; slope and intercept of this very slice turn them
        into HU, or leave them as they are where the header gives neither. The value that fills
        the corners (PixelPaddingValue, and values up to PixelPaddingRangeLimit) becomes air,
        unless it reads as tissue and does not touch the border. All transfer syntaxes give the
        same.

        Raises
        ------
        UserError
            If the pixels cannot be read; the message names no file.
        """
        slope, intercept = _factors(header)
        try:
            with quiet():
                if header.path != self._path:
                    self._path, self._data = header.path, None
                    self._data = open_dicom(header.path)
                    _check_file(self._data, header)
                return _slice(self._data, header, slope, intercept)
        except (UserError, MemoryError):
            raise
        except Exception:  # damaged files raise many kinds, whose text may quote the header
            packed = ""
            if self._data is not None and is_packed(self._data):
                packed = f" (packed as {syntax_name(self._data)})"
            raise UserError(
                f"the pixels of a slice cannot be read{packed}; export the series again"
            ) from None


def _factors(header: SliceHeader) -> tuple[float, float]:
    slope = 1.0 if header.slope is None else header.slope
    intercept = 0.0 if header.intercept is None else header.intercept
    # Exact negations: NaN is no number of a CT either.
    if not (0 < slope <= STEEPEST and abs(intercept) <= STEEPEST):
        raise UserError("rescale slope or intercept of a slice is no number of a CT")
    return slope, intercept


def _check_file(data, header: SliceHeader) -> None:
    """Refuse a file that holds no grey pixels, or not as many as it says."""
    if str(data.get("PhotometricInterpretation", "MONOCHROME2")) != "MONOCHROME2":
        raise UserError("a slice is no CT: its pixels are inverted or coloured")
    if "PixelData" not in data:
        raise UserError("a file holds no pixels; export the series again")
    check_pixels(data, header.size)


def _slice(data, header: SliceHeader, slope: float, intercept: float) -> Slice:
    if header.frame >= frame_count(data):
        raise UserError("a file holds fewer slices than it says")
    bits = stored_values(data, header.frame, header.size)
    values, padding, extended, bare = _numbers(data, bits)
    exact = values * slope + intercept
    hu = np.clip(np.rint(exact), PADDING, np.iinfo(np.int16).max).astype(np.int16)
    if bare:  # a value too large for the stored bits reads as a negative one
        turned = exact[(values < 0) & ~padding & (exact < LOWEST)]
        if len(np.unique(turned)) > 1:
            raise UserError(_CONTRADICTION)
    padding, corners = _padding(hu, exact, padding)
    real = exact[~padding]
    low = real[real < LOWEST]
    usual = np.unique(low, return_counts=True)[1].max() if low.size else 0
    lung = hu[~padding & (hu >= LUNG[0]) & (hu < LUNG[1])].astype(np.int64) - LUNG[0]
    hu[padding] = PADDING
    # The most frequent value below air is a fill that no header declares: no evidence of HU.
    evidence = real[real >= PADDING]
    return Slice(
        hu,
        real.size,
        float(evidence.min()) if evidence.size else np.inf,
        float(np.median(real[::5])) if real.size else np.nan,
        float(real.max()) if real.size else -np.inf,
        np.count_nonzero(real > HIGHEST),
        low.size - int(usual),
        np.count_nonzero(real > MOST_HU),
        np.count_nonzero(real > FAT),
        np.bincount(lung, minlength=LUNG[1] - LUNG[0]),
        corners,
        extended,
        bare,
        data.file_meta.TransferSyntaxUID in LOSSY,
    )


_CONTRADICTION = (
    "BitsAllocated, BitsStored, HighBit and PixelRepresentation contradict each other or the "
    "pixels; export the series again"
)


def _numbers(data, bits: np.ndarray) -> tuple[np.ndarray, np.ndarray, bool, bool]:
    """Return stored values with their sign, which of them are declared padding, and whether
    negative ones repeat their sign in the unused bits or do not.
    """
    allocated, stored = 8 * bits.itemsize, int(data.BitsStored)
    signed = int(data.get("PixelRepresentation") or 0)
    if signed not in (0, 1) or not 2 <= stored <= allocated:
        raise UserError(_CONTRADICTION)
    if int(data.get("HighBit", stored - 1)) != stored - 1:
        raise UserError(_CONTRADICTION)
    bits = bits.astype(np.int64)
    whole = 1 << allocated
    top, sign = bits >> stored, (bits >> (stored - 1)) & 1
    values = bits & ((1 << stored) - 1)
    negative = (sign == 1) & bool(signed)
    values = np.where(negative, values - (1 << stored), values)
    padding = np.zeros(bits.shape, bool)
    fill, limit = (_number(data, n) for n in ("PixelPaddingValue", "PixelPaddingRangeLimit"))
    if fill is not None:
        padding = bits == fill % whole
        if signed:  # with the sign in the stored bits alone
            padding |= values == _with_sign(fill, stored)
        if limit is not None:
            turn = (lambda n: _with_sign(n, allocated)) if signed else (lambda n: n % whole)
            ends = sorted((turn(fill), turn(limit)))
            padding |= (values >= ends[0]) & (values <= ends[1])
    filled = (1 << (allocated - stored)) - 1
    strange = (top != 0) & ~padding & ~(negative & (top == filled))
    if strange.any() and not _overlays(data, stored):
        if len(np.unique(bits[strange])) > 1:
            raise UserError(_CONTRADICTION)
        padding |= strange  # one value that the stored bits cannot hold: a fill
    bare = stored < allocated and bool((negative & (top == 0) & ~padding).any())
    extended = stored < allocated and bool((negative & (top == filled)).any())
    if bare and extended:
        raise UserError(_CONTRADICTION)
    return values, padding, extended, bare


def _number(data, name: str) -> int | None:
    value = data.get(name)
    if isinstance(value, bytes):
        little = data.file_meta.TransferSyntaxUID.is_little_endian
        value = int.from_bytes(value[:2], "little" if little else "big") if value else None
    return None if value is None or value == "" else int(value)


def _with_sign(number: int, bits: int) -> int:
    number %= 1 << bits
    return number - (1 << bits) if number >> (bits - 1) else number


def _overlays(data, stored: int) -> bool:
    """Whether overlays lie in the unused bits of the pixels, as was once allowed."""
    places = (data.get((group, 0x0102)) for group in range(0x6000, 0x6020, 2))  # OverlayBitPosition
    return any(place is not None and int(place.value or 0) >= stored for place in places)


def _padding(hu: np.ndarray, exact: np.ndarray, declared: np.ndarray) -> tuple[np.ndarray, int]:
    """Return which pixels are padding, and how many of them only look like it.

    A declared fill that reads as tissue (0 HU, say) is padding where it touches the border of
    the slice. One that is not declared is the one value of corners that is denser than tissue.
    """
    tissue = declared & (exact > PADDING) & (exact < 4000)
    padding = declared & ~tissue
    if tissue.any():
        pieces, _ = ndimage.label(tissue)
        edge = np.concatenate([pieces[0], pieces[-1], pieces[:, 0], pieces[:, -1]])
        padding |= np.isin(pieces, np.unique(edge[edge > 0]))
    corners = exact[[0, 0, -1, -1], [0, -1, 0, -1]]
    values, counts = np.unique(
        corners[~padding[[0, 0, -1, -1], [0, -1, 0, -1]]], return_counts=True
    )
    looks = np.zeros(hu.shape, bool)
    for value, count in zip(values, counts, strict=True):
        if value > HIGHEST and count > 1:
            looks |= (exact == value) & ~padding
    return padding | looks, np.count_nonzero(looks)
