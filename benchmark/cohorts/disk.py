"""A cohort that is read from files: verdicts, records, cache; each format adds how it is read."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections import defaultdict
from collections.abc import Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

from benchmark.calcium import DEFAULT, Conventions
from benchmark.cohorts.base import Cohort, Progress, Record, Scan
from benchmark.cohorts.folder_cache import FolderCache
from benchmark.cohorts.label_tables import tables_beside
from benchmark.cohorts.places import default_cache
from benchmark.cohorts.privacy import load_key, new_id
from benchmark.cohorts.same_scans import copies
from benchmark.cohorts.scan_check import ScanCheck, inspect_scan
from benchmark.cohorts.told import printable
from benchmark.cohorts.volumes import id_of
from benchmark.errors import UserError

SMALLEST_COHORT = 4
"""Two scans to train and two to test: below that no split has two scans a part."""


@dataclass(frozen=True)
class Entry:
    """One scan that a folder holds, before it is read.

    Attributes
    ----------
    id : str
    image : tuple of Path
        Its file, or the files of its slices.
    labels : tuple of Path
        Its reference; empty if there is none.
    centre : str
    patient : str
        Keyed hash of the patient; "" for a patient of this scan's own.
    part : str
        "train", "test" or "".
    fault : str
        Why it is refused, where that is known before it is read.
    """

    id: str
    image: tuple[Path, ...]
    labels: tuple[Path, ...] = ()
    centre: str = "unknown"
    patient: str = ""
    part: str = ""
    fault: str = ""


class DiskCohort(Cohort):
    """Scans in files.

    Parameters
    ----------
    path : path
        Folder or file that holds or names the scans.
    cache : path, optional
        Folder for converted scans, found again by the content of their files; may be shared by
        several cohorts. Without one, files are read anew each time.
    conventions : Conventions
        How calcium is found and scored.
    keep : bool
        Whether converted scans are kept in `cache`; otherwise it only holds the key that new ids
        are made with, so that a scan has one id wherever it is read.
    segments : mapping of str to int, optional
        Label of each name of a segment that `benchmark.cohorts.segment_names` does not know.

    Attributes
    ----------
    leave_out : bool
        Whether `records` leaves refused scans out and a note counts them; otherwise it raises.
    choice : SplitChoice or None
        How the cohort's file wants it split; see `benchmark.cohorts.split_choice`.
    """

    format: str
    leave_out = False
    choice = None

    def __init__(
        self,
        path: str | Path,
        cache: str | Path | None = None,
        conventions: Conventions = DEFAULT,
        keep: bool = True,
        segments: Mapping[str, int] | None = None,
    ) -> None:
        self.path = Path(path)
        self.segments = dict(segments or {})
        self.name = self.path.resolve().name
        self.conventions = conventions
        self._cache_place = Path(cache) if cache is not None else None
        self._checks: dict[str, ScanCheck] = {}
        self._warnings: dict[str, str] = {}
        self._passed: dict[str, list[str]] = defaultdict(list)
        self._cache: FolderCache | None = None
        entries = tuple(self._find())
        self.passed_over = tuple(
            sentence(what, names) if names else what for what, names in self._passed.items()
        )
        self.notes = (*self.notes, *self.passed_over)
        if cache is not None and keep:
            self._cache = FolderCache(Path(cache), conventions)
        counts = defaultdict(int)
        for entry in entries:
            counts[entry.id] += 1
        for id, count in counts.items():
            # Ids become names of files in what is written.
            if not id.isprintable() or set(id) & set("/\\") or id.startswith(".") or not id:
                raise UserError(f"{self.path}: the id {id!r} cannot be part of a file's name")
            if count > 1:
                raise UserError(f"{self.path}: {count} scans have the id {id!r}; ids must differ")
        self._entries = {entry.id: entry for entry in sorted(entries, key=lambda e: e.id)}

    # What a format has to say

    @abstractmethod
    def _find(self) -> Iterable[Entry]:
        """Return the scans that are there, without reading their voxels."""

    def _inspect(self, entry: Entry) -> tuple[ScanCheck, Scan | None]:
        """Read and judge a scan; here one image file and one label file."""
        labels = entry.labels[0] if entry.labels else None
        return inspect_scan(entry.id, entry.image[0], labels, self.conventions, self.segments)

    def _read_alone(self, entry: Entry) -> Scan:
        """Read a scan as `_inspect` does, where nobody asks for the verdict and nothing is kept.

        Raises
        ------
        UserError
            If it is refused.
        """
        check, scan = self._inspect(entry)
        if scan is None:
            raise UserError(check.reason)
        self._note(check)
        return scan

    def _source(self, entry: Entry) -> str:
        """File of a scan, for messages; "" where it may bear a patient's name."""
        return str(entry.image[0]) if entry.image else ""

    def _has_labels(self, entry: Entry) -> bool:
        """Whether the reference of a scan is known."""
        return bool(entry.labels)

    def _reading(self) -> str:
        """What, besides content and conventions, decides how files are read: options."""
        return f"{self.format} {sorted(self.segments.items())}" if self.segments else self.format

    # What a format may use

    def _key(self) -> bytes:
        """Key for new ids, kept in the cache folder."""
        return load_key(self._cache_place or default_cache())

    def _patient(self, name: str) -> str:
        """New id of a patient, the same for all of this person's scans."""
        return new_id(self._key(), "patient", name) if name else ""

    def _pass_over(self, what: str, name: str = "") -> None:
        """Count something that lies among the scans and is not read.

        Parameters
        ----------
        what : str
            What it is one of, in the plural: ``"files in images/ that are no image file"``.
        name : str
            Its name, where it may be said.
        """
        self._passed[what].append(name)

    def _pass_by(self, sentence: str) -> None:
        """Say of something that lies among the scans, in a sentence of its own."""
        self._passed[sentence] = []

    def _warn(self, id: str, reason: str) -> None:
        """Keep what is unusual about a scan, and tell it once."""
        if reason and self._warnings.get(id) != reason:
            self._warnings[id] = reason
            if self.tell is not None:
                self.tell(f"{id}: {reason}")

    def _note(self, check: ScanCheck) -> ScanCheck:
        """Keep the warning of a verdict."""
        if check.verdict == "warning":
            self._warn(check.id, check.reason)
        return check

    # What a cohort offers

    def warning_of(self, id: str) -> str:
        """As `Cohort.warning_of`: the reason of a verdict that is a warning."""
        return self._warnings.get(id, "")

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids of all scans in order, also of those that are refused or have no labels."""
        return tuple(self._entries)

    @property
    def unlabelled(self) -> tuple[str, ...]:
        """Ids of scans without reference labels: for prediction alone."""
        entries = self._entries.values()
        return tuple(e.id for e in entries if not e.fault and not self._has_labels(e))

    def id_of(self, name: str) -> str:
        """Return the id of a scan that a person's list names; here the name itself."""
        return name

    def check(
        self, progress: Progress | None = None, workers: int | None = None
    ) -> tuple[ScanCheck, ...]:
        """Judge every scan; one that is refused does not hide the others.

        Parameters
        ----------
        progress : callable, optional
            Called as ``progress(done, total)`` after each scan.
        workers : int, optional
            Processes; None reads in this one.

        Returns
        -------
        tuple of ScanCheck
            One row per id, in order. What is wrong with the cohort as a whole, `records` says.
        """
        rows = []
        for done, row in enumerate(self._map(self.ids, workers), start=1):
            self._checks[row.id] = row
            rows.append(row)
            if progress:
                progress(done, len(self.ids))
        return tuple(self._note(row) for row in self._with_copies(rows))

    def _with_copies(self, rows: Iterable[ScanCheck]) -> list[ScanCheck]:
        """Add a warning to each verdict on a scan whose voxels another one has too."""
        rows = list(rows)
        others = copies({row.id: row.content or "" for row in rows})
        return [
            _with_warning(row, f"has the same voxels as {', '.join(others[row.id])}")
            if row.id in others
            else row
            for row in rows
        ]

    def fingerprint(self) -> str:
        """Return a hash of all files' content, the centres and the conventions.

        Ids take part where they are file names of the user's own; ids made anew differ between
        machines and do not.
        """
        content = hashlib.sha256(repr(self.conventions).encode())
        for row in self._fingerprint_rows():
            content.update(repr(row).encode())
        return content.hexdigest()

    def _fingerprint_rows(self) -> Iterable[tuple]:
        content = hashlib.sha256(self._reading().encode()).hexdigest()
        yield (content,)
        for entry in self._entries.values():
            if not entry.fault:
                yield (entry.id, entry.centre, entry.part, *self._hashes(entry))

    def records(self) -> tuple[Record, ...]:
        """Return one record per labelled scan; the first call reads what is not cached.

        Raises
        ------
        UserError
            If a scan is refused (unless these are left out), there are fewer than four labelled
            scans, or no scan has a label.
        """
        free = set(self.unlabelled)
        labelled = tuple(id for id in self.ids if id not in free)
        if len(labelled) < SMALLEST_COHORT:
            without = f" ({len(free)} more have no labels)" if free else ""
            raise UserError(
                f"{self.path}: {len(labelled)} scans are too few{without}; two to train and two "
                "to test are the least"
            )
        checks = [self._check(id) for id in labelled]
        for check in self._with_copies(checks):
            self._note(check)
        refused = [check for check in checks if check.verdict == "refused"]
        if refused and not self.leave_out:
            more = f" (and {len(refused) - 1} more refused scans)" if len(refused) > 1 else ""
            raise UserError(refused[0].reason + more)
        note = f"{len(refused)} scans are refused and left out."
        if refused and note not in self.notes:
            self.notes = (*self.notes, note)
        if self.tell is not None:
            for check in refused:
                self.tell(f"left out: {check.reason}")
            if free:
                some = ", ".join(sorted(free)[:3]) + (" and others" if len(free) > 3 else "")
                self.tell(f"{len(free)} scans have no labels and neither train nor test ({some})")
        good = [check for check in checks if check.verdict != "refused" and check.risk is not None]
        if not any(check.lesions for check in good):
            raise UserError(
                f"{self._labels_place()}: no scan has a labelled voxel above "
                f"{self.conventions.threshold:g} HU; there is nothing to learn"
            )
        return tuple(self._record(check) for check in good)

    def patients(self) -> dict[str, str]:
        """Return the patient of every scan, "" where nothing says whose it is; no scan is read."""
        return {entry.id: entry.patient for entry in self._entries.values()}

    def _labels_place(self) -> Path:
        return self.path

    def _record(self, check: ScanCheck) -> Record:
        entry = self._entries[check.id]
        return Record(
            check.id, entry.centre, check.agatston, check.risk, entry.patient, entry.part,
            check.content or "", self._source(entry),
        )  # fmt: skip

    def faults(self) -> tuple[str, ...]:
        """Return what is wrong between scans: a line for each patient, and for each scan under two
        ids, in both given parts. Of the latter those that were checked are known."""
        parts, ids = defaultdict(set), defaultdict(list)
        for entry in self._entries.values():
            if entry.part and entry.patient:
                parts[entry.patient].add(entry.part)
                ids[entry.patient].append(entry.id)
        lines = [
            f"one patient in two parts of the split: {', '.join(ids[patient][:4])}; "
            "put all scans of a patient into one part"
            for patient in parts
            if len(parts[patient]) > 1
        ]
        scans: dict[str, dict[str, Entry]] = defaultdict(dict)
        for id, check in self._checks.items():
            entry = self._entries[id]
            if check.content and entry.part:
                scans[check.content].setdefault(entry.part, entry)
        for found in scans.values():
            if len(found) > 1:
                names = " and ".join(
                    f"{entry.id} ({source})" if (source := self._source(entry)) else entry.id
                    for entry in found.values()
                )
                lines.append(
                    f"one scan in two parts of the split: {names} have the same voxels; keep one"
                )
        return tuple(lines)

    def load(self, id: str) -> Scan:
        """Return a scan, from the cache where it lies there.

        Raises
        ------
        UserError
            If there is no such scan, it is refused, or the cache cannot be written.
        """
        if id not in self._entries:
            raise UserError(f"{self.path}: no scan {id!r}")
        entry = self._entries[id]
        if self._cache is None and not entry.fault:
            try:
                scan = self._read_alone(entry)
            except MemoryError:
                raise UserError(f"{id}: does not fit into memory") from None
        else:
            check, scan = self._convert(id)
            if scan is None:
                raise UserError(check.reason)
            self._note(check)
        return replace(scan, centre=entry.centre)

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
        for done, check in enumerate(self._map(ids, workers), start=1):
            self._checks[check.id] = self._note(check)
            if check.verdict == "refused":
                raise UserError(check.reason)
            if progress:
                progress(done, len(ids))

    def _map(self, ids: tuple[str, ...], workers: int | None) -> Iterable[ScanCheck]:
        """Check scans in turn, or in processes of their own; only verdicts come back."""
        if not workers or workers == 1 or self._cache is None or len(ids) < 2:
            yield from map(self._check, ids)
            return
        # Fresh processes: a fork would copy locks that image libraries' threads may hold.
        with ProcessPoolExecutor(
            min(workers, len(ids)), get_context("spawn"), _set_up, (self,)
        ) as pool:
            yield from pool.map(_check_here, ids)

    def _check(self, id: str) -> ScanCheck:
        if id not in self._checks:
            self._checks[id] = self._convert(id, check_only=True)[0]
        return self._checks[id]

    def _convert(self, id: str, check_only: bool = False) -> tuple[ScanCheck, Scan | None]:
        """Return verdict and scan from the cache or, failing that, from the files."""
        entry = self._entries[id]
        if entry.fault:
            return ScanCheck(id, "refused", entry.fault), None
        try:
            if self._cache is None:
                return self._inspect(entry)
            try:
                hashes = self._hashes(entry)
            except UserError as error:
                return ScanCheck(id, "refused", str(error)), None
            key = self._cache.key(self._reading(), *hashes)
            found = self._cache.read(key, id, check_only)
            if found is None:
                found = self._inspect(entry)
                if found[1] is not None:
                    self._cache.write(key, *found)
            return found
        except MemoryError:
            return ScanCheck(id, "refused", f"{id}: does not fit into memory"), None

    def _hashes(self, entry: Entry) -> tuple[str, ...]:
        """Return the content hashes of image and labels; no labels give no hash."""
        take = self._cache.hash if self._cache else FolderCache.content_hash
        labels = entry.labels
        if labels and id_of(labels[0]) is not None:
            labels += tables_beside(labels[0])  # they say what its numbers mean
        return tuple(take(*files) for files in (entry.image, labels) if files)


def sentence(what: str, names: list[str]) -> str:
    """Say what was passed over: how many, and the first few by name."""
    known = [printable(name)[:120] for name in names if name]
    some = ", ".join(known[:3]) + (f" and {len(known) - 3} more" if len(known) > 3 else "")
    return f"{len(names)} {what} were passed over{f' ({some})' if some else ''}."


def _with_warning(check: ScanCheck, words: str) -> ScanCheck:
    """Add words to a verdict, which is then no longer ready."""
    verdict = "warning" if check.verdict == "ready" else check.verdict
    return replace(check, verdict=verdict, reason="; ".join(filter(None, (check.reason, words))))


_cohort: DiskCohort | None = None


def _set_up(cohort: DiskCohort) -> None:
    """Give a fresh process the cohort once, not with every scan; the first process tells."""
    global _cohort
    _cohort = cohort
    _cohort.tell = None


def _check_here(id: str) -> ScanCheck:
    return _cohort._check(id)
