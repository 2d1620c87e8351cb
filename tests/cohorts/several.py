"""DICOM files of several slices: enhanced CT by pydicom, segmentations by highdicom."""

import highdicom
import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.sr.codedict import codes
from pydicom.uid import EnhancedCTImageStorage
from written import ORIGIN, SPACING, arrays, series

VOXELS = arrays()[0]


def item(**elements):
    made = Dataset()
    for name, value in elements.items():
        setattr(made, name, value)
    return Sequence([made])


def enhanced(folder, *, order=(3, 0, 5, 1, 4, 2), leave=(), sop=EnhancedCTImageStorage, **each):
    """Write a volume as one file; slice k of the file is slice order[k] of the volume."""
    path = series(folder, VOXELS[:1], signed=False, intercept=-1024)[0]
    data = pydicom.dcmread(path)
    for name in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "RescaleSlope",
                 "RescaleIntercept", "SliceThickness"):  # fmt: skip
        delattr(data, name)
    data.SOPClassUID = data.file_meta.MediaStorageSOPClassUID = sop
    data.NumberOfFrames = len(order)
    shared, frames = Dataset(), []
    shared.PixelMeasuresSequence = item(PixelSpacing=list(SPACING[1:]), SliceThickness=3)
    shared.PlaneOrientationSequence = item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])
    stored = []
    for place, z in enumerate(order):
        own = Dataset()
        height = ORIGIN[2] + 3.0 * z
        own.PlanePositionSequence = item(ImagePositionPatient=[ORIGIN[0], ORIGIN[1], height])
        own.PixelValueTransformationSequence = item(
            RescaleSlope=1, RescaleIntercept=-1024 - z, RescaleType="HU"
        )
        own.FrameContentSequence = item(
            **{name: values[place] for name, values in each.items()}, FrameAcquisitionNumber=1
        )
        frames.append(own)
        stored.append((VOXELS[z].astype(np.int32) + 1024 + z).astype("<u2"))
    for name in leave:
        for group in (shared, *frames):
            if name in group:
                delattr(group, name)
    data.SharedFunctionalGroupsSequence = Sequence([shared])
    data.PerFrameFunctionalGroupsSequence = Sequence(frames)
    data.PixelData = np.stack(stored).tobytes()
    data.save_as(path)
    return path


def segment(folder, mask, names, name="seg.dcm", kind="BINARY", edit=None, **options):
    """Write a segmentation of the series in a folder; value k of the mask is segment k."""
    sources = [pydicom.dcmread(path) for path in sorted(folder.glob("0*.dcm"))]
    for source in sources:
        for empty in ("PatientSex", "AccessionNumber", "StudyID", "StudyTime",
                      "ReferringPhysicianName"):  # fmt: skip
            setattr(source, empty, "")
    described = [
        highdicom.seg.SegmentDescription(
            segment_number=number,
            segment_label=label,
            segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
            segmented_property_type=codes.SCT.Lesion,
            algorithm_type="MANUAL",
        )
        for number, label in enumerate(names, start=1)
    ]
    made = highdicom.seg.Segmentation(
        sources, mask, kind, described, "1.2.826.99.1.77", 1, f"1.2.826.99.1.78.{name.count('b')}",
        1, "maker", "model", "1", "1", **options,
    )  # fmt: skip
    if edit:
        edit(made)
    made.save_as(folder / name)
