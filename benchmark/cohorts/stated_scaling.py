"""Scaling that a header states and ITK does not apply: what is stored is then no HU.

NIfTI's scl_slope and scl_inter ITK applies itself; of NRRD and MetaImage it passes the fields over.
Sources: teem.sourceforge.net/nrrd/format.html (old min, old max); itk.org/Wiki/ITK/MetaIO
(ElementToIntensityFunctionSlope, ElementToIntensityFunctionOffset).
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from benchmark.cohorts.nrrd_header import TYPES, NrrdHeader
from benchmark.errors import UserError

COARSEST = 4.0
"""HU of one step of stored values. Half a step decides whether old min is the value of the lowest
number (as dcm2niix writes it) or the edge of its bin (as Teem's own quantiser has it)."""

STEEPEST = 1e5
"""Largest slope and offset: HU are at most some ten thousand."""


def nrrd_scaling(path: Path, header: NrrdHeader) -> tuple[float, float] | None:
    """Return slope and offset of an NRRD file, or None if stored values are the values.

    `old min` and `old max` are the values of the lowest and highest number that the type holds.

    Raises
    ------
    UserError
        If one stands there without the other, the type is no whole number, they are no numbers, or
        the steps are so coarse that their meaning matters.
    """
    fields = header.fields
    low, high = fields.get("old min"), fields.get("old max")
    if low is None and high is None:
        return None
    if low is None or high is None:
        there, lacks = ("old min", "old max") if high is None else ("old max", "old min")
        raise UserError(
            f"{path}: the header says {there} {fields[there]} but no {lacks}, so that its scaling "
            "is not known; export it again in HU"
        )
    if fields["type"] in ("float", "double"):
        raise UserError(
            f"{path}: the header says old min {low} and old max {high}, which whole numbers alone "
            f"can have, but type {fields['type']}; export it again in HU"
        )
    bits = 8 * TYPES[fields["type"]]
    lowest = 0 if _unsigned(fields["type"]) else -(2 ** (bits - 1))
    slope = (float(high) - float(low)) / (2**bits - 1)
    offset = float(low) - lowest * slope
    _check(path, slope, offset, f"old min {low} and old max {high}")
    if slope > COARSEST:
        raise UserError(
            f"{path}: old min {low} and old max {high} give steps of {slope:.3g}, too coarse for "
            "HU; export it again in HU"
        )
    return _if_any(slope, offset)


def meta_scaling(path: Path, fields: Mapping[str, str]) -> tuple[float, float] | None:
    """Return slope and offset of a MetaImage file, or None if stored values are the values.

    Raises
    ------
    UserError
        If they are no numbers of a scan.
    """
    names = ("ElementToIntensityFunctionSlope", "ElementToIntensityFunctionOffset")
    words = [fields.get(name.lower(), default) for name, default in zip(names, "10", strict=True)]
    what = " and ".join(f"{name} {word[:40]}" for name, word in zip(names, words, strict=True))
    try:
        slope, offset = (float(word) for word in words)
    except ValueError:
        raise UserError(f"{path}: {what} are no numbers; export it again") from None
    _check(path, slope, offset, what)
    return _if_any(slope, offset)


def scaled(image: sitk.Image, scaling: tuple[float, float] | None) -> sitk.Image:
    """Return an image with slope and offset applied, as 32-bit floats; without them the image."""
    if scaling is None:
        return image
    slope, offset = scaling
    return sitk.ShiftScale(image, offset / slope, slope, sitk.sitkFloat32)


def _unsigned(type_: str) -> bool:
    return type_.startswith("u")


def _if_any(slope: float, offset: float) -> tuple[float, float] | None:
    """None where a scaling changes nothing: numbers in text are rounded."""
    same = np.isclose(slope, 1, rtol=0, atol=1e-9) and np.isclose(offset, 0, rtol=0, atol=1e-4)
    return None if same else (slope, offset)


def _check(path: Path, slope: float, offset: float, what: str) -> None:
    numbers = isfinite(slope) and isfinite(offset)
    if not numbers or not 0 < abs(slope) <= STEEPEST or abs(offset) > STEEPEST:
        raise UserError(f"{path}: {what} are no scaling of a CT; export it again in HU")
