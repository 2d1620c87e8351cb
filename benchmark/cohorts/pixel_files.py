"""Pixel files that a MetaImage or NRRD header names: beside it, or refused.

A header may come from anybody, and the name in it shall not make the program read what lies
elsewhere.
"""

from __future__ import annotations

import re
from pathlib import Path

from benchmark.errors import UserError

LONGEST_HEADER = 1 << 16
"""Bytes of a MetaImage or NRRD header; one that does not end within them is refused."""

LONGEST_LINE = 1000
"""Bytes of a line of a header."""


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
    try:
        with path.open("rb") as file:
            header = file.read(LONGEST_HEADER).decode("latin-1")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    if path.suffix.lower() == ".nrrd":
        end = re.search(r"\r?\n\r?\n", header)  # pixels follow an empty line
        if end is None and len(header) == LONGEST_HEADER:
            raise UserError(f"{path}: its header does not end; export it again")
        header = header[: end.start()] if end else header
        found = re.search(r"(?i)data\s*file", header)
        field = re.compile(r"(?im)^data ?file:[ \t]*(\S[^\r\n]*?)[ \t]*\r?$")
    else:
        found = re.search(r"(?i)ElementDataFile", header)
        field = re.compile(r"(?im)^ElementDataFile[ \t]*=[ \t]*(\S[^\r\n]*?)[ \t]*\r?$")
        if found is None:
            raise UserError(
                f"{path}: the header names no pixels (ElementDataFile); export it again"
            )
    if found is None:
        return "", ""
    named = field.search(header)
    if named is None or named.start() != found.start() or "\0" in header[: named.end()]:
        raise UserError(f"{path}: the header is damaged where it names the pixels; export it again")
    return named[1], header[named.end() :]


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
