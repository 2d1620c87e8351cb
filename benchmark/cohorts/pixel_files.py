"""Pixel files that a MetaImage or NRRD header names: beside it, or refused.

A header may come from anybody, and the name in it shall not make the program read what lies
elsewhere.
"""

from __future__ import annotations

import re
from pathlib import Path

from benchmark.errors import UserError

LONGEST_HEADER = 1 << 16
"""Bytes of a MetaImage header; one that does not end within them is refused."""

LONGEST_NRRD_HEADER = 4 << 20
"""Bytes of an NRRD header: 3D Slicer writes some kilobytes for each segment."""

LONGEST_LINE = 1000
"""Bytes of a line of a MetaImage header; ITK cannot read longer ones. NRRD has no such bound."""


def parts_of(path: Path) -> tuple[Path, ...]:
    """Return an image file and the pixel files that its `.mhd`, `.mha` or `.nrrd` header names.

    Raises
    ------
    UserError
        If a name leaves the header's folder: an absolute path, one through `..`, or a link to
        a file elsewhere; or if the header is written so that another reader might find another
        name in it.
    """
    suffix = path.suffix.lower()
    if suffix not in (".mhd", ".mha", ".nrrd"):
        return (path,)
    named, rest = data_file(path)
    if named == "" or named.upper() == "LOCAL":
        return (path,)
    if named.split()[0] == "LIST":
        names = [line.strip() for line in rest.splitlines() if line.strip()]
    else:
        names = [named]
        if "%" in named:  # MetaImage and NRRD: name with a number, first, last, step
            pattern = re.fullmatch(
                r"([^\s%]*%0?\d?d[^\s%]*)\s+(\d{1,4})\s+(\d{1,4})\s+(\d{1,4})(?:\s+\d)?", named
            )
            if pattern is None:
                raise UserError(f"{path}: names its pixel files in an unusual way; export it again")
            first, last, step = (int(n) for n in pattern.groups()[1:])
            names = [pattern[1] % number for number in range(first, last + 1, max(step, 1))]
    return (path, *(part for part in (_inside(path, name) for name in names) if is_file(part)))


def is_file(path: Path) -> bool:
    """Whether there is such a file; a name that no file can bear names none."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def read_nrrd_lines(path: Path) -> tuple[list[str], int]:
    """Return the lines of an NRRD header, and the bytes of it with the empty line after it.

    Text is UTF-8, or else Latin-1, as older programs write it.

    Raises
    ------
    UserError
        If the file cannot be read, or the header does not end within `LONGEST_NRRD_HEADER`.
    """
    header, end = b"", None
    try:
        with path.open("rb") as file:
            while end is None and (block := file.read(1 << 16)):
                # the empty line may lie across two blocks
                seen = max(len(header) - 3, 0)
                header += block
                end = re.compile(rb"\r?\n\r?\n").search(header, seen)
                if end is None and len(header) >= LONGEST_NRRD_HEADER:
                    raise UserError(f"{path}: its header does not end; export it again")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    text = _text(header[: end.start()] if end else header)
    return re.split(r"\r?\n", text), end.end() if end else len(header)


def data_file(path: Path) -> tuple[str, str]:
    """Return what a MetaImage or NRRD header names as its pixel file, and what follows that line.

    The name is empty for an NRRD file that holds its own pixels. ITK takes spaces before a field,
    a colon for the equals sign, and reads on beyond `LONGEST_HEADER`; whatever it might read
    otherwise than we do is refused.

    Raises
    ------
    UserError
        If the header cannot be read, does not end, or names pixels in more than one way.
    """
    if path.suffix.lower() == ".nrrd":
        return _nrrd_data_file(path)
    try:
        with path.open("rb") as file:
            header = _text(file.read(LONGEST_HEADER))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    found = re.search(r"(?i)ElementDataFile", header)
    field = re.compile(r"(?im)^ElementDataFile[ \t]*=[ \t]*(\S[^\r\n]*?)[ \t]*\r?$")
    if found is None:
        raise UserError(f"{path}: the header names no pixels (ElementDataFile); export it again")
    named = field.search(header)
    if named is None or named.start() != found.start() or "\0" in header[: named.end()]:
        raise _no_name(path)
    return named[1], header[named.end() :]


def _nrrd_data_file(path: Path) -> tuple[str, str]:
    lines, _ = read_nrrd_lines(path)
    for number, line in enumerate(lines):
        if "\0" in line:
            raise _no_name(path)
        # a comment, or a key and value of the writer's own, may well speak of a data file
        if line.startswith("#") or re.match(r"[^:]{1,200}:=", line):
            continue
        if re.match(r"(?i)\s*data\s*file\s*:", line):
            named = re.fullmatch(r"(?i)data ?file:[ \t]*(\S.*?)[ \t]*", line)
            if named is None:
                raise _no_name(path)
            return named[1], "\n".join(lines[number + 1 :])
    return "", ""


def _no_name(path: Path) -> UserError:
    return UserError(f"{path}: the header is damaged where it names the pixels; export it again")


def _text(header: bytes) -> str:
    """Decode a header, whose pixels may follow within the bytes that were read."""
    try:
        return header.decode("utf-8")
    except UnicodeDecodeError:
        return header.decode("latin-1")


def _inside(header: Path, name: str) -> Path:
    """Return the file of that name beside a header; refuse one that lies anywhere else."""
    place = header.parent / name
    if Path(name).is_absolute() or re.match(r"[A-Za-z]:|\\", name) or ".." in Path(name).parts:
        raise UserError(
            f"{header}: names a pixel file outside its folder; put both into one folder"
        )
    if is_file(place):
        homes = (header.parent.resolve(), header.resolve().parent)
        if not any(place.resolve().is_relative_to(home) for home in homes):
            raise UserError(
                f"{header}: its pixel file is a link to a place outside its folder; "
                "put both into one folder"
            )
    return place
