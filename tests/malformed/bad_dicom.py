"""Malformed DICOM files of several slices, packed pixels, and series that are not of one scan."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pydicom
from bad_scans import check
from cases import REFUSED, Case, cuts, place_of
from packed import pack
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from several import enhanced, segment
from written import arrays, series


def _position(data, value) -> None:
    frame = data.PerFrameFunctionalGroupsSequence[2]
    frame.PlanePositionSequence[0].ImagePositionPatient = value


def _measures(data, **values) -> None:
    for name, value in values.items():
        setattr(data.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0], name, value)


def _rescale(data, **values) -> None:
    group = data.PerFrameFunctionalGroupsSequence[1].PixelValueTransformationSequence[0]
    for name, value in values.items():
        setattr(group, name, value)


def _nested(depth: int) -> Sequence:
    inner = Dataset()
    for _ in range(depth):
        outer = Dataset()
        outer.SharedFunctionalGroupsSequence = Sequence([inner])
        inner = outer
    return Sequence([inner])


ENHANCED = {
    "frames many": lambda d: setattr(d, "NumberOfFrames", 10**9),
    "frames more": lambda d: setattr(d, "NumberOfFrames", 7),
    "frames fewer": lambda d: setattr(d, "NumberOfFrames", 3),
    "frames negative": lambda d: setattr(d, "NumberOfFrames", -3),
    "no groups": lambda d: delattr(d, "PerFrameFunctionalGroupsSequence"),
    "no shared group": lambda d: delattr(d, "SharedFunctionalGroupsSequence"),
    "position NaN": lambda d: _position(d, ["nan", "0", "0"]),
    "position absurd": lambda d: _position(d, [0, 0, 1e30]),
    "position short": lambda d: _position(d, [0, 0]),
    "spacing zero": lambda d: _measures(d, PixelSpacing=[0, 0]),
    "slope zero": lambda d: _rescale(d, RescaleSlope=0),
    "slope NaN": lambda d: _rescale(d, RescaleSlope="nan"),
    "intercept alone": lambda d: _rescale(d, RescaleSlope=None),
    "groups in groups": lambda d: setattr(d, "SharedFunctionalGroupsSequence", _nested(200)),
    "rows many": lambda d: setattr(d, "Rows", 65000),
    "pixels few": lambda d: setattr(d, "PixelData", b"\0\0" * 10),
    "pixels none": lambda d: delattr(d, "PixelData"),
    "bits 64": lambda d: setattr(d, "BitsAllocated", 64),
}


def several_slices(root: Path) -> Iterator[Case]:
    """Enhanced CT, each file all there is."""
    for name, edit in ENHANCED.items():
        folder = place_of(root, f"enhanced/{name}")
        path = enhanced(folder)
        data = pydicom.dcmread(path)
        edit(data)
        data.save_as(path)
        yield check(root, folder, REFUSED)
    valid = enhanced(place_of(root, "valid-enhanced")).read_bytes()
    for name, data in cuts(valid):
        folder = place_of(root, f"enhanced/{name}")
        (folder / "e.dcm").write_bytes(data)
        # a cut in the pixels leaves a header, and so a series that is refused
        header = name in ("cut at 20 per cent", "cut at 50 per cent", "cut at 90 per cent")
        yield check(root, folder, REFUSED if header else 2)


SEGMENTS = {
    "frames many": lambda d: setattr(d, "NumberOfFrames", 10**8),
    "rows many": lambda d: setattr(d, "Rows", 65000),
    "no segments": lambda d: delattr(d, "SegmentSequence"),
    "no artery": lambda d: setattr(d.SegmentSequence[0], "SegmentLabel", "Aorta"),
    "a name without end": lambda d: setattr(d.SegmentSequence[0], "SegmentLabel", "A" * 5000),
    "control characters": lambda d: setattr(d.SegmentSequence[0], "SegmentLabel", "\x1b[2J\n"),
    "far away": lambda d: setattr(
        d.PerFrameFunctionalGroupsSequence[0].PlanePositionSequence[0],
        "ImagePositionPatient", [0, 0, 90000],
    ),
    "spacing tiny": lambda d: setattr(
        d.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0], "SpacingBetweenSlices", 1e-9
    ),
    "another patient": lambda d: setattr(d, "PatientID", "OTHER"),
    "no pixels": lambda d: delattr(d, "PixelData"),
    "pixels few": lambda d: setattr(d, "PixelData", b"\0\0"),
    "no groups": lambda d: delattr(d, "PerFrameFunctionalGroupsSequence"),
}  # fmt: skip


def segmentations(root: Path) -> Iterator[Case]:
    """A good series whose labels are bad."""
    voxels, labels = arrays()
    for name, edit in SEGMENTS.items():
        folder = place_of(root, f"segmentation/{name}")
        series(folder, voxels)
        segment(folder, labels, ["LAD"])
        data = pydicom.dcmread(folder / "seg.dcm")
        edit(data)
        data.save_as(folder / "seg.dcm")
        yield check(root, folder, REFUSED)


def packed_pixels(root: Path) -> Iterator[Case]:
    """Packed pixels that are spoilt, or of another size than the header says."""
    voxels, _ = arrays()
    for syntax in ("RLE", "JPEG-LS", "JPEG 2000", "JPEG lossless"):
        for name, edit in (
            ("cut short", lambda pixels: pixels[: len(pixels) // 2]),
            ("zeros", lambda pixels: pixels[:40] + bytes(len(pixels) - 40)),
            ("of 65000 columns", _wide),
        ):
            folder = place_of(root, f"packed/{syntax} {name}")
            for path in series(folder, voxels):
                pack(path, syntax)
                data = pydicom.dcmread(path)
                data.PixelData = edit(data.PixelData)
                data["PixelData"].is_undefined_length = True
                data.save_as(path)
            yield check(root, folder, REFUSED)


def _wide(pixels: bytes) -> bytes:
    """Say another size where the packed pixels say theirs."""
    for mark, skip in ((b"\xff\x4f\xff\x51", 8), (b"\xff\xc3", 5), (b"\xff\xf7", 5)):
        place = pixels.find(mark)
        if place >= 0:
            place += skip
            return pixels[:place] + b"\xfd\xe8" * 2 + pixels[place + 4 :]
    return pixels[: len(pixels) // 3]


SCANS = {
    "two patients": {"PatientID": "OTHER"},
    "two studies": {"StudyInstanceUID": "1.2.3"},
    "two frames of reference": {"FrameOfReferenceUID": "1.2.3"},
    "slope in one": {"RescaleSlope": None},
    "rescale in some": {"RescaleSlope": None, "RescaleIntercept": None},
    "one is inverted": {"PhotometricInterpretation": "MONOCHROME1"},
    "bits contradict": {"BitsStored": 12},
    "a table": {"ModalityLUTSequence": []},
    "another unit": {"RescaleType": "ED"},
    "a kernel of its own": {"ConvolutionKernel": "B80"},
}


def one_scan(root: Path) -> Iterator[Case]:
    """Series of which one slice is of another scan."""
    voxels, _ = arrays()
    for name, tags in SCANS.items():
        folder = place_of(root, f"one scan/{name}")
        common = {"ConvolutionKernel": "B35"} if "ConvolutionKernel" in tags else {}
        series(folder, voxels[:5], **common)
        series(folder, voxels[5:], heights=[-90.0], first=5, **tags)
        yield check(root, folder, REFUSED)
    folder = place_of(root, "one scan/stored values with padding")
    stored = voxels.astype(np.int32) + 1024
    stored[:, :2, :2] = -2000
    series(folder, stored, PixelPaddingValue=-2000)
    yield check(root, folder, REFUSED)
