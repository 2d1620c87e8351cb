"""Malformed DICOM series, COCA outlines and nnU-Net data sets, made of what pydicom writes."""

from __future__ import annotations

import json
import plistlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pydicom
from bad_volumes import rel
from cases import REFUSED, Case, cuts, deflated_zeros, encodings, place_of
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEGLosslessSV1, RLELossless
from written import BOX, HEIGHT, arrays, coca, roi, save, series

DICOM_EDITS = {
    "no place": {"ImagePositionPatient": None},
    "no directions": {"ImageOrientationPatient": None},
    "no spacing": {"PixelSpacing": None},
    "spacing zero": {"PixelSpacing": [0, 0]},
    "spacing negative": {"PixelSpacing": [-0.5, 0.5]},
    "spacing absurd": {"PixelSpacing": [1e30, 1e30]},
    "directions zero": {"ImageOrientationPatient": [0, 0, 0, 0, 0, 0]},
    "directions alike": {"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]},
    "one place": {"ImagePositionPatient": [0, 0, 0]},
    "rows many": {"Rows": 65000},
    "rows and columns many": {"Rows": 65000, "Columns": 65000},
    "rows zero": {"Rows": 0},
    "rows fewer": {"Rows": 20},
    "slope huge": {"RescaleSlope": "1e300"},
    "slope NaN": {"RescaleSlope": "nan"},
    "intercept huge": {"RescaleIntercept": "1e300"},
    "bits 12 of 8": {"BitsAllocated": 8, "BitsStored": 12},
    "bits 64": {"BitsAllocated": 64},
    "bits 7": {"BitsAllocated": 7},
    "inverted": {"PhotometricInterpretation": "MONOCHROME1"},
    "frames many": {"NumberOfFrames": 1000000},
    "pixels none": {"PixelData": None},
    "pixels few": {"PixelData": b"\0\0" * 10},
    "not HU": {"RescaleIntercept": 5000},
}


def dicom(root: Path) -> Iterator[Case]:
    voxels, _ = arrays()
    for name, tags in DICOM_EDITS.items():
        folder = place_of(root, f"dicom/{name}")
        series(folder, voxels, **tags)
        yield check(root, folder, REFUSED)
    # beside a good series, only the bad one is refused
    folder = place_of(root, "dicom/one of two series")
    series(folder / "a", voxels)
    series(folder / "b", voxels, uid="1.2.826.99.2", PixelSpacing=[0, 0])
    yield check(root, folder, REFUSED)
    folder = place_of(root, "dicom/a slice far away")
    series(folder, voxels, heights=[0, 0.02, 1e300, 6, 9, 12])
    yield check(root, folder, REFUSED)
    folder = place_of(root, "dicom/different slices at one place")
    series(folder, voxels, heights=[0, 0, 3, 6, 9, 12])
    yield check(root, folder, REFUSED)
    valid = series(place_of(root, "valid-dicom"), voxels)[0].read_bytes()
    for name, data in cuts(valid):
        folder = place_of(root, f"dicom/all files {name}")
        for number in range(3):
            (folder / f"{number}.dcm").write_bytes(data)
        # a header may outlive a cut: then its series is refused, else there is none
        yield check(root, folder, REFUSED if "cut at 90" in name or "cut at 50" in name else 2)
    yield from _packed_dicom(root, voxels)


def _packed_dicom(root: Path, voxels: np.ndarray) -> Iterator[Case]:
    """Transfer syntaxes that do not fit what follows."""
    for name, syntax in (("RLE", RLELossless), ("JPEG", JPEGLosslessSV1)):
        folder = place_of(root, f"dicom/said to be {name}")
        for path in series(folder, voxels):
            data = pydicom.dcmread(path)
            data.file_meta.TransferSyntaxUID = syntax
            data.PixelData = pydicom.encaps.encapsulate([b"\xff\xd8\xff" + bytes(100)])
            data["PixelData"].is_undefined_length = True
            data.save_as(path, enforce_file_format=True)
        yield check(root, folder, REFUSED)
    zeros = deflated_zeros(128)
    folder = place_of(root, "dicom/a deflated bomb")
    for path in series(folder, voxels):
        data = pydicom.dcmread(path)
        data.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
        data.PixelData = b""
        data.save_as(path, enforce_file_format=True)
        whole = path.read_bytes()
        path.write_bytes(whole[: whole.index(b"1.2.840.10008.1.2.1.99") + 22] + zeros)
    yield check(root, folder, 2)
    folder = place_of(root, "dicom/elements without end")
    for path in series(folder, voxels):
        whole = path.read_bytes()
        place = whole.index(b"\x08\x00\x08\x00CS")
        path.write_bytes(whole[:place] + b"\x08\x00\x01\x00UN\0\0\0\0\0\0" * 500_000)
    yield check(root, folder, 2)


def coca_outlines(root: Path) -> Iterator[Case]:
    """One patient's XML is bad, another's is good."""
    valid = plistlib.dumps({"Images": [{"ImageIndex": 3, "ROIs": [roi(BOX, HEIGHT)]}]}).decode()
    texts = {
        "an entity": valid.replace(
            "<plist", '<!DOCTYPE x [<!ENTITY a "b">]><plist', 1
        ).replace('<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" '
                  '"http://www.apple.com/DTDs/PropertyList-1.0.dtd">', ""),
        "a file outside": '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
        "<plist><string>&a;</string></plist>",
        "a billion laughs": '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "ha">'
        + "".join(
            f'<!ENTITY {chr(98 + n)} "{("&" + chr(97 + n) + ";") * 10}">' for n in range(9)
        )
        + "]><plist><string>&j;</string></plist>",
        "a list": "<plist><array/></plist>",
        "no images": "<plist><dict/></plist>",
        "images a number": "<plist><dict><key>Images</key><integer>3</integer></dict></plist>",
        "nested deeply": "<plist>" + "<array>" * 100000 + "</array>" * 100000 + "</plist>",
        "not closed": valid[:-30],
        "index infinite": valid.replace("<integer>3<", "<real>inf<"),
        "index of words": valid.replace("<integer>3</integer>", "<string>three</string>", 1),
        "an artery unknown": valid.replace("Left Anterior Descending Artery", "Aorta"),
        "points NaN": valid.replace("(5.000000,", "(nan,"),
        "points of words": valid.replace("(5.000000,", "(five,"),
        "points absurd": valid.replace("(5.000000,", "(1e300,"),
        "points off the scan": valid.replace("(5.000000, ", "(5000.0, ").replace(
            "(12.000000, ", "(5001.0, "
        ),
        "outlines of another patient": plistlib.dumps(
            {"Images": [{"ImageIndex": 3, "ROIs": [roi([(x + 9, y + 6) for x, y in BOX], HEIGHT)]}]}
        ).decode(),
        "points a number": valid.replace(
            "<key>Point_px</key>", "<key>Point_px</key><integer>5</integer><key>x</key>"
        ),
        "heights of no slice": valid.replace(f"{HEIGHT:.6f}", "-9000.0"),
        "a date that is none": "<plist><date>2020-99-99T00:00:00Z</date></plist>",
        "data that is none": "<plist><data>!!!</data></plist>",
        "a binary list": "",
    }  # fmt: skip
    many = [(5 + (n % 7), 9 + (n % 3)) for n in range(3000)]
    texts["points many"] = plistlib.dumps(
        {"Images": [{"ImageIndex": 3, "ROIs": [roi(many, HEIGHT)]}]}
    ).decode()
    wide = [(23 * (n % 2), 23 * (n % 2)) for n in range(2000)]
    outlines = plistlib.dumps({"Images": [{"ImageIndex": 3, "ROIs": ["here"]}]}).decode()
    outline = plistlib.dumps(roi(wide, HEIGHT)).decode()
    outline = outline[outline.index("<dict>") : outline.index("</plist>")]
    # plistlib would take seconds to write five hundred times the same
    texts["outlines long and many"] = outlines.replace("<string>here</string>", outline * 500)
    patients = root / "made-coca"
    _patients(patients)
    for name, text in texts.items():
        data = plistlib.dumps({"Images": []}, fmt=plistlib.FMT_BINARY)
        yield _coca_case(root, patients, name, text.encode() or data)
    for name, data in encodings(valid):
        if name not in ("UTF-16", "Latin-1"):  # XML may say which encoding it is in
            yield _coca_case(root, patients, name, data)
    folder = place_of(root, "coca/a slice cut short")
    shutil.copytree(patients, folder, dirs_exist_ok=True)
    path = sorted((folder / "patient/2/s1").iterdir())[0]
    path.write_bytes(path.read_bytes()[:300])
    yield check(root, folder, REFUSED)


def _patients(folder: Path) -> None:
    for number in "12345":
        coca(folder, number, {3: [roi(BOX, HEIGHT)]}, uid=f"1.2.826.99.{number}")


def _coca_case(root: Path, patients: Path, name: str, data: bytes) -> Case:
    folder = place_of(root, f"coca/{name}")
    shutil.copytree(patients, folder, dirs_exist_ok=True)
    (folder / "calcium_xml/2.xml").write_bytes(data)
    return check(root, folder, REFUSED)


DATASET = {
    "channel_names": {"0": "CT"},
    "labels": {"background": 0, "LAD": 1, "LCX": 2, "RCA": 3},
    "numTraining": 4,
    "file_ending": ".nii.gz",
}


def nnunet(root: Path) -> Iterator[Case]:
    voxels, labels = arrays()
    folder = place_of(root, "valid-nnunet")
    for number in range(4):
        save(folder / f"imagesTr/a{number}_0000.nii.gz", voxels)
        save(folder / f"labelsTr/a{number}.nii.gz", labels)
    valid = json.dumps(DATASET)
    texts = {name: json.dumps({**DATASET, **change}) for name, change in {
        "labels a list": {"labels": ["LAD"]},
        "labels none": {"labels": None},
        "labels infinite": {"labels": {"LAD": float("inf")}},
        "labels NaN": {"labels": {"LAD": float("nan")}},
        "labels 300": {"labels": {"LAD": 300}},
        "labels negative": {"labels": {"LAD": -1}},
        "labels of regions": {"labels": {"LAD": [1, 2]}},
        "labels of no artery": {"labels": {"background": 0, "aorta": 1}},
        "channels a number": {"channel_names": 5},
        "channels two": {"channel_names": {"0": "CT", "1": "PET"}},
        "ending a number": {"file_ending": 5},
        "ending a pattern": {"file_ending": ".**"},
        "ending above": {"file_ending": "/../../x.nii"},
        "ending unknown": {"file_ending": ".png"},
        "files in a list": {"dataset": {}},
        "scans more than there are": {"numTraining": 50},
        "scans of words": {"numTraining": "many"},
        "labels of one number": {"labels": {"background": 0, "LAD": 1, "RCA": 1}},
        "background that is not 0": {"labels": {"background": 1, "LAD": 0}},
        "labels half": {"labels": {"background": 0, "LAD": 1.5}},
    }.items()}  # fmt: skip
    texts |= {
        "nested deeply": "[" * 100000, "a list": "[]", "a number": "5", "empty": "",
        "not closed": valid[:-5], "twice": valid + valid, "comments": "// x\n" + valid,
        "a number of many digits": '{"labels": {"LAD": ' + "9" * 10000 + "}}",
        "Python": "__import__('os').system('true')",
        "a key twice": valid.replace('"LCX": 2', '"LAD": 2'),
    }  # fmt: skip
    files = {name: text.encode() for name, text in texts.items()} | dict(encodings(valid))
    files["surrogates"] = valid.replace("CT", "\\ud800").replace('"LAD"', '"\\ud800"').encode()
    for name, data in files.items():
        here = place_of(root, f"nnunet/{name}")
        shutil.copytree(folder, here, dirs_exist_ok=True)
        (here / "dataset.json").write_bytes(data)
        yield check(root, here)


def check(root: Path, folder: Path, status: int = 2) -> Case:
    return Case(rel(root, folder), ("data", "check", rel(root, folder)), status)
