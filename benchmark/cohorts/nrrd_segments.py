"""The segments of an NRRD file as 3D Slicer writes them (.seg.nrrd): names, numbers and layers.

Numbers follow the order in which segments were drawn, so that 1 may be any artery.
Source: Slicer's developer guide, "Segmentation labelmap file format (.seg.nrrd)".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmark.errors import UserError

MOST_SEGMENTS = 1000
"""Segments of a file; of calcium there are some dozens at most."""

_KEY = re.compile(r"Segment(\d{1,5})_(ID|Name|LabelValue|Layer)")


@dataclass(frozen=True)
class Segment:
    """One segment.

    Attributes
    ----------
    name : str
        As the user gave it; its ID where there is none.
    value : int or None
        Number of its voxels in its layer; None where the file does not say.
    layer : int or None
        Volume of the file that it lies in.
    """

    name: str
    value: int | None
    layer: int | None


def segments_of(keys: Mapping[str, str], path: Path) -> tuple[Segment, ...]:
    """Return the segments that an NRRD header names, in their order.

    Raises
    ------
    UserError
        If a number is none, or there are more than `MOST_SEGMENTS`.
    """
    found: dict[int, dict[str, str]] = {}
    for key, value in keys.items():
        match = _KEY.fullmatch(key)
        if match:
            found.setdefault(int(match[1]), {})[match[2]] = value.strip()
    if len(found) > MOST_SEGMENTS:
        raise UserError(f"{path}: has {len(found)} segments; calcium has some dozens at most")
    return tuple(
        Segment(
            said.get("Name") or said.get("ID", ""),
            _number(said, "LabelValue", index, path),
            _number(said, "Layer", index, path),
        )
        for index, said in sorted(found.items())
        if "Name" in said or "ID" in said
    )


def _number(said: Mapping[str, str], what: str, index: int, path: Path) -> int | None:
    text = said.get(what)
    if text is None:
        return None
    if not re.fullmatch(r"\d{1,5}", text):
        raise UserError(
            f"{path}: Segment{index}_{what} {text[:40]!r} is no segment's number; export it again"
        )
    return int(text)
