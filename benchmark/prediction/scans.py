"""The scans that a network is to label: one file, a folder of any known format, or a cohort.

Reference labels are not needed and not read. Nothing is converted into a cache: each scan is read
once.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from benchmark.cohorts.base import Cohort, Scan
from benchmark.cohorts.disk import DiskCohort, sentence
from benchmark.cohorts.formats import detect, open_data
from benchmark.cohorts.headers import parts_of
from benchmark.cohorts.listing import folder_named, image_files
from benchmark.cohorts.same_scans import content_of
from benchmark.cohorts.scan_check import warnings_of
from benchmark.cohorts.volumes import SUFFIXES, id_of, read_scan
from benchmark.errors import UserError
from benchmark.runs.sources import COHORTS, DATA, default_cache, open_cohort


@dataclass(frozen=True)
class Scans:
    """Scans by id.

    Attributes
    ----------
    name : str
        For headings.
    ids : tuple of str
        In order, also of those that turn out to be at fault.
    load : callable
        ``load(id) -> Scan``; raises UserError for a scan at fault.
    stamp : callable
        ``stamp(id) -> str``: another one once the scan's files have changed.
    warning : callable
        ``warning(scan) -> str``: what `benchmark data check` would warn of, for a scan that was
        just loaded; "" if nothing.
    key : callable
        ``key(scan) -> str``: what tells the scan under any name, see
        `benchmark.cohorts.same_scans.key_of`.
    passed_over : tuple of str
        See `benchmark.cohorts.base.Cohort`.
    """

    name: str
    ids: tuple[str, ...]
    load: Callable[[str], Scan]
    stamp: Callable[[str], str]
    warning: Callable[[Scan], str]
    key: Callable[[Scan], str]
    passed_over: tuple[str, ...] = ()

    def only(self, ids: Iterable[str]) -> Scans:
        """Some of the scans.

        Raises
        ------
        UserError
            If one is not there.
        """
        wanted = tuple(dict.fromkeys(ids))
        known = set(self.ids)
        unknown = [id for id in wanted if id not in known]
        if unknown:
            more = f" (and {len(unknown) - 1} more)" if len(unknown) > 1 else ""
            raise UserError(f"{self.name}: no scan {unknown[0]!r}{more}")
        return replace(self, ids=wanted)


def open_scans(
    data: Path | None,
    cohort: str = "phantom",
    spacing: float | None = None,
    cache: Path | None = None,
) -> Scans:
    """The scans of a command.

    Parameters
    ----------
    data : Path, optional
        One scan's file, a folder of such files (also one with ``images/``), or anything that
        `benchmark.cohorts.formats.open_data` takes. None: a cohort by name.
    cohort : str
        A cohort's name, or with `data` the name of a format.
    spacing, cache
        See `benchmark.runs.sources.open_cohort`. Of scans in files the cache only gives the key of
        their ids.

    Raises
    ------
    UserError
        If there is nothing of the kind.
    """
    if data is None:
        return of_cohort(open_cohort(cohort, None, spacing, cache))
    if cohort not in (*DATA, *COHORTS):
        open_cohort(cohort, data)  # says which names there are
    form = cohort if cohort in DATA else None
    if not data.exists():
        raise UserError(f"no such file or folder: {data}")
    if data.is_file() and id_of(data) is not None:
        return _of_files(data.name, [data])
    if data.is_dir() and form in (None, "folder"):
        place = folder_named(data, "images")
        place = place if place.is_dir() else data
        passed: dict[str, list[str]] = defaultdict(list)
        found = image_files(place, lambda what, name: passed[what].append(name), f"{place.name}/")
        files = [path for paths in found.values() for path in paths]
        if files and (form == "folder" or _plain(data)):
            lines = tuple(sentence(what, names) for what, names in passed.items())
            return _of_files(data.resolve().name, files, lines)
        if form == "folder":
            raise UserError(f"{place}: holds no image file ({', '.join(SUFFIXES)})")
    keys = cache or default_cache() / "folders"  # as training has it: the same ids
    return of_cohort(open_data(data, form, keys, keep=False))


def of_cohort(cohort: Cohort) -> Scans:
    """All scans of a cohort, those without labels too."""
    if isinstance(cohort, DiskCohort):
        return Scans(
            cohort.name,
            cohort.ids,
            cohort.load,
            lambda id: _stamp(cohort._entries[id].image),
            lambda scan: cohort.warning_of(scan.id),
            _content,
            cohort.passed_over,
        )
    own = getattr(cohort, "ids", None)
    ids = tuple(own()) if callable(own) else tuple(record.id for record in cohort.records())
    print_ = cohort.fingerprint()[:16]
    return Scans(
        cohort.name, ids, cohort.load, lambda id: print_, _unusual, lambda s: f"{print_}:{s.id}"
    )


def _plain(folder: Path) -> bool:
    """Whether a folder is in no format that has rules of its own for names."""
    try:
        return detect(folder) == "folder"
    except UserError:
        return True


def _unusual(scan: Scan) -> str:
    """What is unusual about the voxels of a scan."""
    return "; ".join(warnings_of(replace(scan, labels=None))[0])


def _content(scan: Scan) -> str:
    return content_of(scan.voxels)


def _of_files(name: str, files: list[Path], passed_over: tuple[str, ...] = ()) -> Scans:
    """One scan a file; two files of one id are at fault, and only they."""
    places: dict[str, list[Path]] = {}
    for path in files:
        places.setdefault(id_of(path), []).append(path)

    def load(id: str) -> Scan:
        first, *more = places[id]
        if more:
            raise UserError(f"{more[0]}: same id as {first.name}; keep one of them")
        parts_of(first)
        return read_scan(first, id=id)

    return Scans(
        name, tuple(places), load, lambda id: _stamp(places[id]), _unusual, _content, passed_over
    )


def _stamp(paths: Iterable[Path]) -> str:
    """Hash of size and time of a scan's files."""
    found = []
    for path in paths:
        try:
            for part in parts_of(path):
                status = part.stat()
                found.append((status.st_size, status.st_mtime_ns))
        except (OSError, UserError):
            found.append(None)  # reading it will say what is wrong
    return hashlib.sha256(repr(found).encode()).hexdigest()[:16]
