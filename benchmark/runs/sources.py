"""Which cohort a command works on, and the split of it that a tier uses."""

from __future__ import annotations

import os
from collections.abc import Container
from pathlib import Path

from benchmark.cohorts.base import Cohort
from benchmark.cohorts.split import Split, make_split, subset
from benchmark.errors import UserError
from benchmark.suites.schema import nearest

COHORTS = {
    "phantom": "676 virtual patients made on this machine, nothing to download",
}
"""Cohorts by name; --data FOLDER takes the place of any."""

TRAINING_SHARE = 419 / 676
"""The paper's split, which gives 419 and 257 of 676 and the same share of any other cohort."""


def open_cohort(
    name: str = "phantom",
    data: Path | None = None,
    spacing: float | None = None,
    cache: Path | None = None,
) -> Cohort:
    """The cohort a command works on.

    Parameters
    ----------
    name : str
        One of `COHORTS`; not looked at when `data` is given.
    data : Path, optional
        Folder with ``images/`` and ``labels/``.
    spacing : float, optional
        In-plane voxel size of the phantom in mm.
    cache : Path, optional
        Where made or converted scans are kept; by default below ``$XDG_CACHE_HOME`` or
        ``~/.cache``.

    Raises
    ------
    UserError
        If there is no such cohort, or the folder is not one.
    """
    if data is not None:
        from benchmark.cohorts.folder import FolderCohort

        return FolderCohort(data, cache=cache or default_cache() / "folders")
    if name not in COHORTS:
        raise UserError(
            f"unknown cohort {name!r}{nearest(name, COHORTS)} (there is: {', '.join(COHORTS)}; "
            "for scans of your own use --data FOLDER)"
        )
    from benchmark.cohorts.phantom import PhantomCohort

    return PhantomCohort(spacing=spacing, cache=cache or default_cache() / "phantom")


def default_cache() -> Path:
    """Folder for scans that were made or converted: they can be made again."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "mmwfanet"


def tier_split(
    cohort: Cohort, train: int | None, test: int | None, exact: Container[str] = ()
) -> Split:
    """The cohort's one split, or the stratified part of it that a tier uses.

    Parameters
    ----------
    cohort : Cohort
    train, test : int or None
        Scans the tier asks for; None takes all.
    exact : container of str
        "train" or "test", where the number was asked for by a person: then it must be there.
        Otherwise all there are is enough, as tiers are made for 676 scans.

    Raises
    ------
    UserError
        If the cohort is too small.
    """
    records = cohort.records()
    if len(records) < 2:
        raise UserError(f"cohort {cohort.name}: {len(records)} scans cannot be split; add more")
    whole = make_split(records, TRAINING_SHARE)
    if train is not None and "train" not in exact:
        train = min(train, len(whole.train))
    if test is not None and "test" not in exact:
        test = min(test, len(whole.test))
    return subset(whole, records, train, test)
