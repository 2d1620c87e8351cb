"""Cohorts whose files and folders may bear a patient's name: messages speak of places instead."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable

from benchmark.cohorts.base import Scan
from benchmark.cohorts.dicom_open import quiet
from benchmark.cohorts.disk import DiskCohort, Entry
from benchmark.cohorts.scan_check import ScanCheck, judge
from benchmark.errors import UserError


class NamelessCohort(DiskCohort):
    """Scans with ids made anew; a subclass notes in `_places` how a message may call each."""

    outlined = False
    """Whether labels were drawn as outlines; see `benchmark.cohorts.scan_check.judge`."""

    def __init__(self, path, *arguments, **options) -> None:
        self._places: dict[str, str] = {}
        super().__init__(path, *arguments, **options)

    @abstractmethod
    def _read(self, entry: Entry) -> tuple[Scan, list[str]]:
        """Return a scan and what is unusual about it.

        Raises
        ------
        UserError
            If it is refused; without a name or path in the message.
        """

    def _inspect(self, entry: Entry) -> tuple[ScanCheck, Scan | None]:
        try:
            with quiet():
                scan, warnings = self._read(entry)
        except UserError as error:
            where = self._places[entry.id]
            return ScanCheck(entry.id, "refused", f"{where}: {error}"), None
        return judge(scan, self.conventions, warnings, outlined=self.outlined)

    def _source(self, entry: Entry) -> str:
        return self._places.get(entry.id, "")

    def _hashes(self, entry: Entry) -> tuple[str, ...]:
        try:
            return super()._hashes(entry)
        except UserError:
            where = self._places[entry.id]
            raise UserError(f"{where}: a file is gone or cannot be read") from None

    def _fingerprint_rows(self) -> Iterable[tuple]:
        # Ids differ between machines; sorted content does not.
        yield (self._reading(),)
        entries = (entry for entry in self._entries.values() if not entry.fault)
        yield from sorted(self._hashes(entry) for entry in entries)
