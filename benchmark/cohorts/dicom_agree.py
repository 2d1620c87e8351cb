"""Whether the slices of a series are those of one scan: what all their headers must share.

A message names the element and the two files by their place in the order of names, never a value:
it may be a person's.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from benchmark.cohorts.dicom_header import AGREE, SliceHeader
from benchmark.errors import UserError

MADE_UP = ("StudyInstanceUID", "FrameOfReferenceUID")
"""UIDs that some programs make up for each slice."""

DISTANCE = 0.05
"""Share by which two distances may differ that are one."""


def check_agreement(headers: list[SliceHeader]) -> None:
    """Refuse slices that are not of one patient's one series.

    Parameters
    ----------
    headers : list of SliceHeader
        Of one series, in order of names.

    Raises
    ------
    UserError
        If an element of `AGREE` says two things, or two slices at different places or with
        different sizes are one image (SOPInstanceUID).
    """
    files = {path: place for place, path in enumerate(dict.fromkeys(h.path for h in headers))}

    def two(one: SliceHeader, other: SliceHeader) -> str:
        if one.path == other.path:
            return f"slices {one.frame + 1} and {other.frame + 1} of its file"
        return (
            f"files {files[one.path] + 1} and {files[other.path] + 1} of its {len(files)} "
            "in order of names"
        )

    for name in AGREE:
        said = [header for header in headers if header.same.get(name)]
        for header in [] if _made_up(headers, name) else said:
            if header.same[name] != said[0].same[name]:
                raise UserError(
                    f"{name} differs between {two(said[0], header)}; keep the slices of one "
                    "patient's one series"
                )
    for name, field, tolerance in (
        ("Rows or Columns", "size", {"rtol": 0}),
        ("PixelSpacing", "pixel", {"rtol": 1e-3}),
        ("ImageOrientationPatient", "axes", {"rtol": 0, "atol": 1e-3}),
    ):
        first = getattr(headers[0], field)
        for header in headers:
            if not np.allclose(getattr(header, field), first, **tolerance):
                raise UserError(
                    f"{name} differs between {two(headers[0], header)}; keep the slices of one scan"
                )
    instances: dict[str, SliceHeader] = {}
    for header in headers:
        first = instances.setdefault(header.instance or f"\0{header.path}", header)
        if first is header or header.path == first.path:
            continue
        if first.position != header.position or first.size != header.size:
            raise UserError(
                f"SOPInstanceUID is the same in {two(first, header)}, which are two slices; "
                "export the series again"
            )


def _made_up(headers: list[SliceHeader], name: str) -> bool:
    """Whether every slice has a UID of its own where all should share one.

    SimpleITK's recipe for writing a series gives each slice a StudyInstanceUID; slices of two
    scans have two.
    """
    values = {header.same.get(name) for header in headers}
    return name in MADE_UP and len(headers) > 2 and len(values) == len(headers)


def contradictions(
    headers: list[SliceHeader], along: np.ndarray, spacing: float, straight: bool
) -> Iterator[str]:
    """Say which elements contradict the positions that slices were put in order by.

    Parameters
    ----------
    headers : list of SliceHeader
        In order of position.
    along : numpy.ndarray
        Their places along the normal, mm.
    spacing : float
        Distance of the slices, mm.
    straight : bool
        Whether the slices lie across the patient's long axis.
    """
    for name in MADE_UP:
        if _made_up(headers, name):
            yield f"{name} differs between all slices, as some programs write it"
    thickness = {header.thickness for header in headers if header.thickness}
    if thickness and max(thickness) > (1 + DISTANCE) * min(thickness):
        yield (
            f"SliceThickness differs between slices: {min(thickness):g} to {max(thickness):g} mm"
        )
    between = {abs(header.between) for header in headers if header.between}
    off = [value for value in between if not abs(value - spacing) <= DISTANCE * spacing]
    if off:
        yield (
            f"SpacingBetweenSlices says {off[0]:g} mm, ImagePositionPatient {spacing:.2f} mm; "
            "positions count"
        )
    places = [header.location for header in headers]
    if None not in places and len(places) > 1:
        steps, true = np.abs(np.diff(np.array(places, float))), np.diff(along)
        if not np.all(np.abs(steps - true) <= np.maximum(DISTANCE * true, 0.05)):
            yield "SliceLocation and ImagePositionPatient say different distances; positions count"
    for header in headers:
        if header.imager and not np.allclose(header.imager, header.pixel, rtol=0.01):
            yield "ImagerPixelSpacing and PixelSpacing differ; PixelSpacing counts"
            break
    tilt = headers[0].tilt
    if straight and tilt is not None and (math.isnan(tilt) or abs(tilt) > 0.5):
        yield "GantryDetectorTilt says that the gantry is tilted, the slices' places that it is not"
    yield from _interleaved(headers)


def _interleaved(headers: list[SliceHeader]) -> Iterator[str]:
    """Say if slices of two acquisitions alternate: a scan in steps has them one after another."""
    numbers = [header.acquisition for header in headers]
    turns = 1 + sum(one != other for one, other in pairwise(numbers))
    if turns > len(set(numbers)):
        yield "slices of different AcquisitionNumber alternate; are there two scans in one series?"
