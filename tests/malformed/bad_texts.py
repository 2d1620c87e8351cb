"""Malformed tables, suites, claims, cohort files and keys, made of what csv and yaml write."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import yaml
from bad_scans import check
from bad_volumes import rel
from cases import REFUSED, Case, encodings, place_of
from written import arrays, save

SCORES = [f"{s}_{t}" for s in ("agatston", "volume", "mass") for t in ("LAD", "LCX", "RCA")]
SUITE = {
    "name": "tiny", "title": "A suite", "cohort": "phantom", "paper_table": "table1",
    "methods": ["unet3d", {"base": "mmwfanet", "change": {"fusion": "sum"}}],
    "references": ["all-lad"],
    "scales": {"smoke": {
        "train": 20, "test": 12, "budget": "5 steps", "cell_mm": [6, 8, 8], "width": 8,
        "batch_size": 2, "learning_rate": 0.003,
    }},
}  # fmt: skip

YAML_FAULTS = {
    "aliases nine levels": "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(9)
    ),
    "aliases in keys": "a: &a {b: 1}\n? *a\n: 1\n",
    "an alias of itself": "a: &a [*a]\n",
    "an alias unknown": "a: *b\n",
    "nested deeply": "a: " + "[" * 5000 + "]" * 5000 + "\n",
    "nested deeply in blocks": "".join(" " * n + f"k{n}:\n" for n in range(600)),
    "Python objects": "a: !!python/object/apply:os.system ['true']\n",
    "Python names": "a: !!python/name:os.system\n",
    "a tag unknown": "a: !cat 5\n",
    "a date that is none": "a: 2020-13-45\n",
    "binary that is none": "a: !!binary '%%%'\n",
    "an integer that is none": "a: !!int word\n",
    "an integer of many digits": "a: " + "9" * 10000 + "\n",
    "a set of lists": "a: !!set {? [1, 2]}\n",
    "a merge of a number": "a:\n  <<: 5\n",
    "tabs": "a:\n\tb: 1\n",
    "a key twice": "path: x\npath: y\n",
    "two documents": "a: 1\n---\nb: 2\n",
    "not closed": "a: [1, 2\n",
    "not closed text": 'a: "x\n',
    "an escape unknown": 'a: "\\q"\n',
    "an escape beyond Unicode": 'a: "\\UFFFFFFFF"\n',
    "control characters": "a: \x01\x02\n",
    "a list": "- 1\n- 2\n",
    "a number": "5\n",
    "empty": "",
    "only comments": "# nothing\n" * 5,
    "very long": "a: " + "x" * (2 << 20) + "\n",
    "very many": "- a\n" * 60000,
}  # fmt: skip


def csv_tables(root: Path) -> Iterator[Case]:
    voxels, labels = arrays()
    for number in range(4):
        save(root / f"csv-scans/a{number}.nii.gz", voxels)
        save(root / f"csv-scans/s{number}.nii.gz", labels)
    lines = [(f"a{n}.nii.gz", f"s{n}.nii.gz", str(n), "A") for n in range(4)]
    valid = written([("image", "labels", "patient", "centre"), *lines])
    texts = {
        "empty": "", "one line": "image,labels\n", "no columns": valid.partition("\n")[2],
        "semicolons": valid.replace(",", ";"), "a column twice": "image,image\na,b\n",
        "a column in two cases": "image,Image\na,b\n", "a column misspelt": "image,label\na,b\n",
        "more fields than columns": "image,labels\na0.nii.gz,s0.nii.gz,7,5\n",
        "a separator that is none": "sep=x\n" + valid,
        "a quote open": 'image\n"a0.nii.gz\n' + "x" * 200_000,
        "a field very long": "image\n" + "x" * 200_000 + "\n",
        "columns very many": f"image,{','.join(f'c{n}' for n in range(9000))}\n" + "a\n" * 9000,
        "lines very many": "image\n" + "a0.nii.gz\n" * 250_000,
        "a split unknown": "image,split\na0.nii.gz,both\n",
        "an id twice": "image,id\na0.nii.gz,x\na1.nii.gz,x\n",
        "an id with a slash": "image,id\na0.nii.gz,../x\n",
        "an id with a line break": 'image,id\na0.nii.gz,"x\ny"\n',
        "no image": "image,labels\n,s0.nii.gz\n",
        "escapes of a terminal": "image,split\na0.nii.gz,\x1b[2J\x1b]0;x\x07\n",
    }  # fmt: skip
    files = {name: text.encode() for name, text in texts.items()} | dict(encodings(valid))
    for name, data in files.items():
        path = place_of(root, f"csv/{name}") / "scans.csv"
        path.write_bytes(data)
        # these can be read, and name files that are not there
        status = REFUSED if name in ("semicolons", "UTF-16") else 2
        yield Case(rel(root, path.parent), ("data", "check", rel(root, path)), status)
    good = "".join(f"../../csv-scans/a{n}.nii.gz\n" for n in range(3))
    for name, image in {
        "a path above": "../../../../etc/passwd.nii", "an absolute path": "/etc/passwd.nii",
        "a name too long": "a" * 5000 + ".nii", "no such file": "nothing.nii.gz",
        "not an image": "a.exe", "a folder": ".", "a path through a file": "scans.csv/a.nii",
    }.items():  # fmt: skip
        path = place_of(root, f"csv/{name}") / "scans.csv"
        path.write_text("image\n" + good + image + "\n")
        yield Case(rel(root, path.parent), ("data", "check", rel(root, path)), REFUSED)
    for name, text in {
        "centres without columns": "a,b\n", "centres of two": "id,centre\na0,A\na0,B\n",
        "centres empty": "", "centres with gaps": "id,centre\na0,\n",
    }.items():  # fmt: skip
        folder = place_of(root, f"folder/{name}")
        for part in ("images", "labels"):
            save(folder / part / "a0.nii.gz", voxels if part == "images" else labels)
        (folder / "centres.csv").write_text(text)
        yield check(root, folder)
    for name, text in {
        "patients of one scan": "id,patient\na0,A\na0,B\n", "patients binary": "id,patient\n\0",
        "patients named twice": "id,patient,id\na0,A,a0\n", "patients long": "id," * 90_000 + "\n",
    }.items():  # fmt: skip
        folder = place_of(root, f"folder/{name}")
        for part in ("images", "labels"):
            save(folder / part / "a0.nii.gz", voxels if part == "images" else labels)
        (folder / "patients.csv").write_text(text)
        yield check(root, folder)


def cohort_files(root: Path) -> Iterator[Case]:
    edits = {
        "no path": {"path": None}, "no such path": {"path": "elsewhere"},
        "a path with NUL": {"path": "a\0b"}, "a path too long": {"path": "a" * 5000},
        "format a list": {"format": ["csv"]}, "format a mapping": {"format": {"csv": 1}},
        "format unknown": {"format": "jpeg"}, "a key unknown": {"pth": 1},
        "options a list": {"options": [1]}, "options unknown": {"options": {"x": 1}},
        "options of another": {"options": {"missing_xml": "refuse"}},
        "refused unknown": {"refused": "perhaps"}, "refused a list": {"refused": ["stop"]},
        "split unknown": {"split": "by-weather"}, "split of numbers": {"split": {"train": 1}},
        "split of lists": {"split": {"train": [[1]], "test": [2]}},
        "split of ids that are not": {"split": {"train": ["x"], "test": ["y"]}},
        "fold beyond": {"split": "folds:5", "fold": "9/5"}, "fold a list": {"fold": [1, 5]},
        "seed infinite": {"seed": float("inf")}, "seed of words": {"seed": "x"},
        "a name with a path": {"name": "../x"}, "a name a list": {"name": ["a/b"]},
    }  # fmt: skip
    valid = {"path": "../../csv-scans/scans.csv", "format": "csv"}
    table = ["image,labels", *(f"a{n}.nii.gz,s{n}.nii.gz" for n in range(4))]
    (root / "csv-scans/scans.csv").write_text("\n".join(table) + "\n")
    files = {name: yaml.safe_dump({**valid, **edit}).encode() for name, edit in edits.items()}
    files |= {name: text.encode() for name, text in YAML_FAULTS.items()}
    files |= dict(encodings(yaml.safe_dump(valid)))
    for name, data in files.items():
        path = place_of(root, f"cohort/{name}") / "cohort.yaml"
        path.write_bytes(data)
        status = REFUSED if name in ("split of ids that are not", "fold beyond") else 2
        yield Case(rel(root, path.parent), ("data", "check", rel(root, path)), status)


def suites(root: Path) -> Iterator[Case]:
    edits = {
        "no methods": {"methods": None}, "methods empty": {"methods": []},
        "methods a number": {"methods": 5}, "methods of lists": {"methods": [["unet3d"]]},
        "a method unknown": {"methods": ["unet4d"]}, "a method twice": {"methods": ["unet3d"] * 2},
        "an ablation without base": {"methods": [{"change": {"fusion": "sum"}}]},
        "an ablation of nothing": {"methods": [{"base": "mmwfanet"}]},
        "scales a list": {"scales": [1]}, "scales none": {"scales": {}},
        "scales of itself": {"scales": "suite"}, "scales of numbers": {"scales": {"smoke": 5}},
        "budget of words": {"scales": {"smoke": {**SUITE["scales"]["smoke"], "budget": "long"}}},
        "budget infinite": {"scales": {"smoke": {**SUITE["scales"]["smoke"], "budget": "inf s"}}},
        "width negative": {"scales": {"smoke": {**SUITE["scales"]["smoke"], "width": -8}}},
        "cells NaN": {"scales": {"smoke": {**SUITE["scales"]["smoke"],
                                           "cell_mm": [float("nan")] * 3}}},
        "cells zero": {"scales": {"smoke": {**SUITE["scales"]["smoke"], "cell_mm": [0, 0, 0]}}},
        "learning rate NaN": {"scales": {"smoke": {**SUITE["scales"]["smoke"],
                                                   "learning_rate": float("nan")}}},
        "a name with a path": {"name": "../../x"}, "a key unknown": {"metods": []},
        "a key a number": {5: 5}, "title a list": {"title": [1]},
    }  # fmt: skip
    files = {name: yaml.safe_dump({**SUITE, **edit}).encode() for name, edit in edits.items()}
    files |= {name: text.encode() for name, text in YAML_FAULTS.items()}
    files |= dict(encodings(yaml.safe_dump(SUITE)))
    for name, data in files.items():
        path = place_of(root, f"suite/{name}") / "suite.yaml"
        path.write_bytes(data)
        run = ("run", "--suite", rel(root, path), "--scale", "smoke", "--out", "runs-of-none")
        yield Case(rel(root, path.parent), run)


def claims(root: Path) -> Iterator[Case]:
    texts = {
        "claims a number": "claims: 5\n",
        "a key a number": "claims: []\n5: 5\n",
        "claims of numbers": "claims: [1, 2]\n",
        "claims of nothing": "claims: [{}]\n",
    }
    for name, text in {**texts, **dict(list(YAML_FAULTS.items())[:10])}.items():
        path = place_of(root, f"claims/{name}") / "claims.yaml"
        path.write_text(text)
        yield Case(rel(root, path.parent), ("claims", "--claims", rel(root, path)))


def score_tables(root: Path) -> Iterator[Case]:
    folder = root / "scored"
    voxels, labels = arrays()
    for number in range(4):
        save(folder / f"images/a{number}.nii.gz", voxels)
        save(folder / f"labels/a{number}.nii.gz", labels)
    head = ["scan", *SCORES]
    rows = [[f"a{n}", *["1.5"] * 9] for n in range(4)]
    valid = written([head, *rows])
    files = {name: text.encode() for name, text in {
        "empty": "", "head alone": ",".join(head) + "\n", "no column": valid.replace("_LAD", "_X"),
        "no scans": valid.replace("scan,", "patient,"), "a scan twice": valid + valid[-40:],
        "a score of words": valid.replace("1.5", "much", 1),
        "a score negative": valid.replace("1.5", "-1.5", 1),
        "a score of many digits": valid.replace("1.5", "1" * 70_000, 1),
        "scans of another": valid.replace("\na", "\nb"), "no name": valid.replace("\na0", "\n"),
        "a column twice": valid.replace("volume_LAD", "agatston_LAD"),
        "a quote open": valid + '"',
        "two decimal signs": valid.replace(",", ";").replace("1.5", "1,5", 1),
        "a comma that may part thousands": valid.replace(",", ";").replace("1.5", "1,500"),
    }.items()} | dict(encodings(valid))  # fmt: skip
    del files["a quote open"]  # Python's csv reads it as an empty field
    del files["UTF-16"]  # which a table may be in
    for name, data in files.items():
        path = place_of(root, f"scores/{name}") / "scores.csv"
        path.write_bytes(data)
        judge = ("evaluate", "--scores", rel(root, path), "--data", "scored")
        yield Case(rel(root, path.parent), judge)
    for name, spoil in {
        "a map cut short": lambda data: data[:100], "a map of text": lambda data: b"text",
        "a map empty": lambda data: b"",
    }.items():  # fmt: skip
        maps = place_of(root, f"maps/{name}")
        for number in range(4):
            save(maps / f"a{number}.nii.gz", labels)
        (maps / "a2.nii.gz").write_bytes(spoil((maps / "a2.nii.gz").read_bytes()))
        judge = ("evaluate", "--labels", rel(root, maps), "--data", "scored", "--missing", "worst")
        yield Case(rel(root, maps), judge, REFUSED)


def places(root: Path) -> Iterator[Case]:
    """Tables of the places of hearts."""
    folder = root / "hearts-scans"
    voxels, labels = arrays()
    for number in range(4):
        save(folder / f"images/a{number}.nii.gz", voxels)
        save(folder / f"labels/a{number}.nii.gz", labels)
    valid = written([("id", "x", "y", "z"), *((f"a{n}", "-18", "32", "-100") for n in range(4))])
    files = {name: text.encode() for name, text in {
        "empty": "", "head alone": "id,x,y,z\n", "no z": valid.replace(",z", ",w"),
        "no id": valid.replace("id,", "scan,"), "a scan twice": valid + "a0,1,2,3\n",
        "a place of words": valid.replace("32", "front", 1),
        "a place not finite": valid.replace("32", "inf", 1),
        "no number": valid.replace("32", "", 1),
        "a place of many digits": valid.replace("32", "1" * 70_000, 1),
        "a place far outside": valid.replace("32", "1e308", 1), "no name": valid.replace("a0", ""),
        "scans of another": valid.replace("\na", "\nb"),
        "a number of another alphabet": valid.replace("32", "\u0663x", 1),
    }.items()} | dict(encodings(valid))  # fmt: skip
    del files["UTF-16"]  # which a table may be in
    for name, data in files.items():
        path = place_of(root, f"hearts/{name}") / "hearts.csv"
        path.write_bytes(data)
        check = ("data", "check", "hearts-scans", "--hearts", rel(root, path))
        yield Case(rel(root, path.parent), check)


def keys(root: Path) -> Iterator[Case]:
    for name, data in {
        "short": b"x", "long": b"x" * 33, "empty": b"", "huge": bytes(3 << 20),
    }.items():  # fmt: skip
        folder = place_of(root, f"key/{name}")
        (folder / "id.key").write_bytes(data)
        check_it = ("data", "check", "scored", "--cache", rel(root, folder))
        yield Case(rel(root, folder), check_it)


def written(rows) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows(rows)
    return out.getvalue()
