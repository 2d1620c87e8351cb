"""Malformed segmentations as 3D Slicer writes them: NRRD headers that name segments."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

from bad_volumes import SCORE, rel
from cases import Case, place_of
from written import arrays, save

SEGMENT_EDITS = {
    # lines of the header that name segments; labels of the file are 0 and 1
    "no artery": "Segment0_ID:=a\nSegment0_Name:=aorta\nSegment0_LabelValue:=1",
    "a number of words": "Segment0_Name:=LAD\nSegment0_LabelValue:=one",
    "a number beyond all": "Segment0_Name:=LAD\nSegment0_LabelValue:=99999999999999999999",
    "a number of another": "Segment0_Name:=LAD\nSegment0_LabelValue:=2",
    "a layer that is not there": "Segment0_Name:=LAD\nSegment0_LabelValue:=1\nSegment0_Layer:=7",
    "two of one number": "Segment0_Name:=LAD\nSegment0_LabelValue:=1\nSegment1_Name:=RCA\n"
    "Segment1_LabelValue:=1",
    "one said twice": "Segment0_Name:=LAD\nSegment0_LabelValue:=1\nSegment0_Name:=RCA",
    "of many": "\n".join(f"Segment{n}_Name:=LAD" for n in range(2000)),
    "of a name without end": "Segment0_LabelValue:=1\nSegment0_Name:=" + "x" * (1 << 20),
    "of control characters": "Segment0_Name:=L\x1b[31mAD\nSegment0_LabelValue:=1",
    "in metres": 'Segment0_Name:=LAD\nSegment0_LabelValue:=1\nspace units: "m" "m" "m"',
}


def segments(root: Path) -> Iterator[Case]:
    """Label maps whose header names what is no segment of an artery."""
    _, labels = arrays()
    plain = save(root / "valid-segments.seg.nrrd", labels).read_bytes()
    for name, lines in SEGMENT_EDITS.items():
        path = place_of(root, f"segments/{name}") / "labels.seg.nrrd"
        path.write_bytes(plain.replace(b"\n\n", b"\n" + lines.encode() + b"\n\n", 1))
        yield Case(path.parent.relative_to(root).as_posix(), ("score", SCORE[0], rel(root, path)))
    lines = b"Segment0_Name:=LAD\nSegment0_LabelValue:=1"
    for name, old, new in (
        ("larger than the image", b"sizes: 24 24 6", b"sizes: 512 512 600"),
        ("of layers without end", b"dimension: 3", b"dimension: 4"),
        ("of a pixel file above", b"encoding: raw", b"encoding: raw\ndata file: ../a.raw"),
    ):
        path = place_of(root, f"segments/{name}") / "labels.seg.nrrd"
        data = plain.replace(b"\n\n", b"\n" + lines + b"\n\n", 1)
        path.write_bytes(data.replace(old, new, 1))
        yield Case(path.parent.relative_to(root).as_posix(), ("score", SCORE[0], rel(root, path)))
    path = place_of(root, "segments/in a layered bomb") / "labels.seg.nrrd"
    header = plain[: plain.index(b"\n\n")].replace(b"dimension: 3", b"dimension: 4")
    header = header.replace(b"sizes: 24 24 6", b"sizes: 60000 24 24 6")
    header = header.replace(b"space directions: ", b"space directions: none ")
    header = header.replace(b"kinds: domain", b"kinds: list domain")
    header = header.replace(b"encoding: raw", b"encoding: gzip")
    path.write_bytes(header + b"\n" + lines + b"\n\n" + gzip.compress(bytes(1 << 24)))
    yield Case(path.parent.relative_to(root).as_posix(), ("score", SCORE[0], rel(root, path)))
