"""Who trains and who tests: stratified by risk category, and the same on every machine.

No random number generator takes part. Patients of a category are put in the order of the SHA-256
of ``"seed:id"``, which no change of platform or library version can alter. A patient with several
scans stands in the order by the first of their ids and in the gravest of their categories, and all
of the scans go into one part.
"""

import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from benchmark.cohorts.base import Record
from benchmark.errors import UserError


@dataclass(frozen=True)
class Split:
    """The ids of the two parts.

    Both parts are ordered so that each beginning of a part is itself close to stratified, which
    makes smaller tiers subsets of larger ones.

    Attributes
    ----------
    train, test : tuple of str
        Ids of the scans; no id is in both.
    seed : int
        Seed the split was made with.
    kind : str
        How it was made, for instance ``"by-centre:A"``; the hash does not depend on it.

    Raises
    ------
    UserError
        If an id occurs twice, within a part or across the two.
    """

    train: tuple[str, ...]
    test: tuple[str, ...]
    seed: int
    kind: str = "by-risk"

    def __post_init__(self) -> None:
        for part, ids in (("training", self.train), ("test", self.test)):
            _refuse_duplicates(ids, f"the {part} part of the split")
        shared = sorted(set(self.train) & set(self.test))
        if shared:
            raise UserError(
                f"split: {_some(shared)} would both train and test; "
                "put each patient into one part only"
            )

    @property
    def hash(self) -> str:
        """First 16 hexadecimal digits of the SHA-256 of seed and members, whatever their order."""
        content = json.dumps([self.seed, sorted(self.train), sorted(self.test)])
        return hashlib.sha256(content.encode()).hexdigest()[:16]


def make_split(
    records: Iterable[Record],
    size: float | tuple[int, int],
    seed: int = 0,
) -> Split:
    """Split a cohort into training and test, with the same share of each risk category in both.

    Parameters
    ----------
    records : iterable of Record
        Their order does not matter.
    size : float or (int, int)
        Share of the patients that train (the others test), or the numbers of training and test
        patients. If these add up to fewer than there are, a stratified choice is left out.
    seed : int
        Another seed gives another split.

    Returns
    -------
    Split
        Its parts have exactly the sizes asked for. Per category they differ from the exact
        proportion by less than one patient when all patients are used (largest remainders).

    Raises
    ------
    UserError
        If an id occurs twice, or a part would be empty or larger than the cohort allows.
    """
    units = _patients(records)
    n_train, n_test = _sizes(size, len(units))
    ordered = _by_category([patient for patient, _ in units.values()], seed)
    used = _largest_remainders({risk: len(ids) for risk, ids in ordered.items()}, n_train + n_test)
    train_counts = _largest_remainders(used, n_train)
    train = {risk: ids[: train_counts[risk]] for risk, ids in ordered.items()}
    test = {risk: ids[train_counts[risk] : used[risk]] for risk, ids in ordered.items()}
    return Split(_scans(_interleave(train), units), _scans(_interleave(test), units), seed)


def split_by_patient(records: Iterable[Record], share: float, seed: int = 0) -> Split:
    """Split patients at random, whatever their risk categories.

    Parameters
    ----------
    records : iterable of Record
    share : float
        Share of the patients that train.
    seed : int
        Another seed gives another split.

    Raises
    ------
    UserError
        If a part would be empty.
    """
    units = _patients(records)
    n_train, _ = _sizes(share, len(units))
    order = sorted(units, key=lambda id: _place(seed, id))
    return Split(_scans(order[:n_train], units), _scans(order[n_train:], units), seed, "by-patient")


def split_by_centre(records: Iterable[Record], centres: Sequence[str], seed: int = 0) -> Split:
    """Test on the scans of some centres, train on those of all others.

    Parameters
    ----------
    records : iterable of Record
    centres : sequence of str
        Centres that test.
    seed : int
        Orders the parts, and so decides which scans a smaller tier takes.

    Raises
    ------
    UserError
        If there is no such centre, no other centre is left to train, or a patient was scanned in
        centres of both parts.
    """
    records = tuple(records)
    known = sorted({record.centre for record in records})
    for centre in centres:
        if centre not in known:
            raise UserError(f"split: no centre {centre!r} (there is: {', '.join(known)})")
    test = {record.id for record in records if record.centre in centres}
    kind = f"by-centre:{','.join(centres)}"
    return split_given(records, [r.id for r in records if r.id not in test], test, seed, kind)


def split_fold(records: Iterable[Record], fold: int, folds: int, seed: int = 0) -> Split:
    """Take one fold of a cross-validation: it tests, the others train.

    Patients are dealt out in the order of their risk categories, so that each category, and the
    cohort, differs by at most one patient between folds.

    Parameters
    ----------
    records : iterable of Record
    fold, folds : int
        Which fold, counted from 1, of how many.
    seed : int
        Another seed deals otherwise; all folds of one seed belong together.

    Raises
    ------
    UserError
        If there is no such fold, or there are fewer patients than folds.
    """
    units = _patients(records)
    if not 2 <= folds <= len(units):
        raise UserError(f"split: {folds} folds of {len(units)} patients; use 2 to {len(units)}")
    if not 1 <= fold <= folds:
        raise UserError(f"split: no fold {fold} of {folds}; folds are counted from 1")
    ordered = _by_category([patient for patient, _ in units.values()], seed)
    dealt = [id for ids in ordered.values() for id in ids]
    test = set(dealt[fold - 1 :: folds])

    def part(tests: bool) -> tuple[str, ...]:
        members = {k: [id for id in ids if (id in test) == tests] for k, ids in ordered.items()}
        return _scans(_interleave(members), units)

    return Split(part(False), part(True), seed, f"fold {fold}/{folds}")


def split_given(
    records: Iterable[Record],
    train: Iterable[str],
    test: Iterable[str],
    seed: int = 0,
    kind: str = "given",
) -> Split:
    """Take a split as it is given; scans in neither part are left out.

    Raises
    ------
    UserError
        If an id is not in the cohort or in both parts, a part is empty, or a patient has scans in
        both.
    """
    by_id = {record.id: record for record in records}
    parts = []
    for name, ids in (("training", tuple(train)), ("test", tuple(test))):
        missing = sorted(set(ids) - set(by_id))
        if missing:
            raise UserError(
                f"split: {_some(missing)} of the {name} part is not among the scans with labels; "
                "see `benchmark data check` for the ids"
            )
        if not ids:
            raise UserError(f"split: the {name} part is empty; both parts need at least one scan")
        _refuse_duplicates(ids, f"the {name} part of the split")
        parts.append(_interleave(_by_category([by_id[id] for id in ids], seed)))
    split = Split(parts[0], parts[1], seed, kind)
    refuse_shared_patients(split, by_id.values())
    return split


def refuse_shared_patients(split: Split, records: Iterable[Record]) -> None:
    """Raise UserError if a patient has scans in both parts."""
    patients = {record.id: record.patient for record in records if record.patient}
    train = {patients[id]: id for id in split.train if id in patients}
    for id in split.test:
        if patients.get(id) in train:
            raise UserError(
                f"split: one patient in both parts: {train[patients[id]]} would train and {id} "
                "test; put all scans of a patient into one part"
            )


def subset(
    split: Split,
    records: Iterable[Record],
    n_train: int | None = None,
    n_test: int | None = None,
) -> Split:
    """Take a smaller tier of a split: stratified, and inside every larger tier.

    Seats go to the categories by Webster's rule (Sainte-Lague): the patient of rank k, counted
    from 0, in a category of s patients comes at the place (k + 1/2) / s. Largest remainders, which
    `make_split` uses, can take a seat away from a category when the tier grows; with Webster's
    rule the tier of n + 1 always holds the tier of n.

    Parameters
    ----------
    split : Split
        The full split.
    records : iterable of Record
        Records of at least all patients in the split.
    n_train, n_test : int, optional
        Sizes of the parts; None keeps the whole part.

    Returns
    -------
    Split
        Its parts are subsets of the parts of `split`.

    Raises
    ------
    UserError
        If a part is asked to be empty or larger than it is, or a patient has no record.
    """
    by_id = {record.id: record for record in records}
    parts = []
    for name, ids, wanted in (("training", split.train, n_train), ("test", split.test, n_test)):
        missing = sorted(set(ids) - set(by_id))
        if missing:
            raise UserError(
                f"split: {_some(missing)} of the {name} part is not in the cohort; "
                "use the cohort the split was made from"
            )
        if wanted is not None and not 1 <= wanted <= len(ids):
            raise UserError(
                f"split: {wanted} {name} scans asked for, but the {name} part has {len(ids)}; "
                f"ask for 1 to {len(ids)}"
            )
        ordered = _interleave(_by_category([by_id[id] for id in ids], split.seed))
        parts.append(ordered[:wanted])
    return Split(parts[0], parts[1], split.seed, split.kind)


def _patients(records: Iterable[Record]) -> dict[str, tuple[Record, tuple[str, ...]]]:
    """Return, by the first id of each patient, a record for all of the scans, and their ids."""
    records = tuple(records)
    _refuse_duplicates([record.id for record in records], "the cohort")
    groups: dict[str, list[Record]] = {}
    for record in sorted(records, key=lambda record: record.id):
        groups.setdefault(record.patient or f"scan {record.id}", []).append(record)
    units = {}
    for group in groups.values():
        gravest = replace(group[0], risk=max(record.risk for record in group))
        units[group[0].id] = (gravest, tuple(record.id for record in group))
    return units


def _scans(patients: Iterable[str], units: dict) -> tuple[str, ...]:
    """Return all scans of the patients, in the patients' order."""
    return tuple(id for patient in patients for id in units[patient][1])


def _sizes(size: float | tuple[int, int], total: int) -> tuple[int, int]:
    """Turn a share or a pair into the numbers of training and test patients."""
    if isinstance(size, int | float):
        if not 0 < size < 1:
            raise UserError(f"split: a training share of {size:g} leaves a part empty; use 0 to 1")
        n_train = math.floor(size * total + 0.5)
        n_test = total - n_train
    else:
        n_train, n_test = size
    if n_train < 1 or n_test < 1:
        raise UserError(
            f"split: {n_train} training and {n_test} test scans of {total} leave a part empty; "
            "both parts need at least one"
        )
    if n_train + n_test > total:
        raise UserError(
            f"split: {n_train} + {n_test} scans asked for, but the cohort has {total}; "
            "ask for fewer"
        )
    return n_train, n_test


def _by_category(records: Sequence[Record], seed: int) -> dict[int, list[str]]:
    """Group ids by risk category, each group in hash order."""
    groups: dict[int, list[str]] = {}
    for record in sorted(records, key=lambda record: _place(seed, record.id)):
        groups.setdefault(record.risk, []).append(record.id)
    return dict(sorted(groups.items()))


def _place(seed: int, id: str) -> tuple[str, str]:
    return hashlib.sha256(f"{seed}:{id}".encode()).hexdigest(), id


def _largest_remainders(sizes: dict[int, int], total: int) -> dict[int, int]:
    """Share `total` seats among categories in proportion to their sizes (Hamilton's rule)."""
    everybody = sum(sizes.values())
    counts = {risk: size * total // everybody for risk, size in sizes.items()}
    # Integer remainders, so that no rounding of floats can decide a seat.
    remainder = {risk: size * total % everybody for risk, size in sizes.items()}
    for risk in sorted(sizes, key=lambda risk: (-remainder[risk], risk)):
        if sum(counts.values()) == total:
            break
        counts[risk] += 1
    return counts


def _interleave(groups: dict[int, list[str]]) -> tuple[str, ...]:
    """Merge the categories so that every beginning holds each in proportion."""
    places = [
        ((2 * rank + 1) / (2 * len(ids)), risk, id)
        for risk, ids in groups.items()
        for rank, id in enumerate(ids)
    ]
    return tuple(id for _, _, id in sorted(places))


def _refuse_duplicates(ids: Sequence[str], where: str) -> None:
    twice = sorted(id for id, count in Counter(ids).items() if count > 1)
    if twice:
        raise UserError(f"split: {_some(twice)} occurs more than once in {where}; remove the copy")


def _some(ids: Sequence[str], shown: int = 3) -> str:
    """Name a few ids and count the others."""
    rest = len(ids) - shown
    return ", ".join(ids[:shown]) + (f" and {rest} more" if rest > 0 else "")
