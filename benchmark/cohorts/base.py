"""What every cohort offers: scans with labels, one record a scan, and a fingerprint."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from benchmark.cohorts.geometry import Geometry

Progress = Callable[[int, int], None]
"""Called as ``progress(done, total)`` after each scan that was made or checked."""


@dataclass(frozen=True, eq=False)
class Scan:
    """One non-contrast cardiac CT and, where they are known, its reference labels.

    Attributes
    ----------
    id : str
        Name of the scan, unique in its cohort.
    centre : str
        Hospital or scanner the scan comes from; ``"unknown"`` if nobody said.
    voxels : numpy.ndarray of int16, shape (z, y, x)
        HU. z grows towards the head, y towards the back, x towards the patient's left.
    spacing : tuple of three floats
        Distance of neighbouring voxel centres along (z, y, x), in mm.
    labels : numpy.ndarray of uint8, shape (z, y, x), or None
        0 background, 1 LAD (with the left main), 2 LCX, 3 RCA.
    geometry : Geometry or None
        Grid of the file the scan was read from, which `benchmark.cohorts.geometry.write_labels`
        writes labels back on; None for a scan that was never a file.
    warnings : tuple of str
        What its reader noticed; `benchmark.cohorts.scan_check.judge` passes it on.
    """

    id: str
    centre: str
    voxels: np.ndarray
    spacing: tuple[float, float, float]
    labels: np.ndarray | None = None
    geometry: Geometry | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Labels:
    """The reference labels of a scan without its voxels; both attributes as in `Scan`."""

    labels: np.ndarray
    spacing: tuple[float, float, float]


@dataclass(frozen=True)
class Record:
    """What a split needs to know of a scan without loading it.

    Attributes
    ----------
    id, centre : str
        As in `Scan`.
    agatston : float
        Agatston score of the whole heart from the reference labels.
    risk : int
        Risk category of that score, 0 to 4 (see `benchmark.calcium.risk_category`).
    patient : str
        Scans that share it are of one patient and stay in one part of a split; "" stands for a
        patient of this scan's own. A keyed hash, never a name or number of the clinic.
    part : str
        "train" or "test" where the data themselves say so; else "".
    content : str
        The same for the same voxels alone (`benchmark.cohorts.same_scans.content_of`); "" where
        nobody reads voxels to make a record.
    source : str
        File the scan was read from, for messages; "" where it may bear a name.
    """

    id: str
    centre: str
    agatston: float
    risk: int
    patient: str = field(default="", repr=False)
    part: str = ""
    content: str = field(default="", repr=False)
    source: str = field(default="", repr=False)


class Cohort(ABC):
    """Scans and labels of one source.

    Attributes
    ----------
    name : str
        Short name for tables and run folders.
    notes : tuple of str
        Sentences to be printed under every leaderboard made from this cohort, for instance
        that a phantom is not the clinic.
    one_scan_a_patient : bool
        Whether a scan without a patient in its record is known to be the only one of its patient.
        Where it is not, such a scan is taken for a patient, and the board says so.
    passed_over : tuple of str
        Sentences that count what lies among the scans and was not read; part of `notes` too.
    usual : tuple of int or None
        Training and test scans that `benchmark data` means where nobody says how many; None for
        all there are.
    planned : bool
        Whether scores of records are those a scan was made with, which noise and readers change.
    tell : callable or None
        Called with one line for what is noticed while scans are read: every warning of `benchmark
        data check`. None keeps silent, for a caller who says it otherwise.
    """

    name: str
    notes: tuple[str, ...] = ()
    one_scan_a_patient: bool = False
    passed_over: tuple[str, ...] = ()
    usual: tuple[int, int] | None = None
    planned: bool = False
    tell: Callable[[str], None] | None = None

    @abstractmethod
    def fingerprint(self) -> str:
        """Return a hexadecimal hash of the cohort's content, the same on every machine.

        Two cohorts share a fingerprint only if all voxels, labels and spacings are the same,
        so that runs of both may be compared.
        """

    @abstractmethod
    def records(self) -> tuple[Record, ...]:
        """Return one record per scan, ordered by id."""

    def patients(self) -> dict[str, str]:
        """Return `Record.patient` by id, of scans without a record too where that is known."""
        return {record.id: record.patient for record in self.records()}

    @abstractmethod
    def load(self, id: str) -> Scan:
        """Return the scan of this id with its labels.

        Raises
        ------
        benchmark.errors.UserError
            If the cohort has no such scan, or its file cannot be read.
        """

    def warning_of(self, id: str) -> str:
        """What is unusual about a scan that was read before; "" if nothing, or nobody looked."""
        return ""

    def hearts(self, ids: Iterable[str]) -> dict[str, tuple[float, float, float]]:
        """Where hearts are known to be, by id: (x, y, z) mm as `benchmark.heart.places.Places`.

        A cohort that draws its scans knows; ``data check`` then says how many are found. By default
        nobody does.
        """
        return {}

    def load_labels(self, id: str) -> Labels:
        """Return the labels of a scan alone, where a cohort can read them faster than the scan."""
        scan = self.load(id)
        return Labels(scan.labels, scan.spacing)

    @property
    def knows_owners(self) -> bool:
        """Whether `owners` says to which artery each candidate of every scan truly belongs."""
        return type(self).owners is not Cohort.owners

    def owners(self, id: str) -> np.ndarray | None:
        """Return who truly owns each candidate voxel, before any reader's error.

        Only a program that made the scan knows: labels say what a reader saw. The row "ceiling" of
        a leaderboard is made of it.

        Returns
        -------
        numpy.ndarray of uint8, shape (z, y, x), or None
            0 no coronary artery, 1 LAD, 2 LCX, 3 RCA. What stands where the scan has no candidate
            is not looked at. None: not known.
        """
        return None

    def prepare(
        self,
        ids: Iterable[str],
        progress: Progress | None = None,
        workers: int | None = None,
    ) -> None:
        """Make or check beforehand what `load` will need; by default there is nothing to do.

        Parameters
        ----------
        ids : iterable of str
            Scans that will be loaded.
        progress : callable, optional
            Called as ``progress(done, total)`` after each scan.
        workers : int, optional
            Processes to use; None leaves the choice to the cohort.
        """
        return None
