"""Is a submission what the challenge asks for? One line for each fault."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np
import SimpleITK as sitk

from benchmark.calcium import ARTERIES, DEFAULT, UNDETERMINED, Conventions, label_candidates
from benchmark.challenge.maps import NAMING, Naming, read_map
from benchmark.challenge.processes import mapped
from benchmark.challenge.source import Source, open_source
from benchmark.cohorts.base import Cohort, Scan
from benchmark.cohorts.geometry import Geometry, to_memory
from benchmark.errors import UserError

SHOWN = 5
"""Superfluous or refused files that are named one by one."""

NAMES = {number: name for number, name in enumerate((*ARTERIES, "undetermined"), start=1)}

Progress = Callable[[int, int], None]


@dataclass(eq=False)
class Report:
    """What a check found.

    Attributes
    ----------
    faults : list of str
        What must be mended, one line each.
    warnings : list of str
        What may be meant so.
    lesions : dict of str to int
        Lesions of each scan whose map could be read.
    """

    faults: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    lesions: dict[str, int] = field(default_factory=dict)


def check_submission(
    path: Path,
    cohort: Cohort,
    ids: Iterable[str],
    naming: Naming = NAMING,
    progress: Progress | None = None,
    workers: int | None = None,
) -> Report:
    """Check a submission against the scans it is for; a process has one scan in memory at a time.

    Parameters
    ----------
    path : Path
        A folder or a zip. Nothing in it is run, unpacked elsewhere, or read before its size is
        known to be right.
    cohort : Cohort
        Gives the scans by id, each with the geometry of its file.
    ids : iterable of str
        Scans that need a map, and no others may have one.
    naming : Naming
    progress : callable, optional
        Called as ``progress(done, total)`` after each scan.
    workers : int, optional
        Processes; None reads in this one.

    Raises
    ------
    UserError
        If it is neither a folder nor a zip.
    """
    ids = tuple(ids)
    source = open_source(path)
    report = Report(_first(source.faults, str(path), "more entries are not opened"))
    places = find_maps(source, ids, naming)
    for id, found in places.items():
        if len(found) > 1:
            names = " and ".join(source.where(name) for name in found[:2])
            report.faults.append(f"{id}: two maps, {names}; keep one")
    report.faults += superfluous(source, ids, naming)
    task = partial(_check_scan, source, places, cohort, naming)
    for done, found in enumerate(mapped(task, ids, workers), start=1):
        report.faults += found.faults
        report.warnings += found.warnings
        report.lesions |= found.lesions
        if progress:
            progress(done, len(ids))
    folders = {str(PurePosixPath(name).parent) for found in places.values() for name in found}
    wanted = naming.folder or "."
    if folders and folders != {wanted}:
        report.warnings.append(
            f"{path}: the maps lie in {', '.join(sorted(folders))!r} and not in {wanted!r}; the "
            "challenge does not say which it wants (--inside sets what is expected)"
        )
    if len(report.lesions) == len(ids) > 0 and not any(report.lesions.values()):
        report.warnings.append(f"{path}: not one map holds a lesion")
    return report


def _check_scan(
    source: Source, places: dict[str, list[str]], cohort: Cohort, naming: Naming, id: str
) -> Report:
    """Check one scan's map."""
    try:
        scan = cohort.load(id)
    except UserError as error:
        return Report([f"{id}: its scan cannot be read: {error}"])
    header = places[id][0] if places[id] else None
    reading = read_map(source, header, f"{naming.stem(id)}.mhd", geometry_of(scan))
    if reading.labels is None:
        return Report(list(reading.faults))
    lesions, faults, warnings = check_labels(scan, reading.labels, source.where(header))
    return Report([*reading.faults, *faults], [*unusual(cohort, id), *warnings], {id: lesions})


def unusual(cohort: Cohort, id: str) -> list[str]:
    """What `benchmark data check` would warn of, of a scan that was read before."""
    warning = cohort.warning_of(id)
    return [f"{id}: {warning}"] if warning else []


def find_maps(source: Source, ids: Iterable[str], naming: Naming) -> dict[str, list[str]]:
    """Return the headers with the name of each scan's map, in whatever folder they lie."""
    by_name = defaultdict(list)
    for name in sorted(source.files):
        by_name[PurePosixPath(name).name].append(name)
    return {id: by_name.get(f"{naming.stem(id)}.mhd", []) for id in ids}


def superfluous(source: Source, ids: Iterable[str], naming: Naming) -> list[str]:
    """Return a line for files that belong to no scan, the first few by name."""
    stems = {naming.stem(id) for id in ids}
    known = {f"{stem}{suffix}" for stem in stems for suffix in (".mhd", ".raw", ".zraw")}
    lines = []
    for name in sorted(source.files):
        last = PurePosixPath(name)
        if last.name in known:
            continue
        if last.stem in stems and last.suffix == ".mha":
            lines.append(f"{source.where(name)}: is one file; the challenge asks for .mhd and .raw")
        else:
            lines.append(f"{source.where(name)}: belongs to no scan that was asked for; remove it")
    return _first(lines, str(source.path), "more files belong to no scan")


def _first(lines: list[str], where: str, rest: str) -> list[str]:
    """Return the first few lines, and one that counts the others."""
    if len(lines) <= SHOWN:
        return list(lines)
    return [*lines[:SHOWN], f"{where}: {len(lines) - SHOWN} {rest}"]


def geometry_of(scan: Scan) -> Geometry:
    """Grid of the scan's file; one that never was a file lies upright at the origin."""
    return scan.geometry or Geometry.upright(scan.voxels.shape, scan.spacing)


def check_labels(
    scan: Scan, labels: np.ndarray, where: str, conventions: Conventions = DEFAULT
) -> tuple[int, list[str], list[str]]:
    """Hold a map against the rules of a lesion.

    Parameters
    ----------
    scan : Scan
        Voxels in HU and geometry.
    labels : numpy.ndarray of uint8, shape (z, y, x)
        0 to 4, on the same grid.
    where : str
        The map's file, for the messages.
    conventions : Conventions
        Give the threshold.

    Returns
    -------
    lesions : int
        Components above the threshold that hold labels.
    faults, warnings : list of str
        Labels outside components, and components with more than one label, are faults; components
        labelled in part are a warning, as the challenge takes them whole.
    """
    components, n = label_candidates(scan.voxels, conventions)
    faults, warnings = [], []
    # labelled voxels are few: places of theirs, and the sizes of all components, are enough
    places = np.flatnonzero(labels)
    component = components.reshape(-1)[places].astype(np.int64)
    outside = places[component == 0]
    if len(outside):
        faults.append(
            f"{where}: {len(outside)} labelled voxels where the scan is not above "
            f"{conventions.threshold:g} HU, the first at {_place(scan, outside)}"
        )
    label = labels.reshape(-1)[places]
    votes = np.bincount(component * 5 + label, minlength=(n + 1) * 5).reshape(-1, 5)
    votes[0] = 0
    labelled = votes.sum(axis=1)
    kinds = (votes > 0).sum(axis=1)  # different labels in each component
    sizes = np.bincount(components[components > 0], minlength=n + 1)
    mixed, part = kinds > 1, (labelled > 0) & (labelled < sizes)
    for which, text, lines in (
        (mixed, "with more than one label", faults),
        (part & ~mixed, "labelled in part", warnings),
    ):
        if which.any():
            first = int(which.argmax())
            names = " and ".join(NAMES[k] for k in range(1, UNDETERMINED + 1) if votes[first, k])
            lines.append(
                f"{where}: {int(which.sum())} lesions {text}, the first ({names}) at "
                f"{_place(scan, places[component == first])}"
            )
    return int((kinds > 0).sum()), faults, warnings


def _place(scan: Scan, places: np.ndarray) -> str:
    """Name the first of some places in the flat array as the file numbers its voxels."""
    z, y, x = (int(index) for index in np.unravel_index(places[0], scan.voxels.shape))
    geometry = geometry_of(scan)
    grid = geometry.put_on(sitk.Image(geometry.size, sitk.sitkUInt8))
    point = to_memory(grid).TransformIndexToPhysicalPoint((x, y, z))
    return "voxel ({}, {}, {})".format(*grid.TransformPhysicalPointToIndex(point))
