"""A scan written as COCA has it: a DICOM series, and outlines in an Apple property list."""

from __future__ import annotations

import plistlib
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from benchmark.calcium import above_threshold
from benchmark.cohorts.base import Scan
from benchmark.cohorts.geometry import Geometry, to_scan_grid
from benchmark.cohorts.polygons import fill, outlines

ROI_NAMES = {
    1: "Left Anterior Descending Artery",
    2: "Left Circumflex Artery",
    3: "Right Coronary Artery",
}

INTERCEPT = -1024
"""HU of the stored value 0: pixels are unsigned."""


def write_coca(scan: Scan, out: Path, name: str) -> None:
    """Write ``patient/NAME/series/*.dcm`` and ``calcium_xml/NAME.xml``.

    Headers hold what places and scales the pixels, unique numbers made for this purpose, the name
    given here as the patient's number, and no dates.

    Parameters
    ----------
    scan : Scan
        With labels on calcium alone.
    out : Path
    name : str
        Number of the patient in the folders.
    """
    geometry = scan.geometry or Geometry.upright(scan.voxels.shape, scan.spacing)
    voxels = to_scan_grid(scan.voxels, geometry)
    labels = sitk.GetArrayFromImage(to_scan_grid(scan.labels, geometry))
    write_series(voxels, out / "patient" / name / "series", name)
    images = list(_images(voxels, labels))
    path = out / "calcium_xml" / f"{name}.xml"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        plistlib.dump({"Images": images}, file)


def write_series(image: sitk.Image, folder: Path, patient: str) -> None:
    """Write an image as CT slices, the last slice first, as most scanners number them."""
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

    folder.mkdir(parents=True, exist_ok=True)
    stored = (sitk.GetArrayFromImage(image).astype(np.int32) - INTERCEPT).astype(np.uint16)
    direction = np.array(image.GetDirection()).reshape(3, 3)
    x, y, z = image.GetSpacing()
    study, series, frame = (generate_uid() for _ in range(3))
    for number, place in enumerate(reversed(range(len(stored))), start=1):
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = CTImageStorage
        meta.MediaStorageSOPInstanceUID = generate_uid()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        data = FileDataset(None, {}, file_meta=meta, preamble=b"\0" * 128)
        data.SOPClassUID, data.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
        data.StudyInstanceUID, data.SeriesInstanceUID = study, series
        data.FrameOfReferenceUID = frame
        data.PatientID, data.PatientName = patient, ""
        data.Modality = "CT"
        data.ImageType = ["DERIVED", "SECONDARY", "AXIAL"]
        data.InstanceNumber = number
        corner = image.TransformIndexToPhysicalPoint((0, 0, place))
        data.ImagePositionPatient = [f"{value:.10g}" for value in corner]
        axes = (*direction[:, 0], *direction[:, 1])
        data.ImageOrientationPatient = [f"{value:.10g}" for value in axes]
        data.PixelSpacing = [f"{y:.10g}", f"{x:.10g}"]
        data.SliceThickness = f"{z:.10g}"
        data.Rows, data.Columns = stored.shape[1:]
        data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
        data.BitsAllocated, data.BitsStored, data.HighBit = 16, 16, 15
        data.PixelRepresentation = 0
        data.RescaleIntercept, data.RescaleSlope, data.RescaleType = INTERCEPT, 1, "HU"
        data.PixelData = stored[place].tobytes()
        data.save_as(folder / f"{number:04}.dcm", enforce_file_format=True)


def _images(image: sitk.Image, labels: np.ndarray):
    """Yield the entry of each slice with calcium; ImageIndex counts in the order of the files."""
    voxels = sitk.GetArrayViewFromImage(image)
    x, y, _ = image.GetSpacing()
    for place in range(len(labels)):
        if not labels[place].any():
            continue
        free = ~above_threshold(voxels[place])
        rois = []
        for label, name in ROI_NAMES.items():
            for points in outlines(labels[place] == label, free):
                own = fill(points, labels[place].shape) & (labels[place] == label)
                inside = voxels[place][own]
                rois.append(_roi(image, place, name, points, inside, x * y))
        yield {
            "ImageIndex": len(labels) - 1 - place,
            "NumberOfROIs": len(rois),
            "ROIs": rois,
        }


def _roi(
    image: sitk.Image, place: int, name: str, points: np.ndarray, hu: np.ndarray, pixel: float
) -> dict:
    corners = [
        image.TransformContinuousIndexToPhysicalPoint((*point, float(place)))
        for point in points.tolist()
    ]
    x, y = points.T
    area = 0.5 * abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) * pixel  # mm2
    return {
        "Area": float(area / 100),  # cm2, as the release has it
        "Max": float(hu.max()),
        "Mean": float(hu.mean()),
        "Min": float(hu.min()),
        "Name": name,
        "NumberOfPoints": len(points),
        "Point_mm": ["({:.6f}, {:.6f}, {:.6f})".format(*corner) for corner in corners],
        "Point_px": ["({:.6f}, {:.6f})".format(*point) for point in points],
        "Total": float(hu.sum()),
    }
