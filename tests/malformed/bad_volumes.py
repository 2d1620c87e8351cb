"""Malformed MetaImage, NIfTI and NRRD files, made of what SimpleITK and nibabel write."""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import nibabel
import numpy as np
from cases import Case, cuts, gzip_zeros, place_of, zlib_zeros
from written import arrays, save

SCORE = "good/image.nii.gz", "good/labels.nii.gz"

MHD_EDITS = {
    "spacing zero": ("ElementSpacing", "0 0.5 3"),
    "spacing NaN": ("ElementSpacing", "nan nan nan"),
    "spacing infinite": ("ElementSpacing", "inf 0.5 3"),
    "spacing negative": ("ElementSpacing", "-0.5 0.5 3"),
    "spacing absurd": ("ElementSpacing", "1e30 0.5 3"),
    "spacing words": ("ElementSpacing", "half half three"),
    "origin NaN": ("Offset", "nan 0 0"),
    "origin absurd": ("Offset", "1e300 0 0"),
    "direction zero": ("TransformMatrix", "0 0 0 0 0 0 0 0 0"),
    "direction NaN": ("TransformMatrix", "nan 0 0 0 1 0 0 0 1"),
    "direction of two axes": ("TransformMatrix", "1 0 0 1 0 0 0 0 1"),
    "direction sheared": ("TransformMatrix", "1 0.5 0 0 1 0 0 0 1"),
    "size larger": ("DimSize", "24 24 7"),
    "size smaller": ("DimSize", "24 24 5"),
    "size of a trillion voxels": ("DimSize", "10000 10000 10000"),
    "size beyond 64 bits": ("DimSize", "99999999999999999999 2 2"),
    "size zero": ("DimSize", "0 24 6"),
    "size negative": ("DimSize", "-24 -24 6"),
    "size of words": ("DimSize", "many many more"),
    "size of two numbers": ("DimSize", "24 144"),
    "size of four numbers": ("DimSize", "24 24 3 2"),
    "size of five thousand digits": ("DimSize", "9" * 5000 + " 24 6"),
    "dimensions contradict": ("NDims", "2"),
    "dimensions many": ("NDims", "1000000000"),
    "type unknown": ("ElementType", "MET_STRING"),
    "type wider": ("ElementType", "MET_DOUBLE"),
    "type narrower": ("ElementType", "MET_CHAR"),
    "channels three": ("ElementNumberOfChannels", "3"),
    "channels a billion": ("ElementNumberOfChannels", "1000000000"),
    "channels negative": ("ElementNumberOfChannels", "-1"),
    "header size absurd": ("HeaderSize", "999999999999"),
    "header size words": ("HeaderSize", "many"),
    "pixels said to be compressed": ("CompressedData", "True"),
    "pixels absolute path": ("ElementDataFile", "/etc/passwd"),
    "pixels above": ("ElementDataFile", "../../../good/image.raw"),
    "pixels of another drive": ("ElementDataFile", "C:\\secret.raw"),
    "pixels missing": ("ElementDataFile", "elsewhere.raw"),
    "pixels named by a folder": ("ElementDataFile", "."),
    "pixels unnamed": ("ElementDataFile", ""),
    "pixels said to be here": ("ElementDataFile", "LOCAL"),
    "pixels with a name too long": ("ElementDataFile", "a" * 5000),
    "pixels in a list above": ("ElementDataFile", "LIST 2D\n../../../good/a.raw\n" * 2),
    "pixels in an empty list": ("ElementDataFile", "LIST"),
    "pixels by a pattern of text": ("ElementDataFile", "%s%s%n%d.raw 1 6 1"),
    "pixels by a pattern too wide": ("ElementDataFile", "%0999999999d.raw 1 6 1"),
    "pixels by a pattern above": ("ElementDataFile", "../%d.raw 1 6 1"),
    "origin said otherwise": ("Origin", "7 8 9"),
    "position of words": ("Position", "here or there"),
    "orientation said otherwise": ("Orientation", "0 1 0 1 0 0 0 0 1"),
    "rotation of five thousand numbers": ("Rotation", "1 " * 400),
    "size of an element said otherwise": ("ElementSize", "1 1 1"),
    "byte order said otherwise": ("ElementByteOrderMSB", "True"),
    "lengths in metres": ("DistanceUnits", "m"),
    "slope zero": ("ElementToIntensityFunctionSlope", "0"),
    "slope NaN": ("ElementToIntensityFunctionSlope", "nan"),
    "slope of words": ("ElementToIntensityFunctionSlope", "steep"),
    "offset infinite": ("ElementToIntensityFunctionOffset", "inf"),
    "slope makes no HU": ("ElementToIntensityFunctionSlope", "1e-9"),
}


def meta_image(root: Path) -> Iterator[Case]:
    voxels, labels = arrays()
    for name, (field, value) in MHD_EDITS.items():
        path = save(place_of(root, f"mhd/{name}") / "a.mhd", voxels)
        edit(path, field, value)
        yield image_case(root, path)
    for name, lines in {
        "a field twice": "DimSize = 24 24 6\nDimSize = 24 24 7\n",
        "a space before the name of the pixels": " ElementDataFile = /etc/passwd\n",
        "a colon before the name of the pixels": "ElementDataFile: /etc/passwd\n",
        "NUL in the header": "Comment = \0\n",
        "a header without end": "Comment = x\n" * 20000,
    }.items():
        path = save(place_of(root, f"mhd/{name}") / "a.mhd", voxels)
        path.write_text(lines + path.read_text())
        yield image_case(root, path)
    for name, data in cuts(save(root / "valid.mhd", voxels).read_bytes()):
        path = save(place_of(root, f"mhd/header {name}") / "a.mhd", voxels)
        path.write_bytes(data)
        yield image_case(root, path)
    whole = voxels.tobytes()
    for name, data in {
        "pixels cut short": whole[:-2], "pixels too long": whole + b"00", "pixels empty": b"",
        "pixels constant": bytes(len(whole)),
    }.items():  # fmt: skip
        path = save(place_of(root, f"mhd/{name}") / "a.mhd", voxels)
        path.with_suffix(".raw").write_bytes(data)
        yield image_case(root, path)
    path = save(place_of(root, "mhd/pixels linked outside") / "a.mhd", voxels)
    path.with_suffix(".raw").unlink()
    path.with_suffix(".raw").symlink_to("/etc/passwd")
    yield image_case(root, path)
    packed = zlib.compress(whole)
    for name, data in {
        "cut short": packed[:-200], "of half the scan": zlib.compress(whole[: len(whole) // 2]),
        "a bomb": zlib.compress(bytes(64 << 20), 1), "not packed": whole, "empty": b"",
        "of damaged bytes": packed[:50] + b"\xff" * 50 + packed[100:],
    }.items():  # fmt: skip
        path = save(place_of(root, f"zraw/{name}") / "a.mhd", voxels, compress=True)
        path.with_suffix(".zraw").write_bytes(data)
        edit(path, "CompressedDataSize", str(len(data)))
        yield image_case(root, path)
    path = save(place_of(root, "zraw/a bomb of the right size") / "a.mhd", voxels, compress=True)
    path.with_suffix(".zraw").write_bytes(zlib_zeros(150))
    edit(path, "DimSize", "512 512 300")
    yield image_case(root, path)
    for name, data in cuts(save(root / "valid.mha", voxels).read_bytes()):
        path = place_of(root, f"mha/{name}") / "a.mha"
        path.write_bytes(data)
        yield image_case(root, path)
    for name, old, new in (
        ("pixels elsewhere", "LOCAL", "/etc/passwd"),
        ("pixels elsewhere by a colon", "ElementDataFile = LOCAL", "ElementDataFile: /etc/passwd"),
        ("pixels elsewhere after a space", "ElementDataFile = ", " ElementDataFile = /etc/"),
        ("size absurd", "24 24 6", "99999 99999 99999"),
        ("spacing zero", "0.5 0.5 3", "0 0 0"),
    ):
        path = place_of(root, f"mha/{name}") / "a.mha"
        data = (root / "valid.mha").read_bytes()
        assert old.encode() in data
        path.write_bytes(data.replace(old.encode(), new.encode()))
        yield image_case(root, path)
    yield from label_maps(root, labels)


def label_maps(root: Path, labels: np.ndarray) -> Iterator[Case]:
    """Label maps that do not go with the scan."""
    changed = labels.copy()
    changed[0, 0, 0] = 9
    for name, array, how in (
        ("label 9", changed, {}),
        ("negative", -labels.astype(np.int16), {}),
        ("fractions", labels * 0.5, {}),
        ("NaN", np.where(labels > 0, np.nan, 0.0), {}),
        ("other size", labels[:-1], {}),
        ("other spacing", labels, {"spacing": (3.0, 0.6, 0.5)}),
    ):
        path = save(place_of(root, f"labels/{name}") / "labels.nii.gz", array, **how)
        yield Case(path.parent.relative_to(root).as_posix(), ("score", SCORE[0], rel(root, path)))
    image = nibabel.Nifti1Image(np.zeros((512, 512, 600), np.uint8), np.eye(4))
    path = place_of(root, "labels/a bomb") / "labels.nii.gz"
    nibabel.save(image, path)
    yield Case("labels/a bomb", ("score", SCORE[0], rel(root, path)))


NIFTI_EDITS = {
    # place in the header, format, value
    "offset NaN": (108, "f", float("nan")), "offset infinite": (108, "f", float("inf")),
    "offset negative": (108, "f", -400.0), "offset absurd": (108, "f", 1e30),
    "offset beyond the end": (108, "f", 20000.0),
    "dimensions none": (40, "h", 0), "dimensions 99": (40, "h", 99), "dimensions 2": (40, "h", 2),
    "size negative": (42, "h", -24), "size zero": (42, "h", 0), "size absurd": (42, "h", 32767),
    "size larger": (46, "h", 30), "bits zero": (72, "h", 0), "bits negative": (72, "h", -16),
    "bits many": (72, "h", 32767), "type unknown": (70, "h", 1234), "type colour": (70, "h", 128),
    "type complex": (70, "h", 1792), "spacing zero": (80, "f", 0.0),
    "spacing NaN": (80, "f", float("nan")), "spacing infinite": (84, "f", float("inf")),
    "spacing absurd": (88, "f", 1e20), "magic": (344, "i", 0),
    "length of the header": (0, "i", 999),
    "slope makes no HU": (112, "f", 1e-9), "intercept alone": (116, "f", -1024.0),
    "spacing negative": (80, "f", -0.5), "units of metres": (123, "B", 1),
    "origin NaN": (268, "f", float("nan")),
    "quaternion NaN": (256, "f", float("nan")), "quaternion beyond one": (256, "f", 50.0),
}  # fmt: skip


def nifti(root: Path) -> Iterator[Case]:
    voxels, _ = arrays()
    affine = np.diag([-0.5, -0.5, 3.0, 1.0])
    valid = root / "valid.nii"
    image = nibabel.Nifti1Image(voxels.T, affine)
    image.set_sform(None, 0)
    image.set_qform(affine, 1)
    nibabel.save(image, valid)
    plain = valid.read_bytes()
    for name, data in cuts(plain):
        yield nifti_case(root, f"nii/{name}", data)
    for name, data in cuts(gzip.compress(plain)):
        yield nifti_case(root, f"nii.gz/{name}", data, ".nii.gz")
    for number, (name, (place, kind, value)) in enumerate(NIFTI_EDITS.items()):
        data = bytearray(plain)
        struct.pack_into("<" + kind, data, place, value)
        if number % 3:
            yield nifti_case(root, f"nii/{name}", bytes(data))
        else:
            yield nifti_case(root, f"nii.gz/{name}", gzip.compress(bytes(data)), ".nii.gz")
    for name, matrix in (
        ("rows of zeros", np.diag([0.0, 0.0, 0.0, 1.0])),
        ("rows NaN", np.full((4, 4), np.nan)),
        ("rows alike", np.ones((4, 4))),
        ("rows sheared", affine + 0.4),
        ("rows of another spacing", affine * 2),
    ):
        data = bytearray(plain)
        struct.pack_into("<2h", data, 252, 0, 2)  # codes of quaternion and rows
        struct.pack_into("<12f", data, 280, *matrix[:3].ravel())
        yield nifti_case(root, f"nii/{name}", bytes(data))
    for name, matrix in (
        ("rows mirrored", affine * [[-1], [1], [1], [1]]),
        ("rows elsewhere", affine + np.diag([50.0], 3)),
    ):
        data = bytearray(plain)
        struct.pack_into("<2h", data, 252, 1, 2)
        struct.pack_into("<12f", data, 280, *matrix[:3].ravel())
        yield nifti_case(root, f"nii/{name} against the quaternion", bytes(data))
    yield nifti_case(root, "nii/a slice too many", plain + bytes(24 * 24 * 2))
    packed = gzip.compress(plain)
    for name, data in {
        "checksum wrong": packed[:-8] + b"\1\2\3\4" + packed[-4:],
        "stream damaged": packed[:400] + bytes(200) + packed[600:],
        "a bomb behind a short scan": gzip.compress(plain[:2000]) + b"junk",
        "packed twice": gzip.compress(packed),
    }.items():
        yield nifti_case(root, f"nii.gz/{name}", data, ".nii.gz")
    bomb = nibabel.Nifti1Image(np.zeros((512, 512, 300), np.int16), affine)
    path = place_of(root, "nii.gz/a bomb") / "a.nii.gz"
    nibabel.save(bomb, path)
    yield image_case(root, path)
    for name, array in {
        "four dimensions": np.stack([voxels.T] * 2, -1), "one slice": voxels.T[:, :, :1],
        "not HU": (voxels.T > 130).astype(np.uint8), "constant": np.zeros_like(voxels.T),
        "NaN voxels": np.where(voxels.T > 130, np.nan, voxels.T).astype(np.float32),
        "infinite voxels": np.where(voxels.T > 130, np.inf, voxels.T).astype(np.float32),
    }.items():  # fmt: skip
        path = place_of(root, f"nii/{name}") / "a.nii"
        nibabel.save(nibabel.Nifti1Image(array, affine), path)
        yield image_case(root, path)
    two = nibabel.Nifti2Image(voxels.T, affine)
    nibabel.save(two, root / "valid2.nii")
    data = bytearray((root / "valid2.nii").read_bytes())
    struct.pack_into("<q", data, 24, 10**12)
    yield nifti_case(root, "nii/NIfTI-2 of a trillion columns", bytes(data))


NRRD_EDITS = {
    "sizes absurd": ("sizes: 24 24 6", "sizes: 100000 100000 1000"),
    "sizes zero": ("sizes: 24 24 6", "sizes: 0 24 6"),
    "sizes negative": ("sizes: 24 24 6", "sizes: -24 24 6"),
    "sizes larger": ("sizes: 24 24 6", "sizes: 24 24 60"),
    "sizes of words": ("sizes: 24 24 6", "sizes: a b c"),
    "sizes of two": ("sizes: 24 24 6", "sizes: 24 144"),
    "dimension 2": ("dimension: 3", "dimension: 2"),
    "dimension 1000": ("dimension: 3", "dimension: 1000"),
    "type unknown": ("type: short", "type: colour"),
    "type wider": ("type: short", "type: double"),
    "encoding unknown": ("encoding: raw", "encoding: magic"),
    "encoding not so": ("encoding: raw", "encoding: bzip2"),
    "encoding text": ("encoding: raw", "encoding: text"),
    "directions zero": ("(0.5,0,0)", "(0,0,0)"),
    "directions NaN": ("(0.5,0,0)", "(nan,0,0)"),
    "directions alike": ("(0.5,0,0)", "(0,0.5,0)"),
    "directions infinite": ("(0.5,0,0)", "(inf,0,0)"),
    "origin NaN": ("(-20,", "(nan,"),
    "origin absurd": ("(-20,", "(1e30,"),
    "pixels in another file": ("encoding: raw", "encoding: raw\ndata file: /etc/passwd"),
    "pixels above": ("encoding: raw", "encoding: raw\ndata file: ../../valid.raw"),
    "pixels in a list above": ("encoding: raw", "encoding: raw\ndata file: LIST\n../a.raw"),
    "pixels by a pattern": ("encoding: raw", "encoding: raw\ndata file: %s%n%d.raw 1 6 1"),
    "pixels missing": ("encoding: raw", "encoding: raw\ndatafile: elsewhere.raw"),
    "magic of another": ("NRRD000", "NRRX000"),
    "old min alone": ("encoding: raw", "encoding: raw\nold min: -1024"),
    "old min NaN": ("encoding: raw", "encoding: raw\nold min: nan\nold max: 5"),
    "old min and max alike": ("encoding: raw", "encoding: raw\noldmin: 5\noldmax: 5"),
    "old min absurd": ("encoding: raw", "encoding: raw\noldmin: -9e99\noldmax: 9e99"),
    "space of another dimension": ("encoding: raw", "encoding: raw\nspace dimension: 4"),
    "spacings said otherwise": ("encoding: raw", "encoding: raw\nspacings: 1 1 3"),
    "kinds of two axes": ("kinds: domain domain domain", "kinds: domain domain"),
    "lengths in metres": ("encoding: raw", 'encoding: raw\nspace units: "m" "m" "m"'),
    "ends said otherwise": (
        "encoding: raw",
        "encoding: raw\naxis mins: 0 0 0\naxis maxs: 99 99 99",
    ),
    "sizes said twice": ("encoding: raw", "encoding: raw\nsizes: 24 24 6"),
    "pixels here and elsewhere": ("encoding: raw", "encoding: raw\ndata file: a.raw"),
    "sizes smaller": ("sizes: 24 24 6", "sizes: 24 24 5"),
}


def nrrd(root: Path) -> Iterator[Case]:
    voxels, _ = arrays()
    plain = save(root / "valid.nrrd", voxels).read_bytes()
    for name, data in cuts(plain):
        path = place_of(root, f"nrrd/{name}") / "a.nrrd"
        path.write_bytes(data)
        yield image_case(root, path)
    for name, (old, new) in NRRD_EDITS.items():
        assert old.encode() in plain, (old, plain[:500])
        path = place_of(root, f"nrrd/{name}") / "a.nrrd"
        path.write_bytes(plain.replace(old.encode(), new.encode(), 1))
        yield image_case(root, path)
    header = plain[: plain.index(b"\n\n") + 2].replace(b"encoding: raw", b"encoding: gzip")
    header = header.replace(b"sizes: 24 24 6", b"sizes: 512 512 600")
    path = place_of(root, "nrrd/a bomb") / "a.nrrd"
    path.write_bytes(header + gzip_zeros(300))
    yield image_case(root, path)
    path = place_of(root, "nrrd/a header without end") / "a.nrrd"
    path.write_bytes(plain.replace(b"\n", b"\n" + b"# " + b"x" * (5 << 20) + b"\n", 1))
    yield image_case(root, path)


def nifti_case(root: Path, name: str, data: bytes, suffix: str = ".nii") -> Case:
    path = place_of(root, name) / f"a{suffix}"
    path.write_bytes(data)
    return image_case(root, path)


def image_case(root: Path, path: Path) -> Case:
    name = path.parent.relative_to(root).as_posix()
    return Case(name, ("score", rel(root, path), SCORE[1]))


def edit(path: Path, field: str, value: str) -> None:
    """Change a line of a MetaImage header, or add it before the last."""
    lines = path.read_text().splitlines()
    at = [n for n, line in enumerate(lines) if line.partition("=")[0].strip() == field]
    if at:
        lines[at[0]] = f"{field} = {value}"
    else:
        lines.insert(-1, f"{field} = {value}")
    path.write_text("\n".join(lines) + "\n")


def rel(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix()


def good(root: Path) -> None:
    """The valid scan that others are read beside."""
    voxels, labels = arrays()
    save(root / "good/image.nii.gz", voxels)
    save(root / "good/labels.nii.gz", labels)
    save(root / "good/image.mhd", voxels)
