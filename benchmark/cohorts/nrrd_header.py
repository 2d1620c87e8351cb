"""What an NRRD header says, judged before ITK sees it: a damaged one can end ITK's own reader.

Source: Definition of NRRD file format, teem.sourceforge.net/nrrd/format.html.
"""

from __future__ import annotations

import re
from pathlib import Path

from benchmark.cohorts.pixel_files import LONGEST_HEADER, LONGEST_LINE
from benchmark.errors import UserError

TYPES = {
    "int8": 1, "signed char": 1, "int8_t": 1, "uchar": 1, "unsigned char": 1, "uint8": 1,
    "uint8_t": 1, "short": 2, "short int": 2, "signed short": 2, "signed short int": 2, "int16": 2,
    "int16_t": 2, "ushort": 2, "unsigned short": 2, "unsigned short int": 2, "uint16": 2,
    "uint16_t": 2, "int": 4, "signed int": 4, "int32": 4, "int32_t": 4, "uint": 4,
    "unsigned int": 4, "uint32": 4, "uint32_t": 4, "longlong": 8, "long long": 8,
    "long long int": 8, "signed long long": 8, "signed long long int": 8, "int64": 8, "int64_t": 8,
    "ulonglong": 8, "unsigned long long": 8, "unsigned long long int": 8, "uint64": 8,
    "uint64_t": 8, "float": 4, "double": 8,
}  # fmt: skip
"""Bytes of a voxel by the name of its type."""

ENCODINGS = ("raw", "gzip", "gz", "text", "txt", "ascii", "hex", "bzip2", "bz2")

_NUMBER = r"(?:[-+]?(?:\d{1,40}\.?\d{0,40}|\.\d{1,40})(?:[eE][-+]?\d{1,3})?|nan|NaN)"
_VECTOR = rf"\(\s*{_NUMBER}(?:\s*,\s*{_NUMBER}){{0,7}}\s*\)"
_FIELDS = {
    "dimension": r"[1-8]",
    "sizes": r"\d{1,19}(?:\s+\d{1,19}){0,7}",
    "space dimension": r"[1-8]",
    "space origin": _VECTOR,
    "space directions": rf"(?:{_VECTOR}|none)(?:\s+(?:{_VECTOR}|none)){{0,7}}",
    "measurement frame": rf"(?:{_VECTOR}|none)(?:\s+(?:{_VECTOR}|none)){{0,7}}",
    "spacings": rf"{_NUMBER}(?:\s+{_NUMBER}){{0,7}}",
    "thicknesses": rf"{_NUMBER}(?:\s+{_NUMBER}){{0,7}}",
    "axis mins": rf"{_NUMBER}(?:\s+{_NUMBER}){{0,7}}",
    "axis maxs": rf"{_NUMBER}(?:\s+{_NUMBER}){{0,7}}",
    "space": r"[A-Za-z0-9 -]{1,60}",
    "endian": r"little|big",
    "kinds": r"[A-Za-z0-9?-]{1,40}(?:\s+[A-Za-z0-9?-]{1,40}){0,7}",
    "centers": r"[A-Za-z?-]{1,40}(?:\s+[A-Za-z?-]{1,40}){0,7}",
    "centerings": r"[A-Za-z?-]{1,40}(?:\s+[A-Za-z?-]{1,40}){0,7}",
    "labels": r'"[^"\\]{0,80}"(?:\s+"[^"\\]{0,80}"){0,7}',
    "units": r'"[^"\\]{0,80}"(?:\s+"[^"\\]{0,80}"){0,7}',
    "space units": r'"[^"\\]{0,80}"(?:\s+"[^"\\]{0,80}"){0,7}',
    "line skip": r"\d{1,9}",
    "byte skip": r"-1|\d{1,9}",
    "old min": _NUMBER,
    "old max": _NUMBER,
    "min": _NUMBER,
    "max": _NUMBER,
    "content": r".{0,200}",
    "number": r"\d{1,19}",
    "sample units": r".{0,200}",
    "data file": r".{1,1000}",
}
"""Values of fields; ``type`` and ``encoding`` have lists of their own."""

_WORDS = {name.replace(" ", ""): name for name in (*_FIELDS, "type", "encoding")}


def read_nrrd_header(path: Path) -> tuple[tuple[int, ...], int, bool]:
    """Read the fields of an NRRD header.

    Returns
    -------
    size : tuple of int
        Voxels along each axis.
    bytes_each : int
        Of a voxel.
    packed : bool
        Whether pixels are compressed.

    Raises
    ------
    UserError
        If the file is no NRRD file, or a line of its header is none that the format knows.
    """
    with path.open("rb") as file:
        header = file.read(LONGEST_HEADER).decode("latin-1")
    header = re.split(r"\r?\n\r?\n", header, maxsplit=1)[0]
    first, *lines = re.split(r"\r?\n", header)
    if not re.fullmatch(r"NRRD000[1-5]", first):
        raise UserError(f"{path}: cannot be read (no NRRD header); export it again")
    fields: dict[str, str] = {}
    for number, line in enumerate(lines, start=2):
        if line.startswith("#") or not line.strip():
            line_fault = len(line) > LONGEST_LINE or not line.isprintable()
        else:
            line_fault = _take(line, fields)
        if line_fault:
            raise UserError(f"{path}: line {number} of the header is damaged; export it again")
        if "data file" in fields and fields["data file"].split()[0] == "LIST":
            break  # names of files follow
    try:
        size = tuple(int(side) for side in fields["sizes"].split())
        each, packed = TYPES[fields["type"]], fields["encoding"] in ENCODINGS[1:3] + ENCODINGS[-2:]
        whole = int(fields["dimension"]) == len(size)
    except KeyError as error:
        raise UserError(f"{path}: the header lacks {error}; export it again") from None
    if not whole:
        raise UserError(f"{path}: the header says sizes of {len(size)} axes and dimension "
                        f"{fields['dimension']}; export it again")  # fmt: skip
    return size, each, packed


def _take(line: str, fields: dict[str, str]) -> bool:
    """Note the field of a line; say whether it is damaged."""
    if len(line) > LONGEST_LINE or not line.isprintable():
        return True
    if re.match(r"[^:]{1,200}:=", line):  # a key and value of the writer's own
        return False
    key, colon, value = line.partition(":")
    name = _WORDS.get(key.lower().replace(" ", ""))
    value = value.strip()
    if not colon or name is None or name in fields:
        return True
    fields[name] = value.lower() if name in ("type", "encoding") else value
    if name == "type":
        return fields[name] not in TYPES
    if name == "encoding":
        return fields[name] not in ENCODINGS
    return re.fullmatch(_FIELDS[name], value) is None
