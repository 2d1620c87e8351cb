"""A cohort of one's own: a folder with `images/` and `labels/` of equal file names."""

import csv
import hashlib
from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

from benchmark.calcium import DEFAULT, Conventions
from benchmark.cohorts.base import Cohort, Progress, Record, Scan
from benchmark.cohorts.folder_cache import FolderCache
from benchmark.cohorts.scan_check import ScanCheck, inspect_scan
from benchmark.cohorts.volumes import SUFFIXES, id_of, read_scan, save_labels
from benchmark.errors import UserError

__all__ = ["FolderCohort", "ScanCheck", "read_scan", "save_labels"]

SMALLEST_COHORT = 4
"""Two scans to train and two to test: below that no split has two scans a part."""


class FolderCohort(Cohort):
    """Scans and reference labels in a folder.

    ::

        FOLDER/images/patient1.nii.gz    CT in HU, any orientation
        FOLDER/labels/patient1.nii.gz    0 background, 1 LAD with left main, 2 LCX, 3 RCA
        FOLDER/centres.csv               optional: id,centre

    Files are `.nii`, `.nii.gz`, `.nrrd`, `.mha` or `.mhd`; the name without suffix is the scan's
    id and stands for one patient. Labels on voxels not above the threshold are dropped.

    Parameters
    ----------
    path : path
        The folder.
    cache : path, optional
        Folder for converted scans, found again by the content of their files; may be shared by
        several cohorts. Without one, files are read anew each time.
    conventions : Conventions
        How calcium is found and scored.

    Raises
    ------
    UserError
        If the folder lacks `images/` or `labels/`, holds no image file, or `centres.csv` cannot
        be understood.
    """

    def __init__(
        self,
        path: str | Path,
        cache: str | Path | None = None,
        conventions: Conventions = DEFAULT,
    ) -> None:
        self.path = Path(path)
        self.name = self.path.resolve().name
        self.conventions = conventions
        for part in ("images", "labels"):
            if not (self.path / part).is_dir():
                raise UserError(
                    f"{self.path / part}: no such folder; a cohort has images/ and labels/"
                )
        self._images = _files(self.path / "images")
        self._labels = _files(self.path / "labels")
        if not self._images:
            raise UserError(f"{self.path / 'images'}: holds no image file ({', '.join(SUFFIXES)})")
        self._centres = _read_centres(self.path / "centres.csv")
        self._cache = FolderCache(Path(cache), conventions) if cache is not None else None
        self._checks: dict[str, ScanCheck] = {}

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids of all scans, also of those that lack an image or labels, in order."""
        return tuple(sorted(set(self._images) | set(self._labels)))

    def check(self, progress: Progress | None = None) -> tuple[ScanCheck, ...]:
        """Judge every scan; one that is refused does not hide the others.

        Parameters
        ----------
        progress : callable, optional
            Called as ``progress(done, total)`` after each scan.

        Returns
        -------
        tuple of ScanCheck
            One row per id, in order. What is wrong with the cohort as a whole, `records` says.
        """
        rows = []
        for done, id in enumerate(self.ids, start=1):
            rows.append(self._check(id))
            if progress:
                progress(done, len(self.ids))
        return tuple(rows)

    def fingerprint(self) -> str:
        """Return a hash of all files' content, the centres and the conventions."""
        content = hashlib.sha256(repr(self.conventions).encode())
        for id in self.ids:
            hashes = [self._hash(path) for path in self._pair(id)]
            content.update(repr((id, self._centre(id), *hashes)).encode())
        return content.hexdigest()

    def records(self) -> tuple[Record, ...]:
        """Return one record per scan; the first call reads every file that is not cached.

        Raises
        ------
        UserError
            If a scan is refused, there are fewer than four scans, or no scan has a label.
        """
        if len(self.ids) < SMALLEST_COHORT:
            raise UserError(
                f"{self.path}: {len(self.ids)} scans are too few; two to train and two to test "
                "are the least"
            )
        checks = self.check()
        refused = [check for check in checks if check.verdict == "refused"]
        if refused:
            more = f" (and {len(refused) - 1} more refused scans)" if len(refused) > 1 else ""
            raise UserError(refused[0].reason + more)
        if not any(check.lesions for check in checks):
            raise UserError(
                f"{self.path / 'labels'}: no scan has a labelled voxel above "
                f"{self.conventions.threshold:g} HU; there is nothing to learn"
            )
        return tuple(
            Record(check.id, self._centre(check.id), check.agatston, check.risk) for check in checks
        )

    def load(self, id: str) -> Scan:
        """Return a scan, from the cache where it lies there.

        Raises
        ------
        UserError
            If there is no such scan, it is refused, or the cache cannot be written.
        """
        if id not in self._images and id not in self._labels:
            raise UserError(f"{self.path}: no scan {id!r}")
        check, scan = self._convert(id)
        if scan is None:
            raise UserError(check.reason)
        return replace(scan, centre=self._centre(id))

    def prepare(
        self,
        ids: Iterable[str],
        progress: Progress | None = None,
        workers: int | None = None,
    ) -> None:
        """Check and convert scans into the cache, with several processes if asked to.

        Raises
        ------
        UserError
            For the first scan that is refused.
        """
        ids = tuple(ids)

        def take(checks: Iterable[ScanCheck]) -> None:
            for done, check in enumerate(checks, start=1):
                self._checks[check.id] = check
                if check.verdict == "refused":
                    raise UserError(check.reason)
                if progress:
                    progress(done, len(ids))

        if not workers or workers == 1 or self._cache is None:
            take(map(self._check, ids))
            return
        # Fresh processes: a fork would copy locks that image libraries' threads may hold.
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            take(pool.map(self._check, ids))

    def _check(self, id: str) -> ScanCheck:
        if id not in self._checks:
            self._checks[id] = self._convert(id, check_only=True)[0]
        return self._checks[id]

    def _convert(self, id: str, check_only: bool = False) -> tuple[ScanCheck, Scan | None]:
        """Return verdict and scan from the cache or, failing that, from the files."""
        try:
            image, labels = self._pair(id)
        except UserError as error:
            return ScanCheck(id, "refused", str(error)), None
        if self._cache is None:
            return inspect_scan(id, image, labels, self.conventions)
        key = self._cache.key(image, labels)
        found = self._cache.read(key, id, check_only)
        if found is None:
            found = inspect_scan(id, image, labels, self.conventions)
            if found[1] is not None:
                self._cache.write(key, *found)
        return found

    def _hash(self, path: Path) -> str:
        return self._cache.hash(path) if self._cache else FolderCache.content_hash(path)

    def _pair(self, id: str) -> tuple[Path, Path]:
        """Return image and labels of a scan, or say which file is missing or superfluous."""
        for part, files in (("images", self._images), ("labels", self._labels)):
            found = files.get(id, [])
            if not found:
                other = (self._labels if part == "images" else self._images)[id][0]
                raise UserError(f"{other}: has no counterpart {id}.* in {self.path / part}")
            if len(found) > 1:
                raise UserError(f"{found[1]}: same id as {found[0].name}; keep one of them")
        return self._images[id][0], self._labels[id][0]

    def _centre(self, id: str) -> str:
        return self._centres.get(id, "unknown")


def _files(folder: Path) -> dict[str, list[Path]]:
    """Return the image files of a folder by id."""
    found = defaultdict(list)
    for path in sorted(folder.iterdir()):
        id = id_of(path)
        # Some systems leave hidden companions such as ._scan.nii beside each file.
        if id is not None and path.is_file() and not path.name.startswith("."):
            found[id].append(path)
    return dict(found)


def _read_centres(path: Path) -> dict[str, str]:
    """Read `centres.csv`, if there is one, as {id: centre}."""
    if not path.exists():
        return {}
    centres: dict[str, str] = {}
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            rows = csv.DictReader(file, skipinitialspace=True)
            if rows.fieldnames is None or not {"id", "centre"} <= set(rows.fieldnames):
                raise UserError(f"{path}: the first line must be id,centre")
            for row in rows:
                id, centre = (row["id"] or "").strip(), (row["centre"] or "").strip()
                if not id or not centre:
                    raise UserError(f"{path}: line {rows.line_num} lacks an id or a centre")
                if centres.setdefault(id, centre) != centre:
                    raise UserError(f"{path}: line {rows.line_num} gives {id} a second centre")
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: cannot be read ({error})") from error
    return centres
