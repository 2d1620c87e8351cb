"""The readers that are fuzzed: a valid file of each, and the function that reads it.

A reader either gives something or raises `UserError` with one line; all else is a fault.
"""

from __future__ import annotations

import io
import json
import plistlib
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
import yaml
from bad_scans import DATASET
from bad_texts import SCORES, SUITE
from packed import pack
from safetensors.numpy import save as save_tensors
from several import enhanced, segment
from written import BOX, HEIGHT, arrays, roi, save, series

from benchmark.errors import UserError

ROOT = Path(__file__).parents[2]


WEIGHTS = {
    "extra": json.dumps({"e": ["list", [["tensor", "e/0", "cpu"], ["scalar", "<f4", 1.5]], None]}),
    "answers": json.dumps({"logits": [0.5, None], "device": "cpu"}),
}
"""What stands in the header of kept weights."""


@dataclass(frozen=True)
class Reader:
    """A kind of file.

    Attributes
    ----------
    name : str
        Of the file, with its suffix.
    valid : bytes
    read : callable
        Takes the file's path; files that belong to it lie beside it.
    words : tuple of bytes
        What to put into a text.
    """

    name: str
    valid: bytes
    read: Callable[[Path], object]
    words: tuple[bytes, ...] = ()


def one_line(read: Callable[[Path], object], path: Path) -> None:
    """Read a file.

    Raises
    ------
    AssertionError
        If the complaint says nothing; the command line prints it as one line.
    Exception
        Whatever the reader raises that is no `UserError`.
    """
    try:
        read(path)
    except UserError as error:
        if not str(error).strip():
            raise AssertionError("an empty complaint") from error


def make_readers(folder: Path) -> dict[str, Reader]:
    """All readers by name; what stays the same lies in the folder."""
    import safetensors.torch  # noqa: F401  (before memory is limited: torch is large)

    from benchmark.challenge.checker import check_submission
    from benchmark.cohorts.coca_xml import read_outlines
    from benchmark.cohorts.dicom import DicomCohort
    from benchmark.cohorts.formats import open_data
    from benchmark.cohorts.orcascore import OrcaScoreCohort
    from benchmark.cohorts.privacy import load_key
    from benchmark.cohorts.split import Split
    from benchmark.cohorts.split_choice import load_split, save_split
    from benchmark.cohorts.volumes import read_scan
    from benchmark.heart.places import read_places
    from benchmark.npz import load_arrays
    from benchmark.prediction.table import read_table
    from benchmark.report.claims import load_claims
    from benchmark.runs.finished import find_run
    from benchmark.runs.store import read_weights
    from benchmark.suites.load import load_suite
    from benchmark.training.trials import UNITS, Outcome, Record

    voxels, labels = arrays()
    mhd = save(folder / "a.mhd", voxels).read_bytes()
    packed = save(folder / "b.mhd", voxels, compress=True).with_suffix(".zraw").read_bytes()
    mha = save(folder / "made/c.mha", voxels, compress=True).read_bytes()
    nrrd = save(folder / "made/d.nrrd", voxels).read_bytes()
    zipped_nrrd = save(folder / "made/e.nrrd", voxels, compress=True).read_bytes()
    segments = b"\nSegment0_ID:=S_1\nSegment0_Name:=LAD\nSegment0_LabelValue:=1\nSegment0_Layer:=0"
    named = save(folder / "made/s.nrrd", labels).read_bytes()
    named = named.replace(b"\n\n", segments + b"\n\n", 1)
    snapped = save(folder / "snap/y.nii", labels)
    snap = '# ITK-SnAP Label Description File\n1 255 0 0 1 1 1 "LAD"\n'
    image = nibabel.Nifti1Image(voxels.T, np.diag([-0.5, -0.5, 3.0, 1.0]))
    slices = series(folder / "dicom", voxels[:3])
    whole = enhanced(folder / "enhanced")
    drawn = folder / "seg"
    series(drawn, voxels)
    segment(drawn, labels, ["LAD"])
    packed_slices = series(folder / "packed", voxels[:3])
    for path in packed_slices:
        pack(path, "JPEG 2000")
    save(folder / "orca/TEV1P1CTI.mhd", voxels)
    orca = OrcaScoreCohort(folder / "orca")
    sent = save(folder / "made/TEV1P1R.mhd", labels.astype(np.int16))
    parcel = io.BytesIO()
    with zipfile.ZipFile(parcel, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in (sent, sent.with_suffix(".raw")):
            archive.writestr(path.name, path.read_bytes())
    save_split(Split(("a", "b"), ("c",), 0, "by-risk"), folder / "made/split.json")
    table = "image,labels,patient,centre,split\nx.nii.gz,y.nii.gz,17,A,train\nz.nii.gz,,18,B,\n"
    rows = "".join(f"a{n},{','.join(['1.5'] * 9)}\n" for n in range(3))
    out = io.BytesIO()
    np.savez_compressed(out, ids=np.array(["a", "b"]), reference=np.ones((2, 3, 4)))
    (folder / "t.csv").write_text(table)
    for part, array in (("imagesTr/a_0000", voxels), ("labelsTr/a", labels)):
        save(folder / f"nn/{part}.nii.gz", array)
    plan = {
        "suite": "x", "seeds": [0], "methods": [{"name": "m", "title": "M"}], "budget": "5 s",
        "cells": [{"folder": "m-seed0", "method": "m", "seed": 0}], "split": {}, "cohort": {},
        "patients": {"known": True, "together": [["a", "b"]]},
    }  # fmt: skip
    stated = yaml.safe_load((ROOT / "results/paper/claims.yaml").read_text(encoding="utf-8"))
    claim = {"claims": stated["claims"][:2]}
    trial = Outcome(0, {"learning_rate": 1.0}, "complete", 0.1, 0.2, "", dict.fromkeys(UNITS, 1))
    outlines = {"Images": [{"ImageIndex": 3, "ROIs": [roi(BOX, HEIGHT)]}]}

    def run_of(path: Path) -> object:
        return find_run(str(path.parent), path.parent).summary

    def packed_pixels(path: Path) -> object:
        return read_scan(path.with_name("b.mhd"))

    def submission(path: Path) -> object:
        return check_submission(path, orca, orca.ids)

    def with_slices(path: Path) -> object:
        cohort = DicomCohort(path.parent)
        return [cohort.load(id) for id in cohort.ids]

    def cohort_of(path: Path) -> object:
        return open_data(path)

    def arrays_of(path: Path) -> object:
        try:
            return load_arrays(path)
        except (ValueError, OSError) as error:  # its callers say which file
            raise UserError(str(error) or "damaged") from None

    text = (b"\0", b"\xff", b"nan", b"inf", b"-1", b"1e999", b"9" * 5000, b"../", b"%s%n", b"LIST")
    marks = (
        *text,
        b"[" * 500,
        b"&a ",
        b"*a",
        b"<<: ",
        b"!!binary ",
        b"? ",
        b"- ",
        b"{}",
        b"2020-13-1",
    )
    xml = (*text, b"<array>", b"<dict/>", b"<!DOCTYPE x>", b"&lt;", b"<real>inf</real>")
    json_ = (*text, b"[" * 5000, b"{}", b"null", b"NaN", b"\\ud800", b"1e400")
    return {
        "mhd": Reader("a.mhd", mhd, read_scan, text),
        "zraw": Reader("b.zraw", packed, packed_pixels),
        "mha": Reader("c.mha", mha, read_scan, text),
        "nrrd": Reader("d.nrrd", nrrd, read_scan, text),
        "seg.nrrd": Reader(
            "s.seg.nrrd", named, lambda path: read_scan(folder / "a.mhd", path),
            (*text, b"Segment0_", b"LabelValue:=2", b"Layer:=9", b"kinds: list", b":="),
        ),
        "snap": Reader(
            "snap/y.txt", snap.encode(), lambda path: read_scan(folder / "a.mhd", snapped), text
        ),
        "nrrd-gzip": Reader("e.nrrd", zipped_nrrd, read_scan, text),
        "nii": Reader("f.nii", image.to_bytes(), read_scan),
        "nii.gz": Reader("g.nii.gz", _gzip(image.to_bytes()), read_scan),
        "dicom": Reader("dicom/0001.dcm", slices[1].read_bytes(), with_slices),
        "enhanced": Reader("enhanced/0000.dcm", whole.read_bytes(), with_slices),
        "segmentation": Reader("seg/seg.dcm", (drawn / "seg.dcm").read_bytes(), with_slices),
        "packed": Reader("packed/0001.dcm", packed_slices[1].read_bytes(), with_slices),
        "xml": Reader("x.xml", plistlib.dumps(outlines), read_outlines, xml),
        "csv": Reader("t.csv", table.encode(), cohort_of, (*text, b'"', b",", b"\r")),
        "scores": Reader(
            "s.csv", f"scan,{','.join(SCORES)}\n{rows}".encode(), read_table, (*text, b'"', b",")
        ),
        "hearts": Reader(
            "h.csv", b"id,x,y,z\na0,1.5,-2,3e1\n", read_places, (*text, b'"', b",", b"nan")
        ),
        "cohort": Reader(
            "c.yaml", b"path: t.csv\nsplit: by-risk\nseed: 3\nname: x\n", cohort_of, marks
        ),
        "suite": Reader(
            "s.yaml", yaml.safe_dump(SUITE).encode(), lambda path: load_suite(str(path)), marks
        ),
        "claims": Reader(
            "k.yaml", yaml.safe_dump(claim).encode(), load_claims.__wrapped__, marks
        ),
        "dataset": Reader(
            "nn/dataset.json", json.dumps(DATASET | {"numTraining": 1}).encode(), _nnunet, json_
        ),
        "split": Reader("split.json", (folder / "made/split.json").read_bytes(), load_split, json_),
        "plan": Reader("run/plan.json", json.dumps(plan).encode(), run_of, json_),
        "search": Reader(
            "search.json", json.dumps([trial.as_dict()]).encode(),
            lambda path: Record(path).read(lambda line: None), json_,
        ),
        "zip": Reader("sent.zip", parcel.getvalue(), submission),
        "npz": Reader("p.npz", out.getvalue(), arrays_of),
        "safetensors": Reader(
            "w.safetensors",
            save_tensors({"a": np.ones((2, 3), np.float32), "e/0": np.ones(2)}, WEIGHTS),
            read_weights,
            json_,
        ),
        "key": Reader("key/id.key", bytes(32), lambda path: load_key(path.parent)),
    }  # fmt: skip


def _nnunet(path: Path) -> object:
    from benchmark.cohorts.nnunet import NnUNetCohort

    return NnUNetCohort(path.parent)


def _gzip(data: bytes) -> bytes:
    import gzip

    return gzip.compress(data, mtime=0)
