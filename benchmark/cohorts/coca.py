"""COCA (Stanford AIMI, gated scans) as it comes: DICOM series and outlines in XML."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from benchmark.calcium import DEFAULT, Conventions
from benchmark.cohorts.base import Scan
from benchmark.cohorts.coca_fit import Fit
from benchmark.cohorts.coca_place import coca_below, coca_root
from benchmark.cohorts.coca_xml import Outline, read_outlines
from benchmark.cohorts.dicom import group_series, scan_of
from benchmark.cohorts.dicom_header import dicom_files
from benchmark.cohorts.dicom_series import Series, read_series
from benchmark.cohorts.disk import Entry
from benchmark.cohorts.geometry import to_memory
from benchmark.cohorts.listing import ordinary
from benchmark.cohorts.nameless import NamelessCohort
from benchmark.cohorts.polygons import fill
from benchmark.cohorts.privacy import new_id
from benchmark.cohorts.scan_check import Remark
from benchmark.cohorts.volumes import labels_of
from benchmark.errors import UserError

MissingXml = Literal["unlabelled", "no-calcium", "refuse"]

MOST_WORK = 5e8
"""Points of all outlines, each times the pixels around its outline; a scan of the release asks for
some hundred thousand."""


class CocaCohort(NamelessCohort):
    """The gated part of COCA.

    ::

        FOLDER/patient/17/<series>/*.dcm    CT
        FOLDER/calcium_xml/17.xml           outlines

    FOLDER may be ``Gated_release_final``, its ``patient``, or a folder that holds it. An outline
    lies on the slice at the height of its points; ImageIndex, which counts in the viewer's order,
    is checked against it, and what the XML says of its pixels against these. Outlines are filled,
    and cut to the voxels above the threshold. Left main counts as LAD.

    Ids are keyed hashes of the folders' names; messages speak of a patient by its place in the
    order of names.

    Parameters
    ----------
    path, cache, conventions, keep
        As for `DiskCohort`.
    missing_xml : {"unlabelled", "no-calcium", "refuse"}
        A patient without XML may have no calcium or may not have been annotated; the release does
        not say which. "unlabelled" takes such scans for prediction alone, "no-calcium" as scans
        without calcium.
    pixel_offset : float
        Taken from both pixel coordinates of an outline. 0 takes whole numbers as pixel centres;
        0.5 as corners. The release does not say. On six of its patients the sums that the XML
        states fit 0 in 90 of 91 outlines and 0.5 in none.

    Raises
    ------
    UserError
        If the folder is not laid out so, or an option is unknown.
    """

    format = "coca"
    outlined = True

    def __init__(
        self,
        path: str | Path,
        cache: str | Path | None = None,
        conventions: Conventions = DEFAULT,
        missing_xml: MissingXml = "unlabelled",
        pixel_offset: float = 0.0,
        keep: bool = True,
    ) -> None:
        if missing_xml not in ("unlabelled", "no-calcium", "refuse"):
            raise UserError(
                f"missing_xml {missing_xml!r} is not known; use unlabelled, no-calcium or refuse"
            )
        if not isinstance(pixel_offset, int | float) or not -1 <= pixel_offset <= 1:
            raise UserError(f"pixel_offset {pixel_offset!r} is no part of a pixel; use 0 or 0.5")
        self.missing_xml, self.pixel_offset = missing_xml, float(pixel_offset)
        super().__init__(path, cache, conventions, keep)
        self.name = "coca"

    def _find(self) -> Iterable[Entry]:
        root = coca_root(self.path) or coca_below(self.path)
        if root is None:
            raise UserError(f"{self.path}: is not COCA: holds no patient/ beside calcium_xml/")
        folders = sorted((p for p in (root / "patient").iterdir() if p.is_dir()), key=_natural)
        if not folders:
            raise UserError(f"{root / 'patient'}: holds no patient's folder")
        for path in (root / "patient").iterdir():
            if not path.is_dir() and ordinary(path):
                self._pass_over("files in patient/ that lie in no patient's folder")
        xml = {}
        for path in sorted((root / "calcium_xml").iterdir()):
            if path.suffix.lower() == ".xml" and ordinary(path) and path.stem not in xml:
                xml[path.stem] = path
            elif ordinary(path):
                self._pass_over("files in calcium_xml/ that are no .xml, or one there twice")
        for place, folder in enumerate(folders, start=1):
            where = f"patient folder {place} of {len(folders)} in order of names"
            id = new_id(self._key(), "coca", folder.name)
            self._places[id] = where
            files = tuple(dicom_files(folder))
            outlines = xml.pop(folder.name, None)
            fault = "" if files else f"{where}: holds no DICOM file"
            if outlines is None and self.missing_xml == "refuse":
                fault = fault or f"{where}: missing XML"
            labels = () if outlines is None else (outlines,)
            yield Entry(id, files, labels, patient=self._patient(folder.name), fault=fault)
        for place, name in enumerate(sorted(xml), start=1):
            id = new_id(self._key(), "coca", name)
            fault = f"XML {place} of {len(xml)} in calcium_xml without a patient's folder"
            yield Entry(id, (), (xml[name],), fault=fault)

    def id_of(self, name: str) -> str:
        """Return the id of a scan named by its id or by its patient's folder."""
        made = new_id(self._key(), "coca", name)
        return made if made in self._entries else name

    def _has_labels(self, entry: Entry) -> bool:
        return bool(entry.labels) or self.missing_xml == "no-calcium"

    def _reading(self) -> str:
        return f"{self.format} {self.missing_xml} {self.pixel_offset:g}"

    def _read(self, entry: Entry) -> tuple[Scan, list[str]]:
        groups, unread = group_series(entry.image)
        passed = len(groups)
        groups = {uid: g for uid, g in groups.items() if g[0].kind in ("ct", "multiframe")}
        passed -= len(groups)
        if unread:
            raise UserError(f"{unread} of its files cannot be read as DICOM")
        if not groups:
            raise UserError("holds no CT series")
        outlines, empty = read_outlines(entry.labels[0]) if entry.labels else ([], 0)
        if len(groups) > 1 and not outlines:
            raise UserError(f"{len(groups)} series and no outline that tells which one to take")
        series, labels, warnings = self._annotated(list(groups.values()), outlines)
        if passed:
            warnings.append(Remark(f"{passed} series that are no CT or a localizer passed over"))
        if empty:
            # most patients of the release have some, and nothing is wrong with them
            kind = Remark if outlines else str
            warnings.append(kind(f"{empty} outlines without points were passed over"))
        scan = scan_of(series, entry.id)
        if self._has_labels(entry):
            labels = labels_of(to_memory(series.image(labels)), Path(), 3)
            scan = replace(scan, labels=labels)
        if not entry.labels:
            what = {"unlabelled": "for prediction alone", "no-calcium": "taken as no calcium"}
            warnings.append(f"missing XML: {what[self.missing_xml]} (option missing_xml)")
        return scan, warnings

    def _annotated(
        self, groups: list[list], outlines: list[Outline]
    ) -> tuple[Series, np.ndarray, list[str]]:
        """Return the series that the outlines fit, their labels on it, and warnings."""
        fitting, faults = [], []
        for headers in groups:
            try:
                series = read_series(headers)
                labels, warnings = draw(outlines, series, self.pixel_offset)
                fitting.append((series, labels, [*series.warnings, *warnings]))
            except UserError as error:
                faults.append(error)
        if len(groups) == 1 and faults:
            raise faults[0]
        if len(fitting) != 1:
            raise UserError(
                f"{len(groups)} series in the folder, of which {len(fitting)} fit the XML; "
                "keep the one that was annotated"
            )
        if len(groups) > 1:
            fitting[0][2].append(f"{len(groups)} series; the one that fits the XML was taken")
        return fitting[0]


def draw(
    outlines: list[Outline], series: Series, pixel_offset: float = 0.0
) -> tuple[np.ndarray, list[str]]:
    """Fill outlines on the grid of a series.

    Returns
    -------
    numpy.ndarray of uint8, shape (slices, rows, columns)
        Labels as drawn, not yet cut to calcium.
    list of str
        What was unusual.

    Raises
    ------
    UserError
        If heights and image numbers name different slices, an outline lies off the scan, or most
        state calcium that their pixels do not have.
    """
    slices, warnings = _slices_of(outlines, series)
    labels = np.zeros(series.voxels.shape, np.uint8)
    clashes = marks = 0
    fit = Fit()
    work = sum(
        len(outline.pixels) * float(np.prod(np.ptp(outline.pixels.clip(0, 4096), axis=0) + 1))
        for outline in outlines
    )
    if work > MOST_WORK:
        raise UserError("its XML: its outlines are far too many, too long and too wide")
    for outline, place in zip(outlines, slices, strict=True):
        mask = fill(outline.pixels - pixel_offset, labels.shape[1:])
        if not mask.any():
            raise UserError("an outline lies off the scan")
        fit.add(outline, series.voxels[place][mask])
        marks += len(outline.pixels) < 3
        clashes += np.count_nonzero(mask & (labels[place] > 0) & (labels[place] != outline.label))
        labels[place][mask] = outline.label
    warnings += fit.judge()
    if marks:
        warnings.append(f"{marks} outlines of one or two points were taken as single pixels")
    if clashes:
        warnings.append(f"outlines of two arteries share {clashes} pixels; the later one was taken")
    return labels, warnings


def _slices_of(outlines: list[Outline], series: Series) -> tuple[list[int], list[str]]:
    """Return the slice of each outline: by height, with the image number as a check."""
    count = int(series.viewer.max()) + 1
    # Slices taken once though the viewer had them twice shift its numbers.
    slack = series.copies
    places = [_slice_at(outline.places, series) for outline in outlines]
    in_range = [0 <= outline.index < count + slack for outline in outlines]
    pairs = [
        (int(series.viewer[place]), outline.index)
        for place, outline, good in zip(places, outlines, in_range, strict=True)
        if place is not None and good
    ]
    ahead = all(abs(rank - index) <= slack for rank, index in pairs)
    back = all(abs(count - 1 - rank - index) <= slack for rank, index in pairs)
    if not (ahead or back):
        raise UserError("heights and ImageIndex of its outlines name different slices")
    rank_of = {int(rank): place for place, rank in enumerate(series.viewer) if rank >= 0}
    for number, (place, outline) in enumerate(zip(places, outlines, strict=True)):
        if place is not None:
            continue
        if not pairs or (ahead and back) or not 0 <= outline.index < count:
            raise UserError("an outline has no height, and its ImageIndex alone is not certain")
        places[number] = rank_of[outline.index if ahead else count - 1 - outline.index]
    outside = in_range.count(False)
    return places, [f"{outside} outlines with ImageIndex out of range"] if outside else []


def _slice_at(places: np.ndarray, series: Series) -> int | None:
    """Return the slice that points in the patient lie on; None if there are no points.

    On axial slices their height alone decides; on oblique ones the distance along the normal.
    """
    if not len(places):
        return None
    normal = np.array(series.geometry.direction).reshape(3, 3)[:, 2]
    along = (places - series.geometry.origin) @ normal / series.geometry.spacing[2]
    place = int(np.rint(np.median(along)))
    if np.ptp(along) > 0.5:
        raise UserError("an outline runs through several slices")
    if not 0 <= place < len(series.viewer) or series.viewer[place] < 0:
        raise UserError("an outline lies at a height where the series has no slice")
    return place


def _natural(path: Path) -> tuple:
    """Sort 2 before 10."""
    return tuple(int(part) if part.isdigit() else part for part in re.split(r"(\d+)", path.name))
