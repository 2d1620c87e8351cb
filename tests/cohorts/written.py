"""Small data sets written with public libraries alone: SimpleITK, pydicom, plistlib."""

import pickle
import plistlib

import numpy as np
import SimpleITK as sitk
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

SHAPE = (6, 24, 24)
SPACING = (3.0, 0.5, 0.5)
ORIGIN = (-20.0, 30.0, -105.0)
SECRETS = ("SMITH", "JANE", "19510203", "MRN0042", "1.2.826.99", "20200229")
"""Name, birth date, number, start of UIDs and date that the headers below hold."""


def arrays(lesion_voxels=4, seed=0, artery=1):
    """Return a small thorax (lung around soft tissue of noise 15 HU) with one lesion.

    n pixels of 250 HU: an Agatston score of n * 0.25 mm2 * 2 at 3 mm slices.
    """
    random = np.random.default_rng(seed)
    voxels = np.full(SHAPE, -850, np.int16)
    voxels[:, 4:, 4:] = random.normal(40, 15, (6, 20, 20)).clip(-40, 120)
    labels = np.zeros(SHAPE, np.uint8)
    voxels[2, 10, 6 : 6 + lesion_voxels] = 250
    labels[2, 10, 6 : 6 + lesion_voxels] = artery
    return voxels, labels


def save(path, array, code="LPS", compress=False, spacing=SPACING):
    """Write an array (z, y, x) in LPS as an image file of that orientation."""
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(spacing[::-1])
    image.SetOrigin(ORIGIN)
    path.parent.mkdir(parents=True, exist_ok=True)
    sitk.WriteImage(sitk.DICOMOrient(image, code), str(path), compress)
    return path


def series(
    folder,
    voxels,
    *,
    heights=None,
    numbers=None,
    signed=True,
    slope=1,
    intercept=0,
    uid="1.2.826.99.1",
    patient="MRN0042",
    first=0,
    **tags,
):
    """Write each slice of an array as a CT file named by its place; return the paths.

    Headers hold all of `SECRETS`. `heights` are the z of the slices in mm, `numbers` their
    InstanceNumbers; other tags by keyword, with None to leave one out.
    """
    folder.mkdir(parents=True, exist_ok=True)
    heights = ORIGIN[2] + SPACING[0] * np.arange(len(voxels)) if heights is None else heights
    numbers = range(len(voxels), 0, -1) if numbers is None else numbers
    # most tests ask for one of a few series, and pydicom takes its time
    way = (signed, slope, intercept, uid, patient, first, tags)
    asked = pickle.dumps((np.ascontiguousarray(voxels), list(heights), list(numbers), *way))
    if asked in _written:
        paths = [folder / f"{first + place:04}.dcm" for place in range(len(heights))]
        for path, content in zip(paths, _written[asked], strict=True):
            path.write_bytes(content)
        return paths
    dtype = np.int16 if signed else np.uint16
    stored = np.rint((voxels.astype(float) - intercept) / slope).astype(np.int64).astype(dtype)
    paths = []
    for place, (height, number) in enumerate(zip(heights, numbers, strict=True)):
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = CTImageStorage
        meta.MediaStorageSOPInstanceUID = f"{uid}.{place + 1}.{first}"
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        data = Dataset()
        data.file_meta = meta
        data.SOPClassUID, data.SOPInstanceUID = CTImageStorage, meta.MediaStorageSOPInstanceUID
        data.SeriesInstanceUID, data.StudyInstanceUID = uid, "1.2.826.99.7"
        data.FrameOfReferenceUID = f"{uid}.9"
        data.PatientName, data.PatientID, data.PatientBirthDate = "SMITH^JANE", patient, "19510203"
        data.StudyDate, data.InstitutionName = "20200229", "SMITH HOSPITAL"
        data.Modality, data.ImageType = "CT", ["ORIGINAL", "PRIMARY", "AXIAL"]
        data.InstanceNumber = int(number)
        data.ImagePositionPatient = [ORIGIN[0], ORIGIN[1], float(height)]
        data.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        data.PixelSpacing, data.SliceThickness = list(SPACING[1:]), SPACING[0]
        data.Rows, data.Columns = voxels.shape[1:]
        data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
        data.BitsAllocated, data.BitsStored, data.HighBit = 16, 16, 15
        data.PixelRepresentation = int(signed)
        data.RescaleSlope, data.RescaleIntercept = slope, intercept
        data.PixelData = stored[place].tobytes()
        for name, value in tags.items():
            if value is None:
                delattr(data, name)
            else:
                setattr(data, name, value)
        path = folder / f"{first + place:04}.dcm"
        data.save_as(path, enforce_file_format=True)
        paths.append(path)
    if len(asked) < 1 << 16:
        _written[asked] = [path.read_bytes() for path in paths]
    return paths


_written: dict[bytes, list[bytes]] = {}
"""Content of the files of `series`, by what it was asked for."""


def roi(points, height, name="Left Anterior Descending Artery"):
    """Return an outline as the release has it; points are (x, y) in pixels."""
    at = [(ORIGIN[0] + SPACING[2] * x, ORIGIN[1] + SPACING[1] * y, height) for x, y in points]
    return {
        "Area": 0.1, "Mean": 250.0, "Max": 250.0, "Name": name, "NumberOfPoints": len(points),
        "Point_px": [f"({x:.6f}, {y:.6f})" for x, y in points],
        "Point_mm": ["({:.6f}, {:.6f}, {:.6f})".format(*point) for point in at],
    }  # fmt: skip


BOX = ((5, 9.6), (12, 9.6), (12, 10.4), (5, 10.4))
"""An outline around the lesion of `arrays`, twice as wide as its four voxels."""

HEIGHT = ORIGIN[2] + 2 * SPACING[0]
"""Height of the lesion's slice, mm."""


def coca(folder, name, images, voxels=None, **options):
    """Write one patient; `images` is {ImageIndex: outlines} or None for no XML."""
    series(folder / "patient" / name / "s1", arrays()[0] if voxels is None else voxels, **options)
    (folder / "calcium_xml").mkdir(exist_ok=True)
    if images is None:
        return
    entries = [
        {"ImageIndex": index, "NumberOfROIs": len(rois), "ROIs": rois}
        for index, rois in images.items()
    ]
    with (folder / "calcium_xml" / f"{name}.xml").open("wb") as file:
        plistlib.dump({"Images": entries}, file)
