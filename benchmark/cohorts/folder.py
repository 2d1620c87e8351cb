"""A cohort of one's own: a folder with `images/` and `labels/` of equal file names."""

from collections.abc import Iterable
from pathlib import Path

from benchmark.cohorts.base import Scan
from benchmark.cohorts.disk import DiskCohort, Entry
from benchmark.cohorts.headers import parts_of
from benchmark.cohorts.listing import folder_named, image_files
from benchmark.cohorts.scan_check import ScanCheck, inspect_scan
from benchmark.cohorts.volumes import SUFFIXES, read_scan, save_labels
from benchmark.csv_tables import read_csv
from benchmark.errors import UserError

__all__ = ["FolderCohort", "ScanCheck", "read_scan", "save_labels"]


PATIENTS_FILE = "patients.csv"


class FolderCohort(DiskCohort):
    """Scans and reference labels in a folder; see `DiskCohort` for the parameters.

    ::

        FOLDER/images/patient1.nii.gz    CT in HU, any orientation
        FOLDER/labels/patient1.nii.gz    0 background, 1 LAD with left main, 2 LCX, 3 RCA
        FOLDER/centres.csv               optional: id,centre
        FOLDER/patients.csv              optional: id,patient

    Files are `.nii`, `.nii.gz`, `.nrrd`, `.mha` or `.mhd`; the name without suffix is the scan's
    id and stands for one patient, unless `patients.csv` names the patient. Labels on voxels not
    above the threshold are dropped.

    Raises
    ------
    UserError
        If the folder lacks `images/` or `labels/`, holds no image file, or `centres.csv` or
        `patients.csv` cannot be understood.
    """

    format = "folder"

    def _find(self) -> Iterable[Entry]:
        places = {part: folder_named(self.path, part) for part in ("images", "labels")}
        for part, place in places.items():
            if not place.is_dir():
                raise UserError(
                    f"{self.path / part}: no such folder; a cohort has images/ and labels/"
                )
        images, labels = (image_files(places[part], self._pass_over) for part in places)
        if not images:
            raise UserError(f"{places['images']}: holds no image file ({', '.join(SUFFIXES)})")
        centres = _read_centres(self.path / "centres.csv")
        for id in sorted(set(centres) - set(images)):
            self._pass_over("ids in centres.csv that are no scan", id)
        patients = _read_patients(self.path / PATIENTS_FILE)
        for id in sorted(set(images) | set(labels)):
            fault = self._fault(id, images, labels)
            files = (tuple(images.get(id, ())[:1]), tuple(labels.get(id, ())[:1]))
            patient = self._patient(patients.get(id, ""))
            centre = centres.get(id, "unknown")
            yield Entry(id, *files, centre=centre, patient=patient, fault=fault)

    def _fault(self, id: str, images: dict, labels: dict) -> str:
        """Say which file is missing or superfluous, or leaves the folder; "" if none."""
        for part, files in (("images", images), ("labels", labels)):
            found = files.get(id, [])
            if not found:
                other = (labels if part == "images" else images)[id][0]
                near = [name for name in files if name.lower() == id.lower()]
                hint = f" ({near[0]} differs in case)" if near else ""
                return f"{other}: has no counterpart {id}.* in {self.path / part}{hint}"
            if len(found) > 1:
                return f"{found[1]}: same id as {found[0].name}; keep one of them"
            try:
                parts_of(found[0])
            except UserError as error:
                return str(error)
        return ""

    def _inspect(self, entry: Entry) -> tuple[ScanCheck, Scan | None]:
        return inspect_scan(
            entry.id, entry.image[0], entry.labels[0], self.conventions, self.segments
        )

    def _fingerprint_rows(self) -> Iterable[tuple]:
        for entry in self._entries.values():
            if entry.fault:
                raise UserError(entry.fault)
            yield (entry.id, entry.centre, *self._hashes(entry))

    def _labels_place(self) -> Path:
        return self.path / "labels"


def _read_patients(path: Path) -> dict[str, str]:
    """Read `patients.csv` as {id: patient}; a table of that name without these columns is not ours.

    Empty if there is none.
    """
    if not path.exists():
        return {}
    patients: dict[str, str] = {}
    names, rows = read_csv(path)
    if not {"id", "patient"} <= set(names):
        return {}
    for line, row in rows:
        id, patient = row["id"], row["patient"]
        if id and patients.setdefault(id, patient) != patient:
            raise UserError(f"{path}: line {line} gives {id} a second patient")
    return patients


def _read_centres(path: Path) -> dict[str, str]:
    """Read `centres.csv`, if there is one, as {id: centre}."""
    if not path.exists():
        return {}
    centres: dict[str, str] = {}
    names, rows = read_csv(path)
    if not {"id", "centre"} <= set(names):
        raise UserError(f"{path}: the first line must be id,centre")
    for line, row in rows:
        id, centre = row["id"], row["centre"]
        if not id or not centre:
            raise UserError(f"{path}: line {line} lacks an id or a centre")
        if centres.setdefault(id, centre) != centre:
            raise UserError(f"{path}: line {line} gives {id} a second centre")
    return centres
