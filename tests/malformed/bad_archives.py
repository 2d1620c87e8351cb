"""Malformed submissions and run folders, made of what zipfile, json and NumPy write."""

from __future__ import annotations

import io
import json
import shutil
import stat
import struct
import sys
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from bad_volumes import rel
from cases import REFUSED, Case, cuts, place_of
from written import arrays, save

from benchmark.manifest import write_manifest


def submissions(root: Path) -> Iterator[Case]:
    voxels, labels = arrays()
    save(root / "orca/TEV1P1CTI.mhd", voxels)
    header = save(root / "sent/TEV1P1R.mhd", labels.astype(np.int16))
    valid = {path.name: path.read_bytes() for path in (header, header.with_suffix(".raw"))}
    text = valid["TEV1P1R.mhd"].decode()
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("TEV1P1R.mhd", valid["TEV1P1R.mhd"])
        archive.writestr("TEV1P1R.raw", bytes(64 << 20))
    many = {f"{n}.txt": b"" for n in range(12_000)}
    texts = {
        "pixels absolute": text.replace("TEV1P1R.raw", "/etc/passwd"),
        "pixels above": text.replace("TEV1P1R.raw", "../TEV1P1R.raw"),
        "pixels by a colon": text.replace(
            "ElementDataFile = ", "ElementDataFile: /etc/passwd\nX = "
        ),
        "pixels named first by a colon": "ElementDataFile: /etc/passwd\n" + text,
        "pixels in a list": text.replace("TEV1P1R.raw", "LIST\n/etc/passwd"),
        "pixels by a pattern": text.replace("TEV1P1R.raw", "%s%n%d.raw 1 1 1"),
        "size absurd": text.replace("24 24 6", "99999 99999 99999"),
        "spacing NaN": text.replace("0.5 0.5 3", "nan nan nan"),
        "direction zero": text.replace("1 0 0 0 1 0 0 0 1", "0 0 0 0 0 0 0 0 0"),
        "channels many": "ElementNumberOfChannels = 1000000000\n" + text,
        "a header of pixels": "x" * 100_000,
        "a header empty": "",
    }
    sent = {name: {**valid, "TEV1P1R.mhd": change.encode()} for name, change in texts.items()}
    sent |= {
        "a name above": {**valid, "../../evil.mhd": b"x"},
        "a name from the root": {**valid, "/etc/evil.mhd": b"x"},
        "a name of Windows": {**valid, "C:\\evil.mhd": b"x"},
        "a name with a terminal's escapes": {**valid, "\x1b[2J.mhd": b"x"},
        "nothing": {},
        "pixels cut short": {**valid, "TEV1P1R.raw": b"\0\0"},
        "labels of 7": {**valid, "TEV1P1R.raw": b"\7\0" * labels.size},
        "very many files": many,
    }
    for name, files in sent.items():
        path = place_of(root, f"zip/{name}") / "sent.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            for inside, data in files.items():
                archive.writestr(inside, data)
        yield sent_case(root, path, 2 if name == "very many files" else REFUSED)
    plain = io.BytesIO()
    with zipfile.ZipFile(plain, "w", zipfile.ZIP_DEFLATED) as archive:
        for inside, data in valid.items():
            archive.writestr(inside, data)
    whole = plain.getvalue()
    checksum = struct.pack("<I", zlib.crc32(valid["TEV1P1R.raw"]))
    for name, data in cuts(whole):
        path = place_of(root, f"zip/{name}") / "sent.zip"
        path.write_bytes(data)
        yield sent_case(root, path, 2)
    for name, data in {
        "a bomb": bomb.getvalue(),
        "a checksum wrong": whole.replace(checksum, b"\1" * 4),
        "an entry longer than it says": _resized(whole, 100),
        "encrypted": _flagged(whole),
        "packed by an unknown method": _method(whole, 99),
        "packed by a method that is not so": _method(whole, 0),
        "a link": _link(),
        "a list of files without end": whole[:-10] + b"\xfe\xff\xff\xff" + whole[-6:],
        "an offset beyond the end": whole[:-6] + b"\xff\xff\xff\x7f" + whole[-2:],
        "names that are no text": whole.replace(b"TEV1P1R.raw", b"TEV1P1\xff.raw"),
    }.items():  # fmt: skip
        path = place_of(root, f"zip/{name}") / "sent.zip"
        path.write_bytes(data)
        yield sent_case(root, path, 2 if name == "a list of files without end" else REFUSED)


def sent_case(root: Path, path: Path, status: int) -> Case:
    check = ("submit", "orcascore", "--check", rel(root, path), "--data", "orca")
    return Case(rel(root, path.parent), check, status)


def _directory(whole: bytes) -> list[int]:
    """Places of the entries of a zip's list of files."""
    places, start = [], 0
    while (start := whole.find(b"PK\x01\x02", start)) >= 0:
        places.append(start)
        start += 4
    return places


def _patched(whole: bytes, offset: int, value: bytes) -> bytes:
    data = bytearray(whole)
    for place in _directory(whole):
        data[place + offset : place + offset + len(value)] = value
    return bytes(data)


def _resized(whole: bytes, size: int) -> bytes:
    return _patched(whole, 24, struct.pack("<I", size))


def _flagged(whole: bytes) -> bytes:
    return _patched(whole, 8, b"\1\0")


def _method(whole: bytes, method: int) -> bytes:
    return _patched(whole, 10, struct.pack("<H", method))


def _link() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        entry = zipfile.ZipInfo("TEV1P1R.raw")
        entry.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(entry, "/etc/passwd")
    return out.getvalue()


PLAN_FAULTS = {
    "seeds a number": {"seeds": 5}, "methods a number": {"methods": 5},
    "methods of words": {"methods": ["unet3d"]}, "cells of words": {"cells": ["x"]},
    "cells none": {"cells": None}, "split a number": {"split": 5}, "suite a list": {"suite": []},
    "cohort a word": {"cohort": "phantom"}, "budget a number": {"budget": 5},
    "patients a list": {"patients": [["p0", "p1"]]},
    "patients of numbers": {"patients": {"known": True, "together": [[1, 2]]}},
    "patients of one scan": {"patients": {"known": True, "together": [["p0"], ["p0"]]}},
    "asked a list": {"asked": [1], "patients": None},
}  # fmt: skip


def runs(root: Path) -> Iterator[Case]:
    """Folders that `run` wrote, and somebody else spoiled."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from conftest import FakeTrainer, run_tiny

    (root / "made").mkdir()
    made = run_tiny(root / "made", FakeTrainer())[0].folder
    plan = json.loads((made / "plan.json").read_text())

    def copy(name: str) -> tuple[Path, Path]:
        place = place_of(root, f"run/{name}")
        shutil.copytree(root / "made/runs", place / "runs", dirs_exist_ok=True)
        return place, place / made.relative_to(root / "made")

    outside = {"folder": "../../../../../etc"}
    contents = {name: json.dumps({**plan, **change}) for name, change in PLAN_FAULTS.items()} | {
        "cells outside": json.dumps({**plan, "cells": [{**c, **outside} for c in plan["cells"]]}),
        "cells of no method": json.dumps(
            {**plan, "cells": [{**c, "method": "x"} for c in plan["cells"]]}
        ),
        "nested deeply": "[" * 100_000, "not closed": json.dumps(plan)[:-9], "a list": "[]",
        "empty": "", "UTF-16": json.dumps(plan), "binary": "",
    }  # fmt: skip
    for name, text in contents.items():
        place, folder = copy(f"plan {name}")
        data = text.encode("utf-16" if name == "UTF-16" else "utf-8")
        (folder / "plan.json").write_bytes(bytes(range(256)) if name == "binary" else data)
        yield Case(rel(root, place), ("show", rel(root, folder)))
    first = plan["cells"][0]["folder"]
    json_file = (made.parents[1] / "cells" / first / "run.json").read_bytes()
    arrays_file = (made.parents[1] / "cells" / first / "predictions.npz").read_bytes()
    values = json.loads(json_file)
    bad_json = {
        "cut": json_file[:-40], "empty": b"", "binary": bytes(range(256)), "a list": b"[]",
        "no state": json_file.replace(b'"state"', b'"stat"'), "a number": b"5",
        "nested deeply": b"[" * 100_000,
        "notes a number": json.dumps({**values, "notes": 5}).encode(),
        "key a word": json.dumps({**values, "key": "x"}).encode(),
        "ledger none": json.dumps({**values, "ledger": None}).encode(),
        "title a list": json.dumps({**values, "title": []}).encode(),
    }  # fmt: skip
    bad_arrays = dict(cuts(arrays_file)) | {
        "objects": packed(ids=np.array([{}, []], object), reference=np.array([{}], object)),
        "without ids": packed(reference=np.ones((12, 3, 4))),
        "of fewer scans": packed(ids=np.array(["a", "b"]), reference=np.ones((1, 3, 4))),
        "of words": packed(ids=np.array(["a"]), reference=np.full((1, 3, 4), "x")),
    }
    spoiled = [(f"cell {name}", "run.json", data) for name, data in bad_json.items()]
    spoiled += [(f"arrays {name}", "predictions.npz", data) for name, data in bad_arrays.items()]
    for name, file, data in spoiled:
        place, folder = copy(name)
        cell = folder.parents[1] / "cells" / first
        (cell / file).write_bytes(data)
        yield Case(rel(root, place), ("show", rel(root, folder)))
        # whoever changed the file may have changed its manifest as well
        place, folder = copy(f"{name} with its manifest")
        cell = folder.parents[1] / "cells" / first
        (cell / file).write_bytes(data)
        write_manifest(cell)
        yield Case(rel(root, place), ("show", rel(root, folder)))
    place, folder = copy("manifest nested deeply")
    (folder.parents[1] / "cells" / first / "manifest.json").write_text("[" * 100_000)
    yield Case(rel(root, place), ("show", rel(root, folder)))


def packed(**arrays: np.ndarray) -> bytes:
    """Content of an archive of arrays."""
    out = io.BytesIO()
    np.savez(out, **arrays)
    return out.getvalue()
