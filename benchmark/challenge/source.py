"""A submission as files: a folder or a zip, anybody's, so nothing in it is trusted.

Names in an archive may lead out of it, links may lead anywhere, sizes may be absurd. Only files
with an expected name are ever opened, each is compared with the size it must have before it is
unpacked, and what is unpacked lies in a folder of its own that is removed afterwards.
"""

from __future__ import annotations

import os
import re
import stat
import struct
import tempfile
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from benchmark.cohorts.headers import LONGEST_HEADER
from benchmark.errors import UserError

MOST_FILES = 10_000
"""Files of a submission; the challenge needs 80."""

LARGEST_INDEX = 8 << 20
"""Bytes of a zip's list of files, which is read whole."""

UNPACKED = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}
"""Ways of packing that every program reads."""

_BROKEN = (zlib.error, struct.error, ValueError, OSError)
"""What `zipfile` raises besides its own errors on a damaged archive."""


class Source(ABC):
    """The files of a submission.

    Attributes
    ----------
    path : Path
        The folder or zip.
    faults : list of str
        Entries that are not opened, one line each: links, names that lead out, and so on.
    files : dict of str to int
        Path inside the submission, with ``/``, and size in bytes of every file that may be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.faults: list[str] = []
        self.files: dict[str, int] = {}

    def where(self, name: str) -> str:
        """Name a file of the submission in a message."""
        return f"{self.path}/{printable(name)}"

    @abstractmethod
    def read_header(self, name: str) -> str:
        """Return the text of a header, at most `LONGEST_HEADER` bytes of it."""

    @abstractmethod
    @contextmanager
    def pair(self, header: str, pixels: str) -> Iterator[Path]:
        """Give a header's path on the disk, its pixel file beside it.

        Parameters
        ----------
        header, pixels : str
            Two of `files`, in one folder. Their sizes were checked by the caller.

        Raises
        ------
        UserError
            If a file is damaged or longer than it says.
        """


class FolderSource(Source):
    """A folder; links in it are faults and are not followed."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        for place, folders, names in os.walk(path):
            here = Path(place)
            for name in sorted(folders + names):
                entry = here / name
                inside = entry.relative_to(path).as_posix()
                if entry.is_symlink():
                    self.faults.append(f"{self.where(inside)}: is a link; put the file itself here")
                elif not entry.is_dir():
                    mode = entry.lstat()
                    if not stat.S_ISREG(mode.st_mode):
                        self.faults.append(f"{self.where(inside)}: is not a file; remove it")
                        continue
                    self.files[inside] = mode.st_size
            folders[:] = sorted(name for name in folders if not (here / name).is_symlink())
            if len(self.files) > MOST_FILES:
                raise UserError(
                    f"{path}: holds more than {MOST_FILES} files; name the submission's own folder"
                )

    def read_header(self, name: str) -> str:
        try:
            with (self.path / name).open("rb") as file:
                return file.read(LONGEST_HEADER).decode("latin-1")
        except OSError as error:
            raise UserError(f"{self.where(name)}: cannot be read ({error.strerror})") from error

    @contextmanager
    def pair(self, header: str, pixels: str) -> Iterator[Path]:
        yield self.path / header


class ZipSource(Source):
    """A zip file; nothing is unpacked before its size is known to be right."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        check_index(path)
        try:
            with zipfile.ZipFile(path) as archive:
                entries = archive.infolist()
        except (
            zipfile.BadZipFile,
            NotImplementedError,
            ValueError,
            OSError,
            struct.error,
        ) as error:
            raise UserError(f"{path}: the zip is damaged ({error}); pack it again") from error
        if len(entries) > MOST_FILES:
            raise UserError(f"{path}: holds more than {MOST_FILES} files; this is no submission")
        self._entries: dict[str, zipfile.ZipInfo] = {}
        for entry in entries:
            fault = entry_fault(entry)
            # a name that is empty is a fault, and Python asks its last letter
            if not fault and entry.is_dir():
                continue
            name = str(PurePosixPath(entry.filename))
            if not fault and name in self._entries:
                fault = "is there twice; keep one"
            if fault:
                self.faults.append(f"{self.where(entry.filename)}: {fault}")
                continue
            self._entries[name] = entry
            self.files[name] = entry.file_size

    def read_header(self, name: str) -> str:
        return self._bytes(name, LONGEST_HEADER).decode("latin-1")

    @contextmanager
    def pair(self, header: str, pixels: str) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(prefix="submission-") as folder:
            for name in (header, pixels):
                self._unpack(name, Path(folder) / PurePosixPath(name).name)
            yield Path(folder) / PurePosixPath(header).name

    def _bytes(self, name: str, most: int) -> bytes:
        with self._opened(name) as stream:
            return stream.read(most)

    def _unpack(self, name: str, target: Path) -> None:
        """Write one entry, and not one byte more than it announced."""
        left = self.files[name]
        with self._opened(name) as stream, target.open("wb") as file:
            while left and (block := stream.read(min(left, 1 << 20))):
                file.write(block)
                left -= len(block)
            if left or stream.read(1):
                raise UserError(
                    f"{self.where(name)}: has another size than the zip says; pack it again"
                )

    @contextmanager
    def _opened(self, name: str) -> Iterator:
        try:
            with zipfile.ZipFile(self.path) as archive, archive.open(self._entries[name]) as stream:
                yield stream
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
            raise UserError(
                f"{self.where(name)}: is damaged in the zip ({error}); pack it again"
            ) from error
        except _BROKEN as error:
            raise UserError(f"{self.where(name)}: is damaged in the zip; pack it again") from error


def open_source(path: Path) -> Source:
    """Open a submission.

    Raises
    ------
    UserError
        If it is neither a folder nor a zip, or holds far more than a submission.
    """
    if path.is_dir():
        return FolderSource(path)
    if not path.exists():
        raise UserError(f"no such file or folder: {path}")
    if not path.is_file() or not zipfile.is_zipfile(path):
        raise UserError(f"{path}: is neither a folder nor a zip file")
    return ZipSource(path)


def entry_fault(entry: zipfile.ZipInfo) -> str:
    """Say why an entry of a zip is not opened; "" if it may be."""
    name = entry.filename
    parts = PurePosixPath(name).parts
    if (
        not parts
        or name.startswith(("/", "\\"))
        or ".." in parts
        or "\\" in name
        or re.match(r"[A-Za-z]:", name)
    ):
        return "its name leads out of the archive; pack the files without paths"
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is a link or no plain file; pack the file itself"
    if entry.flag_bits & 0x1:
        return "is encrypted; pack it without a password"
    if entry.compress_type not in UNPACKED:
        return "is packed in an unusual way; use a plain zip (deflate)"
    return ""


def check_index(path: Path) -> None:
    """Refuse a zip whose list of files is absurdly long, before that list is read.

    The last record of a zip says how long the list is; a record in front of it, where there is
    one, says it in 64 bits (PKWARE APPNOTE 4.3.14 to 4.3.16).

    Raises
    ------
    UserError
        If the list is longer than `LARGEST_INDEX`.
    """
    with path.open("rb") as file:
        length = file.seek(0, os.SEEK_END)
        file.seek(max(0, length - (1 << 16) - 128))  # a comment may follow, of 64 KiB at most
        tail = file.read()
    # All places that look like such a record: a reader may choose another one than we would.
    for signature, first, last in ((b"PK\x05\x06", 12, 16), (b"PK\x06\x06", 40, 48)):
        for found in re.finditer(re.escape(signature), tail):
            field = tail[found.start() + first : found.start() + last]
            size = int.from_bytes(field, "little")
            if len(field) == last - first and size != 0xFFFFFFFF and size > LARGEST_INDEX:
                raise UserError(f"{path}: lists far more files than a submission has")


def printable(name: str) -> str:
    """Return a file's name fit for a terminal: no control characters, at most 120 letters."""
    text = "".join(letter if letter.isprintable() else "?" for letter in name)
    return text if len(text) <= 120 else text[:117] + "..."
