"""An nnU-Net raw dataset: `imagesTr`, `labelsTr`, and `dataset.json` that says what labels mean."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from benchmark.cohorts.base import Scan
from benchmark.cohorts.disk import DiskCohort, Entry
from benchmark.cohorts.headers import parts_of
from benchmark.cohorts.listing import image_files
from benchmark.cohorts.scan_check import ScanCheck, judge
from benchmark.cohorts.segment_names import label_of
from benchmark.cohorts.volumes import SUFFIXES, id_of, read_scan
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
    there; without it they are for prediction alone. A scan whose image or labels are missing or
    named otherwise is refused, and so is a dataset with another number of scans than numTraining.

    Raises
    ------
    UserError
        If dataset.json is missing, contradicts itself or the folders, names more than one channel,
        or a label that is no artery.
    """

    format = "nnunet"

    def _find(self) -> Iterable[Entry]:
        description = _read_dataset(self.path / "dataset.json")
        self._numbers = description.numbers
        found, readable = {}, False
        for part, suffix in (("train", "Tr"), ("test", "Ts")):
            entries = list(self._part(part, suffix, description.ending))
            found[part] = len(entries)
            readable = readable or any(entry.image for entry in entries)
            yield from entries
        if not readable:
            raise UserError(
                f"{self.path / 'imagesTr'}: holds no image *_0000{description.ending}"
                f"{self._other_ending(description.ending)}"
            )
        stated = description.training
        if stated is not None and stated != found["train"]:
            if (self.path / "imagesTr").is_dir():
                raise UserError(
                    f"{self.path / 'dataset.json'}: numTraining is {stated}, but imagesTr and "
                    f"labelsTr hold {found['train']} scans; fetch what is missing, or mend the "
                    "number"
                )
            self._pass_by(f"dataset.json speaks of {stated} training scans; there is no imagesTr.")

    def _part(self, part: str, suffix: str, ending: str) -> Iterable[Entry]:
        """Pair the images and label maps of one part; each lone one is a scan that is refused."""
        place, drawn = self.path / f"images{suffix}", self.path / f"labels{suffix}"
        files = image_files(place, self._pass_over) if place.is_dir() else {}
        maps = image_files(drawn, self._pass_over) if drawn.is_dir() else {}
        images: dict[str, Path] = {}
        strange: dict[str, Path] = {}
        for path in (path for paths in files.values() for path in paths):
            stem = id_of(path)
            channel = re.fullmatch(r"(.+)_(\d{4})", stem)
            id = channel[1] if channel else stem
            if not path.name.endswith(ending) or channel is None:
                strange.setdefault(id, path)
            elif channel[2] == "0000":
                images[id] = path
            else:
                self._pass_over("images of further channels, where dataset.json has one", path.name)
        labels = {}
        for id, paths in maps.items():
            good = [path for path in paths if path.name.endswith(ending)]
            labels[id] = good[0] if good else paths[0]
            for path in paths:
                if path != labels[id]:
                    self._pass_over(f"label maps in {drawn.name}/ with another ending", path.name)
        for id in sorted({*images, *labels, *strange}):
            wanted = f"{id}_0000{ending}"
            image, map_ = images.get(id), labels.get(id)
            if image is None and map_ is None and part == "train":
                self._pass_over(
                    f"images in {place.name}/ with another name or ending", strange[id].name
                )
                continue
            if image is None and id in strange:
                fault = (
                    f"{strange[id]}: nnU-Net reads {wanted} (file_ending and channel 0000); "
                    "rename or convert it"
                )
            elif image is None:
                fault = f"{map_}: has no image {place / wanted}"
            elif map_ is None and (part == "train" or drawn.is_dir()):
                fault = f"{image}: has no labels {drawn / f'{id}{ending}'}"
            elif map_ is not None and not map_.name.endswith(ending):
                fault = f"{map_}: file_ending is {ending}; rename or convert it"
            else:
                fault = _outside(path for path in (image, map_) if path)
                if id in strange:
                    self._pass_over(
                        f"images in {place.name}/ with another name or ending", strange[id].name
                    )
            yield Entry(
                id, (image,) if image else (), (map_,) if map_ else (), part=part, fault=fault
            )

    def _other_ending(self, ending: str) -> str:
        """Say which endings the images have, if not the one that dataset.json says."""
        for name in ("imagesTr", "imagesTs"):
            place = self.path / name
            found = sorted(place.iterdir()) if place.is_dir() else ()
            for path in found:
                if id_of(path) is not None and not path.name.endswith(ending):
                    return f", but {path.name}; dataset.json says file_ending {ending}"
        return ""

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


def _outside(files: Iterable[Path]) -> str:
    """Say which file names pixels outside its folder; "" if none."""
    try:
        for path in files:
            parts_of(path)
    except UserError as error:
        return str(error)
    return ""


@dataclass(frozen=True)
class _Description:
    """What dataset.json says: file ending, {number in the files: our label}, training scans."""

    ending: str
    numbers: dict[int, int]
    training: int | None


def _read_dataset(path: Path) -> _Description:
    """Read dataset.json.

    Raises
    ------
    UserError
        If it cannot be read, or contradicts itself.
    """
    try:
        if path.stat().st_size > 16 << 20:
            raise UserError(f"{path}: is larger than 16 MB; is it a dataset.json?")
        values = _version_2(json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=_once))
        ending, labels = values["file_ending"], values["labels"]
        channels = values.get("channel_names") or values.get("modality") or {"0": "CT"}
        names = {str(name).lower(): _whole(number) for name, number in labels.items()}
        ours = {name: _artery(name) for name in names}
        count, training = len(channels), values.get("numTraining")
        training = None if training is None else _whole(training)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    except KeyError as error:
        raise UserError(
            f"{path}: {error} is missing or no artery; name labels background, LAD, LM, LCX, RCA"
        ) from None
    except _Twice as error:
        raise UserError(f"{path}: says {error} twice; keep one") from None
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError):
        raise UserError(f"{path}: is no dataset.json of nnU-Net version 2") from None
    if len(names) < len(labels):
        raise UserError(f"{path}: names a label twice; keep one")
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
    if not all(0 <= number <= LARGEST_FILE_LABEL for number in names.values()):
        raise UserError(f"{path}: labels must be numbers from 0 to {LARGEST_FILE_LABEL}")
    return _Description(ending, _numbers_of(path, names, ours), training)


def _numbers_of(path: Path, names: dict[str, int], ours: dict[str, int]) -> dict[int, int]:
    """Turn the labels' names into {number in the files: our label}.

    Raises
    ------
    UserError
        If two arteries share a number, or background and 0 are not the same.
    """
    numbers: dict[int, int] = {}
    for name, number in names.items():
        if (name == "background") != (number == 0):
            raise UserError(f"{path}: label {name} is {number}; background, and it alone, is 0")
        if numbers.setdefault(number, ours[name]) != ours[name]:
            both = [other for other in names if names[other] == number]
            raise UserError(f"{path}: labels {' and '.join(both)} are both {number}")
    return numbers


class _Twice(Exception):
    """A key that stands twice in one JSON object."""


def _once(pairs: list[tuple[str, object]]) -> dict:
    """Make a dict of a JSON object; one key said twice would silently be its last value."""
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        raise _Twice(repr(next(name for name in names if names.count(name) > 1)[:40]))
    return values


def _whole(number: object) -> int:
    """Return a whole number, which may be written as text or as 3.0.

    Raises
    ------
    ValueError
        For any other.
    """
    if isinstance(number, bool) or int(number) != float(number):
        raise ValueError("no whole number")
    return int(number)
