"""An nnU-Net raw dataset: `imagesTr`, `labelsTr`, and `dataset.json` that says what labels mean."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from benchmark.cohorts.base import Scan
from benchmark.cohorts.disk import DiskCohort, Entry
from benchmark.cohorts.headers import parts_of
from benchmark.cohorts.scan_check import ScanCheck, judge
from benchmark.cohorts.segment_names import label_of
from benchmark.cohorts.volumes import SUFFIXES, read_scan
from benchmark.errors import UserError

LARGEST_FILE_LABEL = 255


class NnUNetCohort(DiskCohort):
    """Scans in nnU-Net's raw format (version 2, or dataset.json as version 1 has it).

    ::

        FOLDER/dataset.json                    channel_names, labels, file_ending
        FOLDER/imagesTr/case_0000.nii.gz       CT in HU
        FOLDER/labelsTr/case.nii.gz
        FOLDER/imagesTs/case_0000.nii.gz       optional; labelsTs too

    dataset.json gives labels by name; they are renumbered to 1 LAD with left main, 2 LCX, 3 RCA.
    Scans of `imagesTr` are given to training and those of `imagesTs` to testing where labelsTs is
    there; without it they are for prediction alone.

    Raises
    ------
    UserError
        If dataset.json is missing, names more than one channel, or a label that is no artery.
    """

    format = "nnunet"

    def _find(self) -> Iterable[Entry]:
        ending, self._numbers = _read_dataset(self.path / "dataset.json")
        count = 0
        for part, suffix in (("train", "Tr"), ("test", "Ts")):
            images, labels = self.path / f"images{suffix}", self.path / f"labels{suffix}"
            if not images.is_dir():
                continue
            for image in sorted(images.glob(f"*_0000{ending}")):
                count += 1
                id = image.name.removesuffix(ending).removesuffix("_0000")
                yield self._entry(id, image, labels / f"{id}{ending}", part)
        if not count:
            raise UserError(f"{self.path / 'imagesTr'}: holds no image *_0000{ending}")

    def _entry(self, id: str, image: Path, labels: Path, part: str) -> Entry:
        given = labels.is_file()
        fault = ""
        try:
            for path in (image, labels) if given else (image,):
                parts_of(path)
        except UserError as error:
            fault = str(error)
        if not given and (part == "train" or labels.parent.is_dir()):
            fault = f"{image}: has no labels {labels}"
        return Entry(id, (image,), (labels,) if given else (), part=part, fault=fault)

    def _reading(self) -> str:
        return f"{self.format} {sorted(self._numbers.items())}"

    def _inspect(self, entry: Entry) -> tuple[ScanCheck, Scan | None]:
        path = entry.labels[0] if entry.labels else None
        try:
            scan = read_scan(
                entry.image[0], path, id=entry.id, largest_label=3, numbers=self._numbers
            )
        except UserError as error:
            return ScanCheck(entry.id, "refused", str(error)), None
        return judge(scan, self.conventions)


def _version_2(values: dict) -> dict:
    """Return what a dataset.json of version 1 says in the words of version 2; others as they are.

    Version 1 names labels by number (``{"1": "LAD"}``), and its images are ``.nii.gz`` all.
    """
    labels = values.get("labels")
    if "file_ending" in values or not labels or not all(str(key).isdecimal() for key in labels):
        return values
    named = {str(name): number for number, name in labels.items()}
    if len(named) < len(labels):
        raise ValueError("two numbers of one name")
    return {**values, "file_ending": ".nii.gz", "labels": named}


def _artery(name: object) -> int:
    """Return the label of a name in dataset.json; KeyError if it is no artery."""
    label = label_of(str(name))
    if label is None:
        raise KeyError(name)
    return label


def _read_dataset(path: Path) -> tuple[str, dict[int, int]]:
    """Return the file ending and {number in the files: our label}."""
    try:
        if path.stat().st_size > 16 << 20:
            raise UserError(f"{path}: is larger than 16 MB; is it a dataset.json?")
        values = _version_2(json.loads(path.read_text(encoding="utf-8")))
        ending, labels = values["file_ending"], values["labels"]
        channels = values.get("channel_names") or values.get("modality") or {"0": "CT"}
        numbers = {int(number): _artery(name) for name, number in labels.items()}
        count = len(channels)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    except KeyError as error:
        raise UserError(
            f"{path}: {error} is missing or no artery; name labels background, LAD, LM, LCX, RCA"
        ) from None
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError):
        raise UserError(f"{path}: is no dataset.json of nnU-Net version 2") from None
    if count != 1:
        raise UserError(f"{path}: has {count} channels; a cohort has one, the CT")
    if "dataset" in values:
        raise UserError(
            f"{path}: names its files in a list (dataset); put them into imagesTr and labelsTr"
        )
    if ending not in SUFFIXES:
        raise UserError(
            f"{path}: file_ending {str(ending)[:40]!r} cannot be read ({', '.join(SUFFIXES)})"
        )
    if not all(0 <= number <= LARGEST_FILE_LABEL for number in numbers):
        raise UserError(f"{path}: labels must be numbers from 0 to {LARGEST_FILE_LABEL}")
    return ending, numbers
