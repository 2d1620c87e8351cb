"""DICOM files packed in each transfer syntax for which there is a writer."""

import tempfile
from pathlib import Path

import numpy as np
import pydicom
import SimpleITK as sitk
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

SYNTAXES = {
    "implicit": ImplicitVRLittleEndian,
    "big endian": ExplicitVRBigEndian,
    "deflated": DeflatedExplicitVRLittleEndian,
    "RLE": RLELossless,
    "JPEG-LS": JPEGLSLossless,
    "JPEG 2000": JPEG2000Lossless,
    "JPEG lossless": JPEGLosslessSV1,
}


def pack(path, name):
    """Write a file anew in a transfer syntax; its stored values stay what they are."""
    data = pydicom.dcmread(path)
    syntax = SYNTAXES[name]
    if syntax in (JPEGLosslessSV1, JPEG2000Lossless):
        data.PixelData = encapsulate([_by_gdcm(data, syntax)])
        data["PixelData"].VR = "OB"
        data["PixelData"].is_undefined_length = True
    elif syntax.is_compressed and syntax != DeflatedExplicitVRLittleEndian:
        data.compress(syntax, generate_instance_uid=False)
    elif syntax == ExplicitVRBigEndian:
        data["PixelData"].VR = "OW"
        data.PixelData = np.frombuffer(data.PixelData, "<u2").astype(">u2").tobytes()
    anew = pydicom.Dataset()  # a data set that was read keeps its order of bytes
    anew.update(data)
    anew.file_meta = data.file_meta
    anew.file_meta.TransferSyntaxUID = syntax
    anew.save_as(path, enforce_file_format=True)


def _by_gdcm(data, syntax):
    """Return one slice as lossless JPEG or JPEG 2000, written by SimpleITK's GDCM."""
    dtype = np.int16 if data.PixelRepresentation else np.uint16
    values = np.frombuffer(data.PixelData, dtype).reshape(data.Rows, data.Columns)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "packed.dcm"
        writer = sitk.ImageFileWriter()
        writer.SetImageIO("GDCMImageIO")
        writer.SetFileName(str(path))
        writer.UseCompressionOn()
        writer.SetCompressor("JPEG" if syntax == JPEGLosslessSV1 else "JPEG2000")
        writer.Execute(sitk.GetImageFromArray(values))
        made = pydicom.dcmread(path)
        assert made.file_meta.TransferSyntaxUID == syntax
        return next(generate_frames(made.PixelData, number_of_frames=1))
