"""The phantom as a cohort: made on first use, in parallel, and kept compressed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict
from functools import cached_property
from pathlib import Path

import numpy as np

from benchmark.calcium import risk_category
from benchmark.cohorts import places
from benchmark.cohorts.base import Cohort, Labels, Progress, Record, Scan
from benchmark.cohorts.phantom.cache import cache_path, is_kept, read_map, read_scan
from benchmark.cohorts.phantom.making import Recipe, make_and_keep, make_many, scan_id
from benchmark.errors import UserError
from benchmark.phantom import VERSION, Patient, plan
from benchmark.phantom.burden import draw_burden
from benchmark.phantom.scanner import Spacing, centre_of, scan_form
from benchmark.phantom.stream import Stream

#: People of the cohort. Who they are is known before any scan is made, so that a tier may ask for
#: as many as it wants: the paper's 419 and 257, or 1,000 test scans.
COUNT = 2700
#: What is made and described where nobody says how many: the paper's numbers.
PAPER = (419, 257)
#: Cohorts by name, and how their people are scanned.
PROTOCOLS = {"phantom": "gated", "phantom-wide": "wide"}


def default_cache() -> Path:
    """Return the folder made scans are kept in: ``$XDG_CACHE_HOME`` or ``~/.cache``."""
    return places.default_cache() / "phantom"


class PhantomCohort(Cohort):
    """2,700 virtual people in gated calcium scans of two centres, or in chest CTs.

    Parameters
    ----------
    seed : int
        Another seed is another cohort of the same kind.
    spacing : float or (float or None, float, float), optional
        In-plane pixel in mm; 0.4 gives the 512 x 512 form. See `benchmark.phantom.scanner`.
    cache : str or Path, optional
        Folder in which made scans are kept.
    name : str
        ``"phantom"``: gated calcium scans. ``"phantom-wide"``: the same people as chest CTs and
        other scanners see them.
    count : int
        Number of people.

    Raises
    ------
    UserError
        If seed, count or name is out of range.
    """

    one_scan_a_patient = True
    usual = PAPER
    planned = True

    def __init__(
        self,
        seed: int = 0,
        spacing: Spacing | None = None,
        cache: str | Path | None = None,
        name: str = "phantom",
        count: int = COUNT,
    ) -> None:
        if seed < 0 or not 1 <= count <= 9999:
            raise UserError(f"phantom: seed {seed} must be 0 or more, count {count} 1 to 9999")
        if name not in PROTOCOLS:
            raise UserError(f"phantom: no cohort {name!r}; there are {', '.join(PROTOCOLS)}")
        if isinstance(spacing, int | float):
            spacing = (None, float(spacing), float(spacing))
        self.name = name
        self.notes = (
            f"The cohort {name} is drawn by a program, not scanned: metrics on it tell networks "
            "apart under equal conditions and say nothing of accuracy in patients.",
        )
        self.recipe = Recipe(seed, spacing, PROTOCOLS[name])
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
        """Return a hash of version, seed, spacing, protocol and number of people."""
        return self._hash(count=self.count)

    @property
    def spacing(self) -> float | None:
        """In-plane pixel in mm that was asked for; None is that of each scan."""
        return None if self.recipe.spacing is None else self.recipe.spacing[-1]

    def ids(self) -> tuple[str, ...]:
        """Return the ids of all scans, without making any."""
        return tuple(scan_id(index, self.recipe.protocol) for index in range(self.count))

    def records(self) -> tuple[Record, ...]:
        """Return one record per person, ordered by id, without making a scan.

        Agatston score and risk category are those planned: what a scan shows of them differs by
        noise, motion and readers, as in the clinic.
        """
        return self._records

    @cached_property
    def _records(self) -> tuple[Record, ...]:
        found = []
        seed, protocol = self.recipe.seed, self.recipe.protocol
        for index, id in enumerate(self.ids()):
            burden = round(draw_burden(Stream(seed, index, "lesions")), 4)
            centre = centre_of(Stream(seed, index, "scanner"), protocol)
            found.append(Record(id, centre, burden, int(risk_category(burden))))
        return tuple(found)

    def _index(self, id: str) -> int:
        stem, _, number = id.rpartition("-")
        index = int(number) - 1 if stem and number.isdecimal() else -1
        if not 0 <= index < self.count or scan_id(index, self.recipe.protocol) != id:
            ids = (scan_id(0, self.recipe.protocol), scan_id(self.count - 1, self.recipe.protocol))
            raise UserError(f"{self.name}: no scan {id!r}; ids run from {ids[0]} to {ids[1]}")
        return index

    def patient(self, id: str) -> Patient:
        """Return the person of a scan."""
        return Patient.of(self._index(id), self.recipe.seed, self.recipe.protocol)

    def hearts(self, ids: Iterable[str]) -> dict[str, tuple[float, float, float]]:
        """Return where hearts are, (x, y, z) mm from the middle of the scan's first voxel."""
        found = {}
        for id in ids:
            drawn = plan(self.patient(id))
            shape, steps = scan_form(drawn.scanner, self.recipe.spacing)
            corner = [0.5 * (n - 1) * step for n, step in zip(shape, steps, strict=True)][::-1]
            found[id] = tuple(h + c for h, c in zip(drawn.heart_centre, corner, strict=True))
        return found  # type: ignore[return-value]

    def load(self, id: str) -> Scan:
        """Return a scan, made now if it is not kept or its file is damaged.

        Raises
        ------
        UserError
            If there is no such person, or the cache cannot be written.
        """
        index = self._index(id)
        kept = read_scan(cache_path(self.folder, id))
        return make_and_keep(index, self.recipe, self.folder) if kept is None else kept

    def load_labels(self, id: str) -> Labels:
        """Return the labels of a scan alone, without unpacking its voxels."""
        return self._map(id, "labels")

    def owners(self, id: str) -> np.ndarray:
        """Return the artery that each voxel truly belongs to, which readers did not always name.

        Returns
        -------
        ndarray of uint8, shape (Z, Y, X)
            0 not coronary, 1 LAD, 2 LCX, 3 RCA.
        """
        return self._map(id, "owners").labels

    def _map(self, id: str, which: str) -> Labels:
        self._index(id)
        found = read_map(cache_path(self.folder, id), which)
        if found is None:
            self.load(id)
            found = read_map(cache_path(self.folder, id), which)
        if found is None:
            raise UserError(f"{self.name}: the kept file of {id} cannot be read back")
        return found

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
            if not is_kept(cache_path(self.folder, id))
        ]
        done = len(wanted) - len(missing)
        if progress is not None:
            progress(done, len(wanted))

        def made(_: str) -> None:
            nonlocal done
            done += 1
            if progress is not None:
                progress(done, len(wanted))

        make_many(missing, self.recipe, self.folder, made, workers)
