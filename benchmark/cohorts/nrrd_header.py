"""What an NRRD header says, judged before ITK sees it: a damaged one can end ITK's own reader.

Source: Definition of NRRD file format, teem.sourceforge.net/nrrd/format.html.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from benchmark.cohorts.pixel_files import read_nrrd_lines
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

LONGEST_FIELD = 10_000
"""Letters of a field that is made of numbers or words of the format."""

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
    "labels": r'"[^"\\]{0,400}"(?:\s+"[^"\\]{0,400}"){0,7}',
    "units": r'"[^"\\]{0,80}"(?:\s+"[^"\\]{0,80}"){0,7}',
    "space units": r'"[^"\\]{0,80}"(?:\s+"[^"\\]{0,80}"){0,7}',
    "line skip": r"\d{1,9}",
    "byte skip": r"-1|\d{1,9}",
    "old min": _NUMBER,
    "old max": _NUMBER,
    "min": _NUMBER,
    "max": _NUMBER,
    "content": r".*",
    "number": r"\d{1,19}",
    "sample units": r".*",
    "data file": r".{1,1000}",
}
"""Values of fields; ``type`` and ``encoding`` have lists of their own."""

_WORDS = {name.replace(" ", ""): name for name in (*_FIELDS, "type", "encoding")}


@dataclass(frozen=True)
class NrrdHeader:
    """What a header says.

    Attributes
    ----------
    size : tuple of int
        Voxels along each axis, the fastest first.
    bytes_each : int
        Of a voxel.
    packed : bool
        Whether pixels are compressed.
    fields : dict of str
        Values by the name of the field, in small letters with single spaces.
    keys : dict of str
        The writer's own keys and values (``Segment0_Name:=RCA``).
    pixels_begin : int
        Bytes of the header with the empty line after it.
    """

    size: tuple[int, ...]
    bytes_each: int
    packed: bool
    fields: dict[str, str] = field(repr=False)
    keys: dict[str, str] = field(repr=False)
    pixels_begin: int = 0


def read_nrrd_header(path: Path) -> NrrdHeader:
    """Read the fields of an NRRD header, and its keys and values.

    Raises
    ------
    UserError
        If the file is no NRRD file, or a line of its header is none that the format knows.
    """
    (first, *lines), begin = read_nrrd_lines(path)
    if not re.fullmatch(r"NRRD000[1-5]", first):
        raise UserError(f"{path}: cannot be read (no NRRD header); export it again")
    fields: dict[str, str] = {}
    keys: dict[str, str] = {}
    for number, line in enumerate(lines, start=2):
        try:
            _take(line, fields, keys)
        except ValueError as error:
            why = f" ({error})" if str(error) else ""
            raise UserError(
                f"{path}: line {number} of the header is damaged{why}; export it again"
            ) from None
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
    return NrrdHeader(size, each, packed, fields, keys, begin)


_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f\x80-\x9f]")

_KEY = re.compile(r"([^:]{1,200}):=(.*)")


def _take(line: str, fields: dict[str, str], keys: dict[str, str]) -> None:
    """Note what a line says.

    Raises
    ------
    ValueError
        If the line is damaged; perhaps with what is wrong with it.
    """
    if _CONTROL.search(line):
        raise ValueError
    if line.startswith("#") or not line.strip():
        return
    pair = _KEY.fullmatch(line)
    if pair:
        if keys.setdefault(pair[1], pair[2]) != pair[2]:
            raise ValueError(f"{pair[1][:40]} is said twice")
        return
    key, colon, value = line.partition(":")
    name = _WORDS.get(key.lower().replace(" ", ""))
    value = value.strip()
    if not colon or name is None:
        raise ValueError
    if name in fields:
        raise ValueError(f"{name} is said twice")
    if len(value) > LONGEST_FIELD and name not in ("content", "sample units"):
        raise ValueError
    fields[name] = value.lower() if name in ("type", "encoding") else value
    known = {"type": TYPES, "encoding": ENCODINGS}.get(name)
    good = fields[name] in known if known else re.fullmatch(_FIELDS[name], value)
    if not good:
        raise ValueError
