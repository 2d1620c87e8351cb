"""What lies in a folder of DICOM files: the series, and each file that is passed over, with why."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from benchmark.cohorts.dicom_header import SliceHeader, read_headers
from benchmark.cohorts.dicom_open import Listing
from benchmark.errors import UserError

SCANS = ("ct", "multiframe")
"""Kinds of headers that make a scan."""

MOST_NAMED = 5
"""Files of one reason that a note names by their places."""

_REASONS = {
    "localizer": "localizers (LOCALIZER in ImageType)",
    "other": "images of no CT (Modality)",
    "colour": "pictures in colour",
    "contours": "contours (RTSTRUCT), which are not read as labels: export them as a segmentation "
    "(DICOM-SEG) or as NIfTI labels",
    "directory": "lists of files (DICOMDIR)",
}


@dataclass(frozen=True)
class Found:
    """What a list of files holds.

    Attributes
    ----------
    series : dict of str to list of SliceHeader
        Slices of each CT series by SeriesInstanceUID, in order of names.
    segmentations : list of SliceHeader
        Files of segmentations; `pass_over` counts those that are of none of the series.
    passed : dict of str to list of int
        Places of the files that are passed over, in order of names and counted from 1, by the
        reason; without segmentations.
    count : int
        All files.
    places : dict of Path to int
        Place of each file.
    unread : int
        Files that cannot be read.
    """

    series: dict[str, list[SliceHeader]]
    segmentations: list[SliceHeader]
    passed: dict[str, list[int]]
    count: int
    places: dict[Path, int]
    unread: int = 0

    def pass_over(self, paths: Iterable[Path], reason: str) -> None:
        """Count files that are passed over after all."""
        for path in paths:
            self.passed.setdefault(reason, []).append(self.places[path])

    def notes(self, listing: Listing | None = None) -> list[str]:
        """Return a line for each reason for which files were passed over."""
        made = []
        for reason, places in self.passed.items():
            shown = ", ".join(map(str, places[:MOST_NAMED]))
            more = f" and {len(places) - MOST_NAMED} more" if len(places) > MOST_NAMED else ""
            made.append(
                f"{len(places)} files were passed over: {reason} ({shown}{more} of {self.count} "
                "in order of names)."
            )
        if listing is not None and listing.others:
            made.append(f"{listing.others} files were passed over: no DICOM.")
        if listing is not None and listing.hidden:
            made.append(f"{listing.hidden} files were passed over: hidden.")
        return made


def find_series(paths: Iterable[Path]) -> Found:
    """Read the headers of files and sort them by series.

    Localizer slices that share a series with a scan are passed over like others.
    """
    series, segmentations, passed = defaultdict(list), [], defaultdict(list)
    count, unread, places = 0, 0, {}
    for count, path in enumerate(paths, start=1):
        places[path] = count
        try:
            headers = read_headers(path)
        except UserError as error:
            passed[str(error).partition(";")[0]].append(count)
            unread += 1
            continue
        for kind in dict.fromkeys(header.kind for header in headers):
            if kind == "segmentation":
                segmentations.extend(headers)
            elif kind not in SCANS:
                passed[_REASONS[kind]].append(count)
        for header in headers:
            if header.kind in SCANS:
                series[header.series].append(header)
    return Found(dict(series), segmentations, dict(passed), count, places, unread)


def group_series(paths: Iterable[Path]) -> tuple[dict[str, list[SliceHeader]], int]:
    """Return the headers of each series, in order of names, and how many files could not be read.

    Slices that are no scan's form groups of their own, also where they share a scan's series.
    """
    series, unread = defaultdict(list), 0
    for path in paths:
        try:
            headers = read_headers(path)
        except UserError:
            unread += 1
            continue
        for header in headers:
            kind = "" if header.kind in SCANS else f"\0{header.kind}"
            series[header.series + kind].append(header)
    return dict(series), unread
