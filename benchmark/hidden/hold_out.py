"""Split a cohort into what is given away and the labels that stay with the host.

::

    PUBLIC/train/images, PUBLIC/train/labels   a cohort: for `run --data PUBLIC/train`
    PUBLIC/test/images                         scans without labels, for `predict`
    PUBLIC/hold-out.json                       the board's id, the test ids, the commitment
    HIDDEN/labels                              reference labels of the test scans
    HIDDEN/hidden-labels.json                  their hashes and the salt of the commitment
    HIDDEN/entries                             what was scored, see `benchmark.hidden.board`

The commitment is a SHA-256 over a random salt and the hashes of all hidden labels. It tells
nothing of the labels; once the host opens them, anybody can see that they were never changed.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import quote

from benchmark.cohorts.base import Cohort, Progress
from benchmark.cohorts.export import file_geometry, write_patients
from benchmark.cohorts.geometry import to_scan_grid, write_image, write_labels
from benchmark.cohorts.patients import Patients, patients_of, read_patients
from benchmark.cohorts.split import Split
from benchmark.errors import UserError
from benchmark.hidden.guard import MARK
from benchmark.manifest import sha256
from benchmark.whole import draft_folder

FORMAT = 1
MANIFEST = "hold-out.json"
SUFFIX = ".nii.gz"


@dataclass(frozen=True)
class Public:
    """What everybody may know of a board.

    Attributes
    ----------
    board : str
        Id of the board, 12 hexadecimal digits.
    cohort : str
        Name.
    split : dict
        ``kind``, ``seed`` and ``hash``.
    images : dict of str
        SHA-256 of each test image by scan id.
    commitment : str
        SHA-256 over salt and hidden labels.
    limit : tuple of two ints or None
        Results that one team may have scored in how many days.
    notes : tuple of str
        Of the cohort, for under the board.
    """

    board: str
    cohort: str
    split: dict
    images: dict[str, str]
    commitment: str
    limit: tuple[int, int] | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Hidden:
    """What the host alone knows.

    Attributes
    ----------
    board, salt : str
    labels : dict of str
        SHA-256 of each label map by scan id.
    patients : dict or None
        Whose scans they are, as `benchmark.cohorts.patients.Patients.as_json` gives it; None in
        folders of earlier versions. No part of the commitment, which is one to the labels.
    """

    board: str
    salt: str
    labels: dict[str, str]
    patients: dict | None = None

    @property
    def commitment(self) -> str:
        """What `Public.commitment` must be."""
        content = json.dumps([self.salt, sorted(self.labels.items())])
        return hashlib.sha256(content.encode()).hexdigest()


def hold_out(
    cohort: Cohort,
    split: Split,
    public: Path,
    hidden: Path,
    limit: tuple[int, int] | None = None,
    progress: Progress | None = None,
) -> Public:
    """Write both folders, whole or not at all.

    Parameters
    ----------
    cohort : Cohort
    split : Split
        Its test part is held out.
    public, hidden : Path
        New or empty folders, neither inside the other.
    limit : (int, int), optional
        See `Public`.
    progress : callable, optional

    Raises
    ------
    UserError
        If a folder holds files, or one cannot be written.
    """
    _check_places(public, hidden)
    drafts: list[Path] = []
    try:
        for place in (public, hidden):
            place.parent.mkdir(parents=True, exist_ok=True)
        drafts.append(draft_folder(public.parent, f".{public.name}-"))
        # open to its owner alone
        drafts.append(Path(tempfile.mkdtemp(prefix=f".{hidden.name}-", dir=hidden.parent)))
        images, labels = _write_scans(cohort, split, *drafts, progress)
        whose = patients_of(cohort, split.test).as_json()
        secret = Hidden(secrets.token_hex(6), secrets.token_hex(16), labels, whose)
        known = Public(
            secret.board,
            cohort.name,
            {"kind": split.kind, "seed": split.seed, "hash": split.hash},
            images,
            secret.commitment,
            limit,
            tuple(cohort.notes),
        )
        _write(drafts[0] / MANIFEST, known)
        _write(drafts[1] / MARK, secret)
        for draft, place in zip(reversed(drafts), (hidden, public), strict=True):
            os.replace(draft, place)
    except OSError as error:
        raise UserError(f"{error.filename or public}: cannot be written ({error.strerror})") from (
            error
        )
    finally:
        for draft in drafts:
            shutil.rmtree(draft, ignore_errors=True)
    return known


def read_public(folder: Path) -> Public:
    """What a public folder says of its board.

    Raises
    ------
    UserError
        If it is none.
    """
    values = _read(folder / MANIFEST, "the public part of a hold-out (benchmark split --hold-out)")
    limit = values.get("limit")
    try:
        return Public(
            str(values["board"]),
            str(values["cohort"]),
            dict(values["split"]),
            dict(values["images"]),
            str(values["commitment"]),
            None if limit is None else (int(limit[0]), int(limit[1])),
            tuple(map(str, values["notes"])),
        )
    except (KeyError, TypeError, ValueError, IndexError):
        raise UserError(f"{folder / MANIFEST}: damaged; fetch the public part again") from None


def read_hidden(folder: Path, public: Public) -> Hidden:
    """The host's part, checked: of this board, and its labels those that were committed to.

    Raises
    ------
    UserError
        If it is another board's, or a label map was changed or lost.
    """
    values = _read(folder / MARK, "a folder of hidden labels")
    try:
        found = Hidden(str(values["board"]), str(values["salt"]), dict(values["labels"]))
    except (KeyError, TypeError, ValueError):
        raise UserError(f"{folder / MARK}: damaged; restore it from a copy") from None
    if found.board != public.board:
        raise UserError(f"{folder}: hidden labels of board {found.board}, not of {public.board}")
    if found.commitment != public.commitment or set(found.labels) != set(public.images):
        raise UserError(f"{folder / MARK}: not what the public part was committed to; restore it")
    for id, wanted in found.labels.items():
        path = labels_of(folder, id)
        if not path.is_file() or sha256(path) != wanted:
            raise UserError(f"{path}: lost or changed since it was committed to; restore it")
    return found


def patients_of_hidden(folder: Path) -> Patients | None:
    """Whose scans the hidden test scans are; None where the folder does not say.

    Raises
    ------
    UserError
        If the folder is damaged.
    """
    values = _read(folder / MARK, "a folder of hidden labels").get("patients")
    try:
        return None if values is None else read_patients(values)
    except (KeyError, TypeError, ValueError):
        raise UserError(f"{folder / MARK}: damaged; restore it from a copy") from None


def image_of(public: Path, id: str) -> Path:
    """A test scan's image file."""
    return public / "test" / "images" / f"{file_name(id)}{SUFFIX}"


def labels_of(hidden: Path, id: str) -> Path:
    """A test scan's reference labels."""
    return hidden / "labels" / f"{file_name(id)}{SUFFIX}"


def file_name(id: str) -> str:
    """An id as the name of a file, as `benchmark predict` writes it."""
    return quote(id, safe=" ()+,=@")


def _check_places(public: Path, hidden: Path) -> None:
    for place in (public, hidden):
        if place.exists() and (not place.is_dir() or any(place.iterdir())):
            raise UserError(f"{place}: is not empty; choose a new folder")
    one, other = public.resolve(), hidden.resolve()
    if one == other or one in other.parents or other in one.parents:
        raise UserError(
            f"{hidden}: must not be, hold or lie in {public}; what is public is given away whole"
        )


def _write_scans(
    cohort: Cohort, split: Split, public: Path, hidden: Path, progress: Progress | None
) -> tuple[dict[str, str], dict[str, str]]:
    """Write all scans; hashes of test images and of hidden labels by id."""
    for folder in ("train/images", "train/labels", "test/images"):
        (public / folder).mkdir(parents=True)
    (hidden / "labels").mkdir()
    images, labels = {}, {}
    total = len(split.train) + len(split.test)
    for done, id in enumerate((*split.train, *split.test), start=1):
        scan = cohort.load(id)
        grid, name = file_geometry(scan), f"{file_name(id)}{SUFFIX}"
        tests = done > len(split.train)
        image = image_of(public, id) if tests else public / "train" / "images" / name
        drawn = labels_of(hidden, id) if tests else public / "train" / "labels" / name
        write_image(to_scan_grid(scan.voxels, grid), image)
        write_labels(drawn, scan.labels, grid)
        if tests:
            images[id], labels[id] = sha256(image), sha256(drawn)
        if progress is not None:
            progress(done, total)
    write_patients(patients_of(cohort, split.train), split.train, public / "train")
    return images, labels


def _write(path: Path, values: Public | Hidden) -> None:
    text = json.dumps({"format": FORMAT, **asdict(values)}, indent=1)
    path.write_text(text + "\n", encoding="utf-8")


def _read(path: Path, what: str) -> dict:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: not there; {path.parent} is not {what}") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError):
        raise UserError(f"{path}: damaged; fetch or restore it again") from None
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise UserError(f"{path}: not of format {FORMAT}, which this version reads")
    return values
