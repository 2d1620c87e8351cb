"""Which format a folder or file is in, and the cohort it holds."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.cohorts.segment_names import table_of
from benchmark.cohorts.split_choice import SplitChoice, parse_choice
from benchmark.errors import UserError
from benchmark.yaml_lines import read_with_lines

if TYPE_CHECKING:  # readers of images are slow to import, and a list of formats needs none
    from benchmark.cohorts.disk import DiskCohort

FORMATS = {
    "folder": "images/ and labels/ with equal file names: NIfTI, NRRD or MetaImage",
    "csv": "a table with the columns image, labels, patient, centre, split",
    "orcascore": "TRV1P1CTI.mhd and TRV1P1R.mhd, as the challenge gives them",
    "coca": "Gated_release_final: DICOM series and outlines in XML",
    "dicom": "DICOM series, with labels where DICOM segmentations lie there",
    "nnunet": "a raw dataset of nnU-Net: imagesTr, labelsTr, dataset.json",
}
"""Formats by name, with a line that says what is expected."""

KEYS = ("format", "path", "name", "split", "fold", "seed", "refused", "options")
"""What a cohort file may say."""

OPTIONS = {
    "folder": ("segments",),
    "csv": ("root", "segments"),
    "coca": ("missing_xml", "pixel_offset"),
    "dicom": ("segments",),
}
"""Options of a format that a cohort file may set."""

LOOKED_AT = 2000
"""Files that are looked at for DICOM before a folder is called unknown."""

LARGEST_FILE = 1 << 20
"""Bytes of a cohort file."""


def open_data(
    path: Path, format: str | None = None, cache: Path | None = None, keep: bool = True
) -> DiskCohort:
    """Open scans on disk.

    Parameters
    ----------
    path : Path
        A folder, a CSV file, or a cohort file (`.yaml`).
    format : str, optional
        One of `FORMATS`; by default it is found out.
    cache, keep : Path, bool, optional
        As for `DiskCohort`.

    Raises
    ------
    UserError
        If the format cannot be told, or the cohort cannot be opened.
    """
    _require(path)
    if path.suffix.lower() in (".yaml", ".yml") and not path.is_dir():
        return _open_file(path, format, cache, keep)
    return _open(path, format or detect(path), cache, {"keep": keep})


def detect(path: Path) -> str:
    """Return the one format that a folder or file is in.

    Raises
    ------
    UserError
        If there is none, or more than one.
    """
    _require(path)
    if path.is_file():
        if path.suffix.lower() in (".csv", ".tsv"):
            return "csv"
        raise UserError(f"{path}: is neither a folder, nor a .csv table, nor a .yaml cohort file")
    from benchmark.cohorts.coca_place import coca_below, coca_root
    from benchmark.cohorts.listing import folder_named
    from benchmark.cohorts.orcascore import orcascore_files

    signs = {
        "folder": any(folder_named(path, part).is_dir() for part in ("images", "labels")),
        "nnunet": (path / "dataset.json").is_file() or (path / "imagesTr").is_dir(),
        "coca": coca_root(path) is not None,
        "orcascore": bool(orcascore_files(path)),
    }
    found = [format for format, there in signs.items() if there]
    if len(found) > 1:
        raise UserError(f"{path}: may be {' or '.join(found)}; say which with --cohort {found[0]}")
    if found:
        return found[0]
    if coca_below(path) is not None:
        return "coca"
    if _holds_dicom(path):
        return "dicom"
    raise UserError(
        f"{path}: no known format; expected is one of: "
        + "; ".join(f"{name} ({text})" for name, text in FORMATS.items())
    )


def _exists(path: Path) -> bool:
    """Whether a file or folder is there.

    Raises
    ------
    UserError
        If the system cannot even look: a name that is too long, a folder that is locked.
    """
    try:
        return path.exists()
    except OSError as error:
        raise UserError(f"{str(path)[:200]}: cannot be opened ({error.strerror})") from None


def _require(path: Path) -> None:
    """Raise UserError if there is no such file or folder."""
    if not _exists(path):
        raise UserError(f"no such file or folder: {path}")


def _holds_dicom(folder: Path) -> bool:
    from benchmark.cohorts.dicom_open import may_be_dicom

    seen = 0
    for place, _, names in os.walk(folder):
        for name in sorted(names):
            seen += 1
            if seen > LOOKED_AT:
                return False
            if may_be_dicom(Path(place) / name):
                return True
    return False


def _open(path: Path, format: str, cache: Path | None, options: dict) -> DiskCohort:
    if format == "folder":
        from benchmark.cohorts.folder import FolderCohort as Kind
    elif format == "csv":
        from benchmark.cohorts.table import TableCohort as Kind
    elif format == "orcascore":
        from benchmark.cohorts.orcascore import OrcaScoreCohort as Kind
    elif format == "coca":
        from benchmark.cohorts.coca import CocaCohort as Kind
    elif format == "dicom":
        from benchmark.cohorts.dicom import DicomCohort as Kind
    elif format == "nnunet":
        from benchmark.cohorts.nnunet import NnUNetCohort as Kind
    else:
        raise UserError(f"unknown format {format!r} (there is: {', '.join(FORMATS)})")
    _require(path)
    if (format == "csv") != path.is_file():
        what = "a file" if format == "csv" else "a folder"
        raise UserError(f"{path}: is not {what}, which the format {format} needs")
    return Kind(path, cache, **options)


def _open_file(path: Path, format: str | None, cache: Path | None, keep: bool) -> DiskCohort:
    """Open the cohort that a YAML file describes; its paths are relative to the file."""
    values = _read_file(path)
    if format is not None and values.get("format", format) != format:
        raise UserError(f"{path}: format is {values['format']!r}, but --cohort asks for {format!r}")
    data = path.parent / str(values["path"])
    kind = values.get("format") or format or detect(data)
    if not isinstance(kind, str):
        raise UserError(f"{path}: format {str(kind)[:40]!r} is not one of {', '.join(FORMATS)}")
    options = values.get("options") or {}
    known = OPTIONS.get(kind, ())
    if not isinstance(options, dict) or not set(options) <= set(known):
        raise UserError(
            f"{path}: options of {kind} are {', '.join(known) or 'none'}, not "
            f"{', '.join(map(str, options)) if isinstance(options, dict) else options!r}"
        )
    if "root" in options:
        options = {**options, "root": path.parent / str(options["root"])}
        _exists(options["root"])
    if "segments" in options:
        options = {**options, "segments": table_of(options["segments"], path)}
    refused = values.get("refused", "stop")
    if refused not in ("stop", "leave-out"):
        raise UserError(f"{path}: refused is stop or leave-out, not {refused!r}")
    try:
        split = values.get("split")
        if isinstance(split, str) and split.strip().lower().endswith(".json"):
            split = str(path.parent / split.strip())
        choice = parse_choice(split, values.get("fold"), values.get("seed", 0))
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    name = str(values.get("name") or "")
    if not name.isprintable() or set(name) & set("/\\") or name.startswith("."):
        raise UserError(f"{path}: the name {name!r} cannot be part of a folder's name")
    cohort = _open(data, kind, cache, {**options, "keep": keep})
    cohort.leave_out = refused == "leave-out"
    cohort.choice = _with_ids(choice, cohort)
    cohort.name = name or cohort.name
    return cohort


def _with_ids(choice: SplitChoice | None, cohort: DiskCohort) -> SplitChoice | None:
    if choice is None or choice.kind != "given" or choice.saved:
        return choice
    train = tuple(cohort.id_of(name) for name in choice.train)
    test = tuple(cohort.id_of(name) for name in choice.test)
    return SplitChoice("given", train=train, test=test, seed=choice.seed)


def _read_file(path: Path) -> dict:
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise UserError(f"{path}: is larger than {LARGEST_FILE >> 20} MB")
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError:
        raise UserError(f"{path}: broken YAML: not a text file in UTF-8") from None
    values, _ = read_with_lines(text, str(path))
    if not isinstance(values, dict) or "path" not in values:
        raise UserError(f"{path}: a cohort file says at least path: FOLDER")
    unknown = [key for key in values if key not in KEYS]
    if unknown:
        raise UserError(f"{path}: unknown key {unknown[0]!r} (there is: {', '.join(KEYS)})")
    return values
