"""Converted scans on disk, found again by the content of the files they came from.

An entry is an `.npz` archive without pickled objects: voxels compressed by blosc2, labels as the
places and values of the few labelled voxels, the verdict and the file's grid as JSON. Its name is
a hash of content, that of a note on a file a keyed hash of its path: no name of a patient's, which
a folder may carry, is seen in the cache.
"""

import hashlib
import json
import math
import os
import tempfile
from dataclasses import asdict
from pathlib import Path

import blosc2
import numpy as np

from benchmark.calcium import Conventions
from benchmark.cohorts.base import Scan
from benchmark.cohorts.geometry import Geometry
from benchmark.cohorts.headers import MOST_VOXELS, parts_of
from benchmark.cohorts.privacy import keyed_digest, load_key
from benchmark.cohorts.scan_check import ScanCheck
from benchmark.errors import UserError
from benchmark.npz import load_arrays
from benchmark.whole import draft_file

FORMAT = 4
"""To be raised whenever reading, checking or the entries change: older entries are then ignored."""


class FolderCache:
    """Cache of a cohort that is read from files.

    Parameters
    ----------
    folder : Path
        Where entries lie; made if missing.
    conventions : Conventions
        Scans converted under other conventions have other entries.

    Raises
    ------
    UserError
        If the folder cannot be made or written.
    """

    def __init__(self, folder: Path, conventions: Conventions) -> None:
        self.folder = folder
        self.conventions = conventions
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass
        except OSError as error:
            raise self._unwritable(error) from error
        self.secret = load_key(folder)

    def key(self, reading: str, *hashes: str) -> str:
        """Return the name of the entry of files with these hashes, read in this manner."""
        parts = (FORMAT, repr(self.conventions), reading, *hashes)
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]

    def read(self, key: str, id: str, check_only: bool) -> tuple[ScanCheck, Scan | None] | None:
        """Return verdict and scan of an entry, or None if there is none or it is damaged.

        `check_only` leaves out the scan, which takes the time.
        """
        try:
            entry = load_arrays(self.folder / f"{key}.npz")
            check = _check_from_json(str(entry["check"]), id)
            geometry = _geometry_from_json(str(entry["geometry"]))
            if check_only:
                return check, None
            if math.prod(check.size) > MOST_VOXELS:
                return None
            voxels = np.empty(check.size, np.int16)
            blosc2.decompress2(entry["voxels"].tobytes(), dst=voxels)
            labels = None
            if check.lesions is not None:
                labels = np.zeros(check.size, np.uint8)
                labels.ravel()[entry["label_places"]] = entry["label_values"]
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, IndexError):
            return None
        return check, Scan(id, "unknown", voxels, check.spacing, labels, geometry)

    def write(self, key: str, check: ScanCheck, scan: Scan) -> None:
        """Keep a scan with its verdict."""
        labels = np.zeros(0, np.uint8) if scan.labels is None else scan.labels.ravel()
        places = np.flatnonzero(labels)
        # Level 1: five times faster than level 5 on a scan, and files grow by one per cent.
        voxels = blosc2.compress2(
            np.ascontiguousarray(scan.voxels), typesize=2, clevel=1, codec=blosc2.Codec.ZSTD
        )
        self._replace(
            self.folder / f"{key}.npz",
            lambda file: np.savez(
                file,
                check=np.array(json.dumps({**asdict(check), "id": ""})),
                geometry=np.array(json.dumps(asdict(scan.geometry))),
                voxels=np.frombuffer(voxels, np.uint8),
                label_places=places,
                label_values=labels[places],
            ),
        )

    def hash(self, *paths: Path) -> str:
        """Return `content_hash`, remembered as long as size and time of the files stay the same."""
        stamp = [_stamp(part) for path in paths for part in parts_of(path)]
        place = "\0".join(str(path.resolve()) for path in paths)
        note = self.folder / f"{keyed_digest(self.secret, place)}.json"
        try:
            known = json.loads(note.read_text())
            if known["stamp"] == stamp:
                return str(known["hash"])
        except (OSError, ValueError, KeyError, TypeError):
            pass
        value = self.content_hash(*paths)
        text = json.dumps({"stamp": stamp, "hash": value})
        self._replace(note, lambda file: file.write(text.encode()))
        return value

    @staticmethod
    def content_hash(*paths: Path) -> str:
        """Return the SHA-256 of files and of the pixel files they may name."""
        whole = hashlib.sha256()
        for part in (part for path in paths for part in parts_of(path)):
            try:
                with part.open("rb") as file:
                    whole.update(hashlib.file_digest(file, "sha256").digest())
            except OSError as error:
                raise UserError(f"{part}: cannot be read ({error.strerror})") from error
        return whole.hexdigest()

    def _replace(self, path: Path, write) -> None:
        """Write to a temporary name and rename, so that nobody ever reads half a file."""
        try:
            draft = draft_file(self.folder, "", ".part")
            try:
                with draft.open("wb") as file:
                    write(file)
                os.replace(draft, path)
            except BaseException:
                draft.unlink(missing_ok=True)
                raise
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> UserError:
        return UserError(
            f"{self.folder}: the cache folder cannot be written ({error.strerror}); "
            "choose another or free some space"
        )


def _stamp(path: Path) -> list[int]:
    try:
        status = path.stat()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    return [status.st_size, status.st_mtime_ns]


def _check_from_json(text: str, id: str) -> ScanCheck:
    values = json.loads(text)
    # JSON knows lists alone; the id is the file's present one, the content may have been renamed.
    fields = {name: tuple(v) if isinstance(v, list) else v for name, v in values.items()}
    return ScanCheck(**{**fields, "id": id})


def _geometry_from_json(text: str) -> Geometry:
    return Geometry(**{name: tuple(value) for name, value in json.loads(text).items()})
