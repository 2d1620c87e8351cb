"""orCaScore folders as they come: `TRV1P1CTI.mhd` with its pixels, and `TRV1P1R.mhd`."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from benchmark.cohorts.base import Scan
from benchmark.cohorts.disk import DiskCohort, Entry
from benchmark.cohorts.headers import parts_of
from benchmark.cohorts.listing import PassOver, ordinary
from benchmark.cohorts.scan_check import cut_to_calcium, warnings_of
from benchmark.cohorts.volumes import id_of, read_scan
from benchmark.errors import UserError

NAME = re.compile(r"(T[RE])V(\d+)P(\d+)(CTI|CTAI|R)\.mhd", re.IGNORECASE)
"""Part, vendor, patient and kind of a file."""

DEPTH = 3
"""Folders below the one given that are looked into: archives are unpacked in various ways."""


class OrcaScoreCohort(DiskCohort):
    """The challenge's scans, non-contrast alone.

    ::

        FOLDER/TRV1P1CTI.mhd + .raw or .zraw     CT in HU
        FOLDER/TRV1P1R.mhd   + .raw or .zraw     0 background, 1 LAD with left main, 2 LCX, 3 RCA

    Ids are the challenge's own (``TRV1P1``), which a submission needs; the centre is the vendor
    (``vendor 1``). Contrast scans (``CTAI``) are passed over. Training scans need their reference;
    test scans (``TE``) have none and are for prediction alone.

    Raises
    ------
    UserError
        If there is no such folder, it holds no scan of such a name, or a scan twice.
    """

    format = "orcascore"
    one_scan_a_patient = True  # by the challenge's names: vendor and patient

    def _find(self) -> Iterable[Entry]:
        found: dict[str, dict[str, list[Path]]] = defaultdict(lambda: defaultdict(list))
        for path, match in orcascore_files(self.path, self._pass_over):
            part, vendor, patient, kind = match.groups()
            id = f"{part}V{int(vendor)}P{int(patient)}".upper()
            found[id][kind.upper()].append(path)
            if kind.upper() == "CTAI":
                self._pass_over("contrast scans (CTAI)", path.name)
        scans = {id: kinds for id, kinds in found.items() if kinds["CTI"] or kinds["R"]}
        if not scans:
            raise UserError(
                f"{self.path}: holds no orCaScore scan (a name like TRV1P1CTI.mhd is expected)"
            )
        for id, kinds in scans.items():
            yield Entry(
                id,
                tuple(kinds["CTI"][:1]),
                tuple(kinds["R"][:1]),
                centre=f"vendor {id[3 : id.index('P')]}",
                fault=_fault(id, kinds),
            )

    def _read_alone(self, entry: Entry) -> Scan:
        # without the verdict, whose noise and lesions take half of the time
        labels = entry.labels[0] if entry.labels else None
        scan = read_scan(entry.image[0], labels, id=entry.id, largest_label=3)
        warnings, change = warnings_of(scan, self.conventions)
        self._warn(entry.id, "; ".join([change, *warnings] if change else warnings))
        return cut_to_calcium(scan, self.conventions)


def _fault(id: str, kinds: dict[str, list[Path]]) -> str:
    """Say which file of a scan is missing or superfluous; "" if none."""
    if not kinds["CTI"]:
        return f"{kinds['R'][0]}: has no image {id}CTI.mhd"
    if id.startswith("TR") and not kinds["R"]:
        return f"{kinds['CTI'][0]}: has no reference {id}R.mhd; training scans need one"
    for files in (kinds["CTI"], kinds["R"]):
        if len(files) > 1:
            return f"{files[1]}: the same scan as {files[0]}; keep one of them"
        try:
            for path in files:
                parts_of(path)
        except UserError as error:
            return str(error)
    return ""


def orcascore_files(folder: Path, pass_over: PassOver | None = None) -> list[tuple[Path, re.Match]]:
    """Return the files with a name of the challenge, at most `DEPTH` folders down.

    Parameters
    ----------
    folder : Path
    pass_over : callable, optional
        Hears of image files with other names, and of folders that are not looked into.

    Raises
    ------
    UserError
        If there is no such folder.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder")
    matches, others, level = [], [], [folder]
    for depth in range(DEPTH):
        below = []
        for place in level:
            for path in sorted(place.iterdir()):
                match = NAME.fullmatch(path.name)
                if match and path.is_file():
                    matches.append((path, match))
                elif path.is_dir() and not path.is_symlink():
                    below.append(path)
                    if depth == DEPTH - 1:
                        others.append(("folders further down", path))
                elif path.is_dir():
                    others.append(("linked folders", path))
                elif id_of(path) is not None and ordinary(path):
                    others.append(("image files with a name that is not the challenge's", path))
        level = below
    if pass_over is not None:
        for what, path in others:
            pass_over(what, path.name)
    return matches
