"""DICOM series without labels, as a scanner or an archive gives them: for prediction alone."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from benchmark.cohorts.base import Scan
from benchmark.cohorts.coca_place import coca_around, coca_below, coca_root
from benchmark.cohorts.dicom_header import SliceHeader, dicom_files, read_header
from benchmark.cohorts.dicom_series import Series, read_series
from benchmark.cohorts.disk import Entry
from benchmark.cohorts.geometry import to_memory
from benchmark.cohorts.listing import ordinary
from benchmark.cohorts.nameless import NamelessCohort
from benchmark.cohorts.privacy import new_id
from benchmark.cohorts.volumes import check_hu, id_of, voxels_of
from benchmark.errors import UserError


class DicomCohort(NamelessCohort):
    """Every CT series below a folder is a scan.

    Ids are keyed hashes of the series' own (see `benchmark.cohorts.privacy`). Nothing of a header,
    nor any name of a file or folder below the one given, is printed or kept: a message speaks of
    the series by its place in the order of names. Localizers and what is no CT are passed over.

    Raises
    ------
    UserError
        If there is no such folder, or no CT series in it.
    """

    format = "dicom"

    def _find(self) -> Iterable[Entry]:
        if not self.path.is_dir():
            raise UserError(f"{self.path}: no such folder")
        series, unread = group_series(dicom_files(self.path))
        scans = {uid: headers for uid, headers in series.items() if headers[0].kind in _SCANS}
        if not scans:
            damaged = f"; {unread} files cannot be read as DICOM" if unread else ""
            raise UserError(f"{self.path}: holds no CT series{damaged}")
        for _ in range(len(series) - len(scans)):
            self._pass_over("series that are no CT or a localizer")
        for _ in range(unread):
            self._pass_over("files that cannot be read")
        for _, _, names in os.walk(self.path):
            for name in names:
                if id_of(Path(name)) is not None and ordinary(Path(name)):
                    self._pass_over("image files that are no DICOM")
        coca = coca_around(self.path) or coca_root(self.path) or coca_below(self.path)
        if coca is not None:
            self._pass_by(
                f"COCA's outlines beside these scans are not read; to read them give {coca}."
            )
        for place, (uid, headers) in enumerate(scans.items(), start=1):
            self._places[new_id(self._key(), "scan", uid)] = (
                f"series {place} of {len(scans)} in order of names"
            )
            yield Entry(
                new_id(self._key(), "scan", uid),
                tuple(header.path for header in headers),
                patient=self._patient(headers[0].patient or headers[0].study),
            )

    def _read(self, entry: Entry) -> tuple[Scan, list[str]]:
        series = read_series([read_header(path) for path in entry.image])
        return scan_of(series, entry.id), series.warnings


_SCANS = ("ct", "multiframe")


def group_series(paths: Iterable[Path]) -> tuple[dict[str, list[SliceHeader]], int]:
    """Return the headers of each series, in order of names, and how many files could not be read.

    Localizer slices that share a series with a scan are put aside.
    """
    series, unread = defaultdict(list), 0
    for path in paths:
        try:
            header = read_header(path)
        except UserError:
            unread += 1
            continue
        kind = "" if header.kind in _SCANS else f"\0{header.kind}"
        series[header.series + kind].append(header)
    return dict(series), unread


def scan_of(series: Series, id: str) -> Scan:
    """Return a series as a scan without labels.

    Raises
    ------
    UserError
        If its values are not HU.
    """
    check_hu(series.voxels, "the series")
    image = to_memory(series.image(series.voxels))
    x, y, z = image.GetSpacing()
    voxels = voxels_of(image, "the series")
    return Scan(id, "unknown", voxels, (z, y, x), None, series.geometry)
