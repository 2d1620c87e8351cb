"""How a cohort is to be split, as a person writes it, and a split on disk."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from benchmark.cohorts.base import Record
from benchmark.cohorts.same_scans import refuse_same_scans
from benchmark.cohorts.split import (
    Split,
    make_split,
    refuse_shared_patients,
    split_by_centre,
    split_by_patient,
    split_fold,
    split_given,
)
from benchmark.errors import UserError
from benchmark.training.settings import check_seed

FORMS = (
    "by-risk, by-patient, by-centre:NAME, folds:K with a fold I/K, given, or a split.json that "
    "`benchmark split --out` wrote"
)

LARGEST_FILE = 16 << 20
"""Bytes of a saved split: some hundred thousand ids."""


@dataclass(frozen=True)
class SplitChoice:
    """A way to split.

    Attributes
    ----------
    kind : {"by-risk", "by-patient", "by-centre", "fold", "given"}
    centres : tuple of str
        That test, for "by-centre".
    fold : tuple of two ints or None
        Which of how many, for "fold".
    train, test : tuple of str
        Ids, for "given"; both empty take what the data say of themselves.
    saved : str
        File of a saved split, which has `train`, `test` and `seed` from there.
    made : str
        Of a saved split: its kind.
    cohort : str
        Of a saved split: start of the fingerprint of the cohort it was made of, "" if not noted.
    seed : int
    """

    kind: str = "by-risk"
    centres: tuple[str, ...] = ()
    fold: tuple[int, int] | None = None
    train: tuple[str, ...] = ()
    test: tuple[str, ...] = ()
    seed: int = 0
    saved: str = ""
    made: str = ""
    cohort: str = ""


def parse_choice(
    split: str | dict | None, fold: str | None = None, seed: int = 0
) -> SplitChoice | None:
    """Understand ``--split`` and ``--fold``, or the same two values of a cohort file.

    Parameters
    ----------
    split : str or dict or None
        ``"by-risk"``, ``"by-patient"``, ``"by-centre:A,B"``, ``"folds:5"``, ``"given"``,
        ``"path/to/split.json"``, or ``{"train": [ids], "test": [ids]}``.
    fold : str or None
        ``"2/5"``: the second of five folds.
    seed : int

    Returns
    -------
    SplitChoice or None
        None if nothing was asked for.

    Raises
    ------
    UserError
        If it cannot be understood.
    """
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise UserError(f"split: seed {seed!r} is no whole number")
    check_seed(seed, "split: seed")
    if split is None and fold is None:
        return None if seed == 0 else SplitChoice(seed=seed)
    if isinstance(split, dict):
        if fold is not None or set(split) != {"train", "test"}:
            raise UserError("split: lists are train and test, and take no fold")
        lists = [split["train"], split["test"]]
        if not all(isinstance(ids, list) and all(_is_id(id) for id in ids) for ids in lists):
            raise UserError("split: train and test must be lists of ids")
        return SplitChoice("given", train=_texts(lists[0]), test=_texts(lists[1]), seed=seed)
    if split is not None and str(split).strip().lower().endswith(".json"):
        return _saved_choice(Path(str(split).strip()), fold, seed)
    name, _, rest = str(split if split is not None else "folds").strip().partition(":")
    if name == "folds" and not (rest and not rest.isdecimal()):
        return SplitChoice("fold", fold=_fold(fold, rest), seed=seed)
    if fold is not None:
        raise UserError(f"--fold {fold} does not go with --split {split}; leave out one of them")
    if name in ("by-risk", "by-patient", "given") and not rest:
        return SplitChoice(name, seed=seed)
    if name == "by-centre":
        centres = tuple(part.strip() for part in rest.split(",") if part.strip())
        if not centres:
            raise UserError("split: by-centre needs the centre that tests, as in by-centre:A")
        return SplitChoice(name, centres=centres, seed=seed)
    raise UserError(f"split: {split!r} is not known; use {FORMS}")


def choose_split(records: Iterable[Record], choice: SplitChoice, share: float) -> Split:
    """Split a cohort as asked for.

    Parameters
    ----------
    records : iterable of Record
    choice : SplitChoice
    share : float
        Share of the patients that train, for "by-risk" and "by-patient".

    Raises
    ------
    UserError
        If it cannot be done, or a patient would be in both parts.
    """
    records = tuple(records)
    if choice.kind == "by-patient":
        split = split_by_patient(records, share, choice.seed)
    elif choice.kind == "by-centre":
        split = split_by_centre(records, choice.centres, choice.seed)
    elif choice.kind == "fold":
        split = split_fold(records, *choice.fold, choice.seed)
    elif choice.kind == "given":
        train, test = choice.train, choice.test
        if not train and not test:
            train = [record.id for record in records if record.part == "train"]
            test = [record.id for record in records if record.part == "test"]
            if not train and not test:
                raise UserError("split: the data give none; a CSV may, in its column split")
        try:
            split = split_given(records, train, test, choice.seed, choice.made or "given")
        except UserError as error:
            raise UserError(f"{choice.saved}: {error}" if choice.saved else str(error)) from None
    else:
        split = make_split(records, share, choice.seed)
    refuse_shared_patients(split, records)
    refuse_same_scans(split, records)
    return split


def _saved_choice(path: Path, fold: str | None, seed: int) -> SplitChoice:
    """The choice of a saved split's own parts.

    Raises
    ------
    UserError
        If the file is no such split, or a fold or another seed is asked for too.
    """
    if fold is not None:
        raise UserError(f"--fold {fold} does not go with --split {path}; leave out one of them")
    split, cohort = _read_saved(path)
    if seed not in (0, split.seed):
        raise UserError(f"{path}: was made with seed {split.seed}, not {seed}; leave the seed out")
    return SplitChoice(
        "given", train=split.train, test=split.test, seed=split.seed,
        saved=str(path), made=split.kind, cohort=cohort,
    )  # fmt: skip


def save_split(split: Split, path: Path, fingerprint: str = "") -> None:
    """Write a split with its content hash as JSON, for `parse_choice` to take up again.

    Parameters
    ----------
    split : Split
    path : Path
    fingerprint : str
        Of the cohort; a cohort of other content is then told.

    Raises
    ------
    UserError
        If the file cannot be written.
    """
    values = {
        "kind": split.kind,
        "seed": split.seed,
        "hash": split.hash,
        **({"cohort": fingerprint[:16]} if fingerprint else {}),
        "train": list(split.train),
        "test": list(split.test),
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror})") from error


def load_split(path: Path) -> Split:
    """Read a split that `save_split` wrote.

    Raises
    ------
    UserError
        If the file cannot be read, or its members are not those its hash was made of.
    """
    return _read_saved(path)[0]


def _read_saved(path: Path) -> tuple[Split, str]:
    """Return a saved split, and the start of its cohort's fingerprint or ""."""
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise UserError(f"{path}: is larger than {LARGEST_FILE >> 20} MB; is it a split?")
        values = json.loads(path.read_text(encoding="utf-8"))
        split = Split(
            tuple(values["train"]), tuple(values["test"]), values["seed"], str(values["kind"])
        )
        same = values["hash"] == split.hash
        cohort = str(values.get("cohort", ""))
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        raise UserError(f"{path}: is no saved split") from None
    if not same:
        raise UserError(f"{path}: was changed since it was saved: its hash does not fit")
    return split, cohort


def _fold(fold: str | None, folds: str) -> tuple[int, int]:
    match = re.fullmatch(r"\s*(\d{1,4})\s*/\s*(\d{1,4})\s*", str(fold)) if fold else None
    if match is None:
        raise UserError(f"split: fold {fold!r} is not understood; write which of how many, as 2/5")
    if folds and folds != match[2]:
        raise UserError(f"split: fold {fold} is not one of {folds} folds")
    return int(match[1]), int(match[2])


def _is_id(id: object) -> bool:
    return isinstance(id, str | int) and not isinstance(id, bool)


def _texts(ids: list) -> tuple[str, ...]:
    return tuple(str(id) for id in ids)
