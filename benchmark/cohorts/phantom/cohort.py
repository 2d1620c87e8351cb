"""The phantom as a cohort: made on first use, in parallel, and kept compressed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict
from functools import cached_property
from pathlib import Path

from benchmark.cohorts import places
from benchmark.cohorts.base import Cohort, Labels, Progress, Record, Scan
from benchmark.cohorts.phantom.cache import cache_path, read_labels, read_record, read_scan
from benchmark.cohorts.phantom.difficulty import DEFAULT_DIFFICULTY, Difficulty
from benchmark.cohorts.phantom.generate import VERSION, Spacing, scan_id
from benchmark.cohorts.phantom.making import Recipe, make_and_keep, make_many
from benchmark.cohorts.phantom.roster import COUNT, SHIPPED, read_roster
from benchmark.errors import UserError


def default_cache() -> Path:
    """Return the folder made scans are kept in: ``$XDG_CACHE_HOME`` or ``~/.cache``."""
    return places.default_cache() / "phantom"


class PhantomCohort(Cohort):
    """676 virtual patients of two centres.

    Parameters
    ----------
    seed : int
        Another seed is another cohort of the same kind.
    spacing : float or (float or None, float, float), optional
        In-plane pixel in mm; 0.4 gives the 512 x 512 form. See `generate.scan_grid`.
    cache : str or Path, optional
        Folder in which made scans are kept.
    difficulty : Difficulty
        What makes the task hard.
    count : int
        Number of patients.

    Raises
    ------
    UserError
        If seed or count is out of range.
    """

    name = "phantom"
    one_scan_a_patient = True
    notes = (
        "The phantom is drawn by a program, not scanned: figures on it tell networks apart under "
        "equal conditions and say nothing of accuracy in patients.",
    )

    def __init__(
        self,
        seed: int = 0,
        spacing: Spacing | None = None,
        cache: str | Path | None = None,
        difficulty: Difficulty = DEFAULT_DIFFICULTY,
        count: int = COUNT,
    ) -> None:
        if seed < 0 or not 1 <= count <= 9999:
            raise UserError(f"phantom: seed {seed} must be 0 or more, count {count} 1 to 9999")
        if isinstance(spacing, int | float):
            spacing = (None, float(spacing), float(spacing))
        self.recipe = Recipe(seed, spacing, difficulty)
        self.count = count
        self._cache = cache

    @cached_property
    def folder(self) -> Path:
        """Where made scans are kept; looked for only once one is wanted.

        Files of different recipes live in folders of their own; the count does not change them.
        """
        return Path(self._cache or default_cache()) / self._hash()[:16]

    def _hash(self, **more: object) -> str:
        content = {"phantom": VERSION, **asdict(self.recipe), **more}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def fingerprint(self) -> str:
        """Return a hash of version, seed, spacing, difficulty and number of patients."""
        return self._hash(count=self.count)

    @property
    def spacing(self) -> float | None:
        """In-plane pixel in mm that was asked for; None is that of each patient."""
        return None if self.recipe.spacing is None else self.recipe.spacing[-1]

    def ids(self) -> tuple[str, ...]:
        """Return the ids of all patients, without making any."""
        return tuple(scan_id(index) for index in range(self.count))

    def records(self) -> tuple[Record, ...]:
        """Return one record per patient, ordered by id.

        Those of the default cohort are shipped. For another seed, spacing or difficulty all
        scans have to be made first; a progress bar shows how far that has come.
        """
        return self._records

    @cached_property
    def _records(self) -> tuple[Record, ...]:
        if self.recipe == Recipe(0, None, DEFAULT_DIFFICULTY) and SHIPPED.exists():
            shipped = read_roster(SHIPPED)
            if len(shipped) >= self.count:
                return shipped[: self.count]
        kept = {id: read_record(cache_path(self.folder, id)) for id in self.ids()}
        missing = [id for id, record in kept.items() if record is None]
        if missing:
            from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

            from benchmark.report.consoles import make_console

            columns = (
                *Progress.get_default_columns()[:3],
                MofNCompleteColumn(),
                TimeRemainingColumn(),
            )
            with Progress(*columns, console=make_console(stderr=True)) as bar:
                task = bar.add_task("making phantom scans", total=len(missing))

                def made(record: Record) -> None:
                    kept[record.id] = record
                    bar.advance(task)

                make_many([self._index(id) for id in missing], self.recipe, self.folder, made)
        return tuple(kept[id] for id in self.ids())  # type: ignore[misc]

    def _index(self, id: str) -> int:
        known = id.startswith("phantom-") and id[8:].isdecimal()
        index = int(id[8:]) - 1 if known else -1
        if not 0 <= index < self.count or scan_id(index) != id:
            raise UserError(
                f"phantom: no scan {id!r}; ids run from {scan_id(0)} to {scan_id(self.count - 1)}"
            )
        return index

    def load(self, id: str) -> Scan:
        """Return a scan, made now if it is not kept or its file is damaged.

        Raises
        ------
        UserError
            If there is no such patient, or the cache cannot be written.
        """
        index = self._index(id)
        kept = read_scan(cache_path(self.folder, id))
        return make_and_keep(index, self.recipe, self.folder)[0] if kept is None else kept[0]

    def load_labels(self, id: str) -> Labels:
        """Return the labels of a scan alone, without unpacking its voxels."""
        self._index(id)
        found = read_labels(cache_path(self.folder, id))
        return super().load_labels(id) if found is None else found

    def prepare(
        self,
        ids: Iterable[str],
        progress: Progress | None = None,
        workers: int | None = None,
    ) -> None:
        """Make the scans that are not kept, in parallel.

        Parameters
        ----------
        ids : iterable of str
            Scans that will be loaded.
        progress : callable, optional
            Called as ``progress(done, total)``, first with the number already kept.
        workers : int, optional
            Processes; by default one for each usable core.

        Raises
        ------
        UserError
            If an id is unknown or the cache cannot be written.
        """
        wanted = list(dict.fromkeys(ids))
        indices = [self._index(id) for id in wanted]
        missing = [
            index
            for index, id in zip(indices, wanted, strict=True)
            if read_record(cache_path(self.folder, id)) is None
        ]
        done = len(wanted) - len(missing)
        if progress is not None:
            progress(done, len(wanted))

        def made(_: Record) -> None:
            nonlocal done
            done += 1
            if progress is not None:
                progress(done, len(wanted))

        make_many(missing, self.recipe, self.folder, made, workers)
