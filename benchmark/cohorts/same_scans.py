"""One scan under two names: told by its voxels as they are read, whatever file they come from.

The bytes of files tell little: the same image in another format, packed otherwise, or a series
sent twice has other bytes and the same HU.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping

import numpy as np

from benchmark.cohorts.base import Record
from benchmark.cohorts.split import Split
from benchmark.errors import UserError

SHOWN = 4
"""Copies of one scan that a message names."""


def content_of(voxels: np.ndarray) -> str:
    """Return 32 hexadecimal digits that two scans share only if all their voxels are the same.

    Parameters
    ----------
    voxels : numpy.ndarray of int16, shape (z, y, x)
        HU in memory's orientation.
    """
    found = hashlib.sha256(repr(voxels.shape).encode())
    found.update(np.ascontiguousarray(voxels, np.int16))
    return found.hexdigest()[:32]


def same_scans(records: Iterable[Record]) -> list[tuple[Record, ...]]:
    """Return the records of each scan that is there more than once, in the records' order.

    A record without content, as of scans that a program makes, is like no other.
    """
    groups: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        if record.content:
            groups[record.content].append(record)
    return [tuple(group) for group in groups.values() if len(group) > 1]


def refuse_same_scans(split: Split, records: Iterable[Record]) -> None:
    """Refuse a split that trains and tests on one scan.

    Raises
    ------
    UserError
        One line that names two ids, and their files where the records know them.
    """
    trains, tests = set(split.train), set(split.test)
    pairs = []
    for group in same_scans(records):
        train = [record for record in group if record.id in trains]
        test = [record for record in group if record.id in tests]
        if train and test:
            pairs.append((train[0], test[0]))
    if pairs:
        more = f" (and {len(pairs) - 1} more such scans)" if len(pairs) > 1 else ""
        raise UserError(
            f"split: one scan in both parts: {named(pairs[0][0])} would train and "
            f"{named(pairs[0][1])} test, but their voxels are the same{more}; keep one of them, or "
            "give both one patient"
        )


def copies(contents: Mapping[str, str]) -> dict[str, list[str]]:
    """Return, by id, the other ids with the same voxels; ids without any are left out.

    Parameters
    ----------
    contents : mapping of str to str
        `content_of` each scan by id; "" is like no other.
    """
    groups: dict[str, list[str]] = defaultdict(list)
    for id, content in contents.items():
        if content:
            groups[content].append(id)
    found = {}
    for group in groups.values():
        if len(group) > 1:
            # so many copies of one scan need no list as long for each
            for id in group:
                found[id] = [other for other in group[: SHOWN + 1] if other != id][:SHOWN]
    return found


def named(record: Record) -> str:
    """Return a scan's id, and its file where it is known."""
    return f"{record.id} ({record.source})" if record.source else record.id


def trained_on(fingerprint: str, records: Iterable[Record], ids: Iterable[str]) -> dict[str, str]:
    """Return what a run keeps of its training scans: `key_of` each, and its id.

    Parameters
    ----------
    fingerprint : str
        Of the cohort.
    records : iterable of Record
    ids : iterable of str
        Scans that train.
    """
    by_id = {record.id: record for record in records}
    return {key_of(fingerprint, by_id[id]): id for id in ids}


def key_of(fingerprint: str, record: Record) -> str:
    """Return what tells a scan in any cohort: its content, or else cohort and id."""
    return record.content or f"{fingerprint[:16]}:{record.id}"
