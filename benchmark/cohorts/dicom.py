"""DICOM series as a scanner or an archive gives them, with labels where segmentations lie there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import SimpleITK as sitk

from benchmark.calcium import DEFAULT, Conventions
from benchmark.cohorts.base import Scan
from benchmark.cohorts.coca_place import coca_around, coca_below, coca_root
from benchmark.cohorts.dicom_found import find_series, group_series
from benchmark.cohorts.dicom_header import read_headers
from benchmark.cohorts.dicom_open import list_files
from benchmark.cohorts.dicom_seg import read_segmentations, segmentations_of
from benchmark.cohorts.dicom_series import Series, read_series
from benchmark.cohorts.disk import Entry
from benchmark.cohorts.geometry import to_memory
from benchmark.cohorts.hounsfield import read_hu
from benchmark.cohorts.nameless import NamelessCohort
from benchmark.cohorts.privacy import new_id
from benchmark.cohorts.segment_names import table_of
from benchmark.cohorts.volumes import labels_of
from benchmark.errors import UserError

__all__ = ["DicomCohort", "group_series", "scan_of"]


class DicomCohort(NamelessCohort):
    """Every CT series below a folder is a scan.

    Ids are keyed hashes of the series' own (see `benchmark.cohorts.privacy`). Nothing of a header,
    nor any name of a file or folder below the one given, is printed or kept: a message speaks of
    the series, and of a file that is passed over, by its place in the order of names. Notes count
    every file that is passed over, with the reason.

    Segmentations (DICOM-SEG) below the folder are the labels of the series that they refer to;
    a series without is for prediction alone.

    Parameters
    ----------
    path, cache, conventions, keep
        As for `DiskCohort`.
    segments : mapping of str to str or int, optional
        The artery of each segment whose name does not say it.

    Raises
    ------
    UserError
        If there is no such folder, no CT series in it, or `segments` names no arteries.
    """

    format = "dicom"

    def __init__(
        self,
        path: str | Path,
        cache: str | Path | None = None,
        conventions: Conventions = DEFAULT,
        keep: bool = True,
        segments: Mapping[str, str | int] | None = None,
    ) -> None:
        super().__init__(path, cache, conventions, keep, table_of(segments or {}, path))

    def _find(self) -> Iterable[Entry]:
        if not self.path.is_dir():
            raise UserError(f"{self.path}: no such folder")
        listing = list_files(self.path)
        found = find_series(listing.files)
        drawn, rest = segmentations_of(found.segmentations, found.series)
        found.pass_over(rest, "segmentations (DICOM-SEG) of no series here")
        passed = found.notes(listing)
        if not found.series:
            words = "; " + " ".join(passed) if passed else ""
            raise UserError(f"{self.path}: holds no CT series{words.rstrip('.')}")
        for sentence in passed:
            self._pass_by(sentence)
        coca = coca_around(self.path) or coca_root(self.path) or coca_below(self.path)
        if coca is not None:
            self._pass_by(
                f"COCA's outlines beside these scans are not read; to read them give {coca}."
            )
        for place, (uid, headers) in enumerate(found.series.items(), start=1):
            self._places[new_id(self._key(), "scan", uid)] = (
                f"series {place} of {len(found.series)} in order of names"
            )
            yield Entry(
                new_id(self._key(), "scan", uid),
                tuple(dict.fromkeys(header.path for header in headers)),
                tuple(drawn.get(uid, ())),
                patient=self._patient(headers[0].patient or headers[0].study),
            )

    def _read(self, entry: Entry) -> tuple[Scan, list[str]]:
        headers = [
            header
            for path in entry.image
            for header in read_headers(path)
            if header.kind in ("ct", "multiframe")
        ]
        series = read_series(headers)
        scan = scan_of(series, entry.id)
        if entry.labels:
            labels = read_segmentations(entry.labels, series, headers, self.segments)
            labels = labels_of(to_memory(series.image(labels)), Path(), 3)
            scan = replace(scan, labels=labels)
        return scan, list(series.warnings)


def scan_of(series: Series, id: str) -> Scan:
    """Return a series as a scan without labels.

    Raises
    ------
    UserError
        If its values are not HU.
    """
    image = to_memory(series.image(series.voxels))
    x, y, z = image.GetSpacing()
    voxels, warnings = read_hu(sitk.GetArrayViewFromImage(image), "the series")
    return Scan(id, "unknown", voxels, (z, y, x), None, series.geometry, warnings)
